/** A pattern as it is published. Pure. @module */
import { patternSentence, rootCauseOf } from "../../lib/domain/pattern-words.js";
import { type FindingOptions, findingsIn, RECENT_MAX } from "../../lib/domain/statistics/history.js";
import { countWithin, ratePerHour } from "../../lib/domain/statistics/rate-windows.js";
import type { PatternRecord } from "../../lib/schema/pattern.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import type { FailurePatternSettings } from "./policy.js";
import type { PatternPart } from "./state.js";

const HOUR_MS = 3_600_000;
const HOURS_SHOWN = 24;
const EXAMPLE_MAX = 400;
const SIGNATURE_MAX = 200;

/** Failures within the window that ends at an instant. */
export function windowCount(pattern: PatternPart, atMs: number, settings: FailurePatternSettings): number {
  const windowMs = settings.detection.time_window_hours * HOUR_MS;
  const recent = pattern.history.recent.filter((each) => each > atMs - windowMs && each <= atMs).length;
  // The list of instants ends somewhere; the hours go on, a little coarser.
  return recent < RECENT_MAX ? recent : Math.max(recent, countWithin(pattern.history.hours, atMs, windowMs));
}

export function rateOf(pattern: PatternPart, atMs: number, settings: FailurePatternSettings): number {
  const windowMs = settings.detection.time_window_hours * HOUR_MS;
  const since = Math.max(pattern.history.first_ms, pattern.active_since_ms ?? pattern.history.first_ms - windowMs);
  return ratePerHour(windowCount(pattern, atMs, settings), since, atMs, windowMs);
}

/** The mean time between the last failures, of this time that it is active where there are enough, seconds; null before three. */
export function meanGapSeconds(pattern: PatternPart): number | null {
  const { recent } = pattern.history;
  const now = recent.filter((each) => each >= (pattern.active_since_ms ?? 0));
  const some = now.length >= 3 ? now : recent;
  const [first, last] = [some[0], some.at(-1)];
  if (first === undefined || last === undefined || some.length < 3 || last === first) return null;
  return (last - first) / (some.length - 1) / 1000;
}

/** When the failures that are now active began; of a pattern that is over, its first. */
export function sinceMs(pattern: PatternPart): number {
  return Math.max(
    pattern.history.first_ms,
    Math.min(pattern.active_since_ms ?? pattern.history.first_ms, pattern.history.last_ms),
  );
}

/** The confidence that is published: of the classification, times the purity of the group. */
export function confidenceOf(pattern: PatternPart): number {
  return rounded(pattern.confidence * pattern.purity, 2);
}

export function findingOptions({ anomaly_detection, prediction }: FailurePatternSettings): FindingOptions {
  const { sigma_threshold, baseline_window_days } = anomaly_detection;
  return {
    anomaly: { sigmas: sigma_threshold, baselineDays: baseline_window_days },
    chance: prediction.confidence_threshold,
  };
}

export function sentenceOf(pattern: PatternPart, nowMs: number, settings: FailurePatternSettings): string {
  const tellsNext = pattern.status === "active" && settings.prediction.enabled;
  const facts = {
    type: pattern.type,
    workerType: pattern.worker_type,
    isActive: pattern.status === "active",
    total: pattern.history.total,
    share: pattern.share,
    sinceMs: sinceMs(pattern),
    lastSeenMs: pattern.history.last_ms,
    meanGapSeconds: meanGapSeconds(pattern),
    expectedBeforeMs: tellsNext
      ? (findingsIn(pattern.history, nowMs, findingOptions(settings)).forecast?.beforeMs ?? null)
      : null,
  };
  return patternSentence(facts, (atMs) => `${writeInstant(atMs).slice(0, 16)}Z`).slice(0, 160);
}

