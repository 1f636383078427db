/** Guarantee: what may be done is refused when it is read, by name, and never when it would fire. */
import { describe, expect, test } from "vitest";
import { changesOf } from "../../../daemons/auto-fix/facts.js";
import { Series } from "../../../daemons/auto-fix/series.js";
import { allHold, askCondition, type ConditionAnswer } from "../../../lib/domain/metric-conditions.js";
import { allowedCommandsDefinition, whyNotAllowed } from "../../../lib/schema/allowed-commands.js";
import type { ActionOf } from "../../../lib/schema/fix-actions.js";
import { type Fix, registryDefinition } from "../../../lib/schema/fix-registry.js";
import { type FullCondition, type HealingSettings, healingDefinition } from "../../../lib/schema/healing-policies.js";
import { readPolicy } from "../../../lib/schema/policy.js";
import { sentenceOf } from "../../../lib/schema/problems.js";
import { SHIPPED_FIXES, SHIPPED_POLICIES } from "../../../lib/schema/shipped-fixes.js";

const registry = (raw: unknown) => readPolicy(registryDefinition(SHIPPED_FIXES), raw);
const healing = (raw: unknown) => readPolicy(healingDefinition(SHIPPED_POLICIES), raw);
const whyOf = (read: ReturnType<typeof registry> | ReturnType<typeof healing>): string =>
  read.ok ? "it is accepted" : sentenceOf(read.problems);

const fix = (more: object): object => ({
  ...{ fix_id: "x", category: "resource", name: "X", applies_to_patterns: ["resource:out_of_memory"] },
  ...{ safety: { safety_score: 0.9 }, actions: [{ type: "alert-oncall" }] },
  ...more,
});

