/**
 * The circuit breaker of a worker type: a pure function of its outcomes, its leases and the time. No timers.
 *
 * It opens when `circuit_breaker_threshold` failures follow each other within the window with no success between
 * them; "N failures" alone trips for most healthy types in time. A success that is later taken back (the attempt
 * relapsed) counts as if it had never been. Open turns half-open when it is due; half-open lets probes through under
 * leases; a success closes, a failure or an expired lease re-opens for twice as long.
 *
 * An outcome acts at its own time, not when it is read: a daemon that was away for an hour and reads five failures at
 * once ends in the same state as one that saw them come. For that, outcomes are to be recorded before the present is
 * asked for; one that arrives late is sorted in, but does not undo a transition that has happened.
 * @module
 */

import { attemptOf, isSame, note, rowOf } from "./breaker-row.js";
import {
  type Attempt,
  BREAKER_CLOSED,
  type BreakerPolicy,
  type BreakerReason,
  type BreakerState,
  type Lease,
  type Outcome,
} from "./breaker-state.js";

export type { Attempt, BreakerPolicy, BreakerReason, BreakerState, Lease, Outcome } from "./breaker-state.js";
export { BREAKER_CLOSED } from "./breaker-state.js";

/** A time written in whole seconds may lie this much before the instant it means. */
const TIME_PRECISION_MS = 999;

/** Moves a breaker to the present: what is due becomes half-open, expired leases re-open it. */
export function breakerAt(state: BreakerState, nowMs: number, policy: BreakerPolicy): BreakerState {
  const settled = settle(anchored(state, nowMs), nowMs, policy);
  if (settled.state !== "closed") return settled;
  const failure_count = rowOf(settled, nowMs, policy).length;
  return failure_count === settled.failure_count ? settled : { ...settled, failure_count };
}

/**
 * Records one outcome, at its own time.
 *
 * @param nowMs An outcome in the future happened now at the latest.
 */
export function recordOutcome(
  state: BreakerState,
  outcome: Outcome,
  policy: BreakerPolicy,
  nowMs: number,
): BreakerState {
  const atMs = Math.min(outcome.atMs, nowMs);
  // A lease that ends in this very instant has had its outcome in time.
  const before = settle(state, atMs - 1, policy, TIME_PRECISION_MS + 1);
  const noted = note(before, { ...outcome, atMs }, policy);
  if (outcome.result === "success") return onSuccess(noted, outcome, atMs, policy);
  return onFailure(noted, outcome, atMs, policy);
}

export interface BreakerAnswer {
  readonly allowed: boolean;
  /** When asking again may help: now, the next probe, or the end of the first lease. */
  readonly passesAtMs: number;
  /** For the decision record: `closed`, `open`, `half-open 1/1`, `disabled`. */
  readonly gateValue: string;
}

/** Asks whether a restart may pass. In half-open, take a lease before acting on it. */
export function allow(state: BreakerState, nowMs: number, policy: BreakerPolicy): BreakerAnswer {
  if (!policy.circuit_breaker_enabled) return { allowed: true, passesAtMs: nowMs, gateValue: "disabled" };
  const current = breakerAt(state, nowMs, policy);
  if (current.state === "closed") return { allowed: true, passesAtMs: nowMs, gateValue: "closed" };
  if (current.state === "open") {
    return { allowed: false, passesAtMs: probeDueAtMs(current, policy), gateValue: "open" };
  }
  const requests = Math.max(1, policy.circuit_breaker_half_open_requests);
  const allowed = current.leases.length < requests;
  const firstEndMs = Math.min(...current.leases.map((lease) => lease.until_ms));
  const gateValue = `half-open ${current.leases.length}/${requests}`;
  return { allowed, passesAtMs: allowed ? nowMs : firstEndMs, gateValue };
}

/**
 * Takes a lease for a probe. Does nothing while closed or disabled (there is nothing to probe), or if the attempt holds one.
 *
 * @throws {RangeError} If no probe is allowed now: ask `allow` first, with the same time.
 */
export function takeLease(state: BreakerState, probe: Attempt, nowMs: number, policy: BreakerPolicy): BreakerState {
  const current = breakerAt(state, nowMs, policy);
  if (!policy.circuit_breaker_enabled || current.state === "closed") return current;
  if (current.leases.some((lease) => isSame(lease, probe))) return current;
  const answer = allow(current, nowMs, policy);
  if (!answer.allowed) {
    throw new RangeError(`Cannot take a probe's lease: the breaker is ${answer.gateValue}`);
  }
  const until_ms = nowMs + 1000 * (2 * policy.success_after_seconds + 30);
  const lease: Lease = { worker_id: probe.worker_id, attempt: probe.attempt, until_ms };
  return { ...current, leases: [...current.leases, lease] };
}

/** Gives a lease back unused: the start was called off before anything was learned. */
export function returnLease(state: BreakerState, probe: Attempt): BreakerState {
  return { ...state, leases: state.leases.filter((lease) => !isSame(lease, probe)) };
}

/**
 * Resets a breaker because a person said so (or removed its file). Nothing that was recorded before counts any more;
 * which lines of the history that is, the caller remembers by their offset, since a line's time may be a whole second
 * early.
 */
export function resetByHand(state: BreakerState, nowMs: number): BreakerState {
  const { last_failure_ms } = state;
  return { ...BREAKER_CLOSED, last_failure_ms, last_reset_ms: nowMs, manual_reset: true, reason: "by_hand" };
}

