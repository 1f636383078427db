/**
 * Rate limits that hold in every window, not only in those that begin on the hour.
 *
 * A fixed hourly counter lets twice its limit through around the full hour. A sliding log does not: it is exact, with
 * one instant for each use. The windows are half-open: a use at `t` counts in `[t, t + window)`.
 * @module
 */

export interface SlidingLimit {
  /** Uses allowed in any window; 0 allows none. */
  readonly max: number;
  readonly windowMs: number;
}

export interface LimitAnswer {
  readonly allowed: boolean;
  /** The earliest instant at which one more is allowed; now, if it is; `null` if waiting does not help. */
  readonly passesAtMs: number | null;
}

/**
 * Asks a sliding log whether one more use is allowed; spends nothing.
 *
 * @param log Earlier uses, in any order. One that lies in the future is read as now: a clock that was set back must
 * not block anything for longer than a window.
 */
export function slidingAllow(
  log: readonly number[],
  nowMs: number,
  limit: SlidingLimit,
): LimitAnswer & { readonly log: readonly number[] } {
  const current = within(log, nowMs, limit.windowMs);
  if (limit.max < 1) return { allowed: false, passesAtMs: null, log: current };
  if (current.length < limit.max) return { allowed: true, passesAtMs: nowMs, log: current };
  const blocking = current[current.length - Math.floor(limit.max)] as number;
  return { allowed: false, passesAtMs: blocking + limit.windowMs, log: current };
}

/** Adds a use to a sliding log and drops what has left the window. The longest window in use bounds the log. */
export function spend(log: readonly number[], nowMs: number, windowMs: number): readonly number[] {
  return [...within(log, nowMs, windowMs), nowMs];
}

/** The uses that count at `nowMs`, in order. */
export function within(log: readonly number[], nowMs: number, windowMs: number): readonly number[] {
  return log
    .map((atMs) => Math.min(atMs, nowMs))
    .filter((atMs) => atMs > nowMs - windowMs)
    .sort((a, b) => a - b);
}
