/**
 * Computes a worker's health score: what it reported, less a decay for each beat that did not come.
 *
 * The score says how much trust is left in an old report; it never proves a death by itself.
 * @module
 */

/** The parts of a score, kept together so that a person can see how it came about. */
export interface HealthScore {
  /** What the worker last reported, 0 to 100. */
  readonly reported: number;
  /** Whole intervals that passed without a beat. */
  readonly missed: number;
  /** Points taken off for them. */
  readonly decay: number;
  /** What is left, 0 to 100. */
  readonly score: number;
}

/**
 * Counts the beats that a silence has cost.
 *
 * A beat counts as missed half an interval after it was due, so that the count leaves zero in the same instant in
 * which the worker becomes late (1.5 intervals).
 */
export function missedIntervals(silentMs: number, intervalMs: number): number {
  if (!(intervalMs > 0) || !(silentMs > 0)) return 0;
  return Math.max(0, Math.floor(silentMs / intervalMs - 0.5));
}

/**
 * Decays a reported score.
 *
 * @param reported 0 to 100; outside of that it is clamped. `null` if the beat carried no score: then 100, since a
 * worker that says nothing about its health has not said that it is ill.
 * @param missed Whole intervals missed.
 * @param decayRate Points for each missed interval, 0 or more.
 */
export function decayedScore(reported: number | null, missed: number, decayRate: number): HealthScore {
  const start = reported === null || Number.isNaN(reported) ? 100 : Math.min(100, Math.max(0, reported));
  const decay = Math.max(0, missed) * Math.max(0, decayRate);
  return { reported: start, missed, decay, score: Math.max(0, start - decay) };
}
