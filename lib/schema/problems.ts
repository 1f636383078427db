/** Turns schema issues into one sentence a person can act on: file, field, wanted and got. @module */
import type { z } from "zod";
import { quickCheckOf } from "./quick.js";

/** One fault in a record: the field's path, and what was wanted and got. */
export interface Problem {
  readonly field: string;
  readonly message: string;
}

/** The outcome of reading a record: its value, or what is wrong with it. */
export type Read<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Validates a value and names each fault by field. Unknown keys come with the nearest known name.
 *
 * A record that is faultless as it stands is given back itself, and not as a copy with its known fields first.
 */
export function readAs<T>(schema: z.ZodType<T>, value: unknown, knownKeys?: readonly string[]): Read<T> {
  if (knownKeys === undefined && quickCheckOf(schema)?.(value) === true) return { ok: true, value: value as T };
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return { ok: true, value: result.data };
  const problems = result.error.issues.flatMap((issue) => describe(issue as Issue, value, knownKeys));
  return { ok: false, problems };
}

/** All problems in one line, at most three spelled out. */
export function sentenceOf(problems: readonly Problem[]): string {
  const shown = problems
    .slice(0, 3)
    .map((problem) => (problem.field ? `${problem.field} ${problem.message}` : problem.message));
  const rest = problems.length - shown.length;
  return shown.join("; ") + (rest > 0 ? `; and ${rest} more` : "");
}

interface Issue {
  readonly code: string;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly keys?: readonly string[];
  readonly expected?: string;
  readonly input?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly inclusive?: boolean;
  readonly values?: readonly unknown[];
}

function describe(issue: Issue, whole: unknown, knownKeys: readonly string[] | undefined): Problem[] {
  const field = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys") {
    return (issue.keys ?? []).map((key) => ({
      field: field ? `${field}.${key}` : key,
      message: `is not a known key${nearest(key, knownKeys)}`,
    }));
  }
  return [{ field, message: `${wanted(issue)}, got ${show(valueAt(whole, issue.path))}` }];
}

function wanted(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return `must be ${article(issue.expected ?? "another type")}`;
    case "too_small":
      return `must be ${issue.inclusive === false ? ">" : ">="} ${String(issue.minimum)}`;
    case "too_big":
      return `must be ${issue.inclusive === false ? "<" : "<="} ${String(issue.maximum)}`;
    case "invalid_value":
      return `must be one of ${(issue.values ?? []).map((value) => JSON.stringify(value)).join(", ")}`;
    default:
      return issue.message.startsWith("must") ? issue.message : issue.message.toLowerCase();
  }
}

function article(expected: string): string {
  return /^[aeio]/.test(expected) ? `an ${expected}` : `a ${expected}`;
}

function valueAt(whole: unknown, path: readonly PropertyKey[]): unknown {
  let value = whole;
  for (const key of path) {
    // What was written shorter than it is read, such as an action by its name alone, is shown as it was written.
    if (typeof value !== "object" || value === null) return value;
    value = Object.hasOwn(value, key) ? (value as Record<PropertyKey, unknown>)[key] : undefined;
  }
  return value;
}

/** A value as it may stand in a message: short, on one line, harmless in a terminal. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value) ?? String(value);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed here
  const harmless = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, "?");
  return harmless.length > 60 ? `${harmless.slice(0, 57)}...` : harmless;
}

function nearest(key: string, known: readonly string[] | undefined): string {
  const name = nearestName(key, known ?? []);
  return name === null ? "" : `; did you mean ${name}`;
}

/**
 * The known name closest to a mistyped one, or null if none is close (Levenshtein distance above a third of its length).
 *
 * @param editsMax Where only a slip of the hand counts as close: at most so many edits.
 */
export function nearestName(
  name: string,
  known: readonly string[],
  editsMax = Number.POSITIVE_INFINITY,
): string | null {
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const distance = editDistance(name, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  if (best === null) return null;
  return bestDistance <= Math.min(editsMax, Math.max(2, Math.floor(best.length / 3))) ? best : null;
}

function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 24) return 99;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + cost));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** All key names a schema knows, at any depth; for "did you mean". */
export function keysOf(schema: z.ZodType): string[] {
  const found = new Set<string>();
  collect(schema, found, 0);
  return [...found];
}

function collect(schema: unknown, found: Set<string>, depth: number): void {
  if (depth > 6 || typeof schema !== "object" || schema === null) return;
  const definition = (schema as { def?: Record<string, unknown>; shape?: Record<string, unknown> }).def;
  const shape = (schema as { shape?: Record<string, unknown> }).shape;
  for (const [key, inner] of Object.entries(shape ?? {})) {
    found.add(key);
    collect(inner, found, depth + 1);
  }
  for (const part of ["innerType", "in", "out", "element", "valueType"]) collect(definition?.[part], found, depth + 1);
}
