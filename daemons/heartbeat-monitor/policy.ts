/** `heartbeat-policy.json`: when a worker is late, suspect, dead; and how carefully it is ended. @module */
import { z } from "zod";
import { type Policy, type PolicyDefinition, readPolicy } from "../../lib/schema/policy.js";
import { count, positiveSeconds, seconds } from "../../lib/schema/primitives.js";
import type { Problem } from "../../lib/schema/problems.js";

const fraction = z.number().gt(0).max(1);

const shape = z.strictObject({
  heartbeat_interval_seconds: positiveSeconds
    .optional()
    .describe(
      "Seconds between two beats of a worker. Workers that are started from then on are told it, unless their specs name another. Shorter sees a hang sooner and costs more.",
    ),
  heartbeat_timeout_seconds: positiveSeconds
    .optional()
    .describe("Silence in seconds after which a worker is critical. At least two intervals."),
  zombie_threshold_seconds: positiveSeconds
    .optional()
    .describe("Silence in seconds after which a verified silent worker is ended and restarted."),
  health_score_decay_rate: z
    .number()
    .min(0)
    .max(100)
    .optional()
    .describe("Points taken from the health score for each missed interval. 0 turns decay off."),
  min_health_score: z
    .number()
    .min(0)
    .max(100)
    .optional()
    .describe("Score below which a worker is ill. 0 turns the rule off."),
  unhealthy_grace_seconds: seconds
    .optional()
    .describe("Seconds that a reported score may stay below the minimum before the worker is unhealthy."),
  unhealthy_action: z
    .enum(["alert", "restart"])
    .optional()
    .describe("What follows for an unhealthy worker. A restart loses the evidence."),
  warning_threshold_seconds: positiveSeconds
    .optional()
    .describe("Silence in seconds before a warning. Default: two intervals, at most the time-out."),
  startup_grace_seconds: seconds
    .optional()
    .describe("Seconds a worker has for its first beat. Default: the zombie threshold."),
  verify_delay_seconds: seconds
    .optional()
    .describe("Seconds between the two looks before a verdict. The second is on the threshold."),
  busy_multiple: z
    .number()
    .min(1)
    .max(100)
    .optional()
    .describe("A silent worker whose output or children move has this many zombie thresholds."),
  blocked_multiple: z
    .number()
    .min(1)
    .max(100)
    .optional()
    .describe("A worker with a blocked event loop has this many zombie thresholds."),
  progress_timeout_seconds: positiveSeconds
    .nullish()
    .describe("Seconds without progress before a beating worker is stuck. null: never."),
  paused_action: z
    .enum(["alert", "restart"])
    .optional()
    .describe("What follows when a paused worker passes paused_limit_seconds."),
  paused_limit_seconds: positiveSeconds.optional().describe("Seconds between two alerts for a paused worker."),
  max_cleanups_per_minute: z
    .number()
    .int()
    .min(1)
    .max(100_000)
    .optional()
    .describe("Silent workers ended in any 60 seconds, at most."),
  zombie_retention_hours: z
    .number()
    .gt(0)
    .optional()
    .describe("Hours that evidence stays in zombie/ before it goes to archived/."),
  mass_failure: z
    .strictObject({
      enabled: z.boolean().optional(),
      min_workers: z.number().int().min(1).optional(),
      fraction: fraction.optional(),
      max_workers: z.number().int().min(1).optional(),
      per_type: z
        .strictObject({ min_workers: z.number().int().min(1).optional(), fraction: fraction.optional() })
        .optional(),
      window_seconds: positiveSeconds.optional(),
      hold_seconds: positiveSeconds.optional(),
      clear_fraction: z.number().min(0).max(1).optional(),
      clear_seconds: seconds.optional(),
    })
    .optional()
    .describe("When so many workers look dead together, nothing is killed and a person is asked."),
  boot: z
    .strictObject({
      resume: z.boolean().optional(),
      delay_seconds: seconds.optional(),
      per_second: z.number().gt(0).optional(),
    })
    .optional()
    .describe("How the workers of before a reboot are brought back."),
  detector: z
    .enum(["fixed", "phi"])
    .optional()
    .describe("fixed: the thresholds above. phi: learnt from each worker's own gaps, within them."),
  sample_interval_seconds: positiveSeconds
    .min(1)
    .optional()
    .describe("Seconds between two samples of each worker in metrics/samples.jsonl. Shorter costs CPU and disk."),
  log: z
    .strictObject({
      max_mb: z.number().gt(0).optional(),
      keep_attempts: count.optional(),
      total_mb: z.number().gt(0).optional(),
    })
    .optional()
    .describe("Limits on the output that workers leave in agents/logs/workers/."),
  hook_timeout_seconds: positiveSeconds.optional().describe("Seconds that hooks/before_kill may take."),
});

type Explicit = z.infer<typeof shape>;

/** The settings in force; durations in seconds as in the file. */
export interface HeartbeatSettings {
  readonly heartbeat_interval_seconds: number;
  readonly heartbeat_timeout_seconds: number;
  readonly zombie_threshold_seconds: number;
  readonly health_score_decay_rate: number;
  readonly min_health_score: number;
  readonly unhealthy_grace_seconds: number;
  readonly unhealthy_action: "alert" | "restart";
  readonly warning_threshold_seconds: number;
  readonly startup_grace_seconds: number;
  readonly verify_delay_seconds: number;
  readonly busy_multiple: number;
  readonly blocked_multiple: number;
  readonly progress_timeout_seconds: number | null;
  readonly paused_action: "alert" | "restart";
  readonly paused_limit_seconds: number;
  readonly max_cleanups_per_minute: number;
  readonly zombie_retention_hours: number;
  readonly mass_failure: {
    readonly enabled: boolean;
    readonly min_workers: number;
    readonly fraction: number;
    readonly max_workers: number;
    readonly per_type: { readonly min_workers: number; readonly fraction: number };
    readonly window_seconds: number;
    readonly hold_seconds: number;
    readonly clear_fraction: number;
    readonly clear_seconds: number;
  };
  readonly boot: { readonly resume: boolean; readonly delay_seconds: number; readonly per_second: number };
  readonly detector: "fixed" | "phi";
  readonly sample_interval_seconds: number;
  readonly log: { readonly max_mb: number; readonly keep_attempts: number; readonly total_mb: number };
  readonly hook_timeout_seconds: number;
}

