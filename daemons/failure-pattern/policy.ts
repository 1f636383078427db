/** `failure-pattern-policy.json`: when repeated failures count as a pattern, and for how long patterns are kept. @module */
import { z } from "zod";
import { BASELINE_DAYS_MAX, BASELINE_DAYS_MIN } from "../../lib/domain/statistics/anomaly.js";
import { isZone } from "../../lib/domain/statistics/zones.js";
import { cronProblem } from "../../lib/schema/cron.js";
import { type PolicyDefinition, readPolicy } from "../../lib/schema/policy.js";
import { positiveSeconds, seconds } from "../../lib/schema/primitives.js";
import type { Problem } from "../../lib/schema/problems.js";

const share = z.number().min(0).max(1);
const days = z.number().gt(0).max(3660);
const severity = z.enum(["low", "medium", "high", "critical"]);

const shape = z.strictObject({
  enabled: z.boolean().optional().describe("false: events are read and counted, no pattern is published."),
  detection: z
    .strictObject({
      frequency_threshold: z.number().int().min(1).max(1_000_000).optional(),
      time_window_hours: z.number().gt(0).max(8784).optional(),
      similarity_threshold: share.optional(),
      confidence_threshold: share.optional(),
    })
    .optional()
    .describe(
      "A pattern is published from frequency_threshold failures within the window on; auto-fix sees it as active from confidence_threshold on.",
    ),
  temporal_analysis: z
    .strictObject({
      enabled: z.boolean().optional(),
      clustering_significance: z.number().gt(0).lt(1).optional(),
      time_zones: z.array(z.string().min(1)).optional(),
    })
    .optional()
    .describe("Whether failures prefer a time of day, in which zones, and how sure one must be."),
  correlation_analysis: z
    .strictObject({
      enabled: z.boolean().optional(),
      window_seconds: positiveSeconds.optional(),
      minimum_related_events: z.number().int().min(2).optional(),
    })
    .optional()
    .describe("Which failures follow each other within the window."),
  anomaly_detection: z
    .strictObject({
      enabled: z.boolean().optional(),
      sigma_threshold: z.number().gt(0).optional(),
      baseline_window_days: z.number().min(BASELINE_DAYS_MIN).max(BASELINE_DAYS_MAX).optional(),
    })
    .optional()
    .describe("Bursts, changed rates, and days that stand out from the days before them."),
  prediction: z
    .strictObject({
      enabled: z.boolean().optional(),
      horizon_minutes: z.number().gt(0).max(10_080).optional(),
      minimum_similar_samples: z.number().int().min(1).optional(),
      confidence_threshold: share.optional(),
    })
    .optional()
    .describe("Whether the next failure is forecast, and how sure one must be."),
  storage: z
    .strictObject({
      pattern_retention_days: days.optional(),
      event_retention_days: days.optional(),
      max_patterns: z.number().int().min(1).max(1_000_000).optional(),
    })
    .optional()
    .describe("For how long failure-pattern keeps patterns and logs of its own, and how many patterns at most."),
  failure_categories: z
    .record(
      z.string().regex(/^[a-z][a-z_]*$/),
      z.strictObject({
        types: z.array(z.string().regex(/^[a-z][a-z_]*$/)).optional(),
        default_severity: severity.optional(),
        retry_recommended: z.boolean().optional(),
      }),
    )
    .optional()
    .describe("Severity and advice for each category; what is not named here keeps its shipped values."),
  daily_report: z
    .strictObject({
      enabled: z.boolean().optional(),
      cron: z.string().min(1).optional(),
      timezone: z.string().min(1).optional(),
      keep_days: seconds.optional(),
    })
    .optional()
    .describe("When the daily report is written, as a cron expression in the time zone given."),
});

type Explicit = z.infer<typeof shape>;

export interface FailureCategory {
  readonly types: readonly string[];
  readonly default_severity: "low" | "medium" | "high" | "critical";
  readonly retry_recommended: boolean;
}

/** The settings in force. */
export interface FailurePatternSettings {
  readonly enabled: boolean;
  readonly detection: {
    readonly frequency_threshold: number;
    readonly time_window_hours: number;
    readonly similarity_threshold: number;
    readonly confidence_threshold: number;
  };
  readonly temporal_analysis: {
    readonly enabled: boolean;
    readonly clustering_significance: number;
    readonly time_zones: readonly string[];
  };
  readonly correlation_analysis: {
    readonly enabled: boolean;
    readonly window_seconds: number;
    readonly minimum_related_events: number;
  };
  readonly anomaly_detection: {
    readonly enabled: boolean;
    readonly sigma_threshold: number;
    readonly baseline_window_days: number;
  };
  readonly prediction: {
    readonly enabled: boolean;
    readonly horizon_minutes: number;
    readonly minimum_similar_samples: number;
    readonly confidence_threshold: number;
  };
  readonly storage: {
    readonly pattern_retention_days: number;
    readonly event_retention_days: number;
    readonly max_patterns: number;
  };
  readonly failure_categories: Readonly<Record<string, FailureCategory>>;
  readonly daily_report: {
    readonly enabled: boolean;
    readonly cron: string;
    readonly timezone: string;
    readonly keep_days: number;
  };
}

const DEFAULTS: Omit<FailurePatternSettings, "failure_categories"> = {
  enabled: true,
  detection: { frequency_threshold: 3, time_window_hours: 24, similarity_threshold: 0.85, confidence_threshold: 0.7 },
  temporal_analysis: { enabled: true, clustering_significance: 0.05, time_zones: ["UTC"] },
  correlation_analysis: { enabled: true, window_seconds: 300, minimum_related_events: 2 },
  anomaly_detection: { enabled: true, sigma_threshold: 3, baseline_window_days: 7 },
  prediction: { enabled: true, horizon_minutes: 30, minimum_similar_samples: 5, confidence_threshold: 0.8 },
  storage: { pattern_retention_days: 90, event_retention_days: 30, max_patterns: 1000 },
  daily_report: { enabled: true, cron: "0 6 * * *", timezone: "UTC", keep_days: 90 },
};

