/**
 * The row of failures that opens a circuit breaker: outcomes in their order, without the successes that were taken back.
 * @module
 */
import type { Attempt, BreakerPolicy, BreakerState, Outcome } from "./breaker-state.js";

/** Outcomes remembered; several times the threshold for one that needs more. */
const OUTCOMES_MAX = 256;
/** Successes remembered at least, should the threshold be raised. */
const SUCCESSES_MIN = 10;

/** Sorts an outcome in, takes a relapsed success out, and forgets what is too old or too much. */
export function note(state: BreakerState, outcome: Outcome, policy: BreakerPolicy): BreakerState {
  const attempt = attemptOf(outcome);
  const relapsed = outcome.result === "relapsed";
  const kept = relapsed ? state.outcomes.filter((o) => o.result === "failure" || !isSame(o, attempt)) : state.outcomes;
  const entry = { ...attempt, result: relapsed ? "failure" : outcome.result, at_ms: outcome.atMs } as const;
  const after = kept.findIndex((other) => other.at_ms > entry.at_ms);
  const index = after === -1 ? kept.length : after;
  const sorted = [...kept.slice(0, index), entry, ...kept.slice(index)];
  const newestMs = (sorted.at(-1) ?? entry).at_ms;
  const outcomes = sorted
    .filter((other) => other.at_ms >= newestMs - policy.circuit_breaker_window_seconds * 1000)
    .slice(-Math.max(OUTCOMES_MAX, 4 * policy.circuit_breaker_threshold));
  return { ...state, outcomes: withoutThePast(outcomes, Math.max(SUCCESSES_MIN, policy.circuit_breaker_threshold)) };
}

/**
 * Forgets what lies before the last few successes. Each success that is taken back adds a failure, so by the time that as many
 * are gone as the threshold counts, the row is long enough without what was before them.
 */
function withoutThePast<One extends { readonly result: string }>(
  outcomes: readonly One[],
  successesMax: number,
): readonly One[] {
  let successes = 0;
  for (let index = outcomes.length - 1; index >= 0; index--)
    if (outcomes[index]?.result === "success" && ++successes === successesMax) return outcomes.slice(index);
  return outcomes;
}

/** The times of the failures since the last success, within the window before `nowMs`. */
export function rowOf(state: BreakerState, nowMs: number, policy: BreakerPolicy): readonly number[] {
  const last = state.outcomes.findLastIndex((outcome) => outcome.result === "success");
  const times = state.outcomes.slice(last + 1).map((outcome) => outcome.at_ms);
  const newestMs = Math.max(nowMs, ...times);
  return times.filter((atMs) => atMs >= newestMs - policy.circuit_breaker_window_seconds * 1000);
}

/** Takes out of a record only what names an attempt. */
export function attemptOf(of: Partial<Attempt>): Partial<Attempt> {
  if (of.worker_id === undefined) return {};
  return of.attempt === undefined ? { worker_id: of.worker_id } : { worker_id: of.worker_id, attempt: of.attempt };
}

/** The same attempt, as far as both say; without a worker's id nothing is the same as anything. */
export function isSame(left: Partial<Attempt>, right: Partial<Attempt>): boolean {
  return left.worker_id !== undefined && left.worker_id === right.worker_id && left.attempt === right.attempt;
}
