/**
 * Changes single values of a template, for a fix, and puts them back.
 *
 * Under a lock, with the file's text before kept by the caller, replaced in one step and synced: a template outlives a
 * power loss. What a person wrote into the file stays, and so do fields that heald does not know.
 * @module
 */
import { join } from "node:path";
import { readSmall, replaceFile, safetyOf } from "../platform/files.js";
import { withLock } from "../platform/locks.js";
import { isThere, textOf, unlinkIfThere } from "./entries.js";
import type { Layout } from "./layout.js";
import { MAX_BYTES } from "./records.js";

/** A value that is not there. In files and events it is null. */
export type FieldValue = string | number | boolean | null;

export interface FieldEdit {
  /** `resources.memory_limit_mb`, or a name at the top. */
  readonly field: string;
  /** What the operator's own file has to say when the edit is made; null: nothing, the shipped template counts. */
  readonly from: FieldValue;
  /** Null removes it. */
  readonly to: FieldValue;
}

export type EditOutcome =
  | { readonly kind: "edited"; readonly text: string | null }
  /** All values are as they should be: the edit was made before. */
  | { readonly kind: "done" }
  | { readonly kind: "conflict"; readonly field: string; readonly found: FieldValue }
  | { readonly kind: "refused"; readonly why: string };

type Json = Record<string, unknown>;

const FORBIDDEN = new Set(["__proto__", "constructor", "prototype"]);

/** What the operator's file says of fields, without the shipped template under it. */
export function ownFields(layout: Layout, workerType: string, fields: readonly string[]): readonly FieldValue[] {
  const json = readOwn(layout, workerType).json ?? {};
  return fields.map((field) => scalarOf(valueAt(json, field)));
}

/** The text of the operator's file as it is; null if there is none. */
export function ownText(layout: Layout, workerType: string): string | null {
  return readOwn(layout, workerType).text;
}

/**
 * Makes all edits, or none: where one value is neither the old nor the new one, somebody else has changed it.
 *
 * @param partial Makes those that can be made; for an undo, field by field.
 */
export async function editTemplate(
  layout: Layout,
  workerType: string,
  edits: readonly FieldEdit[],
  partial = false,
): Promise<EditOutcome & { readonly conflicts: readonly string[] }> {
  return await withLock(join(layout.templatesDir, `.${workerType}.lock`), () =>
    edit(layout, workerType, edits, partial),
  );
}

function edit(
  layout: Layout,
  workerType: string,
  edits: readonly FieldEdit[],
  partial: boolean,
): EditOutcome & { readonly conflicts: readonly string[] } {
  const path = layout.template(workerType);
  const unsafe = isThere(path) ? safetyOf(path) : null;
  if (unsafe !== null) return { kind: "refused", why: `the template is not safe: ${unsafe}`, conflicts: [] };
  const { json, why } = readOwn(layout, workerType);
  if (why !== null) return { kind: "refused", why, conflicts: [] };
  const current = json ?? { worker_type: workerType };
  const conflicts: string[] = [];
  const open: FieldEdit[] = [];
  for (const each of edits) {
    const found = scalarOf(valueAt(current, each.field));
    if (found === each.to) continue;
    if (found === each.from) open.push(each);
    else if (partial) conflicts.push(whyConflict(workerType, each, found));
    else return { kind: "conflict", field: each.field, found, conflicts: [whyConflict(workerType, each, found)] };
  }
  if (open.length === 0) return { kind: "done", conflicts };
  let next = current;
  for (const { field, to } of open) next = withValue(next, field, to);
  // A file that only we have made, and that says nothing any more, goes as it came.
  const isEmpty = Object.keys(next).every((key) => key === "worker_type");
  const text = isEmpty ? null : textOf(next);
  if (text === null) unlinkIfThere(path);
  else replaceFile(path, text, { sync: true });
  return { kind: "edited", text, conflicts };
}

/** File, field, got and wanted: the words in which a person is told that their own edit stays. */
function whyConflict(workerType: string, { field, from }: FieldEdit, found: FieldValue): string {
  const shown = (value: FieldValue): string => (value === null ? "unset" : JSON.stringify(value));
  return `${field} in worker-specs/templates/${workerType}.json (${shown(found)}, not ${shown(from)})`;
}

function readOwn(
  layout: Layout,
  workerType: string,
): { readonly json: Json | null; readonly text: string | null; readonly why: string | null } {
  const file = readSmall(layout.template(workerType), { maxBytes: MAX_BYTES.policy });
  if (file === null) return { json: null, text: null, why: null };
  try {
    const json: unknown = JSON.parse(file.text);
    if (isObject(json)) return { json, text: file.text, why: null };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { json: null, text: file.text, why: "the template is no JSON object" };
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at a path of at most two names. */
export function valueAt(json: Readonly<Json>, field: string): unknown {
  let value: unknown = json;
  for (const key of field.split(".")) {
    if (!isObject(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

export function scalarOf(value: unknown): FieldValue {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : null;
}

function withValue(json: Json, field: string, to: FieldValue): Json {
  const [block, name] = field.split(".") as [string, string | undefined];
  if (FORBIDDEN.has(block) || (name !== undefined && FORBIDDEN.has(name))) return json;
  if (name === undefined) return withKey(json, block, to);
  const inner = json[block];
  const changed = withKey(isObject(inner) ? inner : {}, name, to);
  return withKey(json, block, Object.keys(changed).length === 0 ? null : changed);
}

function withKey(json: Json, key: string, value: unknown): Json {
  if (value !== null) return { ...json, [key]: value };
  const { [key]: _removed, ...rest } = json;
  return rest;
}
