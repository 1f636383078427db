/** The small records that workers, launchers, daemons and people leave in the coordination directory. @module */
import { z } from "zod";
import { attemptSchema, count, idSchema, instantSchema } from "./primitives.js";

/** The latest beat of a worker. Only `worker_id` is required; the timestamp inside is shown, never trusted. */
export const beatSchema = z.looseObject({
  worker_id: idSchema,
  attempt: attemptSchema.nullish(),
  pid: z.number().int().nullish(),
  sequence: z.number().nullish(),
  timestamp: instantSchema.nullish(),
  health_score: z.number().min(0).max(100).nullish(),
  progress: z.number().min(0).max(100).nullish(),
  activity: z.string().nullish(),
  metrics: z.record(z.string(), z.unknown()).nullish(),
});
export type Beat = z.infer<typeof beatSchema>;

const { pid, timestamp, health_score, progress, activity, metrics } = beatSchema.shape;
/** The same without what is wrong in it, as long as it says whose and which beat it is: what is only shown must not silence a worker. */
export const arrivalSchema = beatSchema.extend({
  pid: pid.catch(undefined),
  timestamp: timestamp.catch(undefined),
  health_score: health_score.catch(undefined),
  progress: progress.catch(undefined),
  activity: activity.catch(undefined),
  metrics: metrics.catch(undefined),
});

/** Identity of a process: numbers alone are reused, these five are not. */
export const identitySchema = z.object({
  pid: z.number().int().positive(),
  start_time: z.number().int().min(0),
  boot_id: z.string(),
  pid_ns: z.string(),
  host: z.string(),
});
export type ProcessIdentity = z.infer<typeof identitySchema>;

/** A launcher's claim on an attempt; with `pid` once the program runs. */
export const launchRecordSchema = z.looseObject({
  worker_id: idSchema,
  attempt: attemptSchema,
  launcher_pid: z.number().int().nullish(),
  launcher_start_time: z.number().nullish(),
  pid: z.number().int().nullish(),
  start_time: z.number().nullish(),
  boot_id: z.string().nullish(),
  pid_ns: z.string().nullish(),
  host: z.string().nullish(),
  started_at: instantSchema.nullish(),
  memory_limit_enforced_by: z.string().nullish(),
  memory_folder: z.string().nullish(),
});
export type LaunchRecord = z.infer<typeof launchRecordSchema>;

/** How an attempt ended, as its launcher saw it. */
export const exitRecordSchema = z.looseObject({
  worker_id: idSchema,
  attempt: attemptSchema,
  pid: z.number().int().nullish(),
  start_time: z.number().nullish(),
  boot_id: z.string().nullish(),
  wait_status: z.number().int().nullish(),
  exit_code: z.number().int().nullish(),
  signal: z.string().nullish(),
  signal_inferred: z.boolean().nullish(),
  ended_at: instantSchema.nullish(),
  memory: z.looseObject({ oom_kill: z.number().nullish() }).nullish(),
});
export type ExitRecord = z.infer<typeof exitRecordSchema>;

/** A request to restart a worker, written by the monitor, by auto-fix or by a person with `cat <<EOF`. */
export const restartRequestSchema = z.looseObject({
  worker_id: idSchema,
  worker_type: idSchema,
  task_id: z.string().max(512).nullish(),
  reason: z.string().max(512).nullish(),
  created_at: instantSchema.nullish(),
  /** The attempt that ended; the next one is started. */
  attempt: attemptSchema.nullish(),
  incident_id: z.string().max(128).nullish(),
  not_before: instantSchema.nullish(),
  requested_by: z.string().max(128).nullish(),
  expires_at: instantSchema.nullish(),
  force: z.boolean().nullish(),
  /** Gates that a person passes over by name, such as `holds` or `breaker`. */
  override: z.array(z.string()).nullish(),
  /** How the attempt ended: exit class, code and signal; written by the monitor. */
  ended: z
    .looseObject({
      class: z.string().nullish(),
      exit_code: z.number().nullish(),
      signal: z.string().nullish(),
      ran_ms: z.number().nullish(),
      by_itself: z.boolean().nullish(),
      spends_retry: z.boolean().nullish(),
    })
    .nullish(),
  deferred: z
    .looseObject({
      gate: z.string(),
      reason: z.string().nullish(),
      next_at: instantSchema.nullish(),
      count: count.nullish(),
    })
    .nullish(),
});
export type RestartRequest = z.infer<typeof restartRequestSchema>;