describe("the fix registry", () => {
  test("has all that is shipped where there is no file, and what a file says where there is one", () => {
    expect(registry(undefined)).toMatchObject({ ok: true, value: { policy: { settings: { fixes: SHIPPED_FIXES } } } });
    expect(registry({ fixes: [] })).toMatchObject({ ok: true, value: { policy: { settings: { fixes: [] } } } });
    expect(registry({ fixes: SHIPPED_FIXES }).ok).toBe(true);
  });

  test.each<[string, object, RegExp]>([
    [
      "an unknown action",
      fix({ actions: [{ type: "restart-wroker" }] }),
      /which "restart-wroker" is not \(did you mean restart-worker\?\)/,
    ],
    [
      "an action that no target can do",
      fix({ actions: [{ type: "rollback-deployment" }] }),
      /possible on no supported target/,
    ],
    [
      "a field that starts programs",
      fix({
        actions: [
          { type: "modify-worker-spec", changes: [{ field: "launch.command", operation: "set", value: "sh" }] },
        ],
      }),
      /must be a field that a fix may change/,
    ],
    [
      "a field by which objects are poisoned",
      fix({
        actions: [
          { type: "modify-worker-spec", changes: [{ field: "resources.__proto__", operation: "set", value: 1 }] },
        ],
      }),
      /must be a field that a fix may change/,
    ],
    [
      "arithmetic on a word",
      fix({
        actions: [
          { type: "modify-worker-spec", changes: [{ field: "processing.batch_size", operation: "add", value: "ten" }] },
        ],
      }),
      /must be a number to add, got "ten"/,
    ],
    [
      "a path out of the home",
      fix({ actions: [{ type: "clean-state", paths: ["../{worker_id}"] }] }),
      /must be a path below the home/,
    ],
    [
      "a path that is not the worker's own",
      fix({ actions: [{ type: "clean-state", paths: ["agents"] }] }),
      /must name \{worker_id\}/,
    ],
    ["a score that is no share", fix({ safety: { safety_score: 95 } }), /safety_score must be <= 1, got 95/],
    ["a pattern without its category", fix({ applies_to_patterns: ["out_of_memory"] }), /must be category:type/],
    ["an unknown key", fix({ saftey: {} }), /saftey is not a known key/],
  ])("refuses %s by name", (_, bad, reason) => {
    expect(whyOf(registry({ fixes: [bad] }))).toMatch(reason);
  });

  test("refuses two fixes of one name", () => {
    expect(whyOf(registry({ fixes: [fix({}), fix({})] }))).toMatch(/fixes\.1\.fix_id "x" is there twice/);
  });

  test("takes over the dialect seen in the field, and leaves to a person what it cannot do", () => {
    const raw = {
      version: "1.1.0",
      fixes: [
        fix({
          prerequisites: { min_pattern_confidence: 0.8, requires_worker_specs: true, max_memory_limit_mb: 8192 },
          safety: {
            safety_score: 0.95,
            requires_approval: false,
            rollback_supported: true,
            reversible: true,
            risk_level: "low",
          },
          actions: [
            { type: "modify_worker_spec", field: "retry.strategy", operation: "set", value: "exponential_backoff" },
            { type: "modify_worker_spec", field: "retry.initial_delay_seconds", operation: "set", value: 30 },
            { type: "emit_event", event_type: "x" },
          ],
          validation: {
            monitoring_period_hours: 24,
            success_criteria: [{ type: "pattern_occurrence_decrease", min_decrease_percent: 70 }],
          },
          rollback: { type: "restore_previous_config", conditions: [] },
          metadata: { priority: "high" },
        }),
        fix({ fix_id: "y", name: "Rotate", actions: [{ type: "rotate_secret", invalidate_old: true }] }),
      ],
    };
    const read = registry(raw);
    expect(whyOf(read)).toBe("it is accepted");
    expect(read.ok && read.value.notes).toEqual([
      '"fixes[].validation.monitoring_period_hours" is read as "fixes[].validation.monitoring_period_seconds"',
      '"fixes[].validation.success_criteria[pattern_occurrence_decrease].min_decrease_percent" is read as "fixes[].validation.min_decrease"',
      '"fixes[].rollback.type" is read as "fixes[].rollback.on_ineffective"',
      '"fixes[].metadata" has no meaning here and is passed over',
      '"fixes[].prerequisites.requires_worker_specs" has no meaning here and is passed over',
      '"fixes[].prerequisites.max_memory_limit_mb" has no meaning here and is passed over',
      '"fixes[].safety.reversible" has no meaning here and is passed over',
      '"fixes[].actions[modify_worker_spec]" is read as "fixes[].actions[modify-worker-spec]"',
      '"fixes[].actions[emit_event]" has no meaning here and is passed over',
      '"fixes[].actions[rotate_secret]" is read as "fixes[].actions[ask-person]"',
      '"fixes[].actions[rotate_secret].invalidate_old" has no meaning here and is passed over',
    ]);
    expect(read).toMatchObject({
      value: {
        policy: {
          settings: {
            fixes: [
              {
                actions: [
                  {
                    type: "modify-worker-spec",
                    changes: [{ field: "retry.strategy" }, { field: "retry.initial_delay_seconds" }],
                  },
                ],
                validation: { monitoring_period_seconds: 86_400, min_decrease: 0.7 },
                rollback: { on_ineffective: true },
              },
              { actions: [{ type: "ask-person", request: "Rotate (rotate secret)" }] },
            ],
          },
        },
      },
    });
  });
});

