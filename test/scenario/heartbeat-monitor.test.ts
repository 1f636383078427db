/**
 * Guarantee: every end of a worker is seen, once, by evidence and not before its time; nobody else is touched; and a
 * monitor that is killed after any of its effects brings everything to the same end.
 */

import { describe, expect, test } from "vitest";
import { closedSilenceIn } from "../../daemons/heartbeat-monitor/detection.js";
import type { ExitFacts } from "../../daemons/heartbeat-monitor/facts.js";
import { type Ending, type MonitorWorld, openScene, playWithCrashes } from "./monitor-world.js";

const same = (end: Ending, expected: Ending, crashAfter: number): void =>
  expect(end, `crashed after effect ${crashAfter}`).toEqual(expected);

const silentEvents = ["heartbeat_missed", "heartbeat_warning", "heartbeat_timeout"];

describe("a worker that ends by itself", () => {
  test("killed: its exit record makes evidence and one request, with no timer", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a", { task_id: "task-1" });
        world.run(40);
        world.end("a", { signal: "SIGKILL" });
        world.run(5);
      },
      same,
    );
    expect(world.types("a")).toEqual(["worker_registered", "worker_exited"]);
    expect([...world.requested]).toEqual([["a.1", 1]]);
    expect(world.queue.get("a")).toMatchObject({
      reason: "killed",
      attempt: 1,
      task_id: "task-1",
      ended: { class: "signal", signal: "SIGKILL", by_itself: true, spends_retry: true },
    });
    expect(world.lastWords("zombie/a.attempt-1")).toMatchObject({ reason: "killed", killed_by: "other" });
    expect(world.signals).toEqual([]);
    expect(world.tokensReturned.has("a.1")).toBe(true);
    expect(world.fleet.monitored).toEqual({});
  });

  test("with 0: it is completed, and no request follows", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a");
        world.run(40);
        world.end("a", { code: 0 });
        world.run(5);
      },
      same,
    );
    expect(world.types("a")).toEqual(["worker_registered", "worker_exited", "worker_completed"]);
    expect([...world.evidence.keys()]).toEqual(["completed/a.attempt-1"]);
    expect(world.queue.size).toBe(0);
    expect([...world.events.values()].map((event) => event.incident_id)).toEqual([undefined, undefined, undefined]);
  });

  test("with 0 where restart.when is always: that is no success, and a request follows", async () => {
    const { world } = openScene();
    world.add("a", { restart_when: "always" });
    world.run(40);
    world.end("a", { code: 0 });
    world.run(2);
    expect([...world.evidence.keys()]).toEqual(["zombie/a.attempt-1"]);
    expect(world.types("a")).not.toContain("worker_completed");
    expect([...world.requested.keys()]).toEqual(["a.1"]);
    expect(world.lastWords("zombie/a.attempt-1")).toMatchObject({ reason: "exited", classification: "exit" });
  });

  test("without an exit record: a process that is gone is found within a second", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a");
        world.run(40);
        world.processOf("a").launcherAlive = false;
        world.end("a");
        world.run(4);
      },
      same,
    );
    expect(world.queue.get("a")).toMatchObject({ reason: "gone", ended: { class: "gone" } });
    const [exited] = world.eventsOf("worker_exited", "a");
    expect((exited?.at_ms ?? 0) - Date.parse("2026-11-21T00:00:40Z")).toBeLessThanOrEqual(1100);
  });

  test("leaves children behind: they are ended before its evidence is filed, and soon", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a");
        world.run(40);
        world.processOf("a").children = 2;
        world.end("a", { code: 1 });
        world.run(10);
      },
      same,
    );
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM"]);
    expect([...world.requested.keys()]).toEqual(["a.1"]);
    // The signal went to the children: nobody ended the program itself.
    expect(world.queue.get("a")).toMatchObject({ ended: { by_itself: true } });
    const filedWithinMs = (world.eventsOf("worker_exited")[0]?.at_ms ?? 0) - Date.parse("2026-11-21T00:00:40Z");
    expect(filedWithinMs).toBeLessThan(5000);
  });

  test("leaves children behind that ignore the stop signal: SIGKILL follows after the grace time", () => {
    const { world } = openScene();
    world.add("a", { stop: { signal: "SIGTERM", scope: "main", grace_ms: 5000 } });
    world.run(40);
    const process = world.processOf("a");
    process.children = 1;
    process.childrenIgnoreTerm = true;
    world.end("a", { code: 1 });
    world.run(4);
    expect(world.evidence.size).toBe(0);
    world.run(5);
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM", "SIGKILL"]);
    expect(world.evidence.size).toBe(1);
  });

  test("before its start was heard of: it ends once all the same, and what it left behind is ended", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        const worker = world.add("a");
        worker.launched = false;
        world.run(1);
        worker.launched = true;
        world.processOf("a").children = 2;
        world.end("a", { code: 78 });
        world.run(5);
      },
      same,
    );
    expect(world.types("a").filter((type) => type === "worker_exited")).toHaveLength(1);
    expect([...world.requested]).toEqual([["a.1", 1]]);
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM"]);
    expect(world.queue.get("a")).toMatchObject({ ended: { ran_ms: 1000 } });
  });

  test("its launcher died before the program ran: not started, one request", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a");
        world.makeDeadClaim("a");
        world.run(5);
      },
      same,
    );
    expect(world.queue.get("a")).toMatchObject({ reason: "not_started" });
    expect(world.signals).toEqual([]);
  });

  test.each([
    ["that beats", {}],
    ["of which no beat is awaited", { has_heartbeat: false, beatEvery: 0 }],
  ])("whoever was to start a worker %s did not live to: started again after half a minute, for no retry", (_, plan) => {
    const { world } = openScene();
    const worker = world.add("a", plan);
    worker.process = null;
    worker.launched = false;
    worker.beating = false;
    world.run(29);
    expect(world.queue.size).toBe(0);
    world.run(3);
    expect(world.queue.get("a")).toMatchObject({ reason: "not_started", ended: { spends_retry: false } });
  });

  test("its end was told and its start never: that is a failure like any other, and spends a retry", () => {
    const { world } = openScene();
    const worker = world.add("a");
    worker.launched = false;
    world.end("a", { code: 1 });
    world.run(5);
    expect(world.queue.get("a")).toMatchObject({ reason: "exited", ended: { spends_retry: true } });
  });

  test("nobody ever started a later attempt and no beat is awaited: given up after the grace time, not before", () => {
    const { world } = openScene();
    const worker = world.add("a", { has_heartbeat: false, beatEvery: 0 });
    worker.spec = { ...worker.spec, attempt: 2 };
    worker.process = null;
    worker.launched = false;
    world.run(299);
    expect(world.queue.size).toBe(0);
    world.run(3);
    expect(world.queue.get("a")).toMatchObject({ reason: "not_started" });
  });
});