export type HeartbeatPolicy = Policy<HeartbeatSettings>;

/** Fills in what was not given. Thresholds derive from each other, so that a short interval alone is a sound policy. */
export function complete(explicit: Explicit): HeartbeatSettings {
  const interval = explicit.heartbeat_interval_seconds ?? 30;
  const timeout =
    explicit.heartbeat_timeout_seconds ??
    Math.min(4 * interval, explicit.zombie_threshold_seconds ?? Number.POSITIVE_INFINITY);
  const zombie = explicit.zombie_threshold_seconds ?? 2.5 * timeout;
  const mass = explicit.mass_failure ?? {};
  return {
    heartbeat_interval_seconds: interval,
    heartbeat_timeout_seconds: timeout,
    zombie_threshold_seconds: zombie,
    health_score_decay_rate: explicit.health_score_decay_rate ?? 5,
    min_health_score: explicit.min_health_score ?? 20,
    unhealthy_grace_seconds: explicit.unhealthy_grace_seconds ?? 300,
    unhealthy_action: explicit.unhealthy_action ?? "alert",
    warning_threshold_seconds: explicit.warning_threshold_seconds ?? Math.min(2 * interval, timeout),
    startup_grace_seconds: explicit.startup_grace_seconds ?? zombie,
    verify_delay_seconds: explicit.verify_delay_seconds ?? 2,
    busy_multiple: explicit.busy_multiple ?? 4,
    blocked_multiple: explicit.blocked_multiple ?? 2,
    progress_timeout_seconds: explicit.progress_timeout_seconds ?? null,
    paused_action: explicit.paused_action ?? "alert",
    paused_limit_seconds: explicit.paused_limit_seconds ?? 900,
    max_cleanups_per_minute: explicit.max_cleanups_per_minute ?? 20,
    zombie_retention_hours: explicit.zombie_retention_hours ?? 72,
    mass_failure: {
      enabled: mass.enabled ?? true,
      min_workers: mass.min_workers ?? 5,
      fraction: mass.fraction ?? 0.3,
      max_workers: mass.max_workers ?? 25,
      per_type: { min_workers: mass.per_type?.min_workers ?? 4, fraction: mass.per_type?.fraction ?? 0.5 },
      window_seconds: mass.window_seconds ?? 120,
      hold_seconds: mass.hold_seconds ?? 600,
      clear_fraction: mass.clear_fraction ?? 0.1,
      clear_seconds: mass.clear_seconds ?? 120,
    },
    boot: {
      resume: explicit.boot?.resume ?? true,
      delay_seconds: explicit.boot?.delay_seconds ?? 10,
      per_second: explicit.boot?.per_second ?? 5,
    },
    detector: explicit.detector ?? "fixed",
    sample_interval_seconds: explicit.sample_interval_seconds ?? 60,
    log: {
      max_mb: explicit.log?.max_mb ?? 50,
      keep_attempts: explicit.log?.keep_attempts ?? 10,
      total_mb: explicit.log?.total_mb ?? 2048,
    },
    hook_timeout_seconds: explicit.hook_timeout_seconds ?? 10,
  };
}

/** `2 × interval ≤ timeout ≤ zombie_threshold`, where both sides were given. */
function check(explicit: Explicit): Problem[] {
  const problems: Problem[] = [];
  const {
    heartbeat_interval_seconds: interval,
    heartbeat_timeout_seconds: timeout,
    zombie_threshold_seconds: zombie,
  } = explicit;
  if (interval !== undefined && timeout !== undefined && timeout < 2 * interval) {
    problems.push({
      field: "heartbeat_timeout_seconds",
      message: `must be >= 2 x heartbeat_interval_seconds (${2 * interval}), got ${timeout}`,
    });
  }
  if (timeout !== undefined && zombie !== undefined && zombie < timeout) {
    problems.push({
      field: "zombie_threshold_seconds",
      message: `must be >= heartbeat_timeout_seconds (${timeout}), got ${zombie}`,
    });
  }
  return problems;
}

export const heartbeatPolicy: PolicyDefinition<HeartbeatSettings, Explicit> = {
  name: "heartbeat-policy",
  shape,
  complete,
  check,
  dialect: {
    "detection.zombie_threshold_seconds": "zombie_threshold_seconds",
    "detection.double_check_delay_seconds": "verify_delay_seconds",
    "thresholds.warning.seconds": "warning_threshold_seconds",
    "thresholds.critical.seconds": "heartbeat_timeout_seconds",
    "thresholds.zombie.seconds": "zombie_threshold_seconds",
    "safety.max_cleanups_per_minute": "max_cleanups_per_minute",
    "safety.mass_zombification_threshold": "mass_failure.min_workers",
    "safety.alert_on_mass_zombification": "mass_failure.enabled",
    detection: null,
    thresholds: null,
    cleanup_actions: null,
    safety: null,
    directories: null,
    recovery: null,
    enabled: null,
  },
};

/** Reads the policy's parsed JSON; `undefined` means that there is no file. */
export const readHeartbeatPolicy = (raw: unknown) => readPolicy(heartbeatPolicy, raw);
