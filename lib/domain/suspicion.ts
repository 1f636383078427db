/**
 * Says how far a silence has gone, and when it goes further.
 *
 * Deadlines, not rounds: the watcher sleeps until the nearest deadline of any worker.
 * @module
 */
import { type GapHistogram, phiSuspectMs } from "./phi.js";
import type { Thresholds } from "./thresholds.js";

export { addGap, GAPS_NONE, type GapHistogram, gapBucketMs, phi, phiSuspectMs } from "./phi.js";

/** How far a silence has gone, as far as it is told; a zombie's is critical too. */
export type SilenceLevel = "none" | "late" | "warning" | "critical";

/** Names the level of a silence. Each begins at its threshold, not a millisecond before. */
export function levelOf(silentMs: number, thresholds: Thresholds): SilenceLevel {
  if (silentMs >= thresholds.timeoutMs) return "critical";
  if (silentMs >= thresholds.warningMs) return "warning";
  return silentMs >= thresholds.lateMs ? "late" : "none";
}

/** From which silence on a worker counts among the suspects. */
export function suspectMs(thresholds: Pick<Thresholds, "timeoutMs" | "verifyMs">): number {
  return Math.max(thresholds.timeoutMs / 2, thresholds.timeoutMs - thresholds.verifyMs);
}

/**
 * The silences at which a look is due: at the warning, and twice for each verdict that ends a worker, the first time
 * `verify_delay_seconds` before its threshold and the second on it, so that a zombie is both verified and in time.
 *
 * `blocked` and `busy` matter only for a worker with that verdict; a look costs little.
 */
export function lookInstants(thresholds: Thresholds): number[] {
  return [
    thresholds.warningMs,
    suspectMs(thresholds),
    thresholds.timeoutMs,
    thresholds.firstLookMs,
    thresholds.zombieMs,
    thresholds.blockedMs - thresholds.verifyMs,
    thresholds.blockedMs,
    thresholds.busyMs - thresholds.verifyMs,
    thresholds.busyMs,
  ];
}

export interface NextSilence {
  /** The next silence at which something is due, if it goes on; `null` after the last. Always longer than the present one. */
  readonly nextMs: number | null;
  /** Nothing was due yet in this silence. */
  readonly isFirst: boolean;
}

/** Gives the next silence that means something else: one at which the worker is late, or a look is due. */
export function nextSilence(silentMs: number, thresholds: Thresholds): NextSilence {
  let nextMs = thresholds.lateMs > silentMs ? thresholds.lateMs : Number.POSITIVE_INFINITY;
  let isFirst = thresholds.lateMs > silentMs;
  for (const instantMs of lookInstants(thresholds)) {
    if (instantMs <= silentMs) isFirst = false;
    else if (instantMs < nextMs) nextMs = instantMs;
  }
  return { nextMs: nextMs === Number.POSITIVE_INFINITY ? null : nextMs, isFirst };
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
