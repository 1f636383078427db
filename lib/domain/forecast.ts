/**
 * Whether a metric is on its way to a threshold, and when it will be there: a line through its latest samples.
 *
 * A line is all that is claimed. Samples that make none, or one that leads away from the threshold, foretell nothing.
 *
 * @module
 */
import { askCondition, type ConditionAnswer, isStale, type MetricCondition, type Sample } from "./metric-conditions.js";

/** Samples from which a forecast is made, at least; and how well a line must fit them (r squared). */
const SAMPLES_MIN = 5;
const FIT_MIN = 0.6;
/** What is older says little about where the line goes now: as far back is looked as ahead, but never less far than this. */
const LOOK_BACK_MS_MIN = 600_000;
/** Workers of one component are measured in turn, each on a level of its own: a line goes through the means of so many parts of the time. */
const PARTS = 10;

/** @returns Whether it reaches so far ahead; samples must span the condition's own time, so that a jump is no line. */
export function askForecast(
  condition: MetricCondition,
  samples: readonly Sample[],
  horizonMs: number,
  nowMs: number,
  sinceMs: number,
): ConditionAnswer {
  const present = askCondition(condition, samples, nowMs, sinceMs);
  if (present.holds === true) return { ...present, meets_in_seconds: 0 };
  const fromMs = Math.max(sinceMs, nowMs - Math.max(horizonMs, condition.for_seconds * 1000, LOOK_BACK_MS_MIN));
  const counted = samples.filter((sample) => sample.at_ms >= fromMs && sample.at_ms <= nowMs);
  const first = counted[0];
  const spanMs = first === undefined ? 0 : nowMs - first.at_ms;
  const answer = {
    ...present,
    samples: counted.length,
    held_seconds: Math.round(spanMs / 1000),
    meets_in_seconds: null,
  };
  const isEnough = counted.length >= Math.max(SAMPLES_MIN, condition.min_samples);
  if (first === undefined || !isEnough || spanMs < condition.for_seconds * 1000 || isStale(counted, nowMs, condition))
    return { ...answer, holds: null };
  const meetsMs = whenMet(condition, meansOf(counted, spanMs), nowMs);
  if (meetsMs === null || meetsMs > nowMs + horizonMs) return { ...answer, holds: false };
  return { ...answer, holds: true, meets_in_seconds: Math.max(0, Math.round((meetsMs - nowMs) / 1000)) };
}

/** When the line crosses the threshold, in epoch milliseconds; null if it never does. */
function whenMet({ operator, threshold }: MetricCondition, samples: readonly Sample[], nowMs: number): number | null {
  const line = lineThrough(samples);
  if (line === null) return null;
  const leadsThere = operator === "lt" || operator === "lte" ? line.slope < 0 : line.slope > 0;
  return leadsThere ? Math.max(nowMs, line.at_ms + (threshold - line.value) / line.slope) : null;
}

/** One sample for each part of the time that has any. */
function meansOf(samples: readonly Sample[], spanMs: number): Sample[] {
  const firstMs = samples[0]?.at_ms ?? 0;
  const parts = new Map<number, Sample[]>();
  for (const sample of samples) {
    // The last instant belongs to the last part, not to one of its own.
    const part = Math.min(PARTS - 1, Math.floor((sample.at_ms - firstMs) / Math.max(1, spanMs / PARTS)));
    parts.set(part, [...(parts.get(part) ?? []), sample]);
  }
  return [...parts.values()].map((part) => ({ at_ms: mean(part, "at_ms"), value: mean(part, "value") }));
}

const mean = (samples: readonly Sample[], of: keyof Sample): number =>
  samples.reduce((sum, sample) => sum + sample[of], 0) / samples.length;

interface Line {
  /** A point of it, and how much it changes with each millisecond. */
  readonly at_ms: number;
  readonly value: number;
  readonly slope: number;
}

/** Least squares; null where the samples make no line. */
function lineThrough(samples: readonly Sample[]): Line | null {
  const at_ms = mean(samples, "at_ms");
  const value = mean(samples, "value");
  const sum = (of: (x: number, y: number) => number): number =>
    samples.reduce((total, sample) => total + of(sample.at_ms - at_ms, sample.value - value), 0);
  const xx = sum((x) => x * x);
  const xy = sum((x, y) => x * y);
  const yy = sum((_, y) => y * y);
  if (xx === 0 || yy === 0 || (xy * xy) / (xx * yy) < FIT_MIN) return null;
  return { at_ms, value, slope: xy / xx };
}
