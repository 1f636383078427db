/**
 * The bounds of the mass guard: how many suspects, of how many workers, are too many to be a coincidence.
 * @module
 */

export interface MassFailurePolicy {
  readonly enabled: boolean;
  /** Suspects needed before a share of the fleet means anything. */
  readonly min_workers: number;
  /** Share of the fleet, 0 to 1. */
  readonly fraction: number;
  /** This many suspects hold the fleet whatever their share. */
  readonly max_workers: number;
  readonly per_type: { readonly min_workers: number; readonly fraction: number };
  /** Suspects count together if they became so within this time. */
  readonly window_seconds: number;
  /** A hold that lasts longer than this is put before a person. */
  readonly hold_seconds: number;
  /** A hold ends when the suspects are at most this share… */
  readonly clear_fraction: number;
  /** …for this long without a break. */
  readonly clear_seconds: number;
}

export interface GuardFacts {
  /** Workers that are silent or unhealthy now, by when they became so; the certainly dead are not among them. */
  readonly suspects: readonly { readonly worker_type: string; readonly since_ms: number }[];
  /** How many workers of each type are watched, suspects included. */
  readonly monitored: ReadonlyMap<string, number> | Readonly<Record<string, number>>;
}

/** A bound that was reached, and whom it covers: `null` is every type. */
export interface Bound {
  readonly types: readonly string[] | null;
  readonly reason: "fleet_fraction" | "fleet_number" | "type_fraction";
}

/** Which bound the suspects since `sinceMs` reach; the whole fleet's before a type's. */
export function boundReached(facts: GuardFacts, sinceMs: number, policy: MassFailurePolicy): Bound | null {
  const recent = facts.suspects.filter((suspect) => suspect.since_ms >= sinceMs);
  const total = sum(monitoredOf(facts).map(([, count]) => count));
  if (recent.length >= policy.max_workers) return { types: null, reason: "fleet_number" };
  if (reaches(recent.length, total, policy)) return { types: null, reason: "fleet_fraction" };
  const types = monitoredOf(facts)
    .filter(([type, count]) => reaches(ofType(recent, type), count, policy.per_type))
    .map(([type]) => type);
  return types.length === 0 ? null : { types: types.sort(), reason: "type_fraction" };
}

function reaches(suspects: number, all: number, bound: { min_workers: number; fraction: number }): boolean {
  return suspects > 0 && suspects >= bound.min_workers && suspects >= bound.fraction * all;
}

/** Few is judged on all suspects, however old: a hold does not end because its suspects have been silent for long. */
export function areFew(facts: GuardFacts, types: readonly string[] | null, policy: MassFailurePolicy): boolean {
  const few = (suspects: number, all: number): boolean => suspects <= policy.clear_fraction * all;
  if (types === null) return few(facts.suspects.length, sum(monitoredOf(facts).map(([, count]) => count)));
  const counts = new Map(monitoredOf(facts));
  return types.every((type) => few(ofType(facts.suspects, type), counts.get(type) ?? 0));
}

function monitoredOf(facts: GuardFacts): readonly (readonly [string, number])[] {
  return facts.monitored instanceof Map ? [...facts.monitored] : Object.entries(facts.monitored);
}

function ofType(suspects: GuardFacts["suspects"], type: string): number {
  return suspects.filter((suspect) => suspect.worker_type === type).length;
}

/** Tells whether a list of types, `null` being every type, contains one. */
export function covers(types: readonly string[] | null, type: string): boolean {
  return types === null || types.includes(type);
}

/** Joins two lists of types, `null` being every type. */
export function union(left: readonly string[] | null, right: readonly string[] | null): readonly string[] | null {
  return left === null || right === null ? null : [...new Set([...left, ...right])].sort();
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
