/**
 * Reads the nested dialects seen in the field: what each key of them is called here, and what of them nothing knows.
 *
 * @module
 */
import { nearestName, type Problem } from "./problems.js";

export type Json = Readonly<Record<string, unknown>>;

/** A key of another dialect, and where its value goes: a path such as `rate_limits.global_per_minute`, a function, or nowhere (null). */
export type DialectRule = string | null | ((value: unknown, put: (path: string, value: unknown) => void) => void);
export type Dialect = Readonly<Record<string, DialectRule>>;

/** A key that was mistyped by so little is no key of another system that means nothing here. */
const SLIP_EDITS = 2;

interface Translated {
  readonly value: Json;
  readonly notes: readonly string[];
  /** Keys of the dialect's blocks that nothing knows. */
  readonly problems: readonly Problem[];
}

/**
 * Puts each value of the dialect where the policy has it.
 *
 * @param known.own The policy's own keys. @param known.remarks Keys without meaning, which any policy may carry.
 */
export function translate(
  raw: Json,
  dialect: Dialect,
  { own, remarks }: { readonly own: readonly string[]; readonly remarks: readonly string[] },
): Translated {
  const value = structuredClone(raw) as Record<string, unknown>;
  const notes: string[] = [];
  const problems: Problem[] = [];
  for (const [path, rule] of Object.entries(dialect)) {
    const found = take(value, path.split("."));
    if (found === undefined) continue;
    const put = (target: string, converted: unknown): void => {
      notes.push(`"${path}" is read as "${target}"`);
      // What is given under its own name wins over the dialect.
      if (at(raw, target.split(".")) === undefined) set(value, target.split("."), converted);
    };
    if (rule === null) {
      for (const left of leftIn(found, path, dialect)) {
        const slip = left === path ? null : nearestKey(left, dialect, [], SLIP_EDITS);
        if (slip === null) notes.push(`"${left}" has no meaning here and is passed over`);
        else problems.push(unknownKey(left, slip));
      }
    } else if (typeof rule === "string") put(rule, found);
    else rule(found, put);
  }
  for (const block of blocksOf(dialect)) {
    // What the policy knows under the same name is checked with the rest of it.
    if (own.includes(block) || remarks.includes(block) || !isPlain(value[block])) continue;
    for (const left of leftIn(value[block], block, dialect))
      problems.push(unknownKey(left, nearestKey(left, dialect, own)));
    delete value[block];
  }
  return { value, notes, problems };
}

const blocksOf = (dialect: Dialect): Set<string> =>
  new Set(Object.keys(dialect).flatMap((path) => (path.includes(".") ? [path.slice(0, path.indexOf("."))] : [])));

/** The paths of what stands at a path and was not taken: of an object of which the dialect knows parts, each part; else the whole. */
function leftIn(found: unknown, path: string, dialect: Dialect): string[] {
  const hasParts = Object.keys(dialect).some((known) => known.startsWith(`${path}.`));
  if (!hasParts || !isPlain(found)) return [path];
  return Object.entries(found).flatMap(([key, inner]) => leftIn(inner, `${path}.${key}`, dialect));
}

function unknownKey(field: string, near: string | null): Problem {
  return { field, message: `is not a known key${near === null ? "" : `; did you mean ${near}`}` };
}

/** The key of the dialect in the same block that is nearest to an unknown one, else the policy's own. */
function nearestKey(path: string, dialect: Dialect, own: readonly string[], editsMax?: number): string | null {
  const cut = path.lastIndexOf(".") + 1;
  const block = path.slice(0, cut);
  const beside = Object.keys(dialect).flatMap((known) => {
    const [key] = known.startsWith(block) ? known.slice(block.length).split(".") : [];
    return key === undefined || key === path.slice(cut) ? [] : [key];
  });
  const near = block === "" ? null : nearestName(path.slice(cut), beside, editsMax);
  return near === null ? nearestName(path.slice(cut), own, editsMax) : block + near;
}

function at(root: Json, path: readonly string[]): unknown {
  let value: unknown = root;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Json)[key];
  }
  return value;
}

/** Removes the value at a path and every object that becomes empty by it. */
function take(root: Record<string, unknown>, path: readonly string[]): unknown {
  const [key, ...rest] = path as [string, ...string[]];
  if (!Object.hasOwn(root, key)) return undefined;
  const value = root[key];
  if (rest.length === 0) {
    delete root[key];
    return value;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const inner = value as Record<string, unknown>;
  const found = take(inner, rest);
  if (found !== undefined && Object.keys(inner).length === 0) delete root[key];
  return found;
}

function set(root: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key, ...rest] = path as [string, ...string[]];
  if (FORBIDDEN.has(key)) return;
  if (rest.length === 0) {
    root[key] = value;
    return;
  }
  const inner = root[key];
  if (typeof inner !== "object" || inner === null) root[key] = {};
  set(root[key] as Record<string, unknown>, rest, value);
}

/** Keys that would change what every object inherits. */
export const FORBIDDEN = new Set(["__proto__", "constructor", "prototype"]);

export function isPlain(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
