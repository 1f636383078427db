/**
 * Spreads work over time: starts after a boot, kills and restarts when many are due at once.
 * @module
 */

export interface BootPolicy {
  /** Seconds after our own start before the first worker is started. */
  readonly delay_seconds: number;
  /** Starts in a second after that. */
  readonly per_second: number;
}

/**
 * Gives the instant at which the n-th worker may be started after a boot.
 *
 * @param index 0 for the first, in the order of their priority.
 * @param readyAtMs When the daemon was ready.
 * @throws {RangeError} If `per_second` is not positive.
 */
export function bootStartAtMs(index: number, readyAtMs: number, policy: BootPolicy): number {
  return readyAtMs + policy.delay_seconds * 1000 + Math.ceil(index * spacingMs(policy.per_second));
}

/** When the next slot begins; `null` before the first. Plain JSON. */
export interface PaceState {
  readonly next_at_ms: number | null;
}

export const PACE_NEW: PaceState = { next_at_ms: null };

export interface PaceSlot {
  /** When this one may go; now, or later. */
  readonly atMs: number;
  readonly state: PaceState;
}

/**
 * Takes the next slot. Slots are spaced evenly: what was not used is lost, so that a quiet hour does not end in a burst.
 *
 * @throws {RangeError} If `perSecond` is not positive.
 */
export function takeSlot(state: PaceState, nowMs: number, perSecond: number): PaceSlot {
  const atMs = Math.max(nowMs, state.next_at_ms ?? nowMs);
  return { atMs, state: { next_at_ms: atMs + spacingMs(perSecond) } };
}

function spacingMs(perSecond: number): number {
  if (!(perSecond > 0)) throw new RangeError(`Cannot pace: per second must be positive, got ${perSecond}`);
  return 1000 / perSecond;
}
