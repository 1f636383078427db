/** The daemon as a process of its own, in a home of its own, with real workers. The monitor's part is played by files. */
import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { identityOf } from "../../lib/platform/processes.js";
import { commandOf, end, endAll, environmentOf, isAlive, until } from "./support/launched.js";

const MAIN = resolve("dist/daemons/worker-restart/main.js");
const POLICY = {
  success_after_seconds: 1,
  fast_exit_seconds: 0,
  retry_interval_seconds: 1,
  jitter: "none",
  rate_limits: { global_per_minute: 1000, per_type_per_minute: 1000, per_task_min_interval_seconds: 0 },
  max_concurrent_restarts: 100,
};

let home: string;
let daemons: ChildProcess[];
const at = (...parts: string[]): string => join(home, "coordination", ...parts);

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "heald-restart-"));
  daemons = [];
  for (const folder of ["config", "restart/queue", "worker-specs/templates", "worker-specs/zombie", "holds"])
    mkdirSync(at(folder), { recursive: true });
  writeJson(at("config/worker-restart-policy.json"), POLICY);
  template("sleeper", { launch: { command: "sleep", args: ["600"] } });
});

afterEach(async () => {
  for (const daemon of daemons) if (daemon.pid !== undefined) end(daemon.pid);
  await endAll(home);
  rmSync(home, { recursive: true, force: true });
});

function writeJson(path: string, value: unknown): void {
  writeFileSync(`${path}.tmp`, JSON.stringify(value), { mode: 0o640 });
  renameSync(`${path}.tmp`, path);
}

function template(type: string, blocks: object): void {
  writeJson(at(`worker-specs/templates/${type}.json`), { worker_type: type, ...blocks });
}

async function startDaemon(): Promise<ChildProcess> {
  rmSync(at("run/worker-restart.pid"), { force: true });
  const daemon = spawn(process.execPath, [MAIN, "--console", "none"], {
    env: { ...process.env, HEALD_HOME: home },
    stdio: ["ignore", "ignore", "inherit"],
  });
  daemons.push(daemon);
  await until(() => existsSync(at("run/worker-restart.pid")), "the daemon is ready");
  return daemon;
}

function readLines(path: string): Record<string, unknown>[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const events = (type: string): Record<string, unknown>[] =>
  readLines(at("events/worker-restart-events.jsonl")).filter((event) => event.event_type === type);
const readJson = (path: string): Record<string, unknown> =>
  JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;

/** What the monitor leaves for an attempt that ended: its evidence and a request. */
function die(workerId: string, attempt: number, more: { type?: string; ended?: object } = {}): void {
  const worker_type = more.type ?? "sleeper";
  writeJson(at(`worker-specs/zombie/${workerId}.attempt-${attempt}.json`), {
    worker_id: workerId,
    worker_type,
    task_id: null,
    status: "zombie",
    attempt,
    note: "kept",
  });
  const ended = { class: "exit", exit_code: 1, ran_ms: 60_000, by_itself: true, spends_retry: true, ...more.ended };
  writeJson(at(`restart/queue/${workerId}-restart.json`), {
    worker_id: workerId,
    worker_type,
    attempt,
    reason: "exited",
    requested_by: "heartbeat-monitor",
    incident_id: `incident-${workerId}`,
    ended,
  });
}

/** How often a process has read from anything. */
const readsOf = (pid: number): number => Number(/^syscr: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1]);

function pidOf(workerId: string, attempt: number): number | null {
  const path = at(`launches/${workerId}.attempt-${attempt}.json`);
  if (!existsSync(path)) return null;
  try {
    return (readJson(path).pid as number | undefined) ?? null;
  } catch {
    return null; // The launcher is writing it.
  }
}

/** The gate that the waiting request names. */
function gateOf(workerId: string): unknown {
  const { deferred } = readJson(at(`restart/queue/${workerId}-restart.json`)) as { deferred?: { gate: string } };
  return deferred?.gate;
}

const runs = (workerId: string, attempt: number): boolean => {
  const pid = pidOf(workerId, attempt);
  return pid !== null && isAlive(pid);
};

