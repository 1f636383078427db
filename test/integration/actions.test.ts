/** What the actions of a fix do to real workers, with all four daemons at work: restarts, more workers, fewer workers. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { BEATS, Healing } from "./support/healing.js";
import { isAlive, until } from "./support/launched.js";

let healing: Healing;

beforeEach(() => {
  healing = new Healing();
});

afterEach(() => healing.close());

const ALL = ["heartbeat-monitor", "worker-restart", "auto-fix"] as const;

describe("restart-service", () => {
  /** When an attempt had proved itself, by the restart history. */
  const provedAt = (id: string, attempt: number): number =>
    Number(
      healing.line
        .lines("metrics", "worker-restart-history.jsonl")
        .find((each) => each.worker_id === id && each.attempt === attempt && each.result === "success")?.at_ms,
    );

  test("restarts every worker of the service, each after the one before has proved itself", async () => {
    healing.template("press");
    await healing.start(...ALL);
    const ids = ["press-1", "press-2", "press-3"];
    await healing.spawn("press", ...ids);
    const before = new Map(ids.map((id) => [id, healing.launch(id, 1)?.pid as number]));
    healing.heal("press", ["restart-service"]);
    healing.measure("press", "load", () => 0.9);
    await until(() => ids.every((id) => healing.launch(id, 2) !== null), "all are restarted", 40_000);
    healing.measure("press", "load", () => 0.1);
    for (const [nth, id] of ids.entries()) {
      const next = ids[nth + 1];
      if (next !== undefined) expect(healing.launch(next, 2)?.started_at_ms).toBeGreaterThanOrEqual(provedAt(id, 2));
    }
    for (const pid of before.values()) expect(isAlive(pid)).toBe(false);
    await healing.said("fix_verified");
    expect(healing.data("fix_verified").verdict).toBe("effective");
    // Deaths that we wanted are no failures: nothing was called a zombie, and no retry was spent.
    expect(healing.line.list("worker-specs", "zombie")).toEqual([]);
    expect(healing.active("press-1")).toMatchObject({ restart: { attempts: 0 } });
  }, 90_000);
});