describe("a silent worker", () => {
  test("that idles is late, warned about, timed out, hung, and a zombie at the threshold and not before", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world, simulation }) => {
        world.add("a");
        world.run(60); // The last beat arrives at 31 s: hints come with the next second.
        world.silence("a");
        const last = world.part("a")?.silent_from_mono_ms ?? 0;
        world.run(Math.floor((last + 299_000 - simulation.monoMs) / 1000));
        simulation.advance(last + 299_999 - simulation.monoMs);
        expect(world.types("a").includes("zombie_detected")).toBe(false);
        simulation.advance(1);
        world.second();
        world.run(40); // A monitor that was killed observes for an interval first.
      },
      same,
    );
    expect(world.types("a")).toEqual([
      "worker_registered",
      "heartbeat_missed",
      "heartbeat_warning",
      "worker_hung",
      "heartbeat_timeout",
      "zombie_detected",
      "zombie_cleanup_started",
      "zombie_process_terminated",
      "zombie_cleanup_completed",
    ]);
    expect(new Set([...world.events.values()].slice(1).map((event) => event.incident_id)).size).toBe(1);
    // Operators grep for these two words; they stand in these two event types and nowhere else in the log.
    const others = [...world.events.values()].map((event) =>
      JSON.stringify(event).replace(/"event_type":"heartbeat_(missed|timeout)"/, ""),
    );
    expect(others.filter((line) => /missed|timeout/.test(line))).toEqual([]);
    expect(world.eventsOf("zombie_detected")[0]?.data).toMatchObject({ silent_seconds: 300 });
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM"]);
    expect(world.queue.get("a")).toMatchObject({ reason: "hung", ended: { by_itself: false, class: "silent" } });
    expect(world.lastWords("zombie/a.attempt-1")).toMatchObject({ reason: "hung", killed_by: "heald" });
  });

  test("leaves evidence of all the beats that it has missed, not only of those until the last change of its state", async () => {
    const { world } = await playWithCrashes(
      { heartbeat_interval_seconds: 1, heartbeat_timeout_seconds: 2, zombie_threshold_seconds: 5 },
      ({ world }) => {
        world.add("a", { beatEvery: 1 });
        world.run(10);
        world.silence("a");
        world.run(15);
      },
      same,
    );
    expect(world.lastWords("zombie/a.attempt-1")).toMatchObject({ silent_seconds: 5 });
    expect(world.evidence.get("zombie/a.attempt-1")).toMatchObject({
      heartbeat: { status: "zombie", missed_count: 4, health_score: 80 },
    });
  });

  test("that was in time when it was killed has missed no beat, however late that is noticed", () => {
    const { world, simulation } = openScene();
    world.add("a");
    world.run(60);
    world.beforeScan = () => {
      world.beforeScan = () => {};
      world.end("a", { signal: "SIGKILL" });
      const exit = world.exits.get("a.1") as ExitFacts;
      world.exits.set("a.1", { ...exit, ended_at_ms: exit.ended_at_ms - 595_000 });
    };
    simulation.absent(600_000);
    world.run(5);
    expect(world.evidence.get("zombie/a.attempt-1")).toMatchObject({
      heartbeat: { missed_count: 0, health_score: 100 },
    });
  });

  test("that only a hold keeps alive goes on to lose its score in its spec", () => {
    const { world } = openScene();
    world.add("a");
    world.run(60);
    world.hold({ name: "all" });
    world.silence("a");
    world.run(330);
    const score = (): number | null | undefined => world.get("a").spec.in_spec_beat?.score;
    const before = score() ?? 0;
    world.run(120);
    expect(score()).toBe(before - 20);
  });

  test("whose earlier attempt's last beat was refused: the new attempt is not blamed for it", () => {
    const { world, simulation } = openScene();
    const worker = world.add("a");
    worker.launched = false;
    world.run(1);
    simulation.offer({ kind: "beats_refused", worker_id: "a", why: "not JSON", age_ms: 60_000 });
    const { known } = world.processOf("a");
    simulation.offer({ kind: "launch", worker_id: "a", attempt: 1, process: known, launcher_alive: true });
    expect(world.part("a")).toMatchObject({ process: known, beats_refused: null });
    simulation.offer({ kind: "beats_refused", worker_id: "a", why: "not JSON", age_ms: 0 });
    expect(world.part("a")).toMatchObject({ beats_refused: "not JSON" });
  });

  test("whose beats are refused: all that is said of its silence says so, and so does its evidence", async () => {
    const why = 'attempt must be a number, got "2"';
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a");
        world.run(60);
        world.refuseBeats("a", why);
        world.run(400);
      },
      same,
    );
    for (const type of ["heartbeat_missed", "heartbeat_timeout", "worker_hung", "zombie_detected"]) {
      const [event] = world.eventsOf(type);
      expect(event?.message).toContain(`; its beats are refused: ${why}`);
      expect(event?.data).toMatchObject({ beats_refused: why });
    }
    expect(world.lastWords("zombie/a.attempt-1")).toMatchObject({ reason: "hung", beats_refused: why });
  });

  test("whose beats count again says no more that they were refused", async () => {
    const { world } = openScene();
    world.add("a");
    world.run(60);
    world.refuseBeats("a", "it is no JSON");
    world.run(100);
    expect(world.part("a")?.beats_refused).toBe("it is no JSON");
    world.beatAgain("a");
    world.run(40);
    expect(world.part("a")?.beats_refused).toBeNull();
    world.silence("a");
    world.run(400);
    expect(world.lastWords("zombie/a.attempt-1")).not.toHaveProperty("beats_refused");
  });

  test("that ignores its stop signal gets SIGKILL after the grace time", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a");
        world.processOf("a").ignoresTerm = true;
        world.run(60);
        world.silence("a");
        world.run(400);
      },
      same,
      3,
    );
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM", "SIGKILL"]);
    expect([...world.requested.keys()]).toEqual(["a.1"]);
  });

  test("whose child computes is busy: a warning only, until busy_multiple is used up", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a");
        world.run(60);
        world.silence("a");
        world.processOf("a").use({ child: 0.9 });
        world.run(1100);
        expect(world.part("a")?.state).toBe("busy");
        expect(world.eventsOf("worker_busy")).toHaveLength(1);
        expect(world.eventsOf("zombie_detected")).toHaveLength(0);
        world.run(200);
      },
      same,
      4,
    );
    expect(world.eventsOf("zombie_detected")[0]?.data).toMatchObject({ silent_seconds: 1200 });
    expect(world.queue.get("a")).toMatchObject({ reason: "busy" });
  });

  test("whose output grows is busy too", () => {
    const { world } = openScene();
    world.add("a");
    world.run(60);
    world.silence("a");
    world.processOf("a").use({ log: 0.01 });
    world.run(400);
    expect(world.eventsOf("worker_busy")[0]).toMatchObject({ reason: "log" });
    expect(world.evidence.size).toBe(0);
  });

  test("whose own process alone computes is blocked, and a zombie at blocked_multiple", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a");
        world.run(60);
        world.silence("a");
        world.processOf("a").use({ own: 0.95 });
        world.run(540);
        expect(world.part("a")?.state).toBe("blocked");
        world.run(120);
      },
      same,
      4,
    );
    // Its decayed score may end the patience a little earlier: up to the multiple, never beyond.
    const silent = Number(world.eventsOf("zombie_detected")[0]?.data.silent_seconds);
    expect(silent).toBeGreaterThan(520);
    expect(silent).toBeLessThanOrEqual(600);
    expect(world.queue.get("a")).toMatchObject({ reason: "blocked" });
  });

  test("of which no process is known is lost at the threshold, and nothing is signalled", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a", { process: "none" });
        world.run(60);
        world.silence("a");
        world.run(310);
      },
      same,
    );
    expect(world.queue.get("a")).toMatchObject({ reason: "lost" });
    expect(world.signals).toEqual([]);
  });

  test("with thresholds of its own that beats again: the word for its time-out is in no field of the log", () => {
    const { world } = openScene();
    world.add("a", { own: { timeout_seconds: 70, zombie_threshold_seconds: 400 } });
    world.run(60);
    world.silence("a");
    world.run(100);
    world.beatAgain("a");
    world.run(40);
    const [resumed] = world.eventsOf("heartbeat_resumed", "a");
    expect(JSON.stringify(resumed)).not.toMatch(/timeout|missed/);
    expect(closedSilenceIn(resumed as never)?.own).toEqual({ timeout_seconds: 70, zombie_threshold_seconds: 400 });
  });

  test("that beats again closes the incident, and the next silence is another", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a");
        world.run(60);
        world.silence("a");
        world.run(150);
        world.beatAgain("a");
        world.run(60);
        world.silence("a");
        world.run(150);
        world.beatAgain("a");
        world.run(10);
      },
      same,
      2,
    );
    const of = (type: string) => world.eventsOf(type, "a").map((event) => event.incident_id);
    expect(of("heartbeat_resumed")).toHaveLength(2);
    expect(of("heartbeat_missed")).toEqual(of("heartbeat_resumed"));
    expect(of("heartbeat_missed")[0]).not.toBe(of("heartbeat_missed")[1]);
    expect(world.part("a")?.state).toBe("healthy");
    expect(world.evidence.size).toBe(0);
  });

  test("with a low score is a zombie at the time-out already", () => {
    const { world } = openScene();
    world.add("a", { health: 30 });
    world.run(60);
    world.silence("a");
    world.run(120);
    expect(world.eventsOf("zombie_detected")[0]?.data).toMatchObject({ silent_seconds: 120 });
  });

  test("that never beat has its startup grace", () => {
    const { world } = openScene({ startup_grace_seconds: 600 });
    world.add("a", { mode: "required" });
    world.silence("a");
    world.run(599);
    expect(world.evidence.size).toBe(0);
    world.run(5);
    expect(world.evidence.size).toBe(1);
  });
});

