/**
 * Whether a fix has helped: the failures of the attempts made after it, against what the rate before it would have given.
 *
 * "It ran" is not "it helped": without enough time in which the old rate would have shown itself, nothing is concluded.
 *
 * @module
 */

/** What was counted on one side of the fix. */
export interface Counted {
  /** How long attempts have run, together, seconds. */
  readonly exposure_seconds: number;
  /** Failures of the pattern. */
  readonly recurrences: number;
  /** Attempts that ended badly in another way. */
  readonly other_failures: number;
  /** Attempts that finished, or have lived for longer than those that failed before. */
  readonly successes: number;
}

export interface VerdictCriteria {
  /** By which share the rate of the pattern must have fallen. */
  readonly min_decrease: number;
  readonly min_success_rate: number;
  /** So many new failures of another kind are the fix's own. */
  readonly new_failures_max: number;
}

export interface Judged {
  readonly verdict: "effective" | "ineffective" | "inconclusive";
  /** One word. */
  readonly reason: "fell" | "no_better" | "worse" | "new_failures" | "too_few_samples" | "success_rate";
  /** Failures that the old rate would have given by now. */
  readonly expected: number;
  /** 0 to 1; null before any attempt had its outcome. */
  readonly success_rate: number | null;
}

/** Of that many expected failures none comes by chance once in twenty times. */
const EXPECTED_MIN = 3;
/** At the end of the window less must do, or most fixes would never be judged. */
const EXPECTED_MIN_AT_END = 1.5;
/** One failure alone may be of any cause. */
const RECURRENCES_MIN = 2;

/** @param atEnd Whether the window is over: then the answer is final. */
export function judge(before: Counted, after: Counted, criteria: VerdictCriteria, atEnd: boolean): Judged {
  const rate = before.exposure_seconds > 0 ? before.recurrences / before.exposure_seconds : 0;
  const expected = rate * after.exposure_seconds;
  const outcomes = after.successes + after.recurrences + after.other_failures;
  const success_rate = outcomes === 0 ? null : after.successes / outcomes;
  const of = (verdict: Judged["verdict"], reason: Judged["reason"]): Judged => ({
    verdict,
    reason,
    expected,
    success_rate,
  });
  const allowed = expected * (1 - criteria.min_decrease);
  if (after.other_failures >= criteria.new_failures_max && after.other_failures > after.successes)
    return of("ineffective", "new_failures");
  if (after.recurrences >= RECURRENCES_MIN && after.recurrences > allowed)
    return of("ineffective", after.recurrences > expected ? "worse" : "no_better");
  if (atEnd && after.recurrences >= 1 && after.recurrences > allowed) return of("ineffective", "no_better");
  const enough = expected >= (atEnd ? EXPECTED_MIN_AT_END : EXPECTED_MIN);
  if (!enough || success_rate === null || after.successes === 0) return of("inconclusive", "too_few_samples");
  if (success_rate < criteria.min_success_rate) return of(atEnd ? "ineffective" : "inconclusive", "success_rate");
  return of("effective", "fell");
}

/** The figures that a verdict stands on, each with what was wanted. */
export function verdictGates(
  before: Counted,
  after: Counted,
  criteria: VerdictCriteria,
  atEnd: boolean,
): readonly {
  readonly gate: string;
  readonly value: unknown;
  readonly threshold: unknown;
  readonly passed: boolean;
}[] {
  const { expected, success_rate } = judge(before, after, criteria, atEnd);
  const decrease = expected > 0 ? 1 - after.recurrences / expected : 0;
  const isNew = after.other_failures >= criteria.new_failures_max && after.other_failures > after.successes;
  const wanted = atEnd ? EXPECTED_MIN_AT_END : EXPECTED_MIN;
  const { min_decrease, new_failures_max, min_success_rate } = criteria;
  return [
    { gate: "samples", value: rounded(expected), threshold: wanted, passed: expected >= wanted },
    { gate: "decrease", value: rounded(decrease), threshold: min_decrease, passed: decrease >= min_decrease },
    { gate: "new_failures", value: after.other_failures, threshold: new_failures_max, passed: !isNew },
    {
      gate: "success_rate",
      value: success_rate === null ? null : rounded(success_rate),
      threshold: min_success_rate,
      passed: success_rate !== null && success_rate >= min_success_rate,
    },
  ];
}

const rounded = (value: number): number => Number(value.toFixed(3));
