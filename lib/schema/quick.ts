/**
 * Quick checks of records, made from their zod schemas: whether a value is one that zod would give back unchanged.
 *
 * zod builds its answer anew, with a result object for every field, and takes a good part of a millisecond for a spec in a
 * process that has been idle; nearly every record that is read is faultless. A quick check says yes only where zod would say yes
 * and give an equal value. No means "ask zod", which alone says what is wrong. A schema with anything in it that is not known
 * here (a default, a transformation, a kind of check) has no quick check, or one that says no to such fields.
 *
 * @module
 */
import type { z } from "zod";

/** Says yes only to what the schema gives back unchanged. */
export type QuickCheck = (value: unknown) => boolean;

/** A check of one part of a schema. */
interface Part {
  readonly accepts: QuickCheck;
  /** Whether an object may lack the field, and is left without it. */
  readonly mayLack: boolean;
  /** Whether no means that zod refuses it too. */
  readonly isExact: boolean;
}

/** As much of a schema as is looked at here. */
interface Definition {
  readonly type: string;
  readonly checks?: readonly { readonly _zod: { readonly def: Check } }[];
  readonly check?: unknown;
  readonly coerce?: unknown;
  readonly innerType?: Schema;
  readonly element?: Schema;
  readonly keyType?: Schema;
  readonly valueType?: Schema;
  readonly options?: readonly Schema[];
  readonly shape?: Readonly<Record<string, Schema>>;
  readonly catchall?: Schema;
  readonly entries?: Readonly<Record<string, unknown>>;
  readonly mode?: unknown;
}

interface Schema {
  readonly _zod: { readonly def: Definition };
}

interface Check {
  readonly check?: string;
  readonly type?: string;
  readonly format?: string;
  readonly pattern?: RegExp;
  readonly value?: unknown;
  readonly inclusive?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly fn?: (value: unknown) => unknown;
  readonly when?: unknown;
}

const made = new WeakMap<object, QuickCheck | null>();

/** The quick check of a schema; null if there can be none. */
export function quickCheckOf(schema: z.ZodType<unknown>): QuickCheck | null {
  const known = made.get(schema);
  if (known !== undefined) return known;
  const check = partOf(schema as unknown as Schema)?.accepts ?? null;
  made.set(schema, check);
  return check;
}

function partOf(schema: Schema): Part | null {
  const definition = schema._zod.def;
  if (definition.coerce === true) return null;
  const part = plainPartOf(definition);
  return part === null ? null : withChecks(part, definition);
}

function plainPartOf(definition: Definition): Part | null {
  switch (definition.type) {
    case "string":
      return exactly((value) => typeof value === "string");
    case "number":
      return exactly((value) => Number.isFinite(value));
    case "boolean":
      return exactly((value) => typeof value === "boolean");
    case "enum": {
      const values = new Set(Object.values(definition.entries ?? {}));
      return exactly((value) => values.has(value));
    }
    case "unknown":
      return exactly(() => true);
    case "optional":
    case "nullable":
      return orNothing(definition);
    case "array":
      return listPart(definition);
    case "record":
      return recordPart(definition);
    case "union":
      return unionPart(definition);
    case "object":
      return objectPart(definition);
    default:
      return null;
  }
}

function exactly(accepts: QuickCheck): Part {
  return { accepts, mayLack: false, isExact: true };
}

function orNothing({ type, innerType }: Definition): Part | null {
  const inner = innerType === undefined ? null : partOf(innerType);
  if (inner === null) return null;
  const nothing = type === "optional" ? undefined : null;
  const mayLack = type === "optional" || inner.mayLack;
  return { accepts: (value) => value === nothing || inner.accepts(value), mayLack, isExact: inner.isExact };
}

function listPart({ element }: Definition): Part | null {
  const inner = element === undefined ? null : partOf(element);
  if (inner === null) return null;
  return { accepts: (value) => Array.isArray(value) && value.every(inner.accepts), mayLack: false, isExact: false };
}

