/**
 * Spreads work over time: what was running before a reboot comes back one after another.
 * @module
 */

/**
 * Gives the next slot. Slots are spaced evenly: what was not used is lost, so that a quiet hour does not end in a burst.
 *
 * @param lastAtMs When the slot before it was; 0 before the first.
 * @param earliestAtMs When it may be at the earliest: now, or the end of a delay.
 * @throws {RangeError} If `perSecond` is not positive.
 */
export function nextSlotAtMs(lastAtMs: number, earliestAtMs: number, perSecond: number): number {
  if (!(perSecond > 0)) throw new RangeError(`Cannot pace: per second must be positive, got ${perSecond}`);
  return Math.max(earliestAtMs, lastAtMs + 1000 / perSecond);
}
