/** `auto-fix-policy.json`: which fixes may be applied, how often, how far, and who is asked. @module */
import { z } from "zod";
import { type DialectRule, isPlain } from "../../lib/schema/dialect.js";
import { type PolicyDefinition, readPolicy, type WholeFile } from "../../lib/schema/policy.js";
import { count, positiveSeconds, seconds } from "../../lib/schema/primitives.js";
import type { Problem } from "../../lib/schema/problems.js";

const share = z.number().min(0).max(1);
const rate = z.strictObject({ max_fixes_per_hour: count.optional(), max_fixes_per_day: count.optional() });
const rates = z.record(z.string().min(1), rate);

const shape = z.strictObject({
  enabled: z.boolean().optional().describe("false: no fix is matched, proposed or applied."),
  dry_run: z
    .boolean()
    .optional()
    .describe(
      "true: everything is decided and written down, and nothing is changed. Also true while there is no policy file.",
    ),
  notification_enabled: z.boolean().optional().describe("Whether people are told."),
  min_confidence_threshold: share
    .optional()
    .describe("Confidence of a pattern's classification below which no fix is tried."),
  max_fixes_per_hour: count.optional().describe("Fixes in any 60 minutes, at most. 0 stops all fixes."),
  max_fixes_per_day: count.optional().describe("Fixes in any 24 hours, at most."),
  max_concurrent_fixes: z.number().int().min(1).max(1000).optional().describe("Fixes under way or in verification."),
  min_seconds_between_fixes: seconds.optional().describe("Seconds between two fixes, whatever they are for."),
  cooldown_seconds: seconds
    .optional()
    .describe("Seconds before the same fix may be applied to the same subject again."),
  min_pattern_occurrences: z
    .number()
    .int()
    .min(1)
    .optional()
    .describe("A pattern counts only from this many occurrences on."),
  max_pattern_age_hours: z
    .number()
    .gt(0)
    .optional()
    .describe("A pattern that was not seen for this many hours is not fixed."),
  safety: z
    .strictObject({ apply_at: share.optional(), watch_at: share.optional(), ask_at: share.optional() })
    .optional()
    .describe(
      "The trust that a fix needs to be applied, applied and watched closely, or proposed. Below all three it is refused.",
    ),
  approval: z
    .strictObject({
      expires_after_seconds: positiveSeconds.optional(),
      for_medium_risk: z.boolean().optional(),
      for_high_risk: z.boolean().optional(),
    })
    .optional()
    .describe("For how long a proposal waits for a person, and which risks always need approval."),
  limits: z
    .strictObject({
      max_change_from_baseline: z.number().gt(1).optional(),
      memory_commit_max: z.number().gt(0).max(1).optional(),
      per_category: rates.optional(),
      per_worker_type: rates.optional(),
      per_target: z.strictObject({ max_per_day: count.optional() }).optional(),
      per_fix: z.strictObject({ min_seconds_between: seconds.optional(), max_per_day: count.optional() }).optional(),
    })
    .optional()
    .describe("How far a value may move from its original value, and how often each kind of fix may run."),
  blast_radius: z
    .strictObject({
      max_fraction_per_hour: share.optional(),
      max_workers_per_hour: count.optional(),
      min_workers: count.optional(),
    })
    .optional()
    .describe("The part of the fleet that fixes may touch in any 60 minutes."),
  breaker: z
    .strictObject({ window_fixes: z.number().int().min(2).optional(), ineffective_fraction: share.optional() })
    .optional()
    .describe(
      "auto-fix's own breaker: when so many of the last fixes did not help, it tries no more until a person says so.",
    ),
  verification: z
    .strictObject({
      window_seconds: positiveSeconds.optional(),
      check_interval_seconds: positiveSeconds.optional(),
      min_success_rate: share.optional(),
    })
    .optional()
    .describe("For how long a fix is watched, and what it must achieve to count as effective."),
  undo: z
    .strictObject({ on_ineffective: z.boolean().optional(), max_attempts: count.optional() })
    .optional()
    .describe("Whether a fix that did not help is undone automatically."),
  categories: z
    .record(
      z.string().min(1),
      z.strictObject({
        enabled: z.boolean().optional(),
        requires_approval: z.boolean().optional(),
        reason: z.string().optional(),
      }),
    )
    .optional()
    .describe("Settings for whole categories of fixes."),
  learning: z
    .strictObject({ enabled: z.boolean().optional(), min_samples: count.optional() })
    .optional()
    .describe("Whether trust in a fix follows its verdicts, and how many it takes."),
});

type Explicit = z.infer<typeof shape>;

interface Rate {
  readonly max_fixes_per_hour?: number | undefined;
  readonly max_fixes_per_day?: number | undefined;
}