/** Obeys a state that a person wrote: closed is a reset, open lasts from now, half-open lets probes through now. */
export function setByHand(
  state: BreakerState,
  wanted: BreakerState["state"],
  nowMs: number,
  policy: BreakerPolicy,
  nextProbeAtMs: number | null = null,
): BreakerState {
  const reset = resetByHand(state, nowMs);
  if (wanted === "closed") return reset;
  const { failure_count, last_reset_ms, manual_reset } = state;
  const kept = { ...reset, failure_count, last_reset_ms, manual_reset, open_for_ms: firstOpenMs(policy) };
  if (wanted === "half-open") {
    return { ...kept, state: "half-open", opened_at_ms: state.opened_at_ms ?? nowMs, next_probe_at_ms: nowMs };
  }
  const dueAtMs = nextProbeAtMs !== null && nextProbeAtMs > nowMs ? nextProbeAtMs : nowMs + kept.open_for_ms;
  return { ...kept, state: "open", opened_at_ms: nowMs, next_probe_at_ms: dueAtMs };
}

function onSuccess(state: BreakerState, by: Outcome, atMs: number, policy: BreakerPolicy): BreakerState {
  // Another success bears the first one out: a relapse after it is a failure like any other.
  if (state.state === "closed") return { ...state, failure_count: rowOf(state, atMs, policy).length, closed_by: null };
  if (!isProbing(state, atMs)) return state;
  const { last_failure_ms, manual_reset, open_for_ms } = state;
  // The row that opened it is over, even if this success should be taken back: `closed_by` sees to that.
  const outcomes = [{ ...attemptOf(by), result: "success", at_ms: atMs }] as const;
  const closed_by = by.worker_id === undefined ? null : attemptOf(by);
  const last_reset_ms = atMs;
  return { ...BREAKER_CLOSED, last_failure_ms, last_reset_ms, manual_reset, open_for_ms, outcomes, closed_by };
}

function onFailure(state: BreakerState, outcome: Outcome, atMs: number, policy: BreakerPolicy): BreakerState {
  const last_failure_ms = Math.max(state.last_failure_ms ?? atMs, atMs);
  if (state.state !== "closed") {
    const failed = { ...state, last_failure_ms, failure_count: state.failure_count + 1 };
    return isProbing(state, atMs) ? reopen(failed, atMs, policy, "probe_failed") : failed;
  }
  const row = rowOf(state, atMs, policy);
  const failed = { ...state, last_failure_ms, failure_count: row.length };
  const undone = outcome.result === "relapsed" && state.closed_by !== null && isSame(state.closed_by, outcome);
  if (undone) return reopen(failed, atMs, policy, "relapsed");
  if (!policy.circuit_breaker_enabled || row.length < policy.circuit_breaker_threshold) return failed;
  return opened({ ...failed, manual_reset: false }, row.at(-1) as number, firstOpenMs(policy), "failures");
}

function opened(state: BreakerState, atMs: number, openForMs: number, reason: BreakerReason): BreakerState {
  const times = { opened_at_ms: atMs, next_probe_at_ms: atMs + openForMs, open_for_ms: openForMs };
  return { ...state, ...times, state: "open", reason, leases: [], closed_by: null };
}

function reopen(state: BreakerState, atMs: number, policy: BreakerPolicy, reason: BreakerReason): BreakerState {
  const firstMs = firstOpenMs(policy);
  const longestMs = Math.max(firstMs, policy.circuit_breaker_max_open_seconds * 1000);
  return opened(state, atMs, Math.min(longestMs, 2 * Math.max(state.open_for_ms, firstMs)), reason);
}

/** A breaker that opened in the future tells of a clock that was set back: it waits from now, not from then. */
function anchored(state: BreakerState, nowMs: number): BreakerState {
  const aheadMs = (state.opened_at_ms ?? nowMs) - nowMs;
  if (state.state === "closed" || aheadMs <= TIME_PRECISION_MS) return state;
  return {
    ...state,
    opened_at_ms: nowMs,
    next_probe_at_ms: state.next_probe_at_ms === null ? null : state.next_probe_at_ms - aheadMs,
    leases: state.leases.map((lease) => ({ ...lease, until_ms: lease.until_ms - aheadMs })),
  };
}

/** A state that came from a file may lack the time of its next probe: then the usual time after it opened. */
function probeDueAtMs(state: BreakerState, policy: BreakerPolicy): number {
  return state.next_probe_at_ms ?? (state.opened_at_ms ?? 0) + firstOpenMs(policy);
}

function firstOpenMs(policy: BreakerPolicy): number {
  return policy.circuit_breaker_reset_seconds * 1000;
}

/** Applies what time alone does, up to `nowMs`. Each turn ends a lease or a waiting time, so it comes to an end. */
function settle(state: BreakerState, nowMs: number, policy: BreakerPolicy, earlyMs = 0): BreakerState {
  if (state.state === "open") {
    const dueAtMs = probeDueAtMs(state, policy);
    if (nowMs + earlyMs < dueAtMs) return state;
    const due: BreakerState = {
      ...state,
      state: "half-open",
      next_probe_at_ms: dueAtMs,
      reason: "probe_due",
      leases: [],
    };
    return settle(due, nowMs, policy, earlyMs);
  }
  if (state.state === "closed" || state.leases.length === 0) return state;
  const endMs = Math.min(...state.leases.map((lease) => lease.until_ms));
  if (nowMs < endMs) return state;
  // Nobody knows what became of the probe: silence by the end of its lease is a failure.
  const failed = { ...state, failure_count: state.failure_count + 1 };
  return settle(reopen(failed, endMs, policy, "lease_expired"), nowMs, policy, earlyMs);
}

/** In half-open, only what happened since then is the answer of a probe. */
function isProbing(state: BreakerState, atMs: number): boolean {
  return state.state === "half-open" && atMs + TIME_PRECISION_MS >= (state.next_probe_at_ms ?? 0);
}