function recordPart({ keyType, valueType, mode }: Definition): Part | null {
  const keys = keyType?._zod.def.type === "string" ? partOf(keyType) : null;
  const values = valueType === undefined ? null : partOf(valueType);
  if (keys === null || values === null || mode !== undefined) return null;
  const accepts = (value: unknown): boolean => {
    if (!isPlain(value)) return false;
    for (const key in value) if (key === "__proto__" || !keys.accepts(key) || !values.accepts(value[key])) return false;
    return true;
  };
  return { accepts, mayLack: false, isExact: false };
}

/** The first that accepts gives the answer. So a later one may speak only where the earlier ones have surely refused. */
function unionPart({ options }: Definition): Part | null {
  const accepted: QuickCheck[] = [];
  let isExact = true;
  for (const option of options ?? []) {
    const part: Part | null = isExact ? partOf(option) : null;
    isExact = part?.isExact ?? false;
    if (part !== null) accepted.push(part.accepts);
  }
  if (accepted.length === 0) return null;
  return { accepts: (value) => accepted.some((accepts) => accepts(value)), mayLack: false, isExact };
}

function objectPart({ shape, catchall }: Definition): Part | null {
  if (shape === undefined) return null;
  const parts = new Map<string, QuickCheck>();
  const needed: string[] = [];
  for (const [key, schema] of Object.entries(shape)) {
    const part = partOf(schema);
    if (part === null) return null;
    parts.set(key, part.accepts);
    if (!part.mayLack) needed.push(key);
  }
  // Without a catch-all zod drops what it does not know, or refuses it: that is not unchanged.
  const isLoose = catchall?._zod.def.type === "unknown";
  const accepts = (value: unknown): boolean => {
    if (!isPlain(value)) return false;
    for (const key in value) {
      const field = parts.get(key);
      // A field of this name would become the copy's prototype; zod knows how to leave it out.
      if (field === undefined ? !isLoose || key === "__proto__" : !field(value[key])) return false;
    }
    for (const key of needed) if (!(key in value)) return false;
    return true;
  };
  return { accepts, mayLack: false, isExact: false };
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function withChecks(part: Part, definition: Definition): Part {
  // A schema that is a check itself, such as z.url() or z.int().
  if (definition.check !== undefined) return never(part);
  const checks = definition.checks ?? [];
  if (checks.length === 0) return part;
  const tests = checks.map(({ _zod }) => testOf(_zod.def));
  if (tests.includes(null)) return never(part);
  const [first, second] = tests as QuickCheck[];
  const { accepts } = part;
  if (tests.length === 1) return { ...part, accepts: (value) => accepts(value) && (first as QuickCheck)(value) };
  if (tests.length === 2)
    return {
      ...part,
      accepts: (value) => accepts(value) && (first as QuickCheck)(value) && (second as QuickCheck)(value),
    };
  return { ...part, accepts: (value) => accepts(value) && tests.every((test) => (test as QuickCheck)(value)) };
}

/** A field with a check that is not known here: where it is present, zod is asked. */
function never(part: Part): Part {
  return { ...part, accepts: () => false, isExact: false };
}

function testOf(check: Check): QuickCheck | null {
  const { value: bound, minimum = 0, maximum = 0 } = check;
  switch (check.check) {
    case "min_length":
      return (value) => (value as string).length >= minimum;
    case "max_length":
      return (value) => (value as string).length <= maximum;
    case "number_format":
      return check.format === "safeint" ? (value) => Number.isSafeInteger(value) : null;
    case "greater_than":
      if (typeof bound !== "number") return null;
      return check.inclusive === true ? (value) => (value as number) >= bound : (value) => (value as number) > bound;
    case "less_than":
      if (typeof bound !== "number") return null;
      return check.inclusive === true ? (value) => (value as number) <= bound : (value) => (value as number) < bound;
    case "string_format":
      return check.format === "regex" ? patternTest(check.pattern) : null;
    case "custom": {
      const { fn } = check;
      return check.type === "custom" && fn !== undefined && check.when === undefined
        ? (value) => Boolean(fn(value))
        : null;
    }
    default:
      return null;
  }
}

/** A pattern that remembers where it was (`g`, `y`) is not one to share. */
function patternTest(pattern: RegExp | undefined): QuickCheck | null {
  if (pattern === undefined || pattern.global || pattern.sticky) return null;
  return (value) => pattern.test(value as string);
}
