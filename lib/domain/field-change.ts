/** Arithmetic on one value of a template: what it would become, and how far that is from where it began. @module */

export type Scalar = string | number | boolean;

export interface Change {
  readonly field: string;
  readonly operation: "set" | "add" | "multiply";
  readonly value: Scalar;
  readonly max_value?: number | undefined;
  readonly min_value?: number | undefined;
  /** Whether a whole number may become a fraction. */
  readonly keeps_fraction?: boolean;
}

export type Changed =
  | { readonly kind: "changed"; readonly after: Scalar }
  /** It is at its bound already, or has the value. */
  | { readonly kind: "same"; readonly why: string }
  | { readonly kind: "impossible"; readonly why: string };

/** Computes what one field becomes. Numbers are rounded to whole ones where they were whole, unless told otherwise. */
export function changeOf(before: unknown, change: Change): Changed {
  const { field, operation, value } = change;
  if (operation === "set")
    return before === value ? { kind: "same", why: `${field} is ${value} already` } : { kind: "changed", after: value };
  if (typeof value !== "number") return { kind: "impossible", why: `${field} cannot be changed by ${String(value)}` };
  if (typeof before !== "number" || !Number.isFinite(before))
    return { kind: "impossible", why: `${field} has no number to begin from` };
  const raw = operation === "add" ? before + value : before * value;
  const bounded = Math.min(change.max_value ?? raw, Math.max(change.min_value ?? raw, raw));
  // A bound never turns a change around: what lies beyond it already stays.
  const grows = raw >= before;
  const kept = grows ? Math.max(before, bounded) : Math.min(before, bounded);
  const after = Number.isInteger(before) && change.keeps_fraction !== true ? Math.round(kept) : Number(kept.toFixed(3));
  return after === before ? { kind: "same", why: `${field} is at its bound (${before})` } : { kind: "changed", after };
}

/** By which factor a value lies from its baseline, 1 or more; 1 for what is no number. */
export function factorFrom(baseline: unknown, after: unknown): number {
  if (typeof baseline !== "number" || typeof after !== "number" || baseline <= 0 || after <= 0) return 1;
  return Math.max(after / baseline, baseline / after);
}
