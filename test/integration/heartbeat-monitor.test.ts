/** Guarantee: the real monitor sees real deaths and hangs, ends what hangs, files each once, and touches nobody else. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { groupMembers, readStat } from "../../lib/platform/processes.js";
import { SpecStore } from "../../lib/store/specs.js";
import { startAttempt } from "../../lib/targets/process.js";
import { until } from "./support/command-line.js";
import { Monitored } from "./support/monitored.js";

const BEATS = `while :; do printf '{"worker_id":"%s"}' "$HEALD_WORKER_ID" > "$HEALD_HEARTBEAT_FILE.t" && mv "$HEALD_HEARTBEAT_FILE.t" "$HEALD_HEARTBEAT_FILE"; sleep 0.3; done`;
const REQUIRED = { heartbeat: { mode: "required" as const } };

/** Ends its first thread and works on in another: the kernel says Z of the process from then on. */
const FIRST_THREAD_ENDS =
  "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(600,)).start(); ctypes.CDLL(None).pthread_exit(None)";
const HAS_PYTHON = spawnSync("python3", ["-c", "import ctypes"]).status === 0;

/** What `heald restart` files. */
const FORCED = { worker_id: "a", worker_type: "test-worker", attempt: 1, force: true, requested_by: "person:ops" };

let home: Monitored;
beforeEach(() => {
  home = new Monitored();
});
afterEach(() => home.close());