describe("what a fix must prove, in other names", () => {
  /** The blocks that are in force, and what is said about them. */
  function judgedBy(blocks: object) {
    const read = registry({ fixes: [fix(blocks)] });
    if (!read.ok) throw new Error(sentenceOf(read.problems));
    const { validation, rollback } = read.value.policy.settings.fixes[0] as Fix;
    return { validation, rollback, notes: read.value.notes };
  }

  test("is read in a fix whose actions have our names, with a note for each key", () => {
    const validation = {
      monitoring_period: 600,
      success_criteria: [
        { type: "pattern_occurrence_decrease", min_decrease_percent: 60, measurement_window_hours: 24 },
        { type: "worker_success_rate", min_success_rate: 0.8 },
        { type: "memory_usage_decrease", min_decrease_percent: 20 },
      ],
    };
    const conditions = [
      { type: "validation_failure", action: "immediate" },
      { type: "new_failures_detected", threshold: 5, action: "immediate" },
      { type: "throughput_decrease", threshold_percent: 40, action: "gradual" },
    ];
    expect(judgedBy({ validation, rollback: { type: "restore_previous_config", conditions } })).toEqual({
      validation: { monitoring_period_seconds: 600, min_decrease: 0.6, min_success_rate: 0.8, new_failures_max: 5 },
      rollback: { on_ineffective: true },
      notes: [
        '"fixes[].validation.monitoring_period" is read as "fixes[].validation.monitoring_period_seconds"',
        '"fixes[].validation.success_criteria[pattern_occurrence_decrease].min_decrease_percent" is read as "fixes[].validation.min_decrease"',
        '"fixes[].validation.success_criteria[pattern_occurrence_decrease].measurement_window_hours" has no meaning here and is passed over',
        '"fixes[].validation.success_criteria[worker_success_rate].min_success_rate" is read as "fixes[].validation.min_success_rate"',
        '"fixes[].validation.success_criteria[memory_usage_decrease]" has no meaning here and is passed over',
        '"fixes[].rollback.type" is read as "fixes[].rollback.on_ineffective"',
        '"fixes[].rollback.conditions[validation_failure]" is read as "fixes[].rollback.on_ineffective"',
        '"fixes[].rollback.conditions[new_failures_detected].threshold" is read as "fixes[].validation.new_failures_max"',
        '"fixes[].rollback.conditions[throughput_decrease]" has no meaning here and is passed over',
      ],
    });
  });

  test("keeps in place what did not help where nothing is to be undone", () => {
    expect(judgedBy({ rollback: { type: "none", reason: "it cannot be" } })).toEqual({
      validation: undefined,
      rollback: { on_ineffective: false },
      notes: [
        '"fixes[].rollback.type" is read as "fixes[].rollback.on_ineffective"',
        '"fixes[].rollback.reason" has no meaning here and is passed over',
      ],
    });
    const { rollback, notes } = judgedBy({ rollback: { type: "by_hand", conditions: [] } });
    expect([rollback, notes]).toEqual([
      {},
      ['"fixes[].rollback.type[by_hand]" has no meaning here and is passed over'],
    ]);
  });

  test("gives way to our own names where both are there", () => {
    const { validation, rollback } = judgedBy({
      validation: { monitoring_period_hours: 24, monitoring_period_seconds: 60 },
      rollback: { type: "restore_previous_config", on_ineffective: false, on_inconclusive: "undo" },
    });
    expect(validation).toEqual({ monitoring_period_seconds: 60 });
    expect(rollback).toEqual({ on_ineffective: false, on_inconclusive: "undo" });
  });

  test.each([
    [
      { validation: { monitoring_period: "24h" } },
      'fixes.0.validation.monitoring_period_seconds must be a number, got "24h"',
    ],
    [
      { validation: { success_criteria: ["worker_success_rate"] } },
      "fixes.0.validation.success_criteria is not a known key",
    ],
    [{ rollback: { type: 7 } }, "fixes.0.rollback.type is not a known key"],
    [{ rollback: { on_inefective: false } }, "fixes.0.rollback.on_inefective is not a known key"],
  ])("is refused by name where it is not understood: %j", (blocks, why) => {
    expect(whyOf(registry({ fixes: [fix(blocks)] }))).toContain(why);
  });
});

