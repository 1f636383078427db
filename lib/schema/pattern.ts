/** A failure pattern as it stands in `patterns/failure-patterns.jsonl`: a snapshot, of which the last line counts. @module */
import { z } from "zod";
import { count, instantSchema } from "./primitives.js";

export const PATTERN_STATUSES = ["active", "resolved"] as const;
export const EVIDENCE_KINDS = ["kernel", "exit", "code", "text"] as const;
export const PATTERN_SEVERITIES = ["low", "medium", "high", "critical"] as const;
export type EvidenceKind = (typeof EVIDENCE_KINDS)[number];
export type PatternSeverity = (typeof PATTERN_SEVERITIES)[number];

const share = z.number().min(0).max(1);

export const patternSchema = z.looseObject({
  pattern_id: z.string(),
  category: z.string(),
  type: z.string(),
  worker_type: z.string().nullish(),
  status: z.enum(PATTERN_STATUSES),
  confidence: share,
  actionable: z.boolean().nullish(),
  retry_recommended: z.boolean().nullish(),
  evidence: z.enum(EVIDENCE_KINDS),
  severity: z.enum(PATTERN_SEVERITIES),
  signature: z.string(),
  frequency: z.looseObject({
    total_occurrences: count,
    window_occurrences: count,
    first_seen: instantSchema,
    last_seen: instantSchema,
    active_since: instantSchema.nullish(),
    rate_per_hour: z.number().min(0),
    mean_gap_seconds: z.number().min(0).nullish(),
    share_of_recent: z.looseObject({ occurrences: count, of: count }).nullish(),
    by_hour: z.array(count).nullish(),
  }),
  temporal: z
    .looseObject({
      peak_hour: z.number().min(0).max(24).nullish(),
      time_zone: z.string().nullish(),
      cycle_hours: z.number().nullish(),
      p_value: share.nullish(),
      burst: z.looseObject({ occurrences: count, seconds: z.number(), ended_at: instantSchema }).nullish(),
      anomaly: z
        .looseObject({ day: z.string(), occurrences: count, usual_per_day: z.number(), sigmas: z.number() })
        .nullish(),
      rate_change: z.looseObject({ factor: z.number(), since: instantSchema }).nullish(),
    })
    .nullish(),
  correlation: z
    .looseObject({
      follows: z
        .array(
          z.looseObject({
            pattern: z.string(),
            occurrences: count,
            expected: z.number(),
            p_value: share,
            lag_seconds: z.number(),
          }),
        )
        .nullish(),
    })
    .nullish(),
  forecast: z
    .looseObject({
      expected_before: instantSchema,
      probability: share,
      horizon_minutes: z.number(),
      skill: z.number(),
      samples: count,
    })
    .nullish(),
  root_cause: z.string(),
  message: z.string(),
  workers: z.array(z.string()).nullish(),
  tasks: z.array(z.string()).nullish(),
  example_event_ids: z.array(z.string()).nullish(),
  example: z.string().nullish(),
  updated_at: instantSchema,
});
/** The record as it stands on disk. */
export type PatternRecord = z.infer<typeof patternSchema>;

/** Whether fixes may act upon a pattern now: it is active, and its classification is sure enough for the policy. */
export function isOpenToFixes(pattern: Pick<PatternRecord, "status" | "actionable">): boolean {
  return pattern.status === "active" && pattern.actionable !== false;
}

export const patternIndexSchema = z.looseObject({
  updated_at: instantSchema,
  patterns: count,
  active: count,
  by_category: z.record(z.string(), count),
  by_type: z.record(z.string(), count),
  by_worker_type: z.record(z.string(), count),
  by_severity: z.record(z.string(), count),
});
export type PatternIndex = z.infer<typeof patternIndexSchema>;
