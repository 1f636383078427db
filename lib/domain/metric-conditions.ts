/**
 * Whether a condition on a metric holds: for its whole time, on enough samples, and not by one of them alone.
 *
 * @module
 */

export interface Sample {
  readonly at_ms: number;
  readonly value: number;
}

export interface MetricCondition {
  readonly metric: string;
  readonly operator: "gt" | "gte" | "lt" | "lte" | "eq" | "ne";
  readonly threshold: number;
  readonly for_seconds: number;
  readonly min_samples: number;
}

export interface ConditionAnswer {
  readonly metric: string;
  readonly operator: MetricCondition["operator"];
  readonly threshold: number;
  /** The latest value; null without samples. */
  readonly value: number | null;
  readonly samples: number;
  /** For how long every sample has met it without a break. */
  readonly held_seconds: number;
  /** Null: not enough is known to say so or otherwise. */
  readonly holds: boolean | null;
  /** Of a forecast: seconds until its line meets the threshold, 0 if it has; null if it leads elsewhere. */
  readonly meets_in_seconds?: number | null;
}

const COMPARE: Readonly<Record<MetricCondition["operator"], (a: number, b: number) => boolean>> = {
  gt: (a, b) => a > b,
  gte: (a, b) => a >= b,
  lt: (a, b) => a < b,
  lte: (a, b) => a <= b,
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
};

/** A series that says nothing for so many of its own steps has ended. */
const STALE_STEPS = 3;
const STALE_MS_MIN = 30_000;

/**
 * @param samples In the order of time. Those taken before `sinceMs`, while an action of ours settled, do not count.
 */
export function askCondition(
  condition: MetricCondition,
  samples: readonly Sample[],
  nowMs: number,
  sinceMs: number,
): ConditionAnswer {
  const counted = samples.filter((sample) => sample.at_ms >= sinceMs && sample.at_ms <= nowMs);
  const meets = (sample: Sample): boolean => COMPARE[condition.operator](sample.value, condition.threshold);
  const broken = counted.findLastIndex((sample) => !meets(sample));
  const run = counted.slice(broken + 1);
  const latest = counted.at(-1) ?? null;
  const heldMs = run.length === 0 ? 0 : nowMs - (run[0] as Sample).at_ms;
  const { metric, operator, threshold } = condition;
  const answer = {
    ...{ metric, operator, threshold },
    value: latest?.value ?? null,
    samples: run.length,
    held_seconds: Math.round(heldMs / 1000),
  };
  if (latest === null || isStale(counted, nowMs, condition)) return { ...answer, holds: null };
  if (run.length === 0) return { ...answer, holds: false };
  const enough = run.length >= condition.min_samples && heldMs >= condition.for_seconds * 1000;
  // What broke it a moment ago says no; what has only just begun says nothing yet.
  return { ...answer, holds: enough ? true : broken >= 0 ? false : null };
}

/** Whether a series, which is not empty, has ended. */
export function isStale(counted: readonly Sample[], nowMs: number, condition: MetricCondition): boolean {
  const last = counted.at(-1) as Sample;
  const first = counted[0] as Sample;
  const step = counted.length < 2 ? 0 : (last.at_ms - first.at_ms) / (counted.length - 1);
  return nowMs - last.at_ms > Math.max(STALE_MS_MIN, STALE_STEPS * step, condition.for_seconds * 1000);
}

/** All must hold; null if none denies it and not all are known. */
export function allHold(answers: readonly ConditionAnswer[]): boolean | null {
  if (answers.some((answer) => answer.holds === false)) return false;
  return answers.length > 0 && answers.every((answer) => answer.holds === true) ? true : null;
}
