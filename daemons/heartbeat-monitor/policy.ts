/** `heartbeat-policy.json`: when a worker is late, suspect, dead; and how carefully it is ended. @module */
import { completeSilences } from "../../lib/domain/thresholds.js";
import { type GivenHeartbeat, heartbeatPolicyFile } from "../../lib/schema/heartbeat-policy.js";
import { type Policy, type PolicyDefinition, readPolicy } from "../../lib/schema/policy.js";

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
export function complete(explicit: GivenHeartbeat): HeartbeatSettings {
  const silences = completeSilences(explicit);
  const mass = explicit.mass_failure ?? {};
  return {
    ...silences,
    health_score_decay_rate: explicit.health_score_decay_rate ?? 5,
    min_health_score: explicit.min_health_score ?? 20,
    unhealthy_grace_seconds: explicit.unhealthy_grace_seconds ?? 300,
    unhealthy_action: explicit.unhealthy_action ?? "alert",
    startup_grace_seconds: explicit.startup_grace_seconds ?? silences.zombie_threshold_seconds,
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

export const heartbeatPolicy: PolicyDefinition<HeartbeatSettings, GivenHeartbeat> = {
  ...heartbeatPolicyFile,
  complete,
};

/** Reads the policy's parsed JSON; `undefined` means that there is no file. */
export const readHeartbeatPolicy = (raw: unknown) => readPolicy(heartbeatPolicy, raw);