describe("a worker that a person holds", () => {
  test("stopped with SIGSTOP: paused, an alert for each limit, never killed; and it goes on where it was", async () => {
    const { world } = await playWithCrashes(
      { paused_limit_seconds: 60 },
      ({ world }) => {
        world.add("a");
        world.run(60);
        world.processOf("a").state = "T";
        world.run(200);
        expect(world.part("a")?.state).toBe("paused");
        expect(world.eventsOf("worker_paused")).toHaveLength(4);
        world.processOf("a").state = "S";
        world.run(60);
      },
      same,
      9,
    );
    expect(world.part("a")?.state).toBe("healthy");
    expect(world.eventsOf("heartbeat_resumed", "a")).toHaveLength(1);
    expect(world.signals).toEqual([]);
    expect(world.evidence.size).toBe(0);
  });

  test("paused without any beats of its own: seen within two seconds, shown, and shown again when it goes on", () => {
    const { world } = openScene();
    world.add("a", { has_heartbeat: false, beatEvery: 0 });
    world.run(40);
    world.processOf("a").state = "T";
    world.run(2);
    expect(world.part("a")?.state).toBe("paused");
    world.processOf("a").state = "S";
    world.run(2);
    expect(world.part("a")?.state).toBe("healthy");
  });

  test("in a frozen cgroup: one event, not one for each second", () => {
    const { world } = openScene();
    world.add("a");
    world.run(60);
    world.processOf("a").frozen = true;
    world.silence("a");
    world.run(600);
    expect(world.part("a")?.state).toBe("paused");
    expect(world.eventsOf("worker_paused")).toHaveLength(1);
    expect(world.evidence.size).toBe(0);
  });

  test("under a debugger: never restarted, and given its time again when it is let go", () => {
    const { world } = openScene();
    world.add("a");
    world.run(60);
    world.silence("a");
    world.processOf("a").traced = true;
    world.run(2000);
    expect(world.part("a")?.state).toBe("debugged");
    expect(world.evidence.size).toBe(0);
    world.processOf("a").traced = false;
    world.run(200);
    expect(world.evidence.size).toBe(0);
    world.beatAgain("a");
    world.run(5);
    expect(world.part("a")?.state).toBe("healthy");
  });

  test("paused_action restart: ended after the limit", () => {
    const { world } = openScene({ paused_limit_seconds: 300, paused_action: "restart" });
    world.add("a");
    world.run(60);
    world.processOf("a").state = "T";
    world.run(290);
    expect(world.evidence.size).toBe(0);
    world.run(60);
    expect(world.queue.get("a")).toMatchObject({ reason: "paused" });
  });
});

