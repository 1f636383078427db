/**
 * Whether now is a good moment for something that is planned, such as a restart before memory runs out.
 *
 * A component is compared with itself: it is quiet when its load stays below a share of what is usual for it. One that is
 * never quiet, or that says nothing of its load, is waited for only until shortly before the forecast comes true.
 *
 * @module
 */
import type { Sample } from "./metric-conditions.js";

export interface QuietRule {
  /** Load at or below this share of the usual one is quiet; 0 to 1. */
  readonly share: number;
  /** For so long. */
  readonly for_seconds: number;
  /** So long before the forecast comes true no more is waited. */
  readonly latest_seconds: number;
}

export interface QuietAnswer {
  /** What the load goes by; null if nothing that it could go by is known. */
  readonly metric: string | null;
  /** The highest load of the latest samples, and the median of the last day; null: not known. */
  readonly load: number | null;
  readonly usual: number | null;
  readonly is_quiet: boolean;
  /** Epoch milliseconds. */
  readonly latest_at_ms: number;
}

const DAY_MS = 86_400_000;
/** One low sample may be chance. */
const LATEST_SAMPLES_MIN = 2;
/** What is usual is not known from fewer. */
const USUAL_SAMPLES_MIN = 5;

/** @param load Samples of the metric, in the order of time. @param meetsInSeconds When the forecast comes true. */
export function askQuiet(
  rule: QuietRule,
  metric: string | null,
  load: readonly Sample[],
  meetsInSeconds: number,
  nowMs: number,
): QuietAnswer {
  const latest_at_ms = nowMs + (meetsInSeconds - rule.latest_seconds) * 1000;
  const day = load.filter(({ at_ms }) => at_ms <= nowMs && at_ms > nowMs - DAY_MS);
  const latest = day.filter(({ at_ms }) => at_ms >= nowMs - rule.for_seconds * 1000);
  if (latest.length < LATEST_SAMPLES_MIN || day.length < USUAL_SAMPLES_MIN)
    return { metric, load: null, usual: null, is_quiet: false, latest_at_ms };
  const highest = Math.max(...latest.map(({ value }) => value));
  const usual = median(day.map(({ value }) => value));
  return { metric, load: highest, usual, is_quiet: highest <= rule.share * usual, latest_at_ms };
}

/** Whether what is planned is done now. */
export function isDue(answer: QuietAnswer, nowMs: number): boolean {
  return answer.is_quiet || nowMs >= answer.latest_at_ms;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
