/** `worker-restart-policy.json`: whether a worker may come back, when, how often, and what counts as having come back. @module */
import { z } from "zod";
import type { DialectRule } from "../../lib/schema/dialect.js";
import { type PolicyDefinition, readPolicy } from "../../lib/schema/policy.js";
import { count, positiveSeconds, seconds } from "../../lib/schema/primitives.js";
import type { Problem } from "../../lib/schema/problems.js";
import type { RestartSettings } from "./settings.js";

const perMinute = z.number().int().min(0).max(100_000);
const exitCode = z.number().int().min(0).max(255);

const retryShape = {
  enabled: z.boolean().optional().describe("false: nothing is restarted; requests wait in the queue."),
  max_retries: count
    .optional()
    .describe(
      "Automatic restarts since the last stable run. A higher number hides a fault for longer; 0 leaves only probes.",
    ),
  retry_interval_seconds: seconds
    .optional()
    .describe("Seconds before the second retry, and before the first retry of a worker that exited fast."),
  backoff_multiplier: z
    .number()
    .min(1)
    .max(100)
    .optional()
    .describe("Factor by which each further retry waits longer."),
  first_retry_delay_seconds: seconds
    .optional()
    .describe("Seconds before the first retry. 0: at once, so that a single crash costs no time."),
  fast_exit_seconds: seconds
    .optional()
    .describe(
      "After an attempt that exits by itself within this many seconds, the retry waits for the interval. 0 turns the rule off.",
    ),
  max_retry_interval_seconds: seconds.optional().describe("Longest wait in seconds, whatever the formula gives."),
  delays: z.array(seconds).max(100).nullish().describe("Seconds for each retry in turn, instead of the formula."),
  jitter: z
    .enum(["equal", "full", "decorrelated", "none"])
    .optional()
    .describe("How waits are spread out, so that workers that died together do not come back together."),
  retry_reset_seconds: seconds
    .optional()
    .describe("Seconds an attempt must live for its worker to count as stable. A death before it is a relapse."),
  success_after_seconds: seconds
    .optional()
    .describe("Seconds a new attempt must live, and beat where beats are required, to count as a success."),
};

const breakerShape = {
  circuit_breaker_enabled: z.boolean().optional().describe("false: failures of a worker type never stop its restarts."),
  circuit_breaker_threshold: z
    .number()
    .int()
    .min(1)
    .max(10_000)
    .optional()
    .describe("Consecutive failures that open the breaker."),
  circuit_breaker_reset_seconds: positiveSeconds
    .optional()
    .describe("Seconds it stays open the first time, before a probe is let through."),
  circuit_breaker_half_open_requests: z
    .number()
    .int()
    .min(1)
    .max(1000)
    .optional()
    .describe("Probes that may be under way while it is half-open."),
  circuit_breaker_window_seconds: positiveSeconds
    .optional()
    .describe("Failures more than this many seconds apart do not count as consecutive."),
  circuit_breaker_max_open_seconds: positiveSeconds
    .optional()
    .describe("Longest time in seconds that it stays open. Each time it opens again the time doubles, up to this."),
};

const limitShape = {
  restart_budgets: z
    .array(z.strictObject({ max: count, window_seconds: positiveSeconds }))
    .max(10)
    .optional()
    .describe(
      "How many automatic restarts one worker may have in any window of that length. An empty list means no limit.",
    ),
  exhausted_probe_seconds: positiveSeconds
    .optional()
    .describe("Seconds until a worker whose retries are spent is tried again. Doubles with each try."),
  exhausted_probe_max_seconds: positiveSeconds.optional().describe("Longest wait in seconds between two such tries."),
  max_concurrent_restarts: z
    .number()
    .int()
    .min(1)
    .max(10_000)
    .optional()
    .describe("Starts under way at once: from the spawn until the program runs."),
  standby_launchers: z
    .number()
    .int()
    .min(0)
    .max(256)
    .optional()
    .describe(
      "Launchers kept ready. As many deaths at the same time are answered 2 ms sooner. Each launcher is two small shells (about 0.4 MiB).",
    ),
  rate_limits: z
    .strictObject({
      global_per_minute: perMinute.nullable().optional(),
      per_type_per_minute: perMinute.nullable().optional(),
      per_task_min_interval_seconds: seconds.optional(),
    })
    .optional()
    .describe(
      "Starts in any 60 seconds, and seconds between two starts of one task. 0 per minute stops all starts; null means no limit.",
    ),
  no_restart_on: z
    .array(exitCode)
    .max(256)
    .optional()
    .describe("Exit codes after which a restart is useless until the worker's files change."),
  poison_task: z
    .strictObject({ deaths: count.optional(), window_seconds: positiveSeconds.optional() })
    .optional()
    .describe("A task that killed so many workers within the window is held. 0 deaths turns the rule off."),
  check_token_budget: z.boolean().optional().describe("Whether tokens must be left for another attempt."),
  check_deadline: z.boolean().optional().describe("Whether a worker past its deadline is given up."),
  deadline_buffer_seconds: seconds.optional().describe("Seconds that must be left before the deadline for a restart."),
  hook_timeout_seconds: positiveSeconds.optional().describe("Seconds that hooks/before_restart may take."),
};

const shape = z.strictObject({ ...retryShape, ...breakerShape, ...limitShape });
type Explicit = z.infer<typeof shape>;