describe("a person's hand", () => {
  test("removes the spec: unwatched, left running, never signalled", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a");
        world.run(40);
        world.removeSpec("a");
        world.run(600);
      },
      same,
    );
    expect(world.types("a")).toEqual(["worker_registered", "worker_unwatched"]);
    expect(world.signals).toEqual([]);
    expect(world.evidence.size).toBe(0);
    expect(world.fleet.monitored).toEqual({});
  });

  test.each(["stopped", "draining"] as const)("wants it %s: ended gracefully and kept down", async (state) => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a");
        world.run(40);
        world.want("a", state);
        world.run(5);
      },
      same,
    );
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM"]);
    expect(world.types("a").at(-1)).toBe("worker_stopped");
    expect(world.evidence.get("completed/a.attempt-1")).toMatchObject({ status: "cancelled" });
    expect(world.queue.size).toBe(0);
  });

  test("draining is never forced; stopped after that is, once its grace time is over", () => {
    const { world } = openScene();
    world.add("a");
    world.processOf("a").ignoresTerm = true;
    world.run(40);
    world.want("a", "draining");
    world.run(600);
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM"]);
    world.want("a", "stopped");
    world.run(40);
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM", "SIGKILL"]);
    expect(world.types("a").at(-1)).toBe("worker_stopped");
  });

  test("forces its restart, of one that was adopted: its end is no failure either, though no launcher tells of it", () => {
    const { world } = openScene();
    world.add("a", { process: "adopted" });
    world.run(40);
    world.forced.add("a");
    world.processOf("a").launcherAlive = false;
    world.end("a");
    world.run(5);
    expect(world.types("a").at(-1)).toBe("worker_stopped");
    expect(world.queue.size).toBe(0);
  });

  test("stopped, and draining before its grace time is over: it is not forced any more", () => {
    const { world } = openScene();
    world.add("a");
    world.processOf("a").ignoresTerm = true;
    world.run(40);
    world.want("a", "stopped");
    world.run(10);
    world.want("a", "draining");
    world.run(600);
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM"]);
  });

  test("forces its restart: its end is no failure, and the request that is there is not filed again", () => {
    const { world, simulation } = openScene();
    world.add("a");
    world.run(40);
    const exit = {
      exit_code: 143,
      signal: "SIGTERM",
      signal_inferred: true,
      wait_status: null,
      ended_at_ms: simulation.nowMs,
      oom_kills: 0,
      wanted: true,
    };
    world.end("a", { code: 143 });
    simulation.offer({ kind: "exit", worker_id: "a", attempt: 1, exit });
    world.run(5);
    expect(world.queue.size).toBe(0);
    expect(world.evidence.get("completed/a.attempt-1")).toMatchObject({ status: "cancelled" });
    expect(world.eventsOf("worker_exited")[0]).toMatchObject({ severity: "info", reason: "stopped" });
    expect(world.eventsOf("worker_exited")[0]?.incident_id).toBeUndefined();
  });

  test.each([
    [
      "stopped",
      (world: MonitorWorld) => world.want("a", "stopped"),
      (world: MonitorWorld) => world.want("a", "running"),
    ],
    [
      "draining",
      (world: MonitorWorld) => world.want("a", "draining"),
      (world: MonitorWorld) => world.want("a", "running"),
    ],
    [
      "cancelled",
      (world: MonitorWorld) => world.editSpec("a", { status: "cancelled" }),
      (world: MonitorWorld) => world.editSpec("a", { status: "running" }),
    ],
  ] as const)(
    "wants it %s, and takes that back: it runs on, is not forced, and is watched as before",
    async (_, want, takeBack) => {
      const { world } = await playWithCrashes(
        {},
        ({ world }) => {
          world.add("a");
          world.processOf("a").ignoresTerm = true;
          world.run(40);
          want(world);
          world.run(5);
          expect(world.part("a")?.ending?.reason).toBe("stopped");
          takeBack(world);
          world.run(40);
          expect(world.part("a")).toMatchObject({ ending: null, state: "healthy" });
          world.end("a", { signal: "SIGKILL" });
          world.run(5);
        },
        same,
      );
      expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM"]);
      expect(world.types("a")).toEqual(["worker_registered", "worker_exited"]);
      expect(world.lastWords("zombie/a.attempt-1")).toMatchObject({ reason: "killed", killed_by: "other" });
      expect(world.queue.get("a")).toMatchObject({ reason: "killed", ended: { spends_retry: true } });
    },
  );

  test.each([
    ["0", { code: 0 }],
    ["its stop signal", { signal: "SIGTERM", code: 143 }],
  ])("takes a drain back, and the worker ends with %s all the same: it comes back, as no failure", async (_, how) => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a");
        world.processOf("a").ignoresTerm = true;
        world.run(40);
        world.want("a", "draining");
        world.run(5);
        world.want("a", "running");
        world.run(100);
        world.end("a", how);
        world.run(5);
      },
      same,
    );
    expect(world.queue.get("a")).toMatchObject({ reason: "stopped", ended: { spends_retry: false } });
    expect(world.eventsOf("worker_exited")[0]).toMatchObject({ severity: "info" });
    expect(world.eventsOf("worker_exited")[0]?.incident_id).toBeUndefined();
  });

  test("takes a stop back, and the worker fails after that: that is a failure like any other", () => {
    const { world } = openScene();
    world.add("a");
    world.processOf("a").ignoresTerm = true;
    world.run(40);
    world.want("a", "stopped");
    world.run(5);
    world.want("a", "running");
    world.run(5);
    world.end("a", { code: 1 });
    world.run(5);
    expect(world.queue.get("a")).toMatchObject({ reason: "exited", ended: { spends_retry: true } });
  });

  test("takes a stop back and wants it again: the worker is asked again, and has its whole grace time", () => {
    const { world } = openScene();
    world.add("a");
    world.processOf("a").ignoresTerm = true;
    world.run(40);
    for (const state of ["stopped", "running", "stopped"] as const) {
      world.want("a", state);
      world.run(20);
    }
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM", "SIGTERM"]);
    world.run(15);
    expect(world.signals.at(-1)?.signal).toBe("SIGKILL");
    expect(world.types("a").at(-1)).toBe("worker_stopped");
  });

  test("stopped, and wanted again when it was forced already: it comes back", () => {
    const { world, simulation } = openScene();
    world.add("a");
    world.processOf("a").ignoresTerm = true;
    world.processOf("a").foreign = "host";
    world.run(40);
    world.want("a", "stopped");
    world.run(35);
    expect(world.part("a")?.ending?.phase).toBe("killing");
    world.want("a", "running");
    simulation.advance(1);
    world.processOf("a").foreign = "none";
    world.run(40);
    expect([...world.requested.keys()]).toEqual(["a.1"]);
  });

  test("writes status cancelled: the same as stopped", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a");
        world.run(40);
        world.editSpec("a", { status: "cancelled" });
        world.run(5);
      },
      same,
    );
    expect(world.evidence.get("completed/a.attempt-1")).toMatchObject({ status: "cancelled" });
    expect(world.queue.size).toBe(0);
    expect(world.gone.get("a")?.process?.alive).toBe(false);
  });

  test("cancels a spec whose process the monitor has yet to read about: the process is ended too", () => {
    const { world } = openScene();
    const worker = world.add("a");
    worker.spec = { ...worker.spec, status: "cancelled" };
    world.editSpec("a", { status: "cancelled" });
    world.run(5);
    expect(worker.process?.alive).toBe(false);
    expect(world.evidence.has("completed/a.attempt-1")).toBe(true);
  });

  test("sets heartbeat.mode to none: silence is no matter any more", () => {
    const { world } = openScene();
    world.add("a");
    world.run(60);
    world.silence("a");
    world.editSpec("a", { mode: "none" });
    world.run(600);
    expect(world.evidence.size).toBe(0);
  });
});

