/**
 * Rate limits that hold in every window, not only in those that begin on the hour.
 *
 * A fixed hourly counter lets twice its limit through around the full hour. Two ways without that flaw: a sliding log,
 * exact, with one instant for each use; and GCRA, one instant in all, which spreads uses instead of letting them
 * bunch. The windows are half-open: a use at `t` counts in `[t, t + window)`.
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

export interface GcraLimit extends SlidingLimit {
  /** Uses allowed at once after a rest, 1 to `max`. */
  readonly burst: number;
}

/**
 * Asks the generic cell rate algorithm whether one more use is allowed, and gives the state after it.
 *
 * The spacing is `window / (max - burst + 1)`: with the usual `window / max`, a burst and the uses that follow it
 * exceed `max` in one window.
 *
 * @param tatMs The state: the theoretical arrival time, `null` before the first use.
 * @returns `tatMs` is the state if the use is made now; unchanged if it is not allowed.
 * @throws {RangeError} If `burst` is not between 1 and `max`.
 * @see ITU-T I.371, virtual scheduling algorithm
 */
export function gcraAllow(
  tatMs: number | null,
  nowMs: number,
  limit: GcraLimit,
): LimitAnswer & { readonly tatMs: number | null } {
  if (limit.max < 1) return { allowed: false, passesAtMs: null, tatMs };
  if (limit.burst < 1 || limit.burst > limit.max) {
    throw new RangeError(`Cannot apply a rate limit: burst must be between 1 and ${limit.max}, got ${limit.burst}`);
  }
  // Rounded up, so that no fraction of a millisecond adds up to one use too many.
  const spacingMs = Math.ceil(limit.windowMs / (limit.max - limit.burst + 1));
  const toleranceMs = (limit.burst - 1) * spacingMs;
  // Never further ahead than one full burst: a clock that was set back must not block for longer than that.
  const known = Math.min(tatMs ?? nowMs, nowMs + toleranceMs + spacingMs);
  const passesAtMs = known - toleranceMs;
  if (nowMs < passesAtMs) return { allowed: false, passesAtMs, tatMs: known };
  return { allowed: true, passesAtMs: nowMs, tatMs: Math.max(known, nowMs) + spacingMs };
}
