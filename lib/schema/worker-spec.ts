/** The worker spec: a worker that should be alive, and, as evidence, one that was found dead. @module */
import { z } from "zod";
import {
  attemptSchema,
  idSchema,
  instantSchema,
  positiveSeconds,
  readInstant,
  seconds,
  signalSchema,
} from "./primitives.js";

/** Worker types whose deaths are drills: they are restarted like any other and teach nothing. */
export const DRILL_TYPES: ReadonlySet<string> = new Set(["test-worker"]);

export const STATUSES = ["pending", "running", "completed", "failed", "zombie", "cancelled"] as const;
export type WorkerStatus = (typeof STATUSES)[number];

/** How a worker is stopped: the signal, whom it goes to, and how long it has before SIGKILL. */
export const stopSchema = z.looseObject({
  signal: signalSchema.nullish(),
  scope: z.enum(["main", "group"]).nullish(),
  grace_seconds: seconds.nullish(),
});

export const launchSchema = z.looseObject({
  target: z.enum(["process", "systemd", "pm2", "kubernetes"]).nullish(),
  command: z.string().min(1).max(4096).nullish(),
  args: z.array(z.string().max(131_072)).max(4096).nullish(),
  cwd: z.string().max(4096).nullish(),
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string()).nullish(),
  stop: stopSchema.nullish(),
});
export type Launch = z.infer<typeof launchSchema>;

export const resourcesSchema = z.looseObject({
  memory_limit_mb: z.number().gt(0).max(1_048_576).nullish(),
});

export const requirementSchema = z.union([
  z.looseObject({
    tcp: z.string().regex(/^[^\s:]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/, { error: "must be host:port" }),
  }),
  z.looseObject({ path: z.string().min(1) }),
  z.looseObject({ worker_type: idSchema }),
]);
export type Requirement = z.infer<typeof requirementSchema>;

/** A probe asks a program that cannot beat. Each success counts as a beat. */
export const probeSchema = z.looseObject({
  kind: z.enum(["http", "tcp", "command", "file"]),
  url: z.string().url().nullish(),
  address: z.string().nullish(),
  command: z.string().nullish(),
  args: z.array(z.string()).nullish(),
  path: z.string().nullish(),
  max_age_seconds: positiveSeconds.nullish(),
  interval_seconds: positiveSeconds.nullish(),
  timeout_seconds: positiveSeconds.nullish(),
});
export type Probe = z.infer<typeof probeSchema>;

export const HEARTBEAT_MODES = ["required", "optional", "none"] as const;

export const heartbeatBlockSchema = z.looseObject({
  mode: z.enum(HEARTBEAT_MODES).nullish(),
  last_seen: instantSchema.nullish(),
  sequence: z.number().nullish(),
  health_score: z.number().nullish(),
  status: z.string().nullish(),
  missed_count: z.number().nullish(),
  interval_seconds: positiveSeconds.nullish(),
  timeout_seconds: positiveSeconds.nullish(),
  zombie_threshold_seconds: positiveSeconds.nullish(),
});

export const executionSchema = z.looseObject({
  pid: z.number().int().nullish(),
  start_time: z.number().nullish(),
  boot_id: z.string().nullish(),
  pid_ns: z.string().nullish(),
  host: z.string().nullish(),
  origin: z.string().nullish(),
  may_signal: z.boolean().nullish(),
  memory_limit_enforced_by: z.string().nullish(),
  started_at: instantSchema.nullish(),
  completed_at: instantSchema.nullish(),
  wait_status: z.number().nullish(),
  exit_code: z.number().nullish(),
  signal: z.string().nullish(),
  signal_inferred: z.boolean().nullish(),
});

export const RESTART_STATES = ["idle", "waiting", "exhausted", "held", "stopped"] as const;
export const RESTART_WHEN = ["on-failure", "always", "never"] as const;

export const restartBlockSchema = z.looseObject({
  when: z.enum(RESTART_WHEN).nullish(),
  state: z.enum(RESTART_STATES).nullish(),
  /** Automatic restarts since the last stable run. */
  attempts: z.number().int().min(0).nullish(),
  /** Automatic restarts ever; never resets. */
  lifetime: z.number().int().min(0).nullish(),
  next_at: instantSchema.nullish(),
});

export const tokenBudgetBlockSchema = z.looseObject({
  allocated: z.number().min(0).nullish(),
  used: z.number().min(0).nullish(),
});