describe("an older worker that beats in its spec", () => {
  test("is alive while its block differs from what the monitor wrote, and silent when only the monitor writes", () => {
    const { world } = openScene();
    world.add("a", { process: "none", beatEvery: 0 });
    for (let beat = 1; beat <= 30; beat++) {
      const before = world.get("a").spec.in_spec_beat;
      world.editSpec("a", {
        in_spec_beat: {
          key: before?.key ?? "",
          legacy_key: `beat-${beat}`,
          score: before?.score ?? null,
          legacy_score: null,
          sequence: null,
        },
      });
      world.run(30);
    }
    expect(world.part("a")?.state).toBe("healthy");
    expect(world.types("a").some((type) => silentEvents.includes(type))).toBe(false);
    // A score that the monitor itself wrote is not taken for the worker's own.
    expect(world.part("a")?.last_beat?.reported).toBe(null);
    world.run(310);
    expect(world.queue.get("a")).toMatchObject({ reason: "lost" });
  });
});

describe("what heald may not signal", () => {
  test("an adopted process without leave: shown, never signalled, whatever is due", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a", { process: "adopted_without_leave" });
        world.run(60);
        world.silence("a");
        world.run(400);
        world.want("a", "stopped");
        world.run(20);
      },
      same,
      2,
    );
    expect(world.signals).toEqual([]);
    expect(world.processOf("a").alive).toBe(true);
    expect(world.verdicts()).toContain("suppressed may_signal a");
    expect(world.eventsOf("zombie_detected")).toEqual([]);
  });

  test("nor because of its runtime or its memory", () => {
    const { world, simulation } = openScene();
    world.add("a", { process: "adopted_without_leave", max_runtime_ms: 20_000, memory_limit_bytes: 1000 });
    world.run(30);
    simulation.offer({ kind: "memory", worker_id: "a", attempt: 1, rss_bytes: 2000 });
    world.run(10);
    expect(world.signals).toEqual([]);
    expect(world.part("a")?.ending).toBe(null);
    expect(world.verdicts()).toContain("suppressed may_signal a");
  });

  test("an adopted process with leave is ended as one of heald's own", () => {
    const { world } = openScene();
    world.add("a", { process: "adopted" });
    world.run(60);
    world.silence("a");
    world.run(330);
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM"]);
    expect([...world.requested.keys()]).toEqual(["a.1"]);
  });

  test("children that an adopted process without leave left behind: they stay, and its end is filed", () => {
    const { world } = openScene();
    world.add("a", { process: "adopted_without_leave" });
    world.run(40);
    world.processOf("a").children = 2;
    world.end("a");
    world.run(5);
    expect(world.signals).toEqual([]);
    expect([...world.requested.keys()]).toEqual(["a.1"]);
  });

  test.each(["host", "namespace"] as const)("a process of another %s: unknown, nothing is concluded", (foreign) => {
    const { world } = openScene();
    world.add("a", { process: "adopted" });
    world.processOf("a").foreign = foreign;
    world.run(60);
    world.silence("a");
    world.run(400);
    expect(world.part("a")?.state).toBe("unknown");
    expect(world.eventsOf("worker_unknown")).toHaveLength(1);
    expect(world.evidence.size).toBe(0);
    expect(world.signals).toEqual([]);
  });
});

