/** auto-fix as a process of its own, in a home of its own. In the first part with all four daemons and real workers. */
import { spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { dataOf, FixHome, type Json, lines, OPEN, readJson, SCAN as scan, writeJson } from "./support/fix-home.js";
import { end, until } from "./support/launched.js";

let fixing: FixHome;
let home: string;

beforeEach(() => {
  fixing = new FixHome();
  home = fixing.home;
});

afterEach(() => fixing.close());

const at = (...parts: string[]): string => fixing.at(...parts);
const config = (name: string, value: unknown): void => fixing.config(name, value);
const template = (type: string, blocks: object): void => fixing.template(type, blocks);
const start = (name: string) => fixing.start(name);
const events = (type: string): Json[] => fixing.events(type);
const said = (type: string, times = 1): Promise<void> => fixing.said(type, times);
const publish = (key: string, more: Json = {}): void => fixing.publish(fixing.patternLine(key, more));
const limitOf = (type?: string): unknown => fixing.limitOf(type);
const pendingRuns = (): string[] => fixing.pendingRuns();
const refusals = (): string[] => fixing.refusals();
const heald = (...args: string[]) => fixing.heald(...args);
const died = (workerId: string, attempt: number, lifeMs: number): void => fixing.died(workerId, attempt, lifeMs);

describe("a worker that outgrows its memory limit", () => {
  test("has the limit in its template raised, lives, and the fix is found effective", async () => {
    config("heartbeat-policy", {
      heartbeat_interval_seconds: 1,
      heartbeat_timeout_seconds: 5,
      zombie_threshold_seconds: 10,
      verify_delay_seconds: 0.2,
    });
    config("worker-restart-policy", {
      ...{
        max_retries: 2,
        retry_interval_seconds: 0.2,
        fast_exit_seconds: 0,
        first_retry_delay_seconds: 0.2,
        success_after_seconds: 2,
      },
      ...{
        jitter: "none",
        rate_limits: { per_task_min_interval_seconds: 0 },
        exhausted_probe_seconds: 600,
        circuit_breaker_enabled: false,
      },
    });
    const program =
      "const kept = []; for (let n = 0; n < 10; n++) kept.push(Buffer.alloc(10 * 1024 * 1024, 1)); setInterval(() => kept.length, 1000);";
    template("hungry-worker", {
      launch: { command: process.execPath, args: ["-e", program] },
      heartbeat: { mode: "none" },
      resources: { memory_limit_mb: 100 },
    });
    for (const name of ["heartbeat-monitor", "worker-restart", "failure-pattern", "auto-fix"]) await start(name);
    const cli = spawn(
      process.execPath,
      [resolve("dist/cli/main.js"), "spawn", "--type", "hungry-worker", "--task-id", "t1", "--id", "hungry-1"],
      {
        env: { ...process.env, HEALD_HOME: home },
        stdio: "ignore",
      },
    );
    await until(() => cli.exitCode === 0, "the worker is spawned", 10_000);
    await said("fix_applied");
    expect(limitOf("hungry-worker")).toBe(150);
    expect(dataOf(events("fix_applied")[0]).diff).toEqual([
      { what: "resources.memory_limit_mb", before: 100, after: 150 },
    ]);
    await said("fix_verified");
    expect(events("fix_verified")[0]).toMatchObject({ data: { verdict: "effective" } });
    const active = readJson(at("worker-specs/active/hungry-1.json")) as { resources: Json };
    expect(active.resources.memory_limit_mb).toBe(150);
    // The history's line follows the event.
    await until(() => lines(at("metrics/auto-fix-history.jsonl")).length > 0, "the history has its line", 10_000);
    expect(lines(at("metrics/auto-fix-history.jsonl"))).toMatchObject([
      { result: "success", verdict: "effective", mode: "live" },
    ]);
    expect(readFileSync(join(home, "agents/logs/system/auto-fix-daemon.log"), "utf8")).not.toMatch(/error/i);
  }, 90_000);
});

describe("a fix that does not help", () => {
  test("is undone in the template when the attempts after it die as before", async () => {
    template("scan-worker", scan);
    await start("auto-fix");
    for (const attempt of [1, 2, 3]) died("scan-1", attempt, 2_000);
    publish("resource:out_of_memory", { total: 3 });
    await said("fix_applied");
    expect(limitOf()).toBe(768);
    died("scan-1", 4, 0);
    died("scan-1", 5, 0);
    publish("resource:out_of_memory", { total: 5 });
    await said("fix_undone");
    expect(limitOf()).toBe(512);
    expect(events("fix_verified")).toMatchObject([{ data: { verdict: "ineffective" } }]);
    expect(lines(at("metrics/auto-fix-history.jsonl")).map((line) => line.result)).toEqual(["failure", "undone"]);
    await until(
      () =>
        existsSync(at("metrics/auto-fix-daemon-metrics.json")) &&
        readJson(at("metrics/auto-fix-daemon-metrics.json")).fixes_undone === 1,
      "the figures say so",
      10_000,
    );
    expect((await heald("fixes")).out).toMatch(
      /increase-memory-limit +0\.95 +0 +1 +0\.[67]\d +-\n {2}resource:out_of_memory\n/,
    );
  }, 60_000);

  test("leaves a template alone that a person has edited since", async () => {
    template("scan-worker", scan);
    await start("auto-fix");
    publish("resource:out_of_memory");
    await said("fix_applied");
    template("scan-worker", { ...scan, resources: { memory_limit_mb: 2000 }, note: "mine" });
    const [run = ""] = readdirSync(at("auto-fix/runs")).map((name) => name.replace(".json", ""));
    expect(await heald("fix", "undo", run)).toMatchObject({ code: 0 });
    await said("undo_conflict");
    const where = "resources.memory_limit_mb in worker-specs/templates/scan-worker.json (2000, not 768)";
    expect(events("undo_conflict")[0]?.message).toBe(`Left as it is. Changed by somebody else since the fix: ${where}`);
    expect(readJson(at("worker-specs/templates/scan-worker.json"))).toMatchObject({
      note: "mine",
      resources: { memory_limit_mb: 2000 },
    });
    await said("escalation_opened");
    // Nobody is told that the value is back where it was.
    expect(events("fix_undone")[0]?.message).toMatch(/is undone, but for what somebody else has changed since$/);
    await until(() => readJson(at(`auto-fix/runs/${run}.json`)).phase === "done", "the run is over");
    expect((await heald("fix", "ls")).out).toMatch(new RegExp(`${run} +done undo conflict`));
  }, 30_000);
});

describe("a pattern that failure-pattern's policy is not sure enough of", () => {
  test("is let alone, and fixed once the policy is satisfied with the same confidence", async () => {
    template("scan-worker", scan);
    await start("auto-fix");
    publish("resource:out_of_memory", { actionable: false });
    // Two fixes are known for it, and each is decided upon.
    const decided = (): Json[] => lines(at("decisions/auto-fix.jsonl"));
    await until(() => decided().length === 2, "it is decided upon", 10_000);
    expect(decided()).toMatchObject([{ reason: "fresh" }, { reason: "fresh" }]);
    expect(limitOf()).toBe(512);
    publish("resource:out_of_memory", { actionable: true });
    await said("fix_applied");
    expect(limitOf()).toBe(768);
  }, 30_000);
});

describe("a daemon that cannot start", () => {
  test("ends at once with the reason, and leaves the lock to the next", async () => {
    const scope = { components: ["api"] };
    const load = (operator: string) => [{ metric: "load", operator, threshold: 0.5 }];
    const policy = { name: "A", enabled: true, priority: 5, actions: ["alert-oncall"], scope };
    config("healing-policies", { policies: [{ ...policy, conditions: load("gt"), clear_conditions: load("lt") }] });
    symlinkSync("elsewhere", at("metrics/samples.jsonl"));
    const { code, out } = await heald("daemon", "auto-fix");
    expect(out).toMatch(/Cannot read ".*samples\.jsonl": a symbolic link/);
    expect(code).toBeGreaterThan(0);
    rmSync(at("metrics/samples.jsonl"));
    await start("auto-fix");
  }, 30_000);
});

describe("a hold on all", () => {
  test("keeps a fix back, which is applied as soon as a person ends it and not when it would have ended", async () => {
    template("scan-worker", scan);
    writeFileSync(at("holds/all"), "");
    await start("auto-fix");
    publish("resource:out_of_memory");
    const held = (): boolean => events("fix_suppressed").some(({ reason }) => reason === "hold");
    await until(held, "the fix is held back", 10_000);
    expect(limitOf()).toBe(512);
    rmSync(at("holds/all"));
    await said("fix_applied");
    expect(limitOf()).toBe(768);
  }, 30_000);
});

describe("heald fix undo", () => {
  test("takes back a fix, and removes the file that only the fix had made", async () => {
    await start("auto-fix");
    // The operator has no template of this type: the package's own is under the fix.
    publish("systemic:crash_loop", { worker_type: "test-worker", workers: ["test-1"] });
    await said("fix_applied");
    expect(readJson(at("worker-specs/templates/test-worker.json"))).toMatchObject({
      retry: { strategy: "exponential" },
    });
    const [run = ""] = readdirSync(at("auto-fix/runs")).map((name) => name.replace(".json", ""));
    expect((await heald("fix", "undo", run)).out).toContain("is to be undone");
    await said("fix_undone");
    expect(existsSync(at("worker-specs/templates/test-worker.json"))).toBe(false);
    await until(() => readJson(at(`auto-fix/runs/${run}.json`)).phase === "done", "the run is over");
    expect(await heald("fix", "undo", run)).toMatchObject({
      code: 4,
      out: expect.stringContaining("is undone already"),
    });
    expect((await heald("fix", "ls")).out).toMatch(new RegExp(`${run} +done`));
    // The file that asked for it stays, and is no second wish when the daemon starts again.
    await fixing.restart("auto-fix");
    expect(existsSync(at(`auto-fix/undo/${run}.json`))).toBe(true);
    expect(existsSync(at(`auto-fix/undo/${run}.json.why`))).toBe(false);
    expect(events("fix_undone")).toMatchObject([{ reason: expect.stringMatching(/^person:[^ ]+$/) }]);
  }, 30_000);
});

describe("a proposal", () => {
  const asks = { ...OPEN, categories: { resource: { requires_approval: true } } };

  async function proposed(): Promise<string> {
    config("auto-fix-policy", asks);
    template("scan-worker", scan);
    await start("auto-fix");
    publish("resource:out_of_memory");
    await until(() => pendingRuns().length === 1, "a proposal waits", 10_000);
    await said("fix_pending");
    return pendingRuns()[0] ?? "";
  }

  test("is carried out when a person moves it to approved/", async () => {
    const name = await proposed();
    expect(limitOf()).toBe(512);
    renameSync(at("auto-fix/pending", name), at("auto-fix/approved", name));
    await said("fix_applied");
    expect(limitOf()).toBe(768);
    expect(events("fix_approved")).toHaveLength(1);
  }, 30_000);

  test("that is copied to approved/ and then to rejected/ is carried out, waits no more, and the second is told so", async () => {
    const name = await proposed();
    copyFileSync(at("auto-fix/pending", name), at("auto-fix/approved", name));
    await said("fix_applied");
    expect(pendingRuns()).toEqual([]);
    copyFileSync(at("auto-fix/approved", name), at("auto-fix/rejected", name));
    const why = at("auto-fix/rejected", `${name}.why`);
    await until(() => existsSync(why), "it is refused", 10_000);
    expect(readFileSync(why, "utf8")).toMatch(/^uid-\d+ has approved it; heald fix undo takes it back\n$/);
    expect(limitOf()).toBe(768);
  }, 30_000);

  test("that was rejected and is approved after all is told that it waits no more", async () => {
    const name = await proposed();
    copyFileSync(at("auto-fix/pending", name), at("auto-fix/rejected", name));
    await said("fix_rejected");
    await until(() => pendingRuns().length === 0, "it waits no more");
    renameSync(at("auto-fix/rejected", name), at("auto-fix/approved", name));
    const why = at("auto-fix/approved", `${name}.why`);
    await until(() => existsSync(why), "it is refused", 10_000);
    expect(readFileSync(why, "utf8")).toMatch(/^it does not wait any more: uid-\d+ rejected /);
    expect(limitOf()).toBe(512);
  }, 30_000);

  test("that was spoilt is declined by moving it all the same, and waits no more", async () => {
    const name = await proposed();
    writeFileSync(at("auto-fix/pending", name), "{");
    const why = at("auto-fix/pending", `${name}.why`);
    await until(() => existsSync(why), "it cannot be read", 10_000);
    expect((await heald("fix", "reject", name)).out).toMatch(/ rejected\n$/);
    await said("fix_rejected");
    expect(events("fix_rejected")[0]?.message).toMatch(/uid-\d+ rejected /);
    await until(() => !existsSync(why), "nothing is said of it any more", 10_000);
    expect(limitOf()).toBe(512);
  }, 30_000);

  test("is refused when its content was changed, or when others can write it", async () => {
    const name = await proposed();
    const record = readJson(at("auto-fix/pending", name));
    writeJson(at("auto-fix/approved", name), {
      ...record,
      diff: [{ what: "resources.memory_limit_mb", before: 512, after: 9000 }],
    });
    await until(() => existsSync(at("auto-fix/approved", `${name}.why`)), "it is refused", 10_000);
    expect(readFileSync(at("auto-fix/approved", `${name}.why`), "utf8")).toMatch(/content was changed/);
    rmSync(at("auto-fix/approved", name));
    rmSync(at("auto-fix/approved", `${name}.why`));
    // Open to others before it is moved, so that no other version of it is ever seen.
    chmodSync(at("auto-fix/pending", name), 0o666);
    renameSync(at("auto-fix/pending", name), at("auto-fix/approved", name));
    await until(() => existsSync(at("auto-fix/approved", `${name}.why`)), "it is refused", 10_000);
    expect(readFileSync(at("auto-fix/approved", `${name}.why`), "utf8")).toMatch(/writable by others/);
    expect(limitOf()).toBe(512);
    const refused = lines(at("events/daemon-events.jsonl")).filter((event) => event.event_type === "record_refused");
    expect(refused.at(-1)?.message).toMatch(/^auto-fix\/approved\/run-.*\.json is refused: it is writable by others/);
    // None of them is an answer, and none of them may stop the daemon.
    writeFileSync(at("auto-fix/approved/run-large.json"), "a".repeat(70_000));
    mkdirSync(at("auto-fix/approved/run-folder.json"));
    symlinkSync("run-circle.json", at("auto-fix/approved/run-circle.json"));
    writeFileSync(at("auto-fix/approved/run-nobody.json"), "{}");
    await until(
      () => existsSync(at("auto-fix/approved/run-nobody.json.why")),
      "one that nobody proposed is refused",
      10_000,
    );
    const why = (id: string): string => at(`auto-fix/approved/${id}.json.why`);
    const refusedAll = (): boolean => ["run-large", "run-folder", "run-circle"].every((id) => existsSync(why(id)));
    await until(refusedAll, "what is no answer is refused", 10_000);
    expect(readFileSync(why("run-large"), "utf8")).toBe("70000 bytes, at most 65536\n");
    expect(readFileSync(why("run-circle"), "utf8")).toBe("it is a symbolic link\n");
  }, 30_000);

  test("counts for nothing when what it would change has another value by then", async () => {
    const name = await proposed();
    template("scan-worker", { ...scan, resources: { memory_limit_mb: 600 } });
    renameSync(at("auto-fix/pending", name), at("auto-fix/approved", name));
    await said("fix_rejected");
    expect(limitOf()).toBe(600);
    expect(readFileSync(at("auto-fix/approved", `${name}.why`), "utf8")).toMatch(/not any more as it was proposed/);
  }, 30_000);

  test("whose fix is gone from the registry is over when it is approved, and proposed anew when the fix is back", async () => {
    const name = await proposed();
    config("auto-fix-registry", { fixes: [] });
    await until(() => fixing.loaded().filter((each) => each === "auto-fix-registry").length === 1, "it is loaded");
    renameSync(at("auto-fix/pending", name), at("auto-fix/approved", name));
    await said("fix_rejected");
    expect(events("fix_rejected")[0]).toMatchObject({ reason: "gone" });
    expect(readFileSync(at("auto-fix/approved", `${name}.why`), "utf8")).toMatch(/fix is gone$/m);
    rmSync(at("config/auto-fix-registry.json"));
    await said("fix_pending", 2);
    expect(limitOf()).toBe(512);
  }, 30_000);

  test("expires into an escalation", async () => {
    config("auto-fix-policy", { ...asks, approval: { expires_after_seconds: 1 } });
    template("scan-worker", scan);
    await start("auto-fix");
    publish("resource:out_of_memory");
    await said("fix_expired");
    await said("escalation_opened");
    await until(() => pendingRuns().length === 0, "the proposal is gone");
    expect(limitOf()).toBe(512);
  }, 30_000);
});

describe("a command", () => {
  function registry(args: string[], command = "note-it"): void {
    config("auto-fix-registry", {
      fixes: [
        {
          fix_id: "run-it",
          category: "workflow",
          name: "Run it",
          applies_to_patterns: ["systemic:api_error"],
          safety: { safety_score: 0.95 },
          actions: [{ type: "run-command", command, args }],
        },
      ],
    });
  }

  function program(): string {
    const path = join(home, "note-it.sh");
    writeFileSync(path, `#!/bin/sh\nprintf '%s\\n' "$@" >> "${join(home, "noted")}"\n`, { mode: 0o755 });
    config("allowed-commands", { commands: [{ name: "note-it", path, args: ["[a-z-]{1,40}", "[A-Za-z0-9-]{1,40}"] }] });
    return path;
  }

  const noted = (): string => (existsSync(join(home, "noted")) ? readFileSync(join(home, "noted"), "utf8") : "");
  const why = (): unknown => lines(at("decisions/auto-fix.jsonl")).at(-1)?.message;

  test("from the allowed list is run once, with the arguments that were checked", async () => {
    program();
    registry(["restart", "{worker_id}"]);
    template("scan-worker", scan);
    await start("auto-fix");
    publish("systemic:api_error");
    await said("fix_applied");
    expect(noted()).toBe("restart\nscan-1\n");
  }, 30_000);

  test.each([
    ["not on the list", ["restart", "x"], "other", /"other" is not in allowed-commands/],
    ["with clever arguments", ["restart;id", "x"], "note-it", /argument 1 .* does not match/],
    ["with a line feed at the end", ["restart\n", "x"], "note-it", /argument 1 .* does not match/],
    ["with one argument more", ["restart", "x", "y"], "note-it", /takes 2 arguments, got 3/],
  ])(
    "%s is not run, and the decision says why",
    async (_, args, command, reason) => {
      program();
      registry(args, command);
      template("scan-worker", scan);
      await start("auto-fix");
      publish("systemic:api_error");
      await said("fix_suppressed");
      expect(why()).toMatch(reason);
      expect(noted()).toBe("");
    },
    30_000,
  );

  test("that others can write is not run", async () => {
    chmodSync(program(), 0o777);
    registry(["restart", "x"]);
    template("scan-worker", scan);
    await start("auto-fix");
    publish("systemic:api_error");
    await said("fix_failed");
    expect(dataOf(events("fix_failed")[0]).problem).toMatch(/not safe to run: it is writable by others/);
    expect(noted()).toBe("");
  }, 30_000);
});

describe("corrupt state", () => {
  test("is moved aside, and nothing is deleted", async () => {
    const state = join(home, "agents/workers/scan-1/state");
    mkdirSync(state, { recursive: true });
    writeFileSync(join(state, "cursor"), "garbage");
    template("scan-worker", scan);
    await start("auto-fix");
    publish("data:state_corruption");
    await said("fix_applied");
    expect(existsSync(state)).toBe(false);
    const [aside = ""] = readdirSync(dirname(state));
    expect(aside).toMatch(/^state\.aside-run-/);
    expect(readFileSync(join(dirname(state), aside, "cursor"), "utf8")).toBe("garbage");
  }, 30_000);

  test("behind a link is left alone", async () => {
    mkdirSync(join(home, "agents/workers/scan-1"), { recursive: true });
    mkdirSync(join(home, "elsewhere"));
    symlinkSync(join(home, "elsewhere"), join(home, "agents/workers/scan-1/state"));
    template("scan-worker", scan);
    await start("auto-fix");
    publish("data:state_corruption");
    await said("fix_failed");
    expect(existsSync(join(home, "elsewhere"))).toBe(true);
  }, 30_000);
});

describe("a healing policy", () => {
  const held = { for_seconds: 0, min_samples: 2 };
  const policy = (name: string, priority: number, actions: unknown[], more: Json = {}): Json => ({
    ...{ name, enabled: true, priority, actions, cooldown_seconds: 0, settle_seconds: 0.5, verify_seconds: 5 },
    conditions: [{ metric: "error_rate", operator: "gt", threshold: 0.15, ...held }],
    clear_conditions: [{ metric: "error_rate", operator: "lt", threshold: 0.1, ...held }],
    scope: { components: ["scan-worker"] },
    ...more,
  });

  const measuring = (value: () => number, done: () => boolean, what: string): Promise<void> =>
    fixing.measuring(() => ({ error_rate: value() }), done, what);

  test("climbs its ladder: the first rung does not help, the second does, and no person is called", async () => {
    template("scan-worker", scan);
    config("healing-policies", {
      policies: [
        policy("Break", 9, ["enable-circuit-breaker"]),
        policy("Fall back", 5, ["fallback-mode"]),
        policy("Call", 1, ["alert-oncall"]),
      ],
    });
    await start("auto-fix");
    const flag = at("auto-fix/fallback/scan-worker");
    const verdicts = (): unknown[] =>
      events("fix_verified").map((event) => `${dataOf(event).fix_id} ${dataOf(event).verdict}`);
    await measuring(
      () => (existsSync(flag) ? 0.01 : 0.5),
      () => verdicts().length >= 2,
      "two rungs have their verdicts",
    );
    expect(verdicts()).toEqual(["policy-break ineffective", "policy-fall-back effective"]);
    expect(events("fix_undone")).toMatchObject([{ data: { fix_id: "policy-break" } }]);
    expect(readJson(at("circuit-breakers/scan-worker.json"))).toMatchObject({ state: "closed" });
    expect(events("escalation_opened")).toEqual([]);
  }, 60_000);

  test("whose ladder ends calls a person, once, and begins at its foot when all is well again", async () => {
    template("scan-worker", scan);
    config("healing-policies", { policies: [policy("Fall back", 5, ["fallback-mode"])] });
    await start("auto-fix");
    let value = 0.5;
    const called = (): number => events("escalation_opened").length;
    await measuring(
      () => value,
      () => called() > 0,
      "a person is called",
    );
    expect(dataOf(events("escalation_opened")[0]).tried).toEqual(["Fall back"]);
    expect(existsSync(at("auto-fix/fallback/scan-worker"))).toBe(false);
    value = 0.01;
    await measuring(
      () => value,
      () => events("escalation_resolved").length === 1,
      "it is said that the cause is gone",
    );
    expect(called()).toBe(1);
  }, 60_000);

  test("is refused by name with an empty scope, an unknown action, an impossible one, a circle, a wrong type, or __proto__", async () => {
    template("scan-worker", scan);
    await start("auto-fix");
    const tries: [unknown, RegExp][] = [
      [policy("A", 1, ["fallback-mode"], { scope: { components: [] } }), /scope\.components must name the components/],
      [
        policy("A", 1, ["restart-servce"]),
        /must be a known action, which "restart-servce" is not \(did you mean restart-service\?\)/,
      ],
      [policy("A", 1, ["rollback-deployment"]), /"rollback-deployment" is possible on no supported target/],
      [
        policy("A", 1, ["scale-up"], { scope: { components: ["x"], target: "systemd" } }),
        /"scale-up" is possible only on process, not on systemd/,
      ],
      [
        policy("A", 1, ["alert-oncall"], { scope: { components: ["x"], target: "kubernetes" } }),
        /"kubernetes" is not supported/,
      ],
      [policy("A", 1, ["alert-oncall"], { escalation: { next: "A" } }), /leads in a circle: A -> A/],
      [
        { ...policy("A", 1, ["alert-oncall"]), conditions: [{ metric: "x", operator: "gt", threshold: "much" }] },
        /threshold must be a number, got "much"/,
      ],
      [
        { ...policy("A", 1, ["alert-oncall"]), conditions: [{ metric: "__proto__", operator: "gt", threshold: 1 }] },
        /metric must not be a name that every object has/,
      ],
    ];
    for (const [nth, [bad, reason]] of tries.entries()) {
      config("healing-policies", { policies: [bad] });
      await until(() => refusals().length > nth, `policy ${nth} is refused`, 15_000);
      expect(refusals().at(-1)).toMatch(reason);
    }
  }, 60_000);
});

describe("auto-fix, killed with -9 again and again", () => {
  test("applies each of ten fixes once, and loses none", async () => {
    config("auto-fix-policy", {
      ...OPEN,
      max_fixes_per_hour: 100,
      max_concurrent_fixes: 100,
      blast_radius: { min_workers: 100 },
    });
    const types = Array.from({ length: 10 }, (_, index) => `type-${index}`);
    for (const type of types) template(type, scan);
    let daemon = await start("auto-fix");
    for (const type of types)
      publish("resource:out_of_memory", { pattern_id: `pattern-${type}`, worker_type: type, workers: [] });
    for (let kills = 0; kills < 3; kills++) {
      const before = events("fix_applied").length;
      await until(
        () => events("fix_applied").length > before || types.every((type) => limitOf(type) === 768),
        "another is applied",
        20_000,
      );
      if (daemon.pid !== undefined) end(daemon.pid);
      daemon = await start("auto-fix");
    }
    await until(() => events("fix_applied").length >= 10, "all are applied", 20_000);
    expect(types.map((type) => limitOf(type))).toEqual(types.map(() => 768));
    expect(events("fix_applied")).toHaveLength(10);
    expect(new Set(events("fix_applied").map((event) => event.worker_type)).size).toBe(10);
  }, 60_000);
});