/** The settings in force; durations in seconds as in the file. */
export interface AutoFixSettings {
  readonly enabled: boolean;
  readonly dry_run: boolean;
  readonly notification_enabled: boolean;
  readonly min_confidence_threshold: number;
  readonly max_fixes_per_hour: number;
  readonly max_fixes_per_day: number;
  readonly max_concurrent_fixes: number;
  readonly min_seconds_between_fixes: number;
  readonly cooldown_seconds: number;
  readonly min_pattern_occurrences: number;
  readonly max_pattern_age_hours: number;
  readonly safety: { readonly apply_at: number; readonly watch_at: number; readonly ask_at: number };
  readonly approval: {
    readonly expires_after_seconds: number;
    readonly for_medium_risk: boolean;
    readonly for_high_risk: boolean;
  };
  readonly limits: {
    readonly max_change_from_baseline: number;
    readonly memory_commit_max: number;
    readonly per_category: Readonly<Record<string, Rate>>;
    readonly per_worker_type: Readonly<Record<string, Rate>>;
    readonly per_target: { readonly max_per_day: number };
    readonly per_fix: { readonly min_seconds_between: number; readonly max_per_day: number };
  };
  readonly blast_radius: {
    readonly max_fraction_per_hour: number;
    readonly max_workers_per_hour: number;
    readonly min_workers: number;
  };
  readonly breaker: { readonly window_fixes: number; readonly ineffective_fraction: number };
  readonly verification: {
    readonly window_seconds: number;
    readonly check_interval_seconds: number;
    readonly min_success_rate: number;
  };
  readonly undo: { readonly on_ineffective: boolean; readonly max_attempts: number };
  readonly categories: Readonly<Record<string, FixCategory>>;
  readonly learning: { readonly enabled: boolean; readonly min_samples: number };
}

interface FixCategory {
  readonly enabled?: boolean | undefined;
  readonly requires_approval?: boolean | undefined;
  readonly reason?: string | undefined;
}

/**
 * Whether a file is live where it does not name `dry_run`: as soon as it sets anything, at the top or for a type.
 *
 * Asked of the whole file and not of one type's settings: else a file of overrides alone would be live for those types while
 * all that shows the settings at the top says dry run. An override that names `dry_run` speaks for its own type: one
 * type that is tried live must not take the others along.
 */
function isLive({ top, overrides }: WholeFile<Explicit>): boolean {
  return [top, ...Object.values(overrides).filter((own) => own.dry_run === undefined)].some(setsAnything);
}

/** An empty block sets nothing. */
function setsAnything(value: unknown): boolean {
  return isPlain(value) ? Object.values(value).some(setsAnything) : value !== undefined;
}

/** Fills in what was not given. Without a single setting, as without a file, nothing may be changed: a dry run. */
export function complete(
  explicit: Explicit,
  file: WholeFile<Explicit> = { top: explicit, overrides: {} },
): AutoFixSettings {
  const { safety = {}, approval = {}, limits = {}, blast_radius = {}, verification = {}, undo = {} } = explicit;
  return {
    enabled: explicit.enabled ?? true,
    dry_run: explicit.dry_run ?? !isLive(file),
    notification_enabled: explicit.notification_enabled ?? true,
    min_confidence_threshold: explicit.min_confidence_threshold ?? 0.7,
    max_fixes_per_hour: explicit.max_fixes_per_hour ?? 10,
    max_fixes_per_day: explicit.max_fixes_per_day ?? 50,
    max_concurrent_fixes: explicit.max_concurrent_fixes ?? 3,
    min_seconds_between_fixes: explicit.min_seconds_between_fixes ?? 0,
    cooldown_seconds: explicit.cooldown_seconds ?? 300,
    min_pattern_occurrences: explicit.min_pattern_occurrences ?? 3,
    max_pattern_age_hours: explicit.max_pattern_age_hours ?? 48,
    safety: { apply_at: safety.apply_at ?? 0.9, watch_at: safety.watch_at ?? 0.7, ask_at: safety.ask_at ?? 0.5 },
    approval: {
      expires_after_seconds: approval.expires_after_seconds ?? 14_400,
      for_medium_risk: approval.for_medium_risk ?? false,
      for_high_risk: approval.for_high_risk ?? true,
    },
    limits: {
      max_change_from_baseline: limits.max_change_from_baseline ?? 2,
      memory_commit_max: limits.memory_commit_max ?? 0.8,
      per_category: limits.per_category ?? {},
      per_worker_type: limits.per_worker_type ?? {},
      per_target: { max_per_day: limits.per_target?.max_per_day ?? 20 },
      per_fix: {
        min_seconds_between: limits.per_fix?.min_seconds_between ?? 3600,
        max_per_day: limits.per_fix?.max_per_day ?? 3,
      },
    },
    blast_radius: {
      max_fraction_per_hour: blast_radius.max_fraction_per_hour ?? 0.25,
      max_workers_per_hour: blast_radius.max_workers_per_hour ?? 25,
      min_workers: blast_radius.min_workers ?? 5,
    },
    breaker: {
      window_fixes: explicit.breaker?.window_fixes ?? 6,
      ineffective_fraction: explicit.breaker?.ineffective_fraction ?? 0.5,
    },
    verification: {
      window_seconds: verification.window_seconds ?? 3600,
      check_interval_seconds: verification.check_interval_seconds ?? 60,
      min_success_rate: verification.min_success_rate ?? 0.75,
    },
    undo: { on_ineffective: undo.on_ineffective ?? true, max_attempts: undo.max_attempts ?? 2 },
    categories: explicit.categories ?? {},
    learning: { enabled: explicit.learning?.enabled ?? true, min_samples: explicit.learning?.min_samples ?? 5 },
  };
}

