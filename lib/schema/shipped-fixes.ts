/** The fixes and healing policies that come with heald. `config/*.json` and a page for each are made from them. @module */
import type { FixAction } from "./fix-actions.js";
import type { Fix } from "./fix-registry.js";
import type { HealingPolicy } from "./healing-policies.js";

type Change = Extract<FixAction, { type: "modify-worker-spec" }>["changes"][number];

interface Shipped {
  readonly id: string;
  readonly category: string;
  readonly name: string;
  readonly description: string;
  readonly patterns: readonly string[];
  readonly score: number;
  readonly actions: readonly FixAction[];
  readonly risk?: "low" | "medium" | "high" | "critical";
  readonly asks?: boolean;
  readonly prerequisites?: Fix["prerequisites"];
  readonly validation?: Fix["validation"];
  readonly undo?: boolean;
  readonly inconclusive?: "keep" | "undo";
}

const change = (...changes: Change[]): FixAction => ({ type: "modify-worker-spec", changes });

function fix(of: Shipped): Fix {
  return {
    fix_id: of.id,
    category: of.category,
    name: of.name,
    description: of.description,
    applies_to_patterns: [...of.patterns],
    ...(of.prerequisites === undefined ? {} : { prerequisites: of.prerequisites }),
    safety: {
      safety_score: of.score,
      requires_approval: of.asks ?? false,
      rollback_supported: of.undo ?? true,
      risk_level: of.risk ?? "low",
    },
    actions: [...of.actions],
    ...(of.validation === undefined ? {} : { validation: of.validation }),
    rollback: { on_ineffective: of.undo ?? true, on_inconclusive: of.inconclusive ?? "keep" },
  };
}