describe("a worker that beats and is not well", () => {
  test("reports low for the grace time: unhealthy, an alert, and well again by its own word", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        const worker = world.add("a");
        world.run(60);
        worker.health = 10;
        world.run(400);
        expect(world.part("a")?.state).toBe("unhealthy");
        worker.health = 90;
        world.run(60);
      },
      same,
      3,
    );
    expect(world.eventsOf("worker_unhealthy")).toHaveLength(1);
    expect(world.eventsOf("heartbeat_resumed")).toHaveLength(1);
    expect(world.signals).toEqual([]);
  });

  test("unhealthy_action restart: it is restarted", () => {
    const { world } = openScene({ unhealthy_action: "restart" });
    const worker = world.add("a");
    world.run(60);
    worker.health = 10;
    world.run(400);
    expect(world.queue.get("a")).toMatchObject({ reason: "unhealthy" });
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM"]);
  });

  test("its progress stands still for longer than the policy allows: stuck, and restarted", () => {
    const { world } = openScene({ progress_timeout_seconds: 200 });
    const worker = world.add("a");
    worker.progress = 40;
    world.run(190);
    expect(world.types("a")).toEqual(["worker_registered"]);
    world.run(60);
    expect(world.queue.get("a")).toMatchObject({ reason: "stuck" });
  });

  test("its progress stands at 100: it has finished and is not stuck", () => {
    const { world } = openScene({ progress_timeout_seconds: 200 });
    world.add("a").progress = 100;
    world.run(600);
    expect(world.types("a")).toEqual(["worker_registered"]);
  });

  test("grows over its memory limit: ended at once", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world, simulation }) => {
        world.add("a", { memory_limit_bytes: 1000 });
        world.run(40);
        simulation.offer({ kind: "memory", worker_id: "a", attempt: 1, rss_bytes: 2000 });
        world.run(5);
        // Over a crash the sampling comes again.
        if (world.part("a")?.ending === null)
          simulation.offer({ kind: "memory", worker_id: "a", attempt: 1, rss_bytes: 2000 });
        world.run(5);
      },
      same,
    );
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGKILL"]);
    expect(world.queue.get("a")).toMatchObject({ reason: "memory_limit" });
  });

  test("max_runtime_seconds are over: ended, under a hold not before the hold is over", () => {
    const { world } = openScene();
    world.add("a", { max_runtime_ms: 100_000 });
    world.run(50);
    world.hold({ name: "all" });
    world.run(200);
    expect(world.signals).toEqual([]);
    world.removeHold("all");
    world.run(10);
    expect(world.queue.get("a")).toMatchObject({ reason: "max_runtime" });
  });
});
