/** What a fix did to real workers is taken back when a person wants it, as far as nobody else has changed it since. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { BEATS, Healing } from "./support/healing.js";
import { until } from "./support/launched.js";

let healing: Healing;

beforeEach(() => {
  healing = new Healing();
});

afterEach(() => healing.close());

const DAEMONS = ["heartbeat-monitor", "worker-restart", "auto-fix"] as const;
const runId = (): string => String(healing.runs()[0]?.run_id);
const undo = () => healing.line.heald("fix", "undo", runId());

/** One worker, and one fix with this action that has been applied. */
async function applied(action: object, script: string = BEATS, more: object = {}): Promise<void> {
  healing.template("press", script);
  healing.fix([action]);
  await healing.start(...DAEMONS);
  await healing.spawn("press", "press-1");
  healing.publish("press", ["press-1"], { tasks: ["task-press-1"], ...more });
  await healing.said("fix_applied");
}

async function undone(): Promise<void> {
  expect(await undo()).toMatchObject({ code: 0 });
  await healing.said("fix_undone");
}

describe("fallback-mode", () => {
  /** Writes down in which mode it works. */
  const MODES = `(while :; do test -e "$HEALD_FALLBACK_FILE" && m=fallback || m=normal; echo $m > "$HEALD_HOME/mode"; sleep 0.1; done) &\n${BEATS}`;
  const mode = (): string => {
    const path = join(healing.line.home, "mode");
    return existsSync(path) ? readFileSync(path, "utf8").trim() : "";
  };

  test("is seen by a worker that runs, and is over for it when the fix is undone", async () => {
    await applied({ type: "fallback-mode" }, MODES);
    await until(() => mode() === "fallback", "the worker falls back");
    await undone();
    await until(() => mode() === "normal", "the worker works as before");
    expect(healing.events("undo_conflict")).toEqual([]);
  }, 60_000);

  test("stays where a person has set the flag anew since", async () => {
    await applied({ type: "fallback-mode" });
    writeFileSync(healing.layout.fallbackFile("press"), "mine\n");
    await undone();
    await healing.said("undo_conflict");
    expect(readFileSync(healing.layout.fallbackFile("press"), "utf8")).toBe("mine\n");
    expect(healing.data("undo_conflict").conflicts).toEqual(["the fallback flag of press"]);
  }, 60_000);
});

describe("enable-circuit-breaker", () => {
  const breaker = (): unknown => healing.line.read("circuit-breakers", "press.json").state;

  test("holds restarts back, and its undo lets them through", async () => {
    healing.config("worker-restart-policy", {
      ...{ retry_interval_seconds: 0.2, fast_exit_seconds: 0, jitter: "none", success_after_seconds: 1 },
      rate_limits: { per_task_min_interval_seconds: 0 },
    });
    // The trial that follows a fix may pass an open breaker: this pattern knows of no worker.
    await applied({ type: "enable-circuit-breaker", open_seconds: 600 }, BEATS, { workers: [] });
    expect(breaker()).toBe("open");
    process.kill(healing.launch("press-1", 1)?.pid as number, "SIGKILL");
    const waits = (): boolean => healing.line.list("restart", "queue").includes("press-1-restart.json");
    await until(
      () =>
        waits() &&
        JSON.stringify(healing.line.read("restart", "queue", "press-1-restart.json")).includes("circuit_breaker"),
      "its restart waits for the breaker",
      20_000,
    );
    await undone();
    expect(breaker()).toBe("closed");
    await until(
      () => healing.state("press-1") === "healthy" && healing.attempt("press-1") === 2,
      "it came back",
      20_000,
    );
  }, 60_000);
});

describe("quarantine", () => {
  test("holds back the restart of the task's worker, calls a person, and its undo lets it through", async () => {
    await applied({ type: "quarantine" }, BEATS, { workers: [] });
    expect(healing.line.list("holds")).toEqual(["task-task-press-1.json"]);
    await healing.said("escalation_opened");
    process.kill(healing.launch("press-1", 1)?.pid as number, "SIGKILL");
    await until(
      () => healing.events("worker_restart_deferred", "worker-restart").length > 0,
      "it is held back",
      20_000,
    );
    expect(healing.attempt("press-1")).not.toBe(2);
    await undone();
    expect(healing.line.list("holds")).toEqual([]);
    await until(() => healing.state("press-1") === "healthy", "it came back", 40_000);
    expect(healing.attempt("press-1")).toBe(2);
  }, 90_000);
});

describe("clean-state", () => {
  const STATE = ["agents", "workers", "press-1", "state"] as const;
  const state = (...parts: string[]): string => join(healing.line.home, ...STATE, ...parts);
  const action = { type: "clean-state", paths: ["agents/workers/{worker_id}/state"] };

  beforeEach(() => {
    mkdirSync(state(), { recursive: true });
    writeFileSync(state("cursor"), "garbage");
  });

  test("restarts the worker without its state, and its undo puts the state back", async () => {
    await applied(action);
    await until(() => healing.launch("press-1", 2) !== null, "it is restarted", 20_000);
    expect(existsSync(state())).toBe(false);
    await undone();
    expect(readFileSync(state("cursor"), "utf8")).toBe("garbage");
    expect(readdirSync(dirname(state()))).toEqual(["state"]);
  }, 60_000);

  test("leaves the new state that the worker has made since, and keeps the old one aside", async () => {
    await applied(
      action,
      `mkdir -p "$HEALD_HOME/${STATE.join("/")}"; echo new > "$HEALD_HOME/${STATE.join("/")}/cursor"\n${BEATS}`,
    );
    await until(() => existsSync(state("cursor")), "the worker has state again", 20_000);
    await undone();
    await healing.said("undo_conflict");
    expect(readFileSync(state("cursor"), "utf8")).toBe("new\n");
    const aside = readdirSync(dirname(state())).filter((name) => name.includes(".aside-"));
    expect(aside).toHaveLength(1);
  }, 60_000);
});

describe("what cannot be undone", () => {
  test("says so in its proposal and in heald fix show, and heald fix undo refuses it", async () => {
    healing.template("press");
    healing.fix([{ type: "restart-service" }], { safety: { safety_score: 0.95, requires_approval: true } });
    await healing.start(...DAEMONS);
    await healing.spawn("press", "press-1");
    healing.publish("press", ["press-1"]);
    await healing.said("fix_pending");
    const id = String(healing.data("fix_pending").run_id);
    expect(healing.line.read("auto-fix", "pending", `${id}.json`).undo).toEqual(["restart-service: cannot be undone"]);
    expect((await healing.line.heald("fix", "show", id)).out).toMatch(/^ {2}undo +restart-service: cannot be undone$/m);
    await healing.line.heald("fix", "approve", id);
    await healing.said("fix_applied");
    const refused = await healing.line.heald("fix", "undo", id);
    expect(refused.code).toBe(4);
    expect(refused.err).toContain(`Cannot undo ${id}: restart-service: cannot be undone`);
    expect(healing.line.list("auto-fix", "undo")).toEqual([]);
  }, 60_000);
});
