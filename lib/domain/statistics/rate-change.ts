/** Notices soon that failures come more often than they used to. @module */
import { binomialTail } from "./poisson.js";

/** The running sum, plain JSON. */
export interface Cusum {
  readonly sum: number;
  /** The last failure. */
  readonly last_ms: number;
  /** When the sum last left zero, and how many failures there had been by then. */
  readonly from_ms: number;
  readonly before: number;
  readonly total: number;
  /** Clock hours with a failure since then, at most as many as matter. */
  readonly hours: number;
  /** The rate change that was found, as long as it lasts. */
  readonly found: RateChange | null;
}

export interface RateChange {
  /** How many times as often as before. */
  readonly factor: number;
  readonly since_ms: number;
}

/** λ1 = 3λ0: the change that is looked for. */
const RATIO = 3;
/** The bound at which the sum speaks. */
const BOUND = 5;
/** Higher it does not rise: else a long bad time would be followed by as long a time of warning. */
const SUM_MAX = 10;
const BASELINE_MIN = 10;
const BASELINE_MS_MIN = 24 * 3_600_000;
const HOUR_MS = 3_600_000;
/** A burst within an hour or two is no change of the rate. */
const HOURS_MIN = 3;
/** The sum speaks by chance about once in 150 failures; what it says must also pass a test of the two rates. */
const P_MAX = 1e-4;

export function startCusum(atMs: number): Cusum {
  return { sum: 0, last_ms: atMs, from_ms: atMs, before: 0, total: 1, hours: 0, found: null };
}

/**
 * Adds a failure to the sum S ← max(0, S − (λ1 − λ0)·t) + ln(λ1 / λ0), the log likelihood ratio of two Poisson processes.
 *
 * λ0 is the mean rate up to the instant at which the sum last was zero. Once S reaches 5, the rates before and since are
 * compared by the conditional test; that one estimates λ0 from few failures is part of it.
 *
 * @see Lucas, Counted data CUSUM's, Technometrics 27 (1985), 129-144
 */
export function addToCusum(before: Cusum, atMs: number, firstMs: number): Cusum {
  const total = before.total + 1;
  if (before.total < BASELINE_MIN || before.last_ms - firstMs < BASELINE_MS_MIN)
    return { ...before, total, before: before.total, last_ms: atMs, from_ms: before.last_ms };
  // At zero a failure begins a sum of its own, and what came before it is the usual rate.
  const left = fallen(before, atMs, firstMs);
  if (left === 0) {
    const start = { sum: Math.log(RATIO), last_ms: atMs, from_ms: before.last_ms, before: before.total, hours: 1 };
    return { ...start, total, found: null };
  }
  const hours = Math.min(HOURS_MIN, before.hours + (hourOf(atMs) > hourOf(before.last_ms) ? 1 : 0));
  const sum = Math.min(SUM_MAX, left + Math.log(RATIO));
  const counted = { ...before, sum, last_ms: atMs, total, hours };
  return { ...counted, found: before.found ?? changeIn(counted, firstMs) };
}

/** The change that is on at an instant: without failures the sum falls, and at zero it is over. */
export function rateChangeAt(cusum: Cusum, nowMs: number, firstMs: number): RateChange | null {
  if (cusum.found === null) return null;
  return fallen(cusum, nowMs, firstMs) > 0 ? cusum.found : null;
}

/** The sum after a time without failures. */
function fallen(cusum: Cusum, atMs: number, firstMs: number): number {
  const rate = cusum.before / Math.max(1, cusum.from_ms - firstMs);
  return Math.max(0, cusum.sum - (RATIO - 1) * rate * Math.max(0, atMs - cusum.last_ms));
}

function changeIn(cusum: Omit<Cusum, "found">, firstMs: number): RateChange | null {
  if (cusum.sum < BOUND || cusum.hours < HOURS_MIN) return null;
  const since = cusum.total - cusum.before;
  const sinceMs = Math.max(1, cusum.last_ms - cusum.from_ms);
  const beforeMs = cusum.from_ms - firstMs;
  const p = binomialTail(since, since + cusum.before, sinceMs / (sinceMs + beforeMs));
  if (p > P_MAX) return null;
  return { factor: since / sinceMs / (cusum.before / beforeMs), since_ms: cusum.from_ms };
}

function hourOf(atMs: number): number {
  return Math.floor(atMs / HOUR_MS);
}