/** The snapshot of a pattern. */
export function recordOf(pattern: PatternPart, nowMs: number, settings: FailurePatternSettings): PatternRecord {
  const gap = meanGapSeconds(pattern);
  const window = windowCount(pattern, nowMs, settings);
  return {
    pattern_id: pattern.pattern_id,
    category: pattern.category,
    type: pattern.type,
    worker_type: pattern.worker_type,
    status: pattern.status === "active" ? "active" : "resolved",
    confidence: confidenceOf(pattern),
    actionable: confidenceOf(pattern) >= settings.detection.confidence_threshold,
    retry_recommended: settings.failure_categories[pattern.category]?.retry_recommended ?? false,
    evidence: pattern.evidence,
    severity: pattern.severity,
    signature: pattern.template.slice(0, SIGNATURE_MAX),
    frequency: {
      total_occurrences: pattern.history.total,
      window_occurrences: window,
      first_seen: writeInstant(pattern.history.first_ms),
      last_seen: writeInstant(pattern.history.last_ms),
      active_since: writeInstant(sinceMs(pattern)),
      rate_per_hour: rounded(rateOf(pattern, nowMs, settings), 3),
      ...(gap === null ? {} : { mean_gap_seconds: rounded(gap, 1) }),
      share_of_recent: pattern.share,
      by_hour: byHour(pattern, nowMs),
    },
    ...aboutTime(pattern, nowMs, settings),
    ...(pattern.follows.length === 0 || !settings.correlation_analysis.enabled
      ? {}
      : { correlation: { follows: pattern.follows.map((each) => ({ ...each })) } }),
    root_cause: rootCauseOf({ ...pattern, cause: pattern.root_cause, occurrences: pattern.history.total }),
    message: sentenceOf(pattern, nowMs, settings),
    workers: [...pattern.workers].slice(-10),
    tasks: [...pattern.tasks].slice(-10),
    example_event_ids: [...pattern.examples],
    example: pattern.example.slice(0, EXAMPLE_MAX),
    updated_at: writeInstant(nowMs),
  };
}

/** Bursts, cycles, changes and forecasts, where there are any. */
function aboutTime(
  pattern: PatternPart,
  nowMs: number,
  settings: FailurePatternSettings,
): Pick<PatternRecord, "temporal" | "forecast"> {
  const { burst, anomaly, cycle, rateChange, forecast } = findingsIn(pattern.history, nowMs, findingOptions(settings));
  const temporal = {
    ...(cycle === null || !settings.temporal_analysis.enabled
      ? {}
      : {
          peak_hour: rounded(cycle.peakHour, 1),
          cycle_hours: cycle.cycleHours,
          time_zone: cycle.zone,
          p_value: cycle.p_value,
        }),
    ...(burst === null || !settings.anomaly_detection.enabled
      ? {}
      : {
          burst: {
            occurrences: burst.occurrences,
            seconds: Math.round((burst.toMs - burst.fromMs) / 1000),
            ended_at: writeInstant(burst.toMs),
          },
        }),
    ...(anomaly === null || !settings.anomaly_detection.enabled
      ? {}
      : {
          anomaly: {
            day: writeInstant(anomaly.dayMs).slice(0, 10),
            occurrences: anomaly.occurrences,
            usual_per_day: rounded(anomaly.usualPerDay, 2),
            sigmas: rounded(anomaly.sigmas, 1),
          },
        }),
    ...(rateChange === null || !settings.anomaly_detection.enabled
      ? {}
      : { rate_change: { factor: rounded(rateChange.factor, 1), since: writeInstant(rateChange.since_ms) } }),
  };
  return {
    ...(Object.keys(temporal).length === 0 ? {} : { temporal }),
    ...(forecast === null || !settings.prediction.enabled || pattern.status !== "active"
      ? {}
      : {
          forecast: {
            expected_before: writeInstant(forecast.beforeMs),
            probability: rounded(forecast.chance, 2),
            horizon_minutes: settings.prediction.horizon_minutes,
            skill: rounded(forecast.skill, 3),
            samples: forecast.samples,
          },
        }),
  };
}

/** Failures in each of the last 24 hours that something is known of, oldest first. */
function byHour(pattern: PatternPart, nowMs: number): number[] {
  const last = Math.floor(Math.min(nowMs, pattern.status === "active" ? nowMs : pattern.history.last_ms) / HOUR_MS);
  const counts = new Map(pattern.history.hours);
  return Array.from({ length: HOURS_SHOWN }, (_, index) => counts.get(last - HOURS_SHOWN + 1 + index) ?? 0);
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