describe("healing policies", () => {
  test("as shipped are all switched off, and become usable with a scope", () => {
    expect(SHIPPED_POLICIES.map((policy) => [policy.enabled, policy.scope])).toEqual(
      SHIPPED_POLICIES.map(() => [false, undefined]),
    );
    const scoped = SHIPPED_POLICIES.map((policy) => ({ ...policy, enabled: true, scope: { components: ["api"] } }));
    expect(whyOf(healing({ policies: scoped }))).toBe("it is accepted");
    expect(whyOf(healing({ policies: SHIPPED_POLICIES.map((policy) => ({ ...policy, enabled: true })) }))).toMatch(
      /scope\.components must name/,
    );
  });

  test("wait longer with a restart among their actions, and need clear conditions", () => {
    const read = healing({ policies: SHIPPED_POLICIES });
    if (!read.ok) throw new Error("the shipped policies are refused");
    const [spike, errors] = read.value.policy.settings.policies;
    expect([spike?.cooldown_seconds, errors?.cooldown_seconds]).toEqual([900, 300]);
    expect(spike?.conditions[0]).toMatchObject({ for_seconds: 180, min_samples: 5 });
    const [first] = SHIPPED_POLICIES;
    const unclear = { ...first, enabled: true, scope: { components: ["api"] }, clear_conditions: [] };
    expect(whyOf(healing({ policies: [unclear] }))).toMatch(/clear_conditions must say when/);
  });

  const HOLD_MS = 240_000;
  /** Which of the shipped ones hold where the metrics have had these values every minute for four minutes. */
  function holding(metrics: Readonly<Record<string, number>>): string[] {
    const read = healing({ policies: SHIPPED_POLICIES });
    if (!read.ok) throw new Error("the shipped policies are refused");
    const holds = (condition: FullCondition): ConditionAnswer => {
      const value = metrics[condition.metric];
      const minutes = value === undefined ? [] : [0, 60_000, 120_000, 180_000, HOLD_MS];
      return askCondition(
        condition,
        minutes.map((at_ms) => ({ at_ms, value: value ?? 0 })),
        HOLD_MS,
        0,
      );
    };
    const settings = read.value.policy.settings as HealingSettings;
    return settings.policies
      .filter(({ conditions }) => allHold(conditions.map(holds)) === true)
      .map(({ name }) => name);
  }

  test.each<[Readonly<Record<string, number>>, string[]]>([
    [{ latency_p99: 501 }, ["Critical Latency Spike"]],
    [{ latency_p99: 500 }, []],
    [{ latency_p99: 499 }, ["Moderate Latency"]],
    [{ latency_p99: 300 }, []],
    [{ error_rate: 0.16, throughput: 600 }, ["High Error Rate"]],
    [{ error_rate: 0.15, throughput: 600 }, []],
    [{ error_rate: 0.16, throughput: 100 }, ["Throughput Drop"]],
    [{ cpu_util: 0.91, memory_util: 0.86 }, ["Resource Exhaustion"]],
    [{ cpu_util: 0.91, memory_util: 0.85 }, []],
    [{ cpu_util: 0.91 }, []],
    [{ throughput: 499 }, ["Throughput Drop"]],
    [{ throughput: 500 }, []],
  ])("as shipped hold for %j: %j", (metrics, names) => {
    expect(holding(metrics)).toEqual(names);
  });

  test("as shipped do what their table says, in this order", () => {
    expect(SHIPPED_POLICIES.map(({ priority, actions }) => [priority, ...actions.map(({ type }) => type)])).toEqual([
      [10, "restart-service", "alert-oncall"],
      [9, "enable-circuit-breaker", "fallback-mode"],
      [7, "scale-up", "restart-service"],
      [5, "scale-up"],
      [4, "restart-service"],
    ]);
  });

  test("whose ladder runs in a circle over others are refused with the whole way", () => {
    const [a, b] = SHIPPED_POLICIES;
    const policies = [
      { ...a, name: "A", escalation: { next: "B" } },
      { ...b, name: "B", escalation: { next: "A" } },
    ];
    expect(whyOf(healing({ policies }))).toMatch(/leads in a circle: A -> B -> A/);
  });
});

describe("allowed commands", () => {
  const read = readPolicy(allowedCommandsDefinition, {
    commands: [{ name: "flush", path: "/usr/bin/true", args: ["[a-z]+"] }],
  });
  if (!read.ok) throw new Error("the list is refused");
  const allowed = read.value.policy.settings;

  test.each([
    ["flush", ["cache"], null],
    ["flush", ["cache; rm -rf /"], /does not match/],
    ["flush", ["cache\n"], /does not match/],
    ["flush", ["--help"], /does not match/],
    ["flush", [], /takes 1 arguments/],
    ["other", [], /not in allowed-commands/],
  ])("answer %s %j", (name, args, reason) => {
    const why = whyNotAllowed(allowed, name as string, args as string[]);
    if (reason === null) expect(why).toBeNull();
    else expect(why).toMatch(reason as RegExp);
  });

  test("are refused without an absolute path, and with a pattern that is none", () => {
    const why = (command: object): string => {
      const bad = readPolicy(allowedCommandsDefinition, { commands: [command] });
      return bad.ok ? "" : sentenceOf(bad.problems);
    };
    expect(why({ name: "x", path: "flush" })).toMatch(/must be an absolute path/);
    expect(why({ name: "x", path: "/bin/../tmp/x" })).toMatch(/must be an absolute path/);
    expect(why({ name: "x", path: "/bin/true", args: ["("] })).toMatch(/must be a regular expression/);
  });
});

