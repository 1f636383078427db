/**
 * What may stand in `heartbeat-policy.json`. The monitor judges by it; whoever starts a worker tells it how often to beat.
 *
 * What counts where nothing is given is the monitor's (its `complete`), and of the thresholds `lib/domain/thresholds.ts`'s.
 *
 * @module
 */
import { z } from "zod";
import type { PolicyDefinition } from "./policy.js";
import { count, positiveSeconds, seconds } from "./primitives.js";
import type { Problem } from "./problems.js";

const fraction = z.number().gt(0).max(1);

const shape = z.strictObject({
  heartbeat_interval_seconds: positiveSeconds
    .optional()
    .describe(
      "Seconds between two beats of a worker. Default: 30, at most half of the time-out. Workers that are started from then on are told it, unless their specs name another or other thresholds. Shorter sees a hang sooner and costs more.",
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

/** What a person has given, at the top or for one worker type. */
export type GivenHeartbeat = z.infer<typeof shape>;

/** `2 × interval ≤ timeout ≤ zombie_threshold`, where both sides were given. */
function check(explicit: GivenHeartbeat): Problem[] {
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

/** How the file is read, but for what counts where it gives nothing. */
export const heartbeatPolicyFile: Omit<PolicyDefinition<unknown, GivenHeartbeat>, "complete"> = {
  name: "heartbeat-policy",
  shape,
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

/** The file before it is read as a policy: any object. */
export const rawPolicySchema = z.looseObject({});
