/** Turns the schemas of this folder into JSON Schemas for editors, and into the fields that the format pages list. @module */
import { z } from "zod";
import { ID_PATTERN, idSchema, instantSchema, signalSchema } from "./primitives.js";
import { STOP_SIGNALS } from "./stop-signals.js";

export type JsonSchema = Readonly<Record<string, unknown>>;

/** Sentences for fields by path: `execution.pid`, `gates[].gate`, `leases.*.used`. */
export type FieldSentences = Readonly<Record<string, string>>;

/** Where a schema's text comes from. */
export interface SchemaText {
  readonly title: string;
  readonly description: string;
  /** Sentences for fields whose schema carries none itself. */
  readonly fields?: FieldSentences;
  /** The values that hold where nothing is written; shown as defaults. */
  readonly defaults?: unknown;
}

const INSTANT = "An instant such as 2026-11-21T21:08:04Z, any ISO 8601 form, or epoch seconds or milliseconds.";

/**
 * Makes a JSON Schema, draft 7, which is what editors know.
 *
 * It describes what is accepted on reading. What only code can check (an instant's form, the order of two thresholds)
 * is named in the description; heald itself checks it.
 */
export function jsonSchemaOf(schema: z.ZodType, text: SchemaText): JsonSchema {
  const made = z.toJSONSchema(schema, {
    target: "draft-7",
    io: "input",
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }) => {
      if ((zodSchema as unknown) === idSchema) jsonSchema.pattern = ID_PATTERN.source;
      // Read with any name, since older files must be; whoever writes one in an editor is told.
      if ((zodSchema as unknown) === signalSchema) jsonSchema.pattern = `^(?:${STOP_SIGNALS.join("|")})$`;
      if ((zodSchema as unknown) === instantSchema) {
        jsonSchema.description = INSTANT;
      }
      if (jsonSchema.additionalProperties !== undefined && isEmpty(jsonSchema.additionalProperties))
        delete jsonSchema.additionalProperties;
      // The range of exact integers says nothing to a person.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    },
  }) as Record<string, unknown>;
  const { $schema, ...rest } = made;
  const described = annotate(rest, "", text.fields ?? {}, text.defaults) as Record<string, unknown>;
  return { $schema, title: text.title, description: text.description, ...described };
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

/** Adds sentences and defaults to a schema and everything in it. */
function annotate(node: unknown, path: string, fields: FieldSentences, defaults: unknown): unknown {
  if (!isObject(node)) return node;
  const sentence = path === "" ? undefined : fields[path];
  const out: Record<string, unknown> = { ...node, ...(sentence === undefined ? {} : { description: sentence }) };
  if (path !== "" && isPlainDefault(defaults)) out.default = defaults;
  for (const key of ["anyOf", "oneOf", "allOf"]) {
    if (Array.isArray(out[key]))
      out[key] = out[key].map((each: unknown) => annotate(each, path, withoutOwn(fields, path), undefined));
  }
  if (isObject(out.properties)) {
    const properties = Object.entries(out.properties).map(([name, child]) => {
      const below = isObject(defaults) ? defaults[name] : undefined;
      return [name, annotate(child, path === "" ? name : `${path}.${name}`, fields, below)];
    });
    out.properties = Object.fromEntries(properties);
  }
  if (isObject(out.items)) out.items = annotate(out.items, `${path}[]`, fields, undefined);
  if (isObject(out.additionalProperties))
    out.additionalProperties = annotate(out.additionalProperties, `${path}.*`, fields, undefined);
  return out;
}

/** A sentence stands once, beside the alternatives and not in each of them. */
function withoutOwn(fields: FieldSentences, path: string): FieldSentences {
  const { [path]: _, ...rest } = fields;
  return rest;
}

function isPlainDefault(value: unknown): boolean {
  if (value === undefined) return false;
  return !isObject(value);
}

function isObject(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** One row of a format page. */
export interface Field {
  readonly path: string;
  readonly type: string;
  readonly required: boolean;
  readonly default?: unknown;
  readonly sentence: string;
}

/** Lists every field of a JSON Schema, outer before inner, in the order in which it is written. */
export function fieldsOf(schema: JsonSchema, prefix = ""): Field[] {
  const node = objectIn(schema);
  if (node === null) return [];
  const required = Array.isArray(node.required) ? node.required : [];
  const fields: Field[] = [];
  for (const [name, child] of Object.entries((node.properties ?? {}) as Record<string, JsonSchema>)) {
    const path = prefix + name;
    fields.push({
      path,
      type: typeOf(child),
      required: required.includes(name),
      ...(child.default === undefined ? {} : { default: child.default }),
      sentence: typeof child.description === "string" ? child.description : "",
    });
    fields.push(...fieldsBelow(child, path));
  }
  return fields;
}

function fieldsBelow(schema: JsonSchema, path: string): Field[] {
  const items = alternativesOf(schema)
    .map((one) => one.items)
    .find(isObject);
  if (items !== undefined) return alternativesOf(items).flatMap((one) => fieldsOf(one, `${path}[].`));
  const own = fieldsOf(schema, `${path}.`);
  const values = alternativesOf(schema)
    .map((one) => one.additionalProperties)
    .find(isObject);
  return values === undefined ? own : [...own, ...fieldsOf(values, `${path}.*.`)];
}

function alternativesOf(schema: JsonSchema): JsonSchema[] {
  const inner = [schema.anyOf, schema.oneOf].find(Array.isArray) as JsonSchema[] | undefined;
  return inner === undefined ? [schema] : inner.flatMap(alternativesOf);
}

function objectIn(schema: JsonSchema): JsonSchema | null {
  return alternativesOf(schema).find((one) => isObject(one.properties)) ?? null;
}

/** A type in a few words: `integer >= 0`, `"a" or "b"`, `list of number`. */
export function typeOf(schema: JsonSchema): string {
  const parts = alternativesOf(schema)
    .filter((one) => one.type !== "null")
    .map(typeOfOne);
  return [...new Set(parts)].join(" or ");
}

function typeOfOne(schema: JsonSchema): string {
  if (schema.description === INSTANT) return "instant";
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (schema.type === "array") {
    if (!isObject(schema.items)) return "list of anything";
    return `list of ${typeOf(schema.items)}${schema.maxItems === undefined ? "" : ` (at most ${String(schema.maxItems)})`}`;
  }
  if (schema.type === "object" && isObject(schema.additionalProperties))
    return `object of ${typeOf(schema.additionalProperties)}`;
  if (schema.type === undefined) return "anything";
  const types = (Array.isArray(schema.type) ? schema.type : [schema.type]).filter((type) => type !== "null");
  return `${types.join(" or ")}${bounds(schema)}`;
}

/** A bound as large as ten years in seconds is there to refuse nonsense, not to be read. */
const BOUND_SHOWN_MAX = 10_000_000;

function bounds(schema: JsonSchema): string {
  const found: string[] = [];
  if (schema.minimum !== undefined) found.push(`>= ${String(schema.minimum)}`);
  if (schema.exclusiveMinimum !== undefined) found.push(`> ${String(schema.exclusiveMinimum)}`);
  if (Number(schema.maximum) <= BOUND_SHOWN_MAX) found.push(`<= ${String(schema.maximum)}`);
  if (schema.exclusiveMaximum !== undefined) found.push(`< ${String(schema.exclusiveMaximum)}`);
  return found.length === 0 ? "" : ` ${found.join(", ")}`;
}
