/**
 * Says how far a silence has gone, and when it goes further.
 *
 * Deadlines, not rounds: the watcher sleeps until the nearest deadline of any worker.
 * @module
 */
import { type GapHistogram, phiSuspectMs } from "./phi.js";
import type { Thresholds } from "./thresholds.js";

export { addGap, GAPS_NONE, type GapHistogram, gapBucketMs, phi, phiSuspectMs } from "./phi.js";

export type Phase = "healthy" | "late" | "warning" | "critical" | "zombie";

/** Names the phase of a silence. Each begins at its threshold, not a millisecond before. */
export function phaseOf(silentMs: number, thresholds: Thresholds): Phase {
  if (silentMs >= thresholds.zombieMs) return "zombie";
  if (silentMs >= thresholds.timeoutMs) return "critical";
  if (silentMs >= thresholds.warningMs) return "warning";
  return silentMs >= thresholds.lateMs ? "late" : "healthy";
}

/** The silence of one worker. Instants are on the monotonic clock. */
export interface SilenceFacts {
  /** When its last beat arrived, or when it was started if none did. */
  readonly lastSeenAtMs: number;
  readonly nowMs: number;
  /** Its decayed score will be below the minimum at the time-out, so that the time-out may already make a zombie. */
  readonly scoreLowAtTimeout?: boolean;
}

export interface Deadline {
  readonly kind: "late" | "warning" | "first_look" | "timeout" | "zombie" | "blocked" | "busy";
  /** On the clock of the facts; always later than their `nowMs`. */
  readonly atMs: number;
}

/**
 * Gives the next instant at which a worker's silence means something else, if it goes on; `null` after the last.
 *
 * The first look comes `verify_delay_seconds` before the threshold and the second on it, so that a zombie is both
 * verified and in time. `blocked` and `busy` matter only for a worker with that verdict; a look costs little.
 */
export function nextDeadline(facts: SilenceFacts, thresholds: Thresholds): Deadline | null {
  const silentMs = facts.nowMs - facts.lastSeenAtMs;
  const next = deadlinesOf(thresholds, facts.scoreLowAtTimeout ?? false)
    .filter(([, ms]) => ms > silentMs)
    .reduce<readonly [Deadline["kind"], number] | null>((first, each) => {
      return first === null || each[1] < first[1] ? each : first;
    }, null);
  return next === null ? null : { kind: next[0], atMs: facts.lastSeenAtMs + next[1] };
}

/** In order of weight: where two fall together, the first named is the one reported. */
function deadlinesOf(thresholds: Thresholds, early: boolean): readonly (readonly [Deadline["kind"], number])[] {
  const earlyLookMs = Math.max(thresholds.timeoutMs / 2, thresholds.timeoutMs - thresholds.verifyMs);
  return [
    ["zombie", thresholds.zombieMs],
    ["timeout", thresholds.timeoutMs],
    ["first_look", thresholds.firstLookMs],
    ...(early ? ([["first_look", earlyLookMs]] as const) : []),
    ["warning", thresholds.warningMs],
    ["late", thresholds.lateMs],
    ["blocked", thresholds.blockedMs],
    ["busy", thresholds.busyMs],
  ];
}

/**
 * Replaces the fixed time-out by phi's, for `"detector": "phi"`: a worker that beats like clockwork is suspected
 * sooner, one that beats irregularly later, and warned about later in proportion. Only suspicion moves; the zombie
 * threshold stays where it is.
 */
export function phiThresholds(thresholds: Thresholds, gaps: GapHistogram): Thresholds {
  const timeoutMs = phiSuspectMs(gaps, thresholds);
  const lateMs = Math.min(thresholds.lateMs, timeoutMs);
  // A warning before each ordinary gap of an irregular worker would be the noise that this detector is for.
  const warningMs = Math.min(timeoutMs, thresholds.warningMs * Math.max(1, timeoutMs / thresholds.timeoutMs));
  return { ...thresholds, lateMs, timeoutMs, warningMs };
}