/** Settings that a worker is told in its environment, such as `SETTING_PROCESSING_BATCH_SIZE`; fixes change them. */
const settingsSchema = z.record(z.string(), z.unknown());
export const SETTING_BLOCKS = ["timeouts", "retry", "processing", "rate_limits"] as const;

/** What a template and a spec's `overrides` may say. */
export const templateBlocks = {
  launch: launchSchema.nullish(),
  resources: resourcesSchema.nullish(),
  heartbeat: heartbeatBlockSchema.nullish(),
  restart: restartBlockSchema.nullish(),
  probe: probeSchema.nullish(),
  requires: z.array(requirementSchema).nullish(),
  max_runtime_seconds: positiveSeconds.nullish(),
  priority: z.union([z.string(), z.number()]).nullish(),
  token_budget: tokenBudgetBlockSchema.nullish(),
  timeouts: settingsSchema.nullish(),
  retry: settingsSchema.nullish(),
  processing: settingsSchema.nullish(),
  rate_limits: settingsSchema.nullish(),
};

export const templateSchema = z.looseObject({ worker_type: idSchema, ...templateBlocks });
export type Template = z.infer<typeof templateSchema>;

export const workerSpecSchema = z.looseObject({
  worker_id: idSchema,
  worker_type: idSchema.nullish(),
  task_id: z.string().max(512).nullish(),
  status: z.string().nullish(),
  attempt: attemptSchema.nullish(),
  created_at: instantSchema.nullish(),
  created_by: z.string().nullish(),
  deadline: instantSchema.nullish(),
  overrides: z.record(z.string(), z.unknown()).nullish(),
  execution: executionSchema.nullish(),
  template_hash: z.string().nullish(),
  passed_over: z
    .array(z.looseObject({ gate: z.string(), found: z.array(z.string()).nullish(), by: z.string().nullish() }))
    .nullish(),
  ...templateBlocks,
});
/** The record as it stands on disk: every optional field may be missing or null, unknown fields are kept. */
export type WorkerSpecRecord = z.infer<typeof workerSpecSchema>;

/** Words of older systems for a worker that runs. */
export const STATUS_ALIASES: readonly string[] = ["active", "stuck"];

/** Reads `status`, with the words of older systems: `active` and `stuck` are running; an unknown word is running too. */
export function statusOf(record: WorkerSpecRecord): WorkerStatus {
  const status = record.status ?? "pending";
  return (STATUSES as readonly string[]).includes(status) ? (status as WorkerStatus) : "running";
}

/** Tokens given to an attempt and used by it, in the three dialects seen in the field. */
export function tokensOf(record: WorkerSpecRecord): { readonly allocated: number; readonly used: number } {
  const resources = record.resources as Record<string, unknown> | null | undefined;
  const execution = record.execution as Record<string, unknown> | null | undefined;
  return {
    allocated: firstNumber(record.token_budget?.allocated, resources?.token_allocation, resources?.token_budget),
    used: firstNumber(record.token_budget?.used, execution?.tokens_used),
  };
}

/** When and how an in-spec beat of an older worker was last seen. */
export function inSpecBeatOf(record: WorkerSpecRecord): {
  readonly atMs: number | null;
  readonly score: number | null;
  readonly sequence: number | null;
} {
  const block = (record.heartbeat ?? {}) as Record<string, unknown>;
  const health = (typeof block.health === "object" && block.health !== null ? block.health : {}) as Record<
    string,
    unknown
  >;
  const score = [block.health_score, health.health_score].find((value) => typeof value === "number");
  const sequence = [block.sequence, block.heartbeat_sequence].find((value) => typeof value === "number");
  return {
    atMs: readInstant(block.last_seen ?? block.last_heartbeat),
    score: (score as number | undefined) ?? null,
    sequence: (sequence as number | undefined) ?? null,
  };
}

function firstNumber(...values: unknown[]): number {
  return (values.find((value) => typeof value === "number" && Number.isFinite(value)) as number | undefined) ?? 0;
}

/** The name of an attempt's file without its ending, such as `worker-scan-1.attempt-3`. */
export function attemptName(workerId: string, attempt: number): string {
  return `${workerId}.attempt-${attempt}`;
}

/** Splits `worker-scan-1.attempt-3.json`; null for any other name. */
export function readAttemptName(fileName: string): { readonly workerId: string; readonly attempt: number } | null {
  const match = /^(.{1,128})\.attempt-(\d{1,10})\.json$/.exec(fileName);
  return match ? { workerId: match[1] as string, attempt: Number(match[2]) } : null;
}
