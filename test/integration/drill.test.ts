/**
 * Guarantee: `heald drill` says truly whether the daemons that run would heal a worker, and leaves the home as it was: its own
 * worker is gone however it ends, no other is touched, and nothing is learned from it. Runs the compiled command.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { finished, MAIN, type Ran } from "./support/command-line.js";
import { ALL_DAEMONS, Healing, type Json } from "./support/healing.js";
import { startedHere, until } from "./support/launched.js";

let healing: Healing;

beforeEach(() => {
  healing = new Healing();
  // One failure of anything real would show itself at once.
  healing.config("failure-pattern-policy", { detection: { frequency_threshold: 1 } });
  healing.config("worker-restart-policy", { ...RESTART, circuit_breaker_threshold: 1, poison_task: { deaths: 1 } });
});
afterEach(() => healing.close());

const RESTART = { retry_interval_seconds: 0.2, jitter: "none", fast_exit_seconds: 0, success_after_seconds: 1 };
const STEPS = ["started", "watched", "crashed", "detected", "evidence", "requested", "replaced", "well"];

interface Report {
  readonly worker_id: string;
  readonly healed: boolean;
  readonly recovery_ms: number | null;
  readonly steps: readonly { readonly step: string; readonly took_ms: number; readonly since_ms: number | null }[];
  readonly missing: { readonly step: string; readonly why: string; readonly look_at: string } | null;
  readonly left: readonly string[];
}

const reportOf = (ran: Ran): Report => JSON.parse(ran.out) as Report;

/** Pids of the workers of drills that run. */
function practising(): number[] {
  return startedHere(healing.line.home).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, "utf8").includes("\0DRILL_KIND=");
    } catch {
      return false; // It has ended.
    }
  });
}

function expectNothingLeft(workerId: string): void {
  expect(healing.active(workerId)).toBeNull();
  expect(healing.line.list("restart", "queue").filter((name) => name.startsWith(workerId))).toEqual([]);
  expect(healing.line.list("desired")).not.toContain(`${workerId}.json`);
  expect(practising()).toEqual([]);
}

const patterns = (): Json[] => healing.line.lines("patterns", "failure-patterns.jsonl");