/** One outcome of a restart; `worker_type`, `result` and `timestamp` are enough, also from a shell. */
export const restartHistorySchema = z.looseObject({
  worker_type: idSchema,
  result: z.enum(["success", "failure"]),
  timestamp: instantSchema,
  at_ms: z.number().nullish(),
  worker_id: z.string().nullish(),
  attempt: attemptSchema.nullish(),
  task_id: z.string().nullish(),
  reason: z.string().nullish(),
  duration_ms: z.number().nullish(),
});
export type RestartHistory = z.infer<typeof restartHistorySchema>;

/** A circuit breaker on disk. A person may overwrite or remove it. */
export const breakerRecordSchema = z.looseObject({
  worker_type: idSchema,
  state: z.enum(["closed", "open", "half-open"]),
  failure_count: z.number().min(0).nullish(),
  last_failure: instantSchema.nullish(),
  opened_at: instantSchema.nullish(),
  next_probe_at: instantSchema.nullish(),
  last_reset: instantSchema.nullish(),
  manual_reset: z.boolean().nullish(),
  test_requests: z.number().nullish(),
  reason: z.string().nullish(),
});
export type BreakerRecord = z.infer<typeof breakerRecordSchema>;

export const HOLD_ACTS = ["kill", "restart", "fix"] as const;
export type HoldAct = (typeof HOLD_ACTS)[number];

/** "Leave this alone until": every field but the name has a default, so that `touch holds/all` is a stop button. */
export const holdSchema = z.looseObject({
  scope: z.enum(["worker", "worker_type", "target", "all"]).nullish(),
  name: z.string().nullish(),
  acts: z.array(z.enum(HOLD_ACTS)).nullish(),
  by: z.string().nullish(),
  why: z.string().nullish(),
  created_at: instantSchema.nullish(),
  starts_at: instantSchema.nullish(),
  expires_at: instantSchema.nullish(),
});
export type HoldRecord = z.infer<typeof holdSchema>;

export const DESIRED_STATES = ["running", "stopped", "draining"] as const;
export type DesiredState = (typeof DESIRED_STATES)[number];

/** What a person wants of a worker. */
export const desiredSchema = z.looseObject({
  state: z.enum(DESIRED_STATES),
  by: z.string().nullish(),
  why: z.string().nullish(),
  at: instantSchema.nullish(),
});
export type Desired = z.infer<typeof desiredSchema>;

export const tokenBudgetSchema = z.looseObject({
  total_budget: z.number().min(0),
  total_used: z.number().min(0),
  leases: z
    .record(
      z.string(),
      z.looseObject({ allocated: z.number(), used: z.number().nullish(), returned: z.number().nullish() }),
    )
    .nullish(),
});
export type TokenBudget = z.infer<typeof tokenBudgetSchema>;

export const versionSchema = z.looseObject({ format: z.number().int(), heald: z.string() });
export const ownerSchema = z.looseObject({ host: z.string(), pid_ns: z.string(), boot_id: z.string().nullish() });

/** What readers rely on in `status.json`; the rest of it is for people. */
export const statusSchema = z.looseObject({
  ok: z.boolean(),
  at: instantSchema,
  workers: z.array(z.looseObject({ worker_id: z.string(), attempt: attemptSchema.nullish() })),
});
export type Status = z.infer<typeof statusSchema>;

/** Who a running daemon is: `run/<daemon>.json`. */
export const daemonIdentitySchema = z.looseObject({
  ...identitySchema.shape,
  version: z.string(),
  started_at: instantSchema,
  policy_hash: z.string().nullish(),
  loop_lag_ms: z.number().nullish(),
});
export type DaemonIdentity = z.infer<typeof daemonIdentitySchema>;

export const DAEMONS = ["heartbeat-monitor", "failure-pattern", "auto-fix", "worker-restart"] as const;
export type DaemonName = (typeof DAEMONS)[number];
