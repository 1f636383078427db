/**
 * Works out at which silence one worker is late, suspect, timed out and a zombie.
 *
 * Decides nothing: it turns the heartbeat policy and a worker's own wishes into milliseconds,
 * so that every other module compares numbers and none of them reads a policy.
 * @module
 */

/** The silences that `heartbeat-policy.json` may name. What is absent is derived from what is present. */
export interface SilencePolicy {
  /** Seconds between two beats of a worker. Default: 30, at most half of the time-out. */
  readonly heartbeat_interval_seconds?: number | null | undefined;
  /** Silence that makes a worker critical. Default: four intervals, kept under the zombie threshold. */
  readonly heartbeat_timeout_seconds?: number | null | undefined;
  /** Silence that makes a zombie, once verified. Default: two and a half time-outs. */
  readonly zombie_threshold_seconds?: number | null | undefined;
  /** Silence worth a warning. Default: the smaller of two intervals and the time-out. */
  readonly warning_threshold_seconds?: number | null | undefined;
}

/** The part of `heartbeat-policy.json` that is read here. */
export interface ThresholdPolicy extends SilencePolicy {
  /** How long a worker that has not beaten yet may take. Default: its zombie threshold. */
  readonly startup_grace_seconds?: number | null | undefined;
  /** How much earlier than the threshold the first of the two looks comes. */
  readonly verify_delay_seconds: number;
  /** A busy worker may be silent for this many zombie thresholds. */
  readonly busy_multiple: number;
  /** A worker with a blocked event loop may be silent for this many zombie thresholds. */
  readonly blocked_multiple: number;
}

/** What a worker's spec may say about itself, in its `heartbeat` block. */
export interface OwnThresholds {
  readonly interval_seconds?: number | null | undefined;
  readonly timeout_seconds?: number | null | undefined;
  readonly zombie_threshold_seconds?: number | null | undefined;
}

/** In milliseconds: how often one worker is to beat, and the silences that count for it. */
export interface Silences {
  readonly intervalMs: number;
  readonly warningMs: number;
  readonly timeoutMs: number;
  readonly zombieMs: number;
}

/** Silences, in milliseconds, at which something changes for one worker. */
export interface Thresholds extends Silences {
  /** One interval and a half. */
  readonly lateMs: number;
  /** For a worker that never beat, this stands in for `zombieMs`. */
  readonly graceMs: number;
  readonly busyMs: number;
  readonly blockedMs: number;
  /** Silence at which the first of the two looks is due; the second is due at `zombieMs`. */
  readonly firstLookMs: number;
  /** The distance of two looks. */
  readonly verifyMs: number;
}

const INTERVAL_SECONDS = 30;
const TIMEOUT_IN_INTERVALS = 4;
const ZOMBIE_IN_TIMEOUTS = 2.5;
const LATE_IN_INTERVALS = 1.5;

/** What a policy says of silences, with what it leaves out: in order, whatever it gives. In seconds. */
export function completeSilences(policy: SilencePolicy) {
  const wanted = given(policy.heartbeat_interval_seconds) ?? INTERVAL_SECONDS;
  const warningGiven = given(policy.warning_threshold_seconds);
  const zombieGiven = given(policy.zombie_threshold_seconds);
  const timeout =
    given(policy.heartbeat_timeout_seconds) ??
    Math.min(TIMEOUT_IN_INTERVALS * wanted, zombieGiven ?? Number.POSITIVE_INFINITY);
  // A threshold shorter than two of the default intervals means that beats are expected more often than that.
  const interval = Math.min(wanted, timeout / 2);
  return {
    heartbeat_interval_seconds: interval,
    heartbeat_timeout_seconds: timeout,
    zombie_threshold_seconds: Math.max(zombieGiven ?? ZOMBIE_IN_TIMEOUTS * timeout, timeout),
    warning_threshold_seconds: Math.min(warningGiven ?? 2 * interval, timeout),
  };
}

/** The same in milliseconds: what the policy says for a worker that says nothing. */
function baseOf(policy: SilencePolicy): Silences {
  const seconds = completeSilences(policy);
  return {
    intervalMs: seconds.heartbeat_interval_seconds * 1000,
    warningMs: seconds.warning_threshold_seconds * 1000,
    timeoutMs: seconds.heartbeat_timeout_seconds * 1000,
    zombieMs: seconds.zombie_threshold_seconds * 1000,
  };
}

/**
 * Computes the thresholds of one worker.
 *
 * A worker's own threshold scales the rest in proportion: one that asks for 60 s where the policy says 300 s is warned
 * about and timed out five times as early, and is expected to beat five times as often unless it names its interval.
 * Without that, a long threshold would be undercut by the score, which decays with each missed interval. Proportion
 * gives way where it contradicts an interval that the worker named: nobody is timed out before two of its intervals.
 */