const category = (
  default_severity: FailureCategory["default_severity"],
  retry_recommended: boolean,
  types: string,
): FailureCategory => ({ types: types.split(" "), default_severity, retry_recommended });

/** Categories and types as the formats page names them. */
const CATEGORIES: Readonly<Record<string, FailureCategory>> = {
  transient: category("low", true, "network_timeout rate_limit resource_contention external_service_unavailable"),
  resource: category(
    "medium",
    false,
    "out_of_memory host_out_of_memory cpu_exhaustion token_budget_exceeded disk_full timeout unresponsive degraded_performance",
  ),
  systemic: category(
    "high",
    false,
    "uncaught_exception assertion_failure configuration_error dependency_missing api_error max_retries_exceeded recurring_failure crash_loop",
  ),
  data: category(
    "medium",
    false,
    "invalid_input data_corruption schema_violation concurrent_modification state_corruption",
  ),
  environmental: category("high", false, "permission_denied command_not_found path_not_found network_unreachable"),
  security: category(
    "high",
    false,
    "exposed_secret credential_leak api_key_exposed outdated_dependency vulnerable_dependency_version",
  ),
  unknown: category("medium", false, "unclassified killed"),
};

/** Fills in what was not given. */
export function complete(explicit: Explicit): FailurePatternSettings {
  return {
    enabled: explicit.enabled ?? DEFAULTS.enabled,
    detection: { ...DEFAULTS.detection, ...given(explicit.detection) },
    temporal_analysis: { ...DEFAULTS.temporal_analysis, ...given(explicit.temporal_analysis) },
    correlation_analysis: { ...DEFAULTS.correlation_analysis, ...given(explicit.correlation_analysis) },
    anomaly_detection: { ...DEFAULTS.anomaly_detection, ...given(explicit.anomaly_detection) },
    prediction: { ...DEFAULTS.prediction, ...given(explicit.prediction) },
    storage: { ...DEFAULTS.storage, ...given(explicit.storage) },
    failure_categories: categoriesOf(explicit.failure_categories ?? {}),
    daily_report: { ...DEFAULTS.daily_report, ...given(explicit.daily_report) },
  };
}

/** What was written, without keys whose value is undefined, so that they do not cover a default. */
function given<T extends object>(block: T | undefined): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(block ?? {}).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

/** A type that a person gives to one category leaves the one that it shipped in. */
function categoriesOf(explicit: NonNullable<Explicit["failure_categories"]>): Record<string, FailureCategory> {
  const moved = new Set(Object.values(explicit).flatMap(({ types }) => types ?? []));
  const all: Record<string, FailureCategory> = {};
  for (const [name, shipped] of Object.entries(CATEGORIES))
    all[name] = { ...shipped, types: shipped.types.filter((type) => !moved.has(type)) };
  for (const [name, own] of Object.entries(explicit))
    all[name] = {
      ...(all[name] ?? { types: [], default_severity: "medium", retry_recommended: false }),
      ...given(own),
    };
  return all;
}

/** The category of a type as the policy has it; the rule's own where the policy names the type nowhere. */
export function categoryOf(settings: FailurePatternSettings, type: string, ofRule: string): string {
  const found = Object.entries(settings.failure_categories).find(([, { types }]) => types.includes(type));
  return found === undefined ? ofRule : found[0];
}

/** What only code can check: time zones, and the expression of the report's time. */
function check(explicit: Explicit): readonly Problem[] {
  const problems: Problem[] = [];
  const zone = (field: string, value: string | undefined): void => {
    if (value !== undefined && !isZone(value))
      problems.push({ field, message: `must be a time zone such as Europe/Berlin, got ${JSON.stringify(value)}` });
  };
  for (const [index, value] of (explicit.temporal_analysis?.time_zones ?? []).entries())
    zone(`temporal_analysis.time_zones[${index}]`, value);
  zone("daily_report.timezone", explicit.daily_report?.timezone);
  const cron = explicit.daily_report?.cron;
  const fault = cron === undefined ? null : cronProblem(cron);
  if (fault !== null) problems.push({ field: "daily_report.cron", message: fault });
  return [...problems, ...typesNamedTwice(explicit.failure_categories ?? {})];
}

function typesNamedTwice(categories: NonNullable<Explicit["failure_categories"]>): readonly Problem[] {
  const named = new Map<string, string>();
  return Object.entries(categories).flatMap(([name, { types = [] }]) =>
    types.flatMap((type, index): Problem[] => {
      const other = named.get(type);
      named.set(type, name);
      const field = `failure_categories.${name}.types[${index}]`;
      return other === undefined ? [] : [{ field, message: `must be of one category, ${type} is of ${other} too` }];
    }),
  );
}

export const failurePatternPolicy: PolicyDefinition<FailurePatternSettings, Explicit> = {
  name: "failure-pattern-policy",
  shape,
  complete,
  check,
  dialect: {
    "correlation_analysis.correlation_window_seconds": "correlation_analysis.window_seconds",
    "prediction.prediction_horizon_minutes": "prediction.horizon_minutes",
    "storage.pattern_database": null,
    "storage.pattern_index": null,
    "observability.daily_reports": "daily_report.enabled",
  },
};

/** Reads the policy's parsed JSON; `undefined` means that there is no file. */
export const readFailurePatternPolicy = (raw: unknown) => readPolicy(failurePatternPolicy, raw);
