/**
 * How every policy file is read: dialects first, then a strict check that names each fault, then defaults, then the
 * overrides for single worker types. A missing file is an empty one.
 *
 * @module
 */
import { z } from "zod";
import { type DialectRule, FORBIDDEN, isPlain, type Json, translate } from "./dialect.js";
import { idSchema } from "./primitives.js";
import { keysOf, type Problem, type Read, readAs } from "./problems.js";

/** The policies that can run as shadows: one for each daemon. */
export const SHADOW_POLICIES: readonly string[] = [
  "heartbeat-policy",
  "worker-restart-policy",
  "failure-pattern-policy",
  "auto-fix-policy",
];

/** A policy in force: complete settings, and complete settings for each worker type that has its own. */
export interface Policy<Settings> {
  readonly settings: Settings;
  readonly overrides: Readonly<Record<string, Settings>>;
}

/** The settings for a worker type. */
export function settingsFor<Settings>(policy: Policy<Settings>, workerType: string): Settings {
  return Object.hasOwn(policy.overrides, workerType) ? (policy.overrides[workerType] as Settings) : policy.settings;
}

/** What a file gives, before anything is filled in; remarks are left out. */
export interface WholeFile<Explicit> {
  readonly top: Explicit;
  readonly overrides: Readonly<Record<string, Explicit>>;
}

export interface PolicyDefinition<Settings, Explicit> {
  /** File name under `config/` without `.json`. */
  readonly name: string;
  /** All keys, all optional, strict: what a person may write, at the top and under `overrides.<type>`. */
  readonly shape: z.ZodObject<z.ZodRawShape>;
  /** Fills in defaults; some derive from what was given, and a few from what the file gives anywhere. */
  readonly complete: (explicit: Explicit, file?: WholeFile<Explicit>) => Settings;
  /** Checks values against each other; only those given explicitly. */
  readonly check?: (explicit: Explicit) => readonly Problem[];
  /** Fields in which a secret may stand by mistake: what was got there is not repeated in a problem. */
  readonly hides?: (field: string) => boolean;
  /** false: its settings are not for worker types, and `overrides` is refused like any other key that nothing reads. */
  readonly perType?: false;
  /** Reads the dialect in lists of blocks, which `dialect` does not reach; a note for each key of it. */
  readonly takeOver?: (raw: Json) => { readonly value: Json; readonly notes: readonly string[] };
  /**
   * Keys of the nested dialect seen in the field, by path. What is left of a block of it is named by its full path: passed over
   * where the block itself has the rule null, else refused.
   */
  readonly dialect?: Readonly<Record<string, DialectRule>>;
}

export interface PolicyReading<Settings> {
  readonly policy: Policy<Settings>;
  /** One line for each key of another dialect, naming the canonical key. */
  readonly notes: readonly string[];
}

/** Keys that any policy may carry for people and editors, without meaning for heald. */
const REMARKS = ["$schema", "version", "description", "last_updated", "observability", "comment"];

/** Reads a policy's parsed JSON; `undefined` means that there is no file. */
export function readPolicy<Settings, Explicit>(
  definition: PolicyDefinition<Settings, Explicit>,
  raw: unknown,
): Read<PolicyReading<Settings>> {
  if (raw === undefined)
    return { ok: true, value: { policy: { settings: definition.complete({} as Explicit), overrides: {} }, notes: [] } };
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    return { ok: false, problems: [{ field: "", message: "must be a JSON object" }] };
  }
  const over = definition.takeOver?.(raw as Json) ?? { value: raw as Json, notes: [] };
  const {
    value,
    notes,
    problems: leftover,
  } = translate(over.value, definition.dialect ?? {}, {
    own: Object.keys(definition.shape.shape),
    remarks: REMARKS,
  });
  const schema = policySchema(definition);
  const read = readAs(schema as z.ZodType<Json & { overrides?: Record<string, Json> }>, value, keysOf(schema));
  if (!read.ok || leftover.length > 0) {
    const others = read.ok ? [] : read.problems.map((problem) => hidden(problem, definition.hides));
    return { ok: false, problems: [...leftover, ...others] };
  }
  const { overrides = {}, ...rest } = read.value;
  const explicit = without(rest, REMARKS);
  const file = { top: explicit, overrides } as WholeFile<Explicit>;
  const problems = [...(definition.check?.(explicit as Explicit) ?? [])];
  const byType: Record<string, Settings> = {};
  for (const [type, own] of Object.entries(overrides)) {
    const merged = mergeDeep(explicit, own) as Explicit;
    for (const problem of definition.check?.(merged) ?? [])
      problems.push({ ...problem, field: `overrides.${type}.${problem.field}` });
    byType[type] = definition.complete(merged, file);
  }
  if (problems.length > 0) return { ok: false, problems };
  return {
    ok: true,
    value: {
      policy: { settings: definition.complete(explicit as Explicit, file), overrides: byType },
      notes: [...over.notes, ...notes],
    },
  };
}

function hidden(problem: Problem, hides: ((field: string) => boolean) | undefined): Problem {
  return hides?.(problem.field) ? { ...problem, message: problem.message.replace(/, got [\s\S]*$/, "") } : problem;
}

/** The strict schema of a whole policy file, also for editors. */
export function policySchema(definition: Pick<PolicyDefinition<never, never>, "shape" | "perType">): z.ZodType {
  const remarks = Object.fromEntries(REMARKS.map((key) => [key, z.unknown().optional()]));
  return z.strictObject({
    ...remarks,
    ...definition.shape.shape,
    ...(definition.perType === false ? {} : { overrides: z.record(idSchema, definition.shape).optional() }),
  });
}

/** Merges objects key by key; arrays and plain values of the second replace those of the first. */
export function mergeDeep(base: unknown, over: unknown): unknown {
  if (!isPlain(base) || !isPlain(over)) return over === undefined ? base : over;
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) if (!FORBIDDEN.has(key)) merged[key] = mergeDeep(merged[key], value);
  return merged;
}

function without(record: Json, keys: readonly string[]): Json {
  return Object.fromEntries(Object.entries(record).filter(([key]) => !keys.includes(key)));
}