export function thresholdsOf(policy: ThresholdPolicy, own: OwnThresholds = {}): Thresholds {
  if (!saysNothing(own)) return compute(policy, own);
  let thresholds = ofPolicies.get(policy);
  if (thresholds === undefined) {
    thresholds = compute(policy, own);
    ofPolicies.set(policy, thresholds);
  }
  return thresholds;
}

/** Those of workers that say nothing about themselves, as most do not: they are asked for at every beat. */
const ofPolicies = new WeakMap<ThresholdPolicy, Thresholds>();

function saysNothing(own: OwnThresholds): boolean {
  const { interval_seconds, timeout_seconds, zombie_threshold_seconds } = own;
  return (
    givenMs(interval_seconds) === null &&
    givenMs(timeout_seconds) === null &&
    givenMs(zombie_threshold_seconds) === null
  );
}

/**
 * Computes how often one worker is to beat and at which silences it is judged; its own wishes count before the policy's.
 *
 * What a worker is told at its start is `intervalMs` of this, so that nobody is judged by an interval that it was not told.
 */
export function silencesOf(policy: SilencePolicy, own: OwnThresholds = {}): Silences {
  const base = baseOf(policy);
  const factor = scaleOf(base, own);
  const ownInterval = givenMs(own.interval_seconds);
  const ownTimeout = givenMs(own.timeout_seconds);
  const zombieMs = givenMs(own.zombie_threshold_seconds) ?? Math.max(base.zombieMs * factor, ownTimeout ?? 0);
  const timeoutMs = Math.min(zombieMs, ownTimeout ?? Math.max(base.timeoutMs * factor, 2 * (ownInterval ?? 0)));
  const intervalMs = Math.min(ownInterval ?? base.intervalMs * factor, timeoutMs / 2);
  const proportional = base.warningMs * (timeoutMs / base.timeoutMs);
  const warningMs = Math.min(
    timeoutMs,
    ownInterval === null ? proportional : Math.max(proportional, LATE_IN_INTERVALS * intervalMs),
  );
  return { intervalMs, warningMs, timeoutMs, zombieMs };
}

function compute(policy: ThresholdPolicy, own: OwnThresholds): Thresholds {
  const silences = silencesOf(policy, own);
  const { intervalMs, zombieMs } = silences;
  // With a threshold of a second or two the two looks must still be two: the first comes half-way at the earliest.
  const verifyMs = Math.min(policy.verify_delay_seconds * 1000, zombieMs / 2);
  return {
    ...silences,
    lateMs: LATE_IN_INTERVALS * intervalMs,
    graceMs: givenMs(policy.startup_grace_seconds) ?? zombieMs,
    busyMs: zombieMs * Math.max(1, policy.busy_multiple),
    blockedMs: zombieMs * Math.max(1, policy.blocked_multiple),
    firstLookMs: zombieMs - verifyMs,
    verifyMs,
  };
}

/**
 * Gives the thresholds for a worker that has not beaten yet: the same shape, stretched so that the grace time takes
 * the place of the zombie threshold. Silence then counts from the start of the attempt.
 */
export function startupThresholds(thresholds: Thresholds): Thresholds {
  const factor = thresholds.graceMs / thresholds.zombieMs;
  if (factor === 1) return thresholds;
  const verifyMs = Math.min(thresholds.verifyMs, thresholds.graceMs / 2);
  return {
    ...thresholds,
    lateMs: thresholds.lateMs * factor,
    warningMs: thresholds.warningMs * factor,
    timeoutMs: thresholds.timeoutMs * factor,
    zombieMs: thresholds.graceMs,
    busyMs: thresholds.busyMs * factor,
    blockedMs: thresholds.blockedMs * factor,
    firstLookMs: thresholds.graceMs - verifyMs,
    verifyMs,
  };
}

/** By how much a worker's own wish stretches or shrinks the policy's thresholds. */
function scaleOf(base: Silences, own: OwnThresholds): number {
  const zombie = givenMs(own.zombie_threshold_seconds);
  if (zombie !== null) return zombie / base.zombieMs;
  const timeout = givenMs(own.timeout_seconds);
  if (timeout !== null) return timeout / base.timeoutMs;
  const interval = givenMs(own.interval_seconds);
  // Only a slower beat moves the thresholds: a worker that beats more often than asked is not to be judged sooner.
  return interval !== null && 2 * interval > base.timeoutMs ? interval / base.intervalMs : 1;
}

function givenMs(seconds: number | null | undefined): number | null {
  const wanted = given(seconds);
  return wanted === null ? null : wanted * 1000;
}

/** Anything that is not a positive number counts as not given. */
function given(seconds: number | null | undefined): number | null {
  return typeof seconds === "number" && Number.isFinite(seconds) && seconds > 0 ? seconds : null;
}
