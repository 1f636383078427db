/** When a beat arrived that was not seen arriving: what a file's time says, and what it does not. @module */

/** The kernel's time of a file is that of a tick (4 ms at 250 Hz), and was seen to be that of the last but one. */
const TICK_MS = 4;
const TICKS_LATE_MAX = 2;
/** A beat's own time within this of its file's says more than the tick. Two ticks at 100 Hz, the slowest that is used. */
const OWN_TIME_MS_MAX = 20;

/**
 * The wall-clock instant at which a beat was put in its place, at the latest.
 *
 * It must not be called earlier than it was, or a verdict would come early. Two ticks after the file's time are on the safe
 * side; where the beat says itself that it was written in between, it arrived after that, and one tick is enough.
 *
 * @param fileMs The file's time: of its change, which is that of the rename.
 * @param writtenMs The beat's own time; null if it has none. Only believed where it agrees with the file's.
 * @param nowMs The present.
 */
export function arrivedAtMs(fileMs: number, writtenMs: number | null, nowMs: number): number {
  const isNear = writtenMs !== null && writtenMs >= fileMs && writtenMs <= fileMs + OWN_TIME_MS_MAX;
  return Math.min(nowMs, isNear ? Math.max(fileMs + TICK_MS, writtenMs) : fileMs + TICKS_LATE_MAX * TICK_MS);
}