describe("the changes of a template", () => {
  const heartbeat = SHIPPED_FIXES.find((each) => each.fix_id === "adjust-heartbeat-interval")
    ?.actions[0] as ActionOf<"modify-worker-spec">;

  test("keep the proportion of values that belong together, also where one meets its bound", () => {
    const made = changesOf(heartbeat, {
      heartbeat: { interval_seconds: 250, timeout_seconds: 800, zombie_threshold_seconds: 2000 },
    });
    expect(made).toEqual([
      { field: "heartbeat.interval_seconds", before: 250, after: 300 },
      { field: "heartbeat.timeout_seconds", before: 800, after: 960 },
      { field: "heartbeat.zombie_threshold_seconds", before: 2000, after: 2400 },
    ]);
  });

  test("begin from what is in force where nothing is written, and from a default before anything else is known", () => {
    const inForce = {
      "heartbeat.interval_seconds": 5,
      "heartbeat.timeout_seconds": 20,
      "heartbeat.zombie_threshold_seconds": 50,
    };
    expect(changesOf(heartbeat, {}, inForce)).toEqual([
      { field: "heartbeat.interval_seconds", before: 5, after: 7.5 },
      { field: "heartbeat.timeout_seconds", before: 20, after: 30 },
      { field: "heartbeat.zombie_threshold_seconds", before: 50, after: 75 },
    ]);
    const limit = "resources.memory_limit_mb";
    const add = { field: limit, operation: "add", value: 100, default_value: 512 } as const;
    expect(changesOf({ type: "modify-worker-spec", changes: [add] }, {}, inForce)).toEqual([
      { field: limit, before: 512, after: 612 },
    ]);
  });

  test("keep the proportion of short times too, which whole seconds would not", () => {
    expect(
      changesOf(heartbeat, { heartbeat: { interval_seconds: 1, timeout_seconds: 2, zombie_threshold_seconds: 3 } }),
    ).toMatchObject([{ after: 1.5 }, { after: 3 }, { after: 4.5 }]);
  });

  test("go where the value stands", () => {
    const timeout = SHIPPED_FIXES.find((each) => each.fix_id === "increase-task-timeout")
      ?.actions[0] as ActionOf<"modify-worker-spec">;
    expect(changesOf(timeout, { max_runtime_seconds: 900 })).toEqual([
      { field: "max_runtime_seconds", before: 900, after: 1500 },
    ]);
    expect(changesOf(timeout, {})).toMatch(/timeouts\.task_timeout_seconds has no number/);
  });
});

describe("the series of samples", () => {
  const wanted = new Map([["scan-worker", new Set(["cpu_util", "constructor"])]]);

  test("take only numbers under names that are asked for, and average workers of the same second", () => {
    const series = new Series();
    const line = (at_ms: number, metrics: object): string =>
      JSON.stringify({ at_ms, worker_type: "scan-worker", metrics });
    expect(series.take(line(1_000, { cpu_util: 0.8 }), wanted)).toBe(true);
    series.take(line(1_400, { cpu_util: 1 }), wanted);
    series.take(line(60_000, { cpu_util: "high" }), wanted);
    series.take('{"at_ms":2000,"worker_type":"scan-worker","metrics":{"__proto__":{"cpu_util":9}}}', wanted);
    expect(series.take('{"at_ms":', wanted)).toBe(false);
    expect(series.of("scan-worker", "cpu_util")).toEqual([{ at_ms: 1_000, value: 0.9 }]);
    expect(series.of("scan-worker", "constructor")).toEqual([]);
  });
});