describe("heald drill", () => {
  test("heals a crash step by step, touches no other worker, and teaches nothing", async () => {
    healing.template("real-worker");
    await healing.start(...ALL_DAEMONS);
    await healing.spawn("real-worker", "bystander");
    const before = healing.launch("bystander", 1)?.pid as number;
    const ran = await healing.line.heald("drill");
    expect({ code: ran.code, err: ran.err }).toEqual({ code: 0, err: "" });
    const lines = ran.out.trimEnd().split("\n");
    expect(lines.map((line) => line.split(/[ :]/)[0])).toEqual([...STEPS, "healed", "worker-drill-1"]);
    for (const line of lines.slice(0, STEPS.length)) expect(line).toMatch(/^\w+ +\d+ ms {2}\S/);
    expect(ran.out).toMatch(/^detected .* worker_exited: worker-drill-1 ended by SIGKILL/m);
    expect(ran.out).toMatch(/^healed: the next attempt ran after \d+ ms$/m);
    expectNothingLeft("worker-drill-1");

    const second = reportOf(await healing.line.heald("drill", "--json"));
    expect(second).toMatchObject({ worker_id: "worker-drill-2", healed: true, missing: null, left: [] });
    expect(second.steps.map(({ step }) => step)).toEqual(STEPS);
    expect(second.recovery_ms).toBe(second.steps.find(({ step }) => step === "replaced")?.since_ms);
    expectNothingLeft("worker-drill-2");

    expect(healing.launch("bystander", 1)?.pid).toBe(before);
    expect(healing.attempt("bystander")).toBe(1);
    expect(healing.line.list("holds")).toEqual([]);
    expect(healing.line.list("circuit-breakers").filter((name) => name !== "test-worker.json")).toEqual([]);
    // A death of a real type after it is learned from: so all that came before it was read, and nothing made of it.
    process.kill(before, "SIGKILL");
    await until(() => patterns().length > 0, "the real death is learned from", 20_000);
    expect(new Set(patterns().map(({ worker_type }) => worker_type))).toEqual(new Set(["real-worker"]));
    const evidence = healing.line.read("worker-specs", "zombie", "worker-drill-1.attempt-1.json");
    expect(evidence).toMatchObject({ worker_type: "test-worker", created_by: "drill" });
  }, 60_000);

  test("heals a worker that hangs", async () => {
    await healing.start("heartbeat-monitor", "worker-restart");
    const ran = await healing.line.heald("drill", "--kind", "hang", "--zombie-after", "2s");
    expect(ran).toMatchObject({ code: 0, err: "" });
    expect(ran.out).toMatch(/^hung +\d+ ms {2}beat 2 was its last one$/m);
    expect(ran.out).toMatch(/^detected .* zombie_detected: worker-drill-1 is a zombie/m);
    expectNothingLeft("worker-drill-1");
  }, 60_000);

  test("is refused, and starts nothing, while a daemon that heals does not run or is stopped", async () => {
    const refused = async (sentence: string): Promise<void> => {
      const ran = await healing.line.heald("drill");
      expect(ran).toMatchObject({ code: 4, out: "", err: expect.stringContaining(`Refused to drill: ${sentence}`) });
      expect(healing.line.list("worker-specs", "active")).toEqual([]);
    };
    await refused("heartbeat-monitor does not run; start it with heald daemons start heartbeat-monitor");
    await healing.start("heartbeat-monitor");
    await refused("worker-restart does not run");
    await healing.start("worker-restart");
    const pid = healing.pidOfDaemon("worker-restart");
    process.kill(pid, "SIGSTOP");
    try {
      await refused("worker-restart is stopped by a signal (SIGSTOP)");
    } finally {
      process.kill(pid, "SIGCONT");
    }
    writeFileSync(healing.line.path("holds", "all"), "");
    await refused('the hold "all" forbids to kill for 60m more; heald hold rm all');
    await healing.line.heald("resume");
    await healing.line.heald("hold", "add", "type:test-worker", "--acts", "restart");
    await refused('the hold "worker_type.test-worker" forbids to restart');
    await healing.line.heald("hold", "rm", "worker_type.test-worker");
    writeFileSync(
      healing.line.path("circuit-breakers", "test-worker.json"),
      JSON.stringify({ worker_type: "test-worker", state: "open" }),
    );
    await refused("the circuit breaker of test-worker is open; heald breaker reset test-worker");
    expect(healing.line.list("launches")).toEqual([]);
  });

  test("names the step that is missing and the gate that it waits for, and takes its worker away all the same", async () => {
    healing.config("worker-restart-policy", { ...RESTART, enabled: false });
    await healing.start("heartbeat-monitor", "worker-restart");
    const ran = await healing.line.heald("drill", "--timeout", "4s", "--json");
    expect(ran).toMatchObject({ code: 1, err: "" });
    const report = reportOf(ran);
    expect(report).toMatchObject({ healed: false, recovery_ms: null, left: [] });
    expect(report.steps.map(({ step }) => step)).toEqual(STEPS.slice(0, 6));
    expect(report.missing).toEqual({
      step: "replaced",
      why: "not within 4 s; its request waits for the gate enabled: restarts are switched off by policy",
      look_at: `heald why ${report.worker_id}`,
    });
    expectNothingLeft(report.worker_id);
    const { code, out } = await healing.line.heald("drill", "--timeout", "3s");
    expect(code).toBe(1);
    expect(out).toMatch(/^not healed: the step "replaced" is missing, .*; look at heald why worker-drill-2$/m);
  });

  test("takes its worker away when a person ends it midway, also if no monitor is left to do it", async () => {
    await healing.start("heartbeat-monitor", "worker-restart");
    const child = healing.line.start(process.execPath, [MAIN, "drill", "--kind", "hang", "--zombie-after", "1h"]);
    const ran = finished(child);
    await until(() => practising().length > 0, "its worker runs");
    await healing.kill("heartbeat-monitor");
    child.kill("SIGINT");
    const { code, out } = await ran;
    expect(code).toBe(1);
    expect(out).toContain("the drill was stopped");
    expect(out).toContain("worker-drill-1 is stopped and taken away");
    expectNothingLeft("worker-drill-1");
  }, 60_000);

  test.each([
    [["--kind", "fire"], '--kind must be crash or hang, got "fire"'],
    [["--timeout", "soon"], "--timeout must be a duration"],
  ])("refuses %j as wrong usage", async (args, sentence) => {
    expect(await healing.line.heald("drill", ...args)).toMatchObject({
      code: 2,
      err: expect.stringContaining(sentence),
    });
  });
});
