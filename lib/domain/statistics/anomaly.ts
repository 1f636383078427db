/** A day with far more failures than the days before it. @module */
import type { HourCounts } from "./rate-windows.js";

export interface Anomaly {
  /** When the day began, UTC. */
  readonly dayMs: number;
  readonly occurrences: number;
  readonly usualPerDay: number;
  /** How many standard deviations above the usual. */
  readonly sigmas: number;
}

export interface AnomalyOptions {
  /** So many standard deviations are out of the ordinary. */
  readonly sigmas: number;
  /** Whole days before the day in question that are compared with. */
  readonly baselineDays: number;
}

const DAY_MS = 86_400_000;
const DAY_HOURS = 24;
/** Of fewer days nobody can say what is usual. */
export const BASELINE_DAYS_MIN = 3;
/** The hours of four weeks are remembered; the day in question is one of them. */
export const BASELINE_DAYS_MAX = 27;

/**
 * Whether the day of an instant stands out from the days before it.
 *
 * Counts are made comparable by 2√(x + 3/8), after which a Poisson count has a standard deviation of 1 whatever its mean: on
 * the counts themselves, one failure in a quiet week would be many sigmas. Days that vary more than that widen it, and the
 * uncertainty of a mean of few days is part of it. A day is judged while it runs, by what it has so far.
 *
 * @param firstMs The first failure ever: its own day is not whole, and is not compared with.
 * @see Anscombe, The transformation of Poisson, binomial and negative-binomial data, Biometrika 35 (1948), 246-254
 */
export function anomalyOn(
  counts: HourCounts,
  firstMs: number,
  atMs: number,
  { sigmas: threshold, baselineDays }: AnomalyOptions,
): Anomaly | null {
  const day = Math.floor(atMs / DAY_MS);
  const from = Math.max(Math.ceil(firstMs / DAY_MS), day - Math.floor(baselineDays));
  const days = day - from;
  if (days < BASELINE_DAYS_MIN) return null;
  const before = new Array<number>(days).fill(0);
  let occurrences = 0;
  for (const [hour, count] of counts) {
    const of = Math.floor(hour / DAY_HOURS);
    if (of === day) occurrences += count;
    else if (of >= from && of < day) before[of - from] = (before[of - from] as number) + count;
  }
  const even = before.map(evened);
  const mean = meanOf(even);
  const variance = even.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (days - 1);
  const sigmas = (evened(occurrences) - mean) / Math.sqrt(Math.max(1, variance) * (1 + 1 / days));
  return sigmas >= threshold ? { dayMs: day * DAY_MS, occurrences, usualPerDay: meanOf(before), sigmas } : null;
}

function evened(count: number): number {
  return 2 * Math.sqrt(count + 3 / 8);
}

function meanOf(all: readonly number[]): number {
  return all.reduce((sum, each) => sum + each, 0) / all.length;
}