describe("restart-service of workers that do not come back", () => {
  test("stops at the first of them, leaves the others alone and calls a person", async () => {
    healing.template("press", `test -e "$HEALD_HOME/broken" && exit 3\n${BEATS}`);
    await healing.start(...ALL);
    await healing.spawn("press", "press-1", "press-2");
    writeFileSync(join(healing.line.home, "broken"), "");
    healing.heal("press", ["restart-service"]);
    healing.measure("press", "load", () => 0.9);
    await healing.said("fix_failed");
    expect(healing.data("fix_failed").problem).toMatch(/press-1 did not come back well \(it was the first/);
    await healing.said("escalation_opened");
    expect(healing.attempt("press-2")).toBe(1);
    expect(isAlive(healing.launch("press-2", 1)?.pid as number)).toBe(true);
  }, 60_000);
});

describe("restart-worker", () => {
  test("restarts the last worker that a pattern tells of, and no other", async () => {
    healing.template("press");
    healing.fix([{ type: "restart-worker" }]);
    await healing.start(...ALL);
    await healing.spawn("press", "press-1", "press-2");
    healing.publish("press", ["press-1"]);
    await until(() => healing.launch("press-1", 2) !== null, "press-1 is restarted", 40_000);
    expect(healing.attempt("press-2")).toBe(1);
  }, 60_000);

  test("restarts the worker that a metric policy names as its component, and no other", async () => {
    healing.template("press");
    await healing.start(...ALL);
    await healing.spawn("press", "press-1", "press-2");
    healing.heal("press-2", ["restart-worker"]);
    healing.measure("press-2", "load", () => 0.9);
    await until(() => healing.launch("press-2", 2) !== null, "press-2 is restarted", 40_000);
    expect(healing.attempt("press-1")).toBe(1);
  }, 60_000);

  test("is not tried where several workers could be meant, and the decision names the way out", async () => {
    healing.template("press");
    await healing.start(...ALL);
    await healing.spawn("press", "press-1", "press-2");
    healing.heal("press", ["restart-worker"]);
    healing.measure("press", "load", () => 0.9);
    await healing.said("fix_suppressed");
    expect(healing.events("fix_suppressed")[0]?.message).toMatch(/2 workers of press run.*restart-service/);
    expect([healing.attempt("press-1"), healing.attempt("press-2")]).toEqual([1, 1]);
  }, 60_000);
});

describe("scale-up", () => {
  test("adds a worker that the daemons keep alive, up to max_workers, and its undo stops it gracefully", async () => {
    healing.template("press");
    await healing.start(...ALL);
    await healing.spawn("press", "press-1");
    healing.heal("press", [{ type: "scale-up", max_workers: 2 }]);
    healing.measure("press", "load", () => 0.9);
    const added = "worker-press-fix-1";
    await until(() => healing.state(added) === "healthy", "the added worker is well", 40_000);
    // worker-restart has started it: it lives where all workers live, and not below auto-fix.
    expect(healing.events("worker_restart_started", "worker-restart").map((event) => event.worker_id)).toEqual([added]);
    process.kill(healing.launch(added, 1)?.pid as number, "SIGKILL");
    await until(() => healing.attempt(added) === 2 && healing.state(added) === "healthy", "it came back", 30_000);
    const pid = healing.launch(added, 2)?.pid as number;
    await healing.said("fix_undone");
    await until(() => healing.active(added) === null, "the worker is stopped", 20_000);
    expect(isAlive(pid)).toBe(false);
    expect(healing.line.read("exits", `${added}.attempt-2.json`)).toMatchObject({ exit_code: 0 });
    expect(healing.workers("press")).toEqual(["press-1"]);
  }, 90_000);

  test("never goes beyond max_workers", async () => {
    healing.template("press");
    await healing.start(...ALL);
    await healing.spawn("press", "press-1", "press-2");
    healing.heal("press", [{ type: "scale-up", max_workers: 2 }]);
    healing.measure("press", "load", () => 0.9);
    await healing.said("fix_suppressed");
    expect(healing.events("fix_suppressed")[0]?.message).toMatch(/2 workers of press run, and 2 is the most/);
    expect(healing.workers("press")).toEqual(["press-1", "press-2"]);
  }, 60_000);
});

describe("scale-down", () => {
  /** One worker of a person's and as many of ours as wanted. */
  async function scaledTo(ours: number): Promise<void> {
    healing.template("press");
    await healing.start(...ALL);
    await healing.spawn("press", "press-1");
    for (let nth = 1; nth <= ours; nth++) await healing.spawnOurs("press", `worker-press-fix-${nth}`);
  }

  test("stops the newest worker of ours gracefully; its undo brings the worker back", async () => {
    await scaledTo(2);
    healing.heal("press", ["scale-down"], { name: "Shrink", verify_seconds: 4 });
    healing.measure("press", "load", () => 0.9);
    await until(() => healing.active("worker-press-fix-2") === null, "the newest is stopped", 40_000);
    expect(healing.line.read("exits", "worker-press-fix-2.attempt-1.json")).toMatchObject({ exit_code: 0 });
    expect(healing.workers("press")).toEqual(["press-1", "worker-press-fix-1"]);
    await healing.said("fix_undone");
    healing.measure("press", "load", () => 0.1);
    await until(() => healing.state("worker-press-fix-2") === "healthy", "it is back", 30_000);
    expect(healing.attempt("worker-press-fix-2")).toBe(2);
    expect(healing.line.read("desired", "worker-press-fix-2.json")).toMatchObject({ state: "running", by: "auto-fix" });
  }, 150_000);

  test("never goes below min_workers, and never stops a worker that a person has started", async () => {
    await scaledTo(1);
    healing.heal("press", [{ type: "scale-down", min_workers: 2 }], { name: "Shrink" });
    healing.measure("press", "load", () => 0.9);
    await healing.said("fix_suppressed");
    expect(healing.events("fix_suppressed").at(-1)?.message).toMatch(/2 workers of press run, and 2 is the least/);
    expect(healing.workers("press")).toEqual(["press-1", "worker-press-fix-1"]);
    await healing.line.heald("stop", "worker-press-fix-1");
    await until(() => healing.active("worker-press-fix-1") === null, "the person has stopped it", 20_000);
    healing.heal("press", [{ type: "scale-down", min_workers: 0 }], { name: "Shrink to nothing" });
    await healing.said("fix_suppressed", 2);
    expect(healing.events("fix_suppressed").at(-1)?.message).toMatch(/no worker of press was started by scale-up/);
    expect(healing.workers("press")).toEqual(["press-1"]);
  }, 120_000);
});