export const SHIPPED_FIXES: readonly Fix[] = [
  fix({
    id: "increase-memory-limit",
    category: "resource",
    name: "Increase memory limit",
    description:
      "Workers of the type reach their own memory limit. The limit in the template goes up by half, at most to 8192 MiB; a worker that leaks reaches it again, and then the limit goes back.",
    patterns: ["resource:out_of_memory"],
    score: 0.95,
    prerequisites: { min_pattern_confidence: 0.8, min_pattern_occurrences: 3 },
    actions: [change({ field: "resources.memory_limit_mb", operation: "multiply", value: 1.5, max_value: 8192 })],
    validation: { min_decrease: 0.5, min_success_rate: 0.8 },
  }),
  fix({
    id: "increase-task-timeout",
    category: "configuration",
    name: "Increase task time-out",
    description: "Tasks take longer than they may. They get ten minutes more, at most two hours.",
    patterns: ["resource:timeout"],
    score: 0.92,
    prerequisites: { min_pattern_confidence: 0.8, min_pattern_occurrences: 3 },
    actions: [
      change({
        field: "timeouts.task_timeout_seconds",
        or_fields: ["max_runtime_seconds"],
        operation: "add",
        value: 600,
        max_value: 7200,
      }),
    ],
    validation: { min_decrease: 0.6 },
  }),
  fix({
    id: "enable-retry-backoff",
    category: "configuration",
    name: "Enable retry back-off",
    description:
      "Workers use up their restarts faster than what is wrong can pass. Restarts of the type wait 30 s, doubling to 300 s.",
    patterns: ["systemic:max_retries_exceeded", "systemic:crash_loop"],
    score: 0.93,
    prerequisites: { min_pattern_confidence: 0.8, min_pattern_occurrences: 2 },
    actions: [
      change(
        { field: "retry.strategy", operation: "set", value: "exponential" },
        { field: "retry.initial_delay_seconds", operation: "set", value: 30 },
        { field: "retry.max_delay_seconds", operation: "set", value: 300 },
      ),
    ],
    validation: { min_decrease: 0.7 },
  }),
  fix({
    id: "reduce-batch-size",
    category: "resource",
    name: "Reduce batch size",
    description: "Workers are slow or want the same resource at once. They take half as much at a time, at least 10.",
    patterns: ["resource:degraded_performance", "transient:resource_contention"],
    score: 0.9,
    prerequisites: { min_pattern_confidence: 0.75, min_pattern_occurrences: 3 },
    actions: [change({ field: "processing.batch_size", operation: "multiply", value: 0.5, min_value: 10 })],
    validation: { min_decrease: 0.6 },
  }),
  fix({
    id: "adjust-rate-limit",
    category: "configuration",
    name: "Adjust rate limit",
    description: "A service tells the workers to slow down. They send 30 % less, at least 5 requests a minute.",
    patterns: ["transient:rate_limit"],
    score: 0.88,
    prerequisites: { min_pattern_confidence: 0.75, min_pattern_occurrences: 2 },
    actions: [change({ field: "rate_limits.requests_per_minute", operation: "multiply", value: 0.7, min_value: 5 })],
    validation: { min_decrease: 0.7 },
  }),
  fix({
    id: "adjust-heartbeat-interval",
    category: "configuration",
    name: "Adjust heartbeat interval",
    description:
      "Workers were called dead and came back by themselves: they beat too rarely for their limits. Interval, time-out and zombie threshold grow together, in proportion, from what is in force for the type: its template's values, else the heartbeat policy's. A person is asked, because real deaths are then found later.",
    patterns: ["resource:unresponsive"],
    score: 0.65,
    asks: true,
    risk: "medium",
    prerequisites: { min_pattern_confidence: 0.75, min_pattern_occurrences: 3, came_back: true },
    actions: [
      change(
        { field: "heartbeat.interval_seconds", operation: "multiply", value: 1.5, max_value: 300 },
        { field: "heartbeat.timeout_seconds", operation: "multiply", value: 1.5, max_value: 1200 },
        {
          field: "heartbeat.zombie_threshold_seconds",
          operation: "multiply",
          value: 1.5,
          max_value: 3000,
        },
      ),
    ],
    validation: { min_decrease: 0.6 },
  }),
  fix({
    id: "restart-with-clean-state",
    category: "workflow",
    name: "Restart with clean state",
    description: "A worker's own state is corrupt. Its state folder is moved aside, never deleted, and it starts anew.",
    patterns: ["data:state_corruption"],
    score: 0.82,
    risk: "medium",
    prerequisites: { min_pattern_confidence: 0.75, min_pattern_occurrences: 2 },
    actions: [{ type: "clean-state", paths: ["agents/workers/{worker_id}/state"], restart: true }],
    undo: false,
    validation: { min_success_rate: 0.85 },
  }),
  fix({
    id: "clear-circuit-breaker",
    category: "workflow",
    name: "Clear circuit breaker",
    description:
      "What made the workers fail is gone, and their breaker is still open. It goes to half-open, so that one restart shows. A person is asked: a healer does not open its own brake.",
    patterns: ["systemic:recurring_failure"],
    score: 0.65,
    asks: true,
    risk: "medium",
    prerequisites: { min_pattern_confidence: 0.7, min_pattern_occurrences: 1, quiet_seconds: 600 },
    actions: [{ type: "enable-circuit-breaker", state: "half-open" }],
    undo: false,
  }),
  fix({
    id: "quarantine-poison-task",
    category: "workflow",
    name: "Quarantine a poison task",
    description: "The same task kills workers of any id. The task is held with its evidence, and a person is called.",
    patterns: [
      "systemic:uncaught_exception",
      "systemic:assertion_failure",
      "systemic:crash_loop",
      "data:invalid_input",
      "data:data_corruption",
      "data:schema_violation",
      "resource:out_of_memory",
      "unknown:killed",
    ],
    score: 0.9,
    prerequisites: { min_pattern_occurrences: 3, same_task: true },
    actions: [{ type: "quarantine", hold_seconds: 86_400 }],
  }),
  fix({
    id: "free-disk-space",
    category: "resource",
    name: "Free disk space",
    description:
      "The disk is full. heald's own rotated logs are compressed, logs of old attempts and what has expired are removed; nothing of the workers' is touched.",
    patterns: ["resource:disk_full"],
    score: 0.85,
    prerequisites: { min_pattern_occurrences: 1 },
    actions: [{ type: "free-disk", keep_attempts: 3 }],
    undo: false,
  }),
  fix({
    id: "update-dependency",
    category: "dependency",
    name: "Update a dependency",
    description: "Workers miss a dependency. What is to be installed is written down, and a person is asked.",
    patterns: ["systemic:dependency_missing", "security:outdated_dependency", "security:vulnerable_dependency_version"],
    score: 0.6,
    asks: true,
    risk: "high",
    actions: [{ type: "ask-person", request: "Install or update the dependency that the last words name." }],
    undo: false,
  }),
  fix({
    id: "rotate-secret",
    category: "security",
    name: "Rotate a secret",
    description:
      "A secret was seen where it must not be. A person is asked to replace it; heald never touches secrets.",
    patterns: ["security:exposed_secret", "security:credential_leak", "security:api_key_exposed"],
    score: 0.6,
    asks: true,
    risk: "critical",
    actions: [{ type: "ask-person", request: "Replace the secret, revoke the old one, and look who has used it." }],
    undo: false,
  }),
  fix({
    id: "change-code",
    category: "code",
    name: "Change code",
    description: "The program itself is wrong. The evidence is put together for the person who can change it.",
    patterns: ["systemic:uncaught_exception", "systemic:assertion_failure"],
    score: 0.6,
    asks: true,
    risk: "high",
    prerequisites: { min_pattern_occurrences: 5 },
    actions: [{ type: "ask-person", request: "Correct the program where the example of the pattern says it fails." }],
    undo: false,
  }),
];

