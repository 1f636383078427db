/**
 * Computes how long a restart waits.
 * @module
 */

/** The part of `worker-restart-policy.json` that is read here. */
export interface BackoffPolicy {
  /** Seconds before the second retry, and before the first of a worker that exited fast. */
  readonly retry_interval_seconds: number;
  /** By how much each further retry waits longer. */
  readonly backoff_multiplier: number;
  readonly max_retry_interval_seconds: number;
  /** Seconds for each retry in turn, instead of the formula; the last one repeats. Empty counts as absent. */
  readonly delays?: readonly number[] | null | undefined;
  readonly first_retry_delay_seconds: number;
  readonly jitter: "equal" | "full" | "decorrelated" | "none";
}

export interface RetryQuestion {
  /** 1 for the first retry since the last stable run. */
  readonly retry: number;
  readonly policy: BackoffPolicy;
  /** The attempt ended by itself within `fast_exit_seconds`. */
  readonly exitedFast: boolean;
  /** A sample in `[0, 1)`, derived from worker, attempt and incident, so that a replay is exact. */
  readonly sample: number;
  /** What the previous retry waited; read by "decorrelated" only. */
  readonly previousDelayMs?: number | undefined;
}

/**
 * Computes the delay before a retry, in whole milliseconds.
 *
 * The first retry comes at once (`first_retry_delay_seconds`) and without jitter; a worker that exited fast waits as
 * long as the second retry would. From the second on it is `interval × multiplier ^ (retry - 2)`, at most
 * `max_retry_interval_seconds`, spread by jitter so that workers which died together do not come back together:
 * - equal: `[d/2, d)` · full: `[0, d)` · none: `d`
 * - decorrelated: `[interval, 3 × previous)`, capped: it grows by chance instead of by the multiplier. With a list of
 *   delays there is nothing to grow, and it spreads like "equal".
 *
 * A list is taken as it was written: it is not capped.
 *
 * @throws {RangeError} If `retry` is not a positive integer, or `sample` not in `[0, 1)`.
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function retryDelayMs(question: RetryQuestion): number {
  const { retry, policy, exitedFast, sample } = question;
  if (!Number.isInteger(retry) || retry < 1) {
    throw new RangeError(`Cannot compute a retry delay: retry must be a positive integer, got ${retry}`);
  }
  if (!(sample >= 0 && sample < 1)) {
    throw new RangeError(`Cannot compute a retry delay: sample must be in [0, 1), got ${sample}`);
  }
  if (retry === 1) {
    const firstMs = baseDelayMs(1, policy);
    return Math.round(exitedFast ? Math.max(firstMs, baseDelayMs(2, policy)) : firstMs);
  }
  return Math.floor(jittered(baseDelayMs(retry, policy), question));
}

/** The delay without jitter. */
function baseDelayMs(retry: number, policy: BackoffPolicy): number {
  const { delays } = policy;
  if (delays && delays.length > 0) return 1000 * (delays[Math.min(retry, delays.length) - 1] as number);
  if (retry === 1) return 1000 * policy.first_retry_delay_seconds;
  // Zero times a power that has overflowed would be no number at all.
  if (policy.retry_interval_seconds === 0) return 0;
  const seconds = policy.retry_interval_seconds * policy.backoff_multiplier ** (retry - 2);
  return 1000 * Math.min(seconds, policy.max_retry_interval_seconds);
}

function jittered(delayMs: number, { policy, sample, previousDelayMs }: RetryQuestion): number {
  const listed = policy.delays !== null && policy.delays !== undefined && policy.delays.length > 0;
  const capMs = 1000 * policy.max_retry_interval_seconds;
  const floorMs = Math.min(1000 * policy.retry_interval_seconds, capMs);
  switch (policy.jitter) {
    case "none":
      return delayMs;
    case "full":
      return delayMs * sample;
    case "decorrelated":
      if (listed) return delayMs * (0.5 + sample / 2);
      return Math.min(capMs, floorMs + sample * (3 * Math.max(previousDelayMs ?? 0, floorMs) - floorMs));
    case "equal":
      return delayMs * (0.5 + sample / 2);
  }
}