describe("the monitor", () => {
  test("files evidence and one request within a second when a worker is killed", async () => {
    await home.start();
    const pid = await home.spawn("a", "exec sleep 600");
    await until(() => home.types("a").includes("worker_registered"), "it is watched");
    const killedAt = Date.now();
    process.kill(pid, "SIGKILL");
    await until(() => home.requests().length === 1, "a request is filed");
    expect(Date.now() - killedAt).toBeLessThan(1000);
    expect(home.zombies()).toEqual(["a.attempt-1.json"]);
    expect(existsSync(home.layout.activeSpec("a"))).toBe(false);
    const request = home.line.read("restart", "queue", "a-restart.json");
    expect(request).toMatchObject({ worker_id: "a", reason: "killed", attempt: 1, task_id: "task-a" });
    expect(home.types("a")).toEqual(["worker_registered", "worker_exited"]);
    expect(home.line.read("worker-specs", "zombie", "a.attempt-1.json")).toMatchObject({
      status: "zombie",
      execution: { signal: "SIGKILL", signal_inferred: true },
      last_words: { reason: "killed", killed_by: "other" },
    });
  });

  test("sees a killed worker whose launcher was killed too", async () => {
    await home.start();
    const pid = await home.spawn("a", "exec sleep 600");
    await until(() => home.types("a").includes("worker_registered"), "it is watched");
    const { launcher_pid } = JSON.parse(readFileSync(home.layout.launch("a", 1), "utf8")) as { launcher_pid: number };
    process.kill(launcher_pid, "SIGKILL");
    process.kill(pid, "SIGKILL");
    await until(() => home.requests().length === 1, "a request is filed");
    expect(home.line.read("restart", "queue", "a-restart.json")).toMatchObject({ reason: "gone" });
  });

  test("takes an empty claim away, so that whoever created it, and was stopped, starts nothing", async () => {
    await home.start();
    const claim = home.layout.launch("a", 1);
    writeFileSync(claim, "");
    const longAgo = Date.now() / 1000 - 60;
    utimesSync(claim, longAgo, longAgo);
    const { ino } = statSync(claim);
    const launch = { target: "process" as const, command: "sleep", args: ["600"] };
    new SpecStore(home.layout).createActive({
      worker_id: "a",
      worker_type: "t",
      status: "pending",
      attempt: 1,
      launch,
    });
    await until(() => home.requests().length === 1, "its attempt is over");
    expect(home.line.read("restart", "queue", "a-restart.json")).toMatchObject({ reason: "not_started" });
    expect(JSON.parse(readFileSync(claim, "utf8"))).toMatchObject({ withdrawn_by: "heartbeat-monitor" });
    expect(statSync(claim).ino).not.toBe(ino);
  });

  test("does not count the end of an attempt as a failure that is ended for a forced restart", async () => {
    await home.start();
    const pid = await home.spawn("a", "exec sleep 600");
    await until(() => home.types("a").includes("worker_registered"), "it is watched");
    const request = { ...FORCED, deferred: { gate: "survivors", count: 1 } };
    writeFileSync(home.layout.queueRequest("a"), JSON.stringify(request), { mode: 0o640 });
    process.kill(pid, "SIGTERM");
    await until(() => home.line.list("worker-specs", "completed").length === 1, "its end is filed");
    await until(() => home.types("a").includes("worker_exited"), "its end is told");
    expect(home.zombies()).toEqual([]);
    expect(home.line.read("restart", "queue", "a-restart.json")).toEqual(request);
    const [exited] = home.events("heartbeat").filter((event) => event.event_type === "worker_exited");
    expect(exited).toMatchObject({ reason: "stopped" });
    expect(exited?.incident_id).toBeUndefined();
  });

  test("tells of a crash in the forced restart that waits for something else", async () => {
    await home.start();
    const pid = await home.spawn("a", "exec sleep 600");
    await until(() => home.types("a").includes("worker_registered"), "it is watched");
    const request = { ...FORCED, why: "new weights", deferred: { gate: "holds", count: 1 } };
    writeFileSync(home.layout.queueRequest("a"), JSON.stringify(request), { mode: 0o640 });
    process.kill(pid, "SIGSEGV");
    await until(() => home.zombies().length === 1, "its end is filed");
    await until(() => "ended" in home.line.read("restart", "queue", "a-restart.json"), "the request tells of it");
    await until(() => home.types("a").includes("worker_exited"), "its end is told");
    const [exited] = home.events("heartbeat").filter((event) => event.event_type === "worker_exited");
    expect(home.line.read("restart", "queue", "a-restart.json")).toEqual({
      ...request,
      incident_id: exited?.incident_id,
      ended: expect.objectContaining({ class: "signal", signal: "SIGSEGV", by_itself: true }),
    });
  });

  test.skipIf(!HAS_PYTHON)("leaves a worker alone whose first thread has ended while another works on", async () => {
    await home.start();
    const pid = await home.spawn("a", `exec python3 -c '${FIRST_THREAD_ENDS}'`);
    await until(() => readStat(pid)?.state === "Z", "its first thread has ended");
    // Long after a corpse would have been taken away.
    await home.spawn("b", "exec sleep 600", { max_runtime_seconds: 4 });
    await until(() => home.zombies().includes("b.attempt-1.json"), "the other one has had its time");
    expect(home.types("a")).toEqual(["worker_registered"]);
    process.kill(pid, "SIGKILL");
    await until(() => home.requests().includes("a-restart.json"), "a request is filed");
    expect(home.line.read("restart", "queue", "a-restart.json")).toMatchObject({ reason: "killed" });
  });

  test("brings a worker back whose log somebody has put a link in place of, and reads nothing through it", async () => {
    await home.start();
    const pid = await home.spawn("a", "exec sleep 600");
    await until(() => home.types("a").includes("worker_registered"), "it is watched");
    const log = home.layout.workerLog("a", 1);
    rmSync(log);
    symlinkSync("/etc/hostname", log);
    process.kill(pid, "SIGKILL");
    await until(() => home.requests().includes("a-restart.json"), "a request is filed");
    const { last_words } = home.line.read("worker-specs", "zombie", "a.attempt-1.json") as { last_words: object };
    expect(last_words).toMatchObject({ log_tail: `(Cannot read "${log}": a symbolic link)` });
  });

  test("tells of the start before the end, and once of each, when an attempt ends at once", async () => {
    await home.start();
    const names = Array.from({ length: 5 }, (_, nth) => `short-${nth}`);
    const specs = names.map((worker_id) => home.specOf(worker_id, "exit 78"));
    for (const spec of specs) home.specs.createActive(spec);
    await until(() => names.every((name) => home.isShown(name)), "the monitor knows them all");
    for (const spec of specs) startAttempt(home.layout, spec);
    await until(() => home.requests().length === names.length, "each end is filed");
    for (const name of names) expect(home.types(name), name).toEqual(["worker_registered", "worker_exited"]);
  });

  test("keeps a worker that ended with 0 as completed, and asks for no restart", async () => {
    await home.start();
    await home.spawn("a", "sleep 0.2");
    await until(() => home.types("a").includes("worker_completed"), "it is completed");
    expect(home.line.list("worker-specs", "completed")).toEqual(["a.attempt-1.json"]);
    expect(home.requests()).toEqual([]);
  });

  test("ends the silent by TERM and then KILL, with their children, and leaves those that beat or are paused alone", async () => {
    await home.start();
    const beating = await home.spawn("beating", BEATS);
    const paused = await home.spawn("paused", BEATS);
    await until(() => home.state("paused") === "healthy", "it beats");
    process.kill(-paused, "SIGSTOP");
    const meek = await home.spawn("meek", "echo the last words; sleep 601 & exec sleep 600", REQUIRED);
    const stubborn = await home.spawn("stubborn", "trap '' TERM; while :; do sleep 600; done", REQUIRED);
    const isOver = (id: string): boolean => home.types(id).includes("zombie_cleanup_completed");
    await until(() => isOver("meek") && isOver("stubborn"), "both silent ones are ended, and that is told");
    expect(home.requests()).toHaveLength(2);

    expect(home.types("meek").filter((type) => type.startsWith("zombie_"))).toEqual([
      "zombie_detected",
      "zombie_cleanup_started",
      "zombie_process_terminated",
      "zombie_cleanup_completed",
    ]);
    const [detected] = home.events("zombie-cleanup") as { data: { silent_seconds: number } }[];
    expect(detected?.data.silent_seconds).toBeGreaterThanOrEqual(3);
    expect(home.line.read("worker-specs", "zombie", "meek.attempt-1.json")).toMatchObject({
      last_words: { reason: "hung", log_tail: "the last words\n", killed_by: "heald" },
    });
    expect(home.line.read("worker-specs", "zombie", "stubborn.attempt-1.json")).toMatchObject({
      execution: { signal: "SIGKILL" },
      last_words: { killed_by: "heald" },
    });
    for (const pid of [meek, stubborn]) expect(groupMembers(pid)).toEqual([]);

    expect(home.isAlive(beating)).toBe(true);
    expect(home.isAlive(paused)).toBe(true);
    expect(home.state("paused")).toBe("paused");
    process.kill(-paused, "SIGCONT");
    await until(() => home.state("paused") === "healthy", "it goes on");
    expect(home.types("paused").filter((type) => type === "worker_paused")).toHaveLength(1);
  });

  test("shows in status.json when a worker that has not beaten yet is looked at next", async () => {
    await home.start();
    await home.spawn("beats", BEATS);
    await home.spawn("silent", "exec sleep 600", REQUIRED);
    const nextAt = (id: string): unknown => {
      if (!existsSync(home.layout.status)) return undefined;
      const { workers } = home.line.read("status.json") as { workers: { worker_id: string; next_at: unknown }[] };
      return workers.find((row) => row.worker_id === id)?.next_at;
    };
    await until(() => typeof nextAt("silent") === "string", "its deadline is shown");
    expect(Math.abs(Date.parse(String(nextAt("silent"))) - Date.now())).toBeLessThan(10_000);
    await until(() => nextAt("beats") === null, "the other has none");
  });

  test("shows in status.json the status that stands in the spec", async () => {
    await home.start();
    await home.spawn("a", "exec sleep 600");
    const shown = (): unknown => {
      if (!existsSync(home.layout.status)) return undefined;
      const { workers } = home.line.read("status.json") as { workers: { pid: unknown; status: unknown }[] };
      return workers.find(({ pid }) => pid !== null)?.status;
    };
    await until(() => shown() !== undefined, "it is shown with its process");
    expect(shown()).toBe("running");
    expect(home.line.read("worker-specs", "active", "a.json")).toMatchObject({ status: "running" });
  });

  test("signals nobody because of a pid that stands in a beat or a spec", async () => {
    const daemon = await home.start();
    for (const [nth, pid] of [1, daemon, process.pid].entries()) {
      const id = `liar-${nth}`;
      home.specs.createActive({
        worker_id: id,
        worker_type: "liar",
        status: "running",
        execution: { pid, start_time: 1, origin: "launched", may_signal: true },
        launch: { stop: { grace_seconds: 0 } },
        ...REQUIRED,
      });
      home.beat(id, { pid });
    }
    await until(() => home.requests().length === 3, "all three are lost");
    expect(home.isAlive(daemon)).toBe(true);
    expect(home.isAlive(process.pid)).toBe(true);
    expect(home.log()).not.toMatch(/SIGTERM|SIGKILL/);
    expect(home.events("zombie-cleanup").filter((event) => event.event_type === "zombie_process_terminated")).toEqual(
      [],
    );
  });

  test("loses nothing and does nothing twice when it is killed again and again", async () => {
    await home.start();
    const workers = ["a", "b", "c", "d"];
    const pids = new Map<string, number>();
    for (const id of workers) pids.set(id, await home.spawn(id, "exec sleep 600"));
    await until(() => workers.every((id) => home.types(id).includes("worker_registered")), "all are watched");
    for (const [nth, id] of workers.entries()) {
      process.kill(pids.get(id) as number, "SIGKILL");
      // Killed at another moment of the work each time: before it is seen, and in the midst of it.
      if (nth % 2 === 1) await until(() => home.types(id).length === 2, `${id} is in the works`);
      await home.kill();
      await home.start();
    }
    await until(() => home.requests().length === 4, "all four are filed");
    for (const id of workers) expect(home.types(id)).toEqual(["worker_registered", "worker_exited"]);
    expect(home.zombies()).toEqual(workers.map((id) => `${id}.attempt-1.json`));
    await until(() => workers.every((id) => !existsSync(home.layout.activeSpec(id))), "no spec is left");
  });

  test("says nothing of workers that went on beating while it was down", async () => {
    await home.start();
    await home.spawn("a", BEATS);
    await until(() => home.state("a") === "healthy", "it beats");
    await home.kill();
    const beat = (): number => Number(readFileSync(home.layout.heartbeat("a"), "utf8").length);
    const downUntil = Date.now() + 4000;
    await until(() => Date.now() > downUntil && beat() > 0, "more than a threshold has passed");
    await home.start();
    const silent = await home.spawn("b", "exec sleep 600", REQUIRED);
    await until(() => !home.isAlive(silent), "another threshold has passed");
    expect(home.types("a")).toEqual(["worker_registered"]);
  });

  test("counts beats on from where its last run stopped", async () => {
    await home.start();
    await home.kill();
    const last = { heartbeats_received: 1_000_000, since: "2024-01-01T00:00:00Z" };
    writeFileSync(home.layout.metrics("heartbeat-monitor"), JSON.stringify(last));
    const received = (): unknown => home.line.read("metrics", "heartbeat-monitor-metrics.json").heartbeats_received;
    await home.start();
    await home.spawn("a", BEATS);
    await until(() => Number(received()) > 1_000_000, "beats are counted");
    expect(home.line.read("metrics", "heartbeat-monitor-metrics.json").since).toBe("2024-01-01T00:00:00Z");
  });
});