describe("worker-restart as a process", () => {
  test("brings a dead worker back as its next attempt, and settles the request when that has proved itself", async () => {
    await startDaemon();
    die("sleeper-1", 1);
    await until(() => runs("sleeper-1", 2), "attempt 2 runs", 5_000);
    const spec = readJson(at("worker-specs/active/sleeper-1.json"));
    expect(spec).toMatchObject({
      worker_id: "sleeper-1",
      attempt: 2,
      status: "pending",
      note: "kept",
      launch: { command: "sleep" },
      restart: { attempts: 1, lifetime: 1, state: "idle" },
    });
    expect(readdirSync(at("restart/queue"))).toEqual([]);
    await until(() => readLines(at("metrics/worker-restart-history.jsonl")).length === 1, "the history has a line");
    expect(readLines(at("metrics/worker-restart-history.jsonl"))[0]).toMatchObject({
      worker_type: "sleeper",
      result: "success",
      attempt: 2,
    });
    await until(() => readdirSync(at("restart/done")).length === 1, "the request is done");
    await until(() => readdirSync(at("restart/claimed")).length === 0, "nothing is claimed any more");
    await until(() => events("worker_restarted").length > 0, "its success is said");
    expect(events("worker_restarted")).toHaveLength(1);
    const figures = at("metrics/worker-restart-metrics.json");
    const left = (): unknown => (existsSync(figures) ? readJson(figures).restarts_left_this_minute : null);
    await until(() => left() === 999, "the figures say how many starts are left", 10_000);
  });

  test("tells a worker the interval by which it is judged: its spec's, what follows from its time-out, or the policy's for its type", async () => {
    const overrides = { sleeper: { heartbeat_interval_seconds: 7 } };
    writeJson(at("config/heartbeat-policy.json"), { heartbeat_interval_seconds: 5, overrides });
    template("named", { launch: { command: "sleep", args: ["600"] }, heartbeat: { interval_seconds: 3 } });
    template("plain", { launch: { command: "sleep", args: ["600"] } });
    template("short", { launch: { command: "sleep", args: ["600"] }, heartbeat: { timeout_seconds: 15 } });
    const types = ["sleeper", "named", "plain", "short"];
    await startDaemon();
    for (const type of types) die(`${type}-1`, 1, { type });
    await until(() => types.every((type) => runs(`${type}-1`, 2)), "all are back");
    const told = (type: string): string[] =>
      environmentOf(pidOf(`${type}-1`, 2) as number).filter((each) => each.startsWith("HEALD_HEARTBEAT_INTERVAL_"));
    const name = "HEALD_HEARTBEAT_INTERVAL_SECONDS";
    await until(() => types.every((type) => told(type).length > 0), "all programs have begun");
    expect(types.flatMap(told)).toEqual([`${name}=7`, `${name}=3`, `${name}=5`, `${name}=3.75`]);
  });

  test("tells its first launchers what the next starts of the workers have in common", async () => {
    const spec = { worker_id: "w-0", worker_type: "sleeper", task_id: null, attempt: 1, status: "running" };
    mkdirSync(at("worker-specs/active"), { recursive: true });
    writeJson(at("worker-specs/active/w-0.json"), { ...spec, launch: { command: "sleep", args: ["600"] } });
    const sessions = (): number[] =>
      readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name))
        .map(Number)
        .filter((pid) => commandOf(pid).includes("launcher.sh session") && commandOf(pid).includes(home));
    await startDaemon();
    // A shell reads a byte at a time; before it is told anything it has read its script and little else.
    await until(() => sessions().filter((pid) => readsOf(pid) > 400).length === 4, "those that stand by know a form");
    const made = sessions();
    const read = new Map(made.map((pid) => [pid, readsOf(pid)]));
    die("w-1", 1);
    await until(() => runs("w-1", 2), "w-1 runs again");
    const pid = pidOf("w-1", 2) as number;
    expect(made).toContain(pid);
    expect(readsOf(pid) - (read.get(pid) ?? 0)).toBeLessThan(200);
  });

  test("killed with -9 again and again, it starts each of twenty dead workers once and loses none", async () => {
    const ids = Array.from({ length: 20 }, (_, index) => `sleeper-${index + 1}`);
    let daemon = await startDaemon();
    for (const id of ids) die(id, 1);
    for (let kills = 0; kills < 3; kills++) {
      const before = readdirSync(at("launches")).length;
      await until(
        () => readdirSync(at("launches")).length > before || ids.every((id) => pidOf(id, 2) !== null),
        "another start is made",
      );
      if (daemon.pid !== undefined) end(daemon.pid);
      daemon = await startDaemon();
    }
    await until(() => ids.every((id) => runs(id, 2)), "every worker runs as attempt 2", 20_000);
    await until(
      () => readLines(at("metrics/worker-restart-history.jsonl")).length === ids.length,
      "every restart has its outcome",
      20_000,
    );
    expect(readdirSync(at("launches")).filter((name) => name.includes(".attempt-3")).length).toBe(0);
    expect(new Set(events("worker_restart_started").map((event) => event.worker_id)).size).toBe(20);
    expect(events("worker_restart_started")).toHaveLength(20);
    expect(readdirSync(at("restart/queue"))).toEqual([]);
  }, 60_000);

  test("after exit 78 waits for a change of the worker's own script, and starts at once on it", async () => {
    const script = join(home, "broken.sh");
    writeFileSync(script, "#!/bin/sh\nexit 78\n", { mode: 0o755 });
    template("scripted", { launch: { command: script } });
    await startDaemon();
    die("scripted-1", 1, { type: "scripted", ended: { exit_code: 78, ran_ms: 60_000 } });
    await until(() => gateOf("scripted-1") === "exit_class", "the request says which gate it waits for");
    expect(events("worker_restart_deferred")).toMatchObject([{ reason: "exit_class" }]);
    writeFileSync(`${script}.new`, "#!/bin/sh\nexec sleep 600\n");
    chmodSync(`${script}.new`, 0o755);
    renameSync(`${script}.new`, script);
    await until(() => runs("scripted-1", 2), "it is started", 5_000);
  });

  test("is held by a touch of holds/all and goes on when that is removed", async () => {
    await startDaemon();
    writeFileSync(at("holds/all"), "");
    die("sleeper-1", 1);
    await until(() => gateOf("sleeper-1") === "holds", "the request says which gate it waits for");
    expect(events("worker_restart_deferred")).toMatchObject([{ reason: "holds" }]);
    rmSync(at("holds/all"));
    await until(() => runs("sleeper-1", 2), "it is started", 5_000);
  });

  test("with force ends the running attempt itself, and starts the next when its spec is gone", async () => {
    await startDaemon();
    die("sleeper-1", 1);
    await until(() => runs("sleeper-1", 2), "attempt 2 runs");
    const old = pidOf("sleeper-1", 2) as number;
    writeJson(at("restart/queue/sleeper-1-restart.json"), {
      worker_id: "sleeper-1",
      worker_type: "sleeper",
      attempt: 2,
      reason: "requested",
      requested_by: "ann",
      force: true,
    });
    await until(() => !isAlive(old), "attempt 2 was ended");
    renameSync(at("worker-specs/active/sleeper-1.json"), at("worker-specs/zombie/sleeper-1.attempt-2.json"));
    await until(() => runs("sleeper-1", 3), "attempt 3 runs");
    expect(events("worker_restart_failed")).toEqual([]);
  });

  describe("with force, of a process that was adopted,", () => {
    async function adopt(maySignal: boolean): Promise<ChildProcess> {
      await startDaemon();
      const adopted = spawn("sleep", ["600"], { stdio: "ignore", detached: true });
      daemons.push(adopted);
      const identity = identityOf(adopted.pid as number);
      mkdirSync(at("worker-specs/active"), { recursive: true });
      writeJson(at("worker-specs/active/old-1.json"), {
        worker_id: "old-1",
        worker_type: "sleeper",
        attempt: 1,
        status: "running",
        execution: { ...identity, origin: "adopted", may_signal: maySignal },
      });
      const request = {
        worker_id: "old-1",
        worker_type: "sleeper",
        reason: "requested",
        requested_by: "ann",
        force: true,
      };
      writeJson(at("restart/queue/old-1-restart.json"), request);
      return adopted;
    }

    test("ends it where it may be signalled, and starts the next when its spec is gone", async () => {
      const adopted = await adopt(true);
      await until(() => adopted.signalCode === "SIGTERM", "it was ended");
      renameSync(at("worker-specs/active/old-1.json"), at("worker-specs/zombie/old-1.attempt-1.json"));
      await until(() => runs("old-1", 2), "attempt 2 runs");
    });

    test("waits until it ends by itself where it may not, and says which process that is", async () => {
      const { pid } = await adopt(false);
      const deferral = (): string => String(events("worker_restart_deferred")[0]?.message);
      await until(() => deferral().includes(`pid ${pid} was adopted without --may-signal`), "the event says so");
      await until(() => gateOf("old-1") === "survivors", "the request says which gate it waits for");
      expect(isAlive(pid as number)).toBe(true);
    });
  });

  test("does not call it a success when a person has the new attempt stopped before it has proved itself", async () => {
    writeJson(at("config/worker-restart-policy.json"), { ...POLICY, success_after_seconds: 3 });
    await startDaemon();
    die("sleeper-1", 1);
    await until(() => runs("sleeper-1", 2), "attempt 2 runs");
    // As the monitor files what a person wanted stopped.
    const pid = pidOf("sleeper-1", 2) as number;
    const spec = readJson(at("worker-specs/active/sleeper-1.json"));
    mkdirSync(at("worker-specs/completed"), { recursive: true });
    writeJson(at("worker-specs/completed/sleeper-1.attempt-2.json"), { ...spec, status: "cancelled" });
    rmSync(at("worker-specs/active/sleeper-1.json"));
    end(pid);
    await until(() => readdirSync(at("restart/done")).length === 1, "the request is settled", 10_000);
    const name = readdirSync(at("restart/done"))[0] as string;
    expect(readJson(at("restart/done", name)).outcome).toMatchObject({ verdict: "inconclusive", reason: "stopped" });
    expect(readLines(at("metrics/worker-restart-history.jsonl"))).toEqual([]);
    expect(events("worker_restarted")).toEqual([]);
  });

  test("keeps what is no request, untouched, with a sentence that names the field", async () => {
    await startDaemon();
    const evil = '{"worker_id":"../../etc/passwd","worker_type":"sleeper"}';
    writeFileSync(at("restart/queue/evil-restart.json"), evil);
    await until(() => existsSync(at("restart/rejected/evil-restart.json")), "it is rejected");
    expect(readFileSync(at("restart/rejected/evil-restart.json"), "utf8")).toBe(evil);
    expect(readFileSync(at("restart/rejected/evil-restart.json.why"), "utf8")).toMatch(/worker_id must match/);
    expect(readFileSync(at("events/daemon-events.jsonl"), "utf8")).toMatch(
      /"message":"Cannot read request \\"restart\/queue\/evil-restart.json\\": worker_id must match/,
    );
  });

  test("says in its run file how late its loop was, and that it is no more", async () => {
    const daemon = await startDaemon();
    const lag = (): number => readJson(at("run/worker-restart.json")).loop_lag_ms as number;
    expect(lag()).toBe(0);
    const figures = at("metrics/worker-restart-metrics.json");
    await until(() => existsSync(figures), "it has written figures", 10_000);
    daemon.kill("SIGSTOP");
    await until(() => Date.now() - statSync(figures).mtimeMs > 6000, "its next figures are overdue");
    daemon.kill("SIGCONT");
    await until(() => lag() > 500, "it was late", 10_000);
    await until(() => lag() < 500, "it is no more", 10_000);
  }, 40_000);

  test("stops within a second on SIGTERM and leaves its workers running", async () => {
    const daemon = await startDaemon();
    die("sleeper-1", 1);
    await until(() => runs("sleeper-1", 2), "attempt 2 runs");
    const begun = performance.now();
    daemon.kill("SIGTERM");
    await until(() => daemon.exitCode !== null, "the daemon has stopped", 2_000);
    expect(performance.now() - begun).toBeLessThan(1_500);
    expect(daemon.exitCode).toBe(0);
    expect(runs("sleeper-1", 2)).toBe(true);
    expect(readFileSync(join(home, "agents/logs/system/worker-restart-daemon.log"), "utf8")).not.toMatch(/error/i);
  });
});
