/** auto-fix as a process of its own: what it plans, what goes first, whom it calls, and what a kill leaves of it. */
import { existsSync, readdirSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { dataOf, FixHome, type Json, OPEN, SCAN, writeJson } from "./support/fix-home.js";
import { end, until } from "./support/launched.js";

let fixing: FixHome;

beforeEach(() => {
  fixing = new FixHome();
  fixing.template("scan-worker", SCAN);
});

afterEach(() => fixing.close());

const verdictsOf = (fixId: string): unknown[] =>
  fixing
    .decisions()
    .filter(({ event }) => (event as Json).fix_id === fixId)
    .map(({ verdict, reason }) => `${verdict} ${reason}`);

describe("auto-fix, killed with -9 between the deed and the verdict", () => {
  test("goes on watching at its next start, and takes back once what did not help meanwhile", async () => {
    const daemon = await fixing.start("auto-fix");
    for (const attempt of [1, 2, 3]) fixing.died("scan-1", attempt, 2_000);
    fixing.publish(fixing.patternLine("resource:out_of_memory", { total: 3 }));
    await fixing.said("fix_applied");
    expect(fixing.runs()).toMatchObject([{ phase: "verifying" }]);
    const runId = fixing.runs()[0]?.run_id;
    if (daemon.pid !== undefined) end(daemon.pid);
    await until(() => daemon.signalCode !== null, "it is dead");
    for (const attempt of [4, 5]) fixing.died("scan-1", attempt, 0);
    fixing.publish(fixing.patternLine("resource:out_of_memory", { total: 5 }));
    expect(fixing.limitOf()).toBe(768);
    await fixing.start("auto-fix");
    await fixing.said("fix_undone");
    // The failure goes on, so that the same fix may be tried once more: what is meant is this run.
    const ofRun = (type: string): Json[] =>
      fixing.events(type).filter((event) => (event.data as Json | undefined)?.run_id === runId);
    const run = (): Json | undefined => fixing.runs().find((each) => each.run_id === runId);
    await until(() => run()?.phase === "done", "the run is over");
    expect(run()).toMatchObject({ phase: "done", verdict: "ineffective" });
    expect(ofRun("fix_applied")).toHaveLength(1);
    expect(ofRun("fix_undone")).toHaveLength(1);
  }, 40_000);
});

describe("a policy with a forecast", () => {
  const rising = { metric: "memory_util", operator: "gt", threshold: 0.9, for_seconds: 60, min_samples: 5 };
  const policy = (more: Json = {}): Json => ({
    ...{ name: "Before memory runs out", enabled: true, priority: 5, actions: ["fallback-mode"] },
    conditions: [rising],
    clear_conditions: [{ ...rising, operator: "lt", threshold: 0.5, for_seconds: 0 }],
    scope: { components: ["scan-worker"] },
    predict: { horizon_minutes: 60, quiet: { for_seconds: 8 } },
    ...more,
  });
  /** Half an hour in which memory has risen by 0.01 a minute: it meets 0.9 in half an hour. */
  const halfAnHour = (throughput: number): void => {
    for (let minute = 30; minute >= 1; minute--)
      fixing.sample({ memory_util: 0.6 - minute / 100, throughput }, minute * 60_000);
  };
  const flag = (): boolean => existsSync(fixing.at("auto-fix/fallback/scan-worker"));
  const busy = () => ({ memory_util: 0.6, throughput: 100 });

  test("waits while the component is busy, says until when, and acts when it becomes quiet", async () => {
    halfAnHour(100);
    await fixing.start("auto-fix");
    // Measured before it is asked about, so that the first look knows the load.
    for (const agoMs of [3_000, 1_500]) fixing.sample(busy(), agoMs);
    fixing.config("healing-policies", { policies: [policy()] });
    await fixing.measuring(busy, () => fixing.events("fix_suppressed").length > 0, "it waits");
    expect(fixing.events("fix_suppressed")).toMatchObject([{ reason: "quiet_moment" }]);
    expect(fixing.events("fix_suppressed")[0]?.message).toMatch(
      /^Before memory runs out is not applied to scan-worker: it waits for a quiet moment until .+Z; throughput is 100, usually 100$/,
    );
    const gates = fixing.decisions().at(-1)?.gates as readonly Json[];
    expect(gates.at(-1)).toMatchObject({ gate: "quiet_moment", passed: false, value: { metric: "throughput" } });
    const wait = Date.parse(String(gates.at(-1)?.passes_at)) - Date.now();
    expect(wait).toBeGreaterThan(20 * 60_000);
    expect(wait).toBeLessThan(30 * 60_000);
    expect(flag()).toBe(false);
    await fixing.measuring(() => ({ memory_util: 0.6, throughput: 3 }), flag, "it acts");
    expect(fixing.runs()[0]?.why).toMatch(/^Before memory runs out: memory_util 0\.6, > 0\.9 in (29|3\d) min$/);
  }, 60_000);

  test("acts at once where the forecast comes true before any waiting, quiet or not", async () => {
    fixing.config("healing-policies", {
      policies: [policy({ predict: { horizon_minutes: 60, latest_seconds: 2400 } })],
    });
    halfAnHour(100);
    await fixing.start("auto-fix");
    await fixing.measuring(busy, flag, "it acts");
  }, 60_000);

  test("that waits keeps no other from acting on what is so already", async () => {
    const errors = { metric: "error_rate", operator: "gt", threshold: 0.15, for_seconds: 0, min_samples: 2 };
    fixing.config("healing-policies", {
      policies: [
        policy({ priority: 9 }),
        policy({
          ...{ name: "Errors", priority: 3, conditions: [errors], predict: undefined },
          clear_conditions: [{ ...errors, operator: "lt", threshold: 0.1 }],
        }),
      ],
    });
    halfAnHour(100);
    await fixing.start("auto-fix");
    await fixing.measuring(() => ({ ...busy(), error_rate: 0.5 }), flag, "the other acts");
    await fixing.said("fix_applied");
    expect(fixing.events("fix_applied")).toMatchObject([{ data: { fix_id: "policy-errors" } }]);
  }, 60_000);
});

describe("a healing policy", () => {
  const errors = { metric: "error_rate", operator: "gt", threshold: 0.15, for_seconds: 0, min_samples: 2 };
  const policy = (more: Json): Json => ({
    ...{ name: "Errors", enabled: true, priority: 5, actions: ["fallback-mode"], conditions: [errors] },
    clear_conditions: [{ ...errors, operator: "lt", threshold: 0.1 }],
    scope: { components: ["scan-worker"] },
    ...more,
  });

  test("that names a time calls a person after it, once, though nothing could be tried, and says when it is over", async () => {
    fixing.config("healing-policies", {
      policies: [policy({ requires_approval: true, escalation: { person_after_seconds: 3 } })],
    });
    await fixing.start("auto-fix");
    let value = 0.5;
    const called = (): Json[] => fixing.events("escalation_opened");
    await fixing.measuring(
      () => ({ error_rate: value }),
      () => called().length > 0,
      "a person is called",
    );
    expect(called()[0]?.message).toMatch(/^Errors of scan-worker is not over after 3 s: error_rate 0\.5 > 0\.15/);
    expect(fixing.events("fix_pending")).toHaveLength(1);
    value = 0.01;
    await fixing.measuring(
      () => ({ error_rate: value }),
      () => fixing.events("escalation_resolved").length > 0,
      "it is over",
    );
    expect(called()).toHaveLength(1);
  }, 60_000);
});

describe("of two patterns of one worker type", () => {
  const cause = (more: Json = {}): string => fixing.patternLine("resource:out_of_memory", more);
  const symptom = (): string => fixing.patternLine("systemic:max_retries_exceeded");

  test("the cause is fixed first, whichever stands first, and the symptom's decision says so", async () => {
    fixing.publish(symptom(), cause());
    await fixing.start("auto-fix");
    await fixing.said("fix_applied");
    await until(() => verdictsOf("enable-retry-backoff").length > 0, "the other is decided upon");
    expect(fixing.events("fix_applied")).toMatchObject([{ data: { fix_id: "increase-memory-limit" } }]);
    expect(verdictsOf("enable-retry-backoff")).toEqual(["suppress turn"]);
    const decision = fixing.decisions().find(({ reason }) => reason === "turn");
    expect(decision?.message).toContain("increase-memory-limit for resource:out_of_memory: nearer to the cause");
  }, 30_000);

  test("the symptom is fixed where nothing can be done about the cause", async () => {
    fixing.template("scan-worker", { ...SCAN, resources: { memory_limit_mb: 8192 } });
    fixing.publish(symptom(), cause());
    await fixing.start("auto-fix");
    await fixing.said("fix_applied");
    expect(fixing.events("fix_applied")).toMatchObject([{ data: { fix_id: "enable-retry-backoff" } }]);
  }, 30_000);

  test("one task that runs out of memory is held where the others of its type are well, and no limit is raised", async () => {
    fixing.alive("scan-3", "task-3");
    fixing.publish(cause({ workers: ["scan-1", "scan-2"], tasks: ["task-1"] }));
    await fixing.start("auto-fix");
    await fixing.said("fix_applied");
    await until(() => verdictsOf("increase-memory-limit").length > 0, "the other is decided upon");
    expect(readdirSync(fixing.at("holds")).filter((name) => name.endsWith(".json"))).toEqual(["task-task-1.json"]);
    expect(verdictsOf("increase-memory-limit")).toEqual(["suppress turn"]);
    expect(fixing.limitOf()).toBe(512);
  }, 30_000);

  test("a limit is raised where all workers of the type have that one task: holding it would stop them all", async () => {
    fixing.alive("scan-2", "task-1");
    fixing.publish(cause({ workers: ["scan-1", "scan-2"], tasks: ["task-1"] }));
    await fixing.start("auto-fix");
    await fixing.said("fix_applied");
    expect(fixing.limitOf()).toBe(768);
    await until(() => verdictsOf("quarantine-poison-task").length > 0, "the quarantine is decided upon");
    expect(verdictsOf("quarantine-poison-task")).toEqual(["suppress in_window"]);
  }, 30_000);

  test("a task that is held already is not held again, and its hold keeps no other fix back", async () => {
    fixing.alive("scan-3", "task-3");
    const hold = { scope: "target", name: "task-1", acts: ["restart"], by: "worker-restart", why: "poison task" };
    const expires_at = new Date(Date.now() + 3_600_000).toISOString();
    writeJson(fixing.at("holds/task-task-1.json"), { ...hold, created_at: new Date().toISOString(), expires_at });
    fixing.publish(cause({ workers: ["scan-1", "scan-2"], tasks: ["task-1"] }));
    await fixing.start("auto-fix");
    await fixing.said("fix_applied");
    expect(fixing.limitOf()).toBe(768);
    await until(() => verdictsOf("quarantine-poison-task").length > 0, "the quarantine is decided upon");
    expect(verdictsOf("quarantine-poison-task")).toEqual(["suppress precondition"]);
  }, 30_000);
});

describe("a registry that cannot be read when the daemon starts", () => {
  test("allows no fix, where the shipped ones may be what the person had switched off, until it is mended", async () => {
    fixing.config("auto-fix-registry", { fixes: [{ fix_id: "x" }] });
    fixing.publish(fixing.patternLine("resource:out_of_memory"));
    await fixing.start("auto-fix");
    await until(() => fixing.refusals().length > 0, "it is refused");
    expect(fixing.refusals()[0]).toMatch(/auto-fix-registry\.json": fixes\.0\.category must be a string, got nothing/);
    // A later policy is in force, so that whatever the first look would have brought is there.
    fixing.config("auto-fix-policy", { ...OPEN, max_fixes_per_day: 40 });
    await until(() => fixing.loaded().filter((name) => name === "auto-fix-policy").length > 1, "it is in force");
    expect(fixing.decisions()).toEqual([]);
    fixing.config("auto-fix-registry", {});
    await fixing.said("fix_applied");
    expect(dataOf(fixing.events("fix_applied")[0]).fix_id).toBe("increase-memory-limit");
  }, 30_000);
});