/** Only values that were given are compared. */
function check(explicit: Explicit): Problem[] {
  const { apply_at: apply, watch_at: watch, ask_at: ask } = explicit.safety ?? {};
  const problems: Problem[] = [];
  if (watch !== undefined && apply !== undefined && watch > apply)
    problems.push({ field: "safety.watch_at", message: `must be <= apply_at (${apply}), got ${watch}` });
  if (ask !== undefined && watch !== undefined && ask > watch)
    problems.push({ field: "safety.ask_at", message: `must be <= watch_at (${watch}), got ${ask}` });
  return problems;
}

/** A value in another unit; what is no number goes on as it is, so that the strict check names it. */
const times =
  (target: string, factor: number): DialectRule =>
  (value, put) =>
    put(target, typeof value === "number" ? value * factor : value);

const asCategories: DialectRule = (value, put) => {
  if (typeof value !== "object" || value === null) return put("categories", value);
  const renamed = Object.entries(value).map(([name, own]) => {
    if (typeof own !== "object" || own === null) return [name, own];
    // Each fix names its own score here, so that one for its category would never count.
    const {
      require_approval: requires_approval,
      default_safety_score: _never,
      ...rest
    } = own as Record<string, unknown>;
    return [name, requires_approval === undefined ? rest : { ...rest, requires_approval }];
  });
  put("categories", Object.fromEntries(renamed));
};

export const autoFixPolicy: PolicyDefinition<AutoFixSettings, Explicit> = {
  name: "auto-fix-policy",
  shape,
  complete,
  check,
  dialect: {
    "global_settings.auto_fix_enabled": "enabled",
    "global_settings.require_approval_for_medium_risk": "approval.for_medium_risk",
    "global_settings.require_approval_for_high_risk": "approval.for_high_risk",
    "global_settings.max_concurrent_fixes": "max_concurrent_fixes",
    "global_settings.min_time_between_fixes_minutes": times("min_seconds_between_fixes", 60),
    "safety_thresholds.min_safety_score_for_auto_apply": "safety.apply_at",
    "safety_thresholds.min_safety_score_for_monitored_apply": "safety.watch_at",
    "safety_thresholds.min_safety_score_for_approval_required": "safety.ask_at",
    "safety_thresholds.min_safety_score_for_rejection": null,
    "pattern_matching.min_pattern_confidence": "min_confidence_threshold",
    "pattern_matching.min_pattern_occurrences": "min_pattern_occurrences",
    "pattern_matching.max_pattern_age_hours": "max_pattern_age_hours",
    "pattern_matching.require_active_pattern": null,
    "rate_limiting.global.max_fixes_per_hour": "max_fixes_per_hour",
    "rate_limiting.global.max_fixes_per_day": "max_fixes_per_day",
    "rate_limiting.per_category": "limits.per_category",
    "rate_limiting.per_worker_type": "limits.per_worker_type",
    "rate_limiting.per_fix.min_time_between_applications_minutes": times("limits.per_fix.min_seconds_between", 60),
    "rate_limiting.per_fix.max_applications_per_day": "limits.per_fix.max_per_day",
    "validation.default_monitoring_period_hours": times("verification.window_seconds", 3600),
    "validation.validation_check_interval_minutes": times("verification.check_interval_seconds", 60),
    "validation.min_success_rate_threshold": "verification.min_success_rate",
    "validation.auto_rollback_on_failure": "undo.on_ineffective",
    "validation.rollback_delay_minutes": null,
    "approval_workflow.approval_timeout_hours": times("approval.expires_after_seconds", 3600),
    "rollback.max_rollback_attempts": "undo.max_attempts",
    "learning.min_applications_for_learning": "learning.min_samples",
    "learning.track_fix_success_rate": null,
    "learning.adjust_safety_scores": null,
    "learning.success_threshold_for_score_increase": null,
    "learning.failure_threshold_for_score_decrease": null,
    "learning.score_adjustment_delta": null,
    fix_categories: asCategories,
    global_settings: null,
    safety_thresholds: null,
    pattern_matching: null,
    rate_limiting: null,
    validation: null,
    approval_workflow: null,
    rollback: null,
    token_budget: null,
  },
};

/** Reads the policy's parsed JSON; `undefined` means that there is no file. */
export const readAutoFixPolicy = (raw: unknown) => readPolicy(autoFixPolicy, raw);
