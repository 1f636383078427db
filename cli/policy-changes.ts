/** The difference of two policies, key by key, defaults filled in. @module */
import type { Policy } from "../lib/schema/policy.js";

/** A key of which the values differ. `undefined`: it is not there. */
export interface KeyChange {
  readonly key: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** Every key that differs, in the order in which the policies name them. */
export function keyChanges(before: Policy<unknown>, after: Policy<unknown>): KeyChange[] {
  const was = flat(wholeOf(before));
  const is = flat(wholeOf(after));
  return [...new Set([...was.keys(), ...is.keys()])].flatMap((key) => {
    const change = { key, before: was.get(key), after: is.get(key) };
    return JSON.stringify(change.before) === JSON.stringify(change.after) ? [] : [change];
  });
}

function wholeOf({ settings, overrides }: Policy<unknown>): unknown {
  return { ...(settings as object), overrides };
}

/** Leaves by path; a list is one value, except for a list of objects, which would be no reading. */
function flat(value: unknown, path = ""): Map<string, unknown> {
  const isList = Array.isArray(value);
  const isBranch =
    typeof value === "object" && value !== null && (!isList || value.some((each) => typeof each === "object"));
  if (!isBranch) return new Map([[path, value]]);
  const leaves = new Map<string, unknown>();
  for (const [key, inner] of Object.entries(value as object))
    for (const [leaf, end] of flat(inner, path === "" ? key : `${path}.${key}`)) leaves.set(leaf, end);
  return leaves;
}