const healing = (policy: Omit<HealingPolicy, "enabled">): HealingPolicy => ({ ...policy, enabled: false });
const act = (
  ...types: ("restart-service" | "scale-up" | "enable-circuit-breaker" | "fallback-mode" | "alert-oncall")[]
) => types.map((type): FixAction => ({ type }));

export const SHIPPED_POLICIES: readonly HealingPolicy[] = [
  healing({
    name: "Critical Latency Spike",
    description: "The slowest requests take more than half a second for minutes: the service is restarted.",
    priority: 10,
    conditions: [{ metric: "latency_p99", operator: "gt", threshold: 500 }],
    clear_conditions: [{ metric: "latency_p99", operator: "lt", threshold: 400, for_seconds: 60 }],
    actions: act("restart-service", "alert-oncall"),
  }),
  healing({
    name: "High Error Rate",
    description: "Many requests fail under load: no more restarts, and the workers fall back.",
    priority: 9,
    conditions: [
      { metric: "error_rate", operator: "gt", threshold: 0.15 },
      { metric: "throughput", operator: "gt", threshold: 100 },
    ],
    clear_conditions: [{ metric: "error_rate", operator: "lt", threshold: 0.1, for_seconds: 60 }],
    actions: act("enable-circuit-breaker", "fallback-mode"),
  }),
  healing({
    name: "Resource Exhaustion",
    description: "Processor and memory are both used up: one more worker, and the service is restarted.",
    priority: 7,
    conditions: [
      { metric: "cpu_util", operator: "gt", threshold: 0.9 },
      { metric: "memory_util", operator: "gt", threshold: 0.85 },
    ],
    clear_conditions: [{ metric: "cpu_util", operator: "lt", threshold: 0.8, for_seconds: 60 }],
    actions: act("scale-up", "restart-service"),
  }),
  healing({
    name: "Moderate Latency",
    description: "The slowest requests take longer than they should: one more worker.",
    priority: 5,
    conditions: [
      { metric: "latency_p99", operator: "gt", threshold: 300 },
      { metric: "latency_p99", operator: "lt", threshold: 500 },
    ],
    clear_conditions: [{ metric: "latency_p99", operator: "lt", threshold: 300, for_seconds: 60 }],
    actions: act("scale-up"),
  }),
  healing({
    name: "Throughput Drop",
    description: "Less gets through than should: the service is restarted.",
    priority: 4,
    conditions: [{ metric: "throughput", operator: "lt", threshold: 500 }],
    clear_conditions: [{ metric: "throughput", operator: "gte", threshold: 500, for_seconds: 60 }],
    actions: act("restart-service"),
  }),
];