/** Fills in what was not given. */
export function complete(explicit: Explicit): RestartSettings {
  const interval = explicit.retry_interval_seconds ?? 60;
  const resetSeconds = explicit.circuit_breaker_reset_seconds ?? 300;
  const probeSeconds = explicit.exhausted_probe_seconds ?? 900;
  return {
    enabled: explicit.enabled ?? true,
    max_retries: explicit.max_retries ?? 3,
    retry_interval_seconds: interval,
    backoff_multiplier: explicit.backoff_multiplier ?? 2,
    first_retry_delay_seconds: explicit.first_retry_delay_seconds ?? 0,
    fast_exit_seconds: explicit.fast_exit_seconds ?? 10,
    max_retry_interval_seconds: explicit.max_retry_interval_seconds ?? Math.max(900, interval),
    delays: explicit.delays ?? null,
    jitter: explicit.jitter ?? "equal",
    retry_reset_seconds: explicit.retry_reset_seconds ?? 600,
    success_after_seconds: explicit.success_after_seconds ?? 30,
    circuit_breaker_enabled: explicit.circuit_breaker_enabled ?? true,
    circuit_breaker_threshold: explicit.circuit_breaker_threshold ?? 5,
    circuit_breaker_reset_seconds: resetSeconds,
    circuit_breaker_half_open_requests: explicit.circuit_breaker_half_open_requests ?? 1,
    circuit_breaker_window_seconds: explicit.circuit_breaker_window_seconds ?? 600,
    circuit_breaker_max_open_seconds: explicit.circuit_breaker_max_open_seconds ?? Math.max(3600, resetSeconds),
    restart_budgets: explicit.restart_budgets ?? [
      { max: 5, window_seconds: 3600 },
      { max: 12, window_seconds: 86_400 },
    ],
    exhausted_probe_seconds: probeSeconds,
    exhausted_probe_max_seconds: explicit.exhausted_probe_max_seconds ?? Math.max(14_400, probeSeconds),
    max_concurrent_restarts: explicit.max_concurrent_restarts ?? 10,
    standby_launchers: explicit.standby_launchers ?? 4,
    rate_limits: {
      global_per_minute: orElse(explicit.rate_limits?.global_per_minute, 60),
      per_type_per_minute: orElse(explicit.rate_limits?.per_type_per_minute, 20),
      per_task_min_interval_seconds: explicit.rate_limits?.per_task_min_interval_seconds ?? 10,
    },
    no_restart_on: explicit.no_restart_on ?? [78, 77, 126, 127],
    poison_task: {
      deaths: explicit.poison_task?.deaths ?? 3,
      window_seconds: explicit.poison_task?.window_seconds ?? 259_200,
    },
    check_token_budget: explicit.check_token_budget ?? true,
    check_deadline: explicit.check_deadline ?? true,
    deadline_buffer_seconds: explicit.deadline_buffer_seconds ?? 0,
    hook_timeout_seconds: explicit.hook_timeout_seconds ?? 10,
  };
}

/** Pairs of which the second must not be smaller, where both were given. */
const ORDERED = [
  ["retry_interval_seconds", "max_retry_interval_seconds"],
  ["circuit_breaker_reset_seconds", "circuit_breaker_max_open_seconds"],
  ["exhausted_probe_seconds", "exhausted_probe_max_seconds"],
  ["success_after_seconds", "retry_reset_seconds"],
] as const satisfies readonly (readonly [keyof Explicit, keyof Explicit])[];

function check(explicit: Explicit): Problem[] {
  return ORDERED.flatMap(([lower, upper]) => {
    const least = explicit[lower];
    const most = explicit[upper];
    if (least === undefined || most === undefined || most >= least) return [];
    return [{ field: upper, message: `must be >= ${lower} (${least}), got ${most}` }];
  });
}

const byType: DialectRule = (value, put) => {
  if (typeof value !== "object" || value === null) return put("max_retries", value);
  for (const [type, retries] of Object.entries(value))
    put(type === "default" ? "max_retries" : `overrides.${type}.max_retries`, retries);
};

/** The field knows "exponential", "linear" and "fixed"; what does not grow by a factor keeps its interval. */
const strategy: DialectRule = (value, put) => put("backoff_multiplier", value === "exponential" ? 2 : 1);

/** A null that was given says "no limit"; it is not a value that is missing. */
function orElse<T>(given: T | undefined, otherwise: T): T {
  return given === undefined ? otherwise : given;
}

export const restartPolicy: PolicyDefinition<RestartSettings, Explicit> = {
  name: "worker-restart-policy",
  shape,
  complete,
  check,
  dialect: {
    max_retries_by_type: byType,
    "backoff.base_delay_seconds": "retry_interval_seconds",
    "backoff.max_delay_seconds": "max_retry_interval_seconds",
    "backoff.multiplier": "backoff_multiplier",
    "backoff.strategy": strategy,
    "circuit_breaker.enabled": "circuit_breaker_enabled",
    "circuit_breaker.failure_threshold": "circuit_breaker_threshold",
    "circuit_breaker.failure_window_seconds": "circuit_breaker_window_seconds",
    "circuit_breaker.reset_timeout_seconds": "circuit_breaker_reset_seconds",
    "circuit_breaker.half_open_requests": "circuit_breaker_half_open_requests",
    "circuit_breaker.consecutive_failure_threshold": null,
    "rate_limits.global_max_per_minute": "rate_limits.global_per_minute",
    "rate_limits.per_type_max_per_minute": "rate_limits.per_type_per_minute",
    "token_budget.check_before_restart": "check_token_budget",
    "token_budget.max_cumulative_multiplier": null,
    "deadline_enforcement.enabled": "check_deadline",
    "deadline_enforcement.minimum_time_buffer_seconds": "deadline_buffer_seconds",
    "global_settings.enabled": "enabled",
    "global_settings.max_retries": "max_retries",
    "global_settings.max_concurrent_restarts": "max_concurrent_restarts",
    global_settings: null,
  },
};

/** Reads the policy's parsed JSON; `undefined` means that there is no file. */
export const readRestartPolicy = (raw: unknown) => readPolicy(restartPolicy, raw);
