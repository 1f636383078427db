/**
 * Guarantee: when many look dead together, or the monitor has reason to suspect itself, nobody is killed for it; who is
 * certainly dead is not held; and what was held comes to an end in small steps.
 */
import { describe, expect, test } from "vitest";
import { type Ending, openScene, playWithCrashes, policyOf, type Scene } from "./monitor-world.js";

const same = (end: Ending, expected: Ending, crashAfter: number): void =>
  expect(end, `crashed after effect ${crashAfter}`).toEqual(expected);

function fleetOf(world: Scene["world"], count: number): string[] {
  const ids = Array.from({ length: count }, (_, nth) => `w-${String(nth).padStart(2, "0")}`);
  for (const id of ids) world.add(id);
  return ids;
}

/** A silent worker that heeds no stop signal has just been sent its own. */
function signalSilent(world: Scene["world"]): void {
  world.add("a", { stop: { signal: "SIGTERM", scope: "main", grace_ms: 5000 } });
  world.processOf("a").ignoresTerm = true;
  world.run(60);
  world.silence("a");
  while (world.signals.length === 0) world.run(1);
}

describe("the mass guard", () => {
  test("10 of 20 silent: holds, says so once, kills nobody, and asks a person", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        const ids = fleetOf(world, 20);
        world.run(60);
        world.silence(...ids.slice(0, 10));
        world.run(1000);
      },
      same,
      197,
    );
    expect(world.eventsOf("fleet_hold_started")).toHaveLength(1);
    expect(world.eventsOf("mass_zombification_alert")).toHaveLength(2);
    expect(world.signals).toEqual([]);
    expect(world.evidence.size).toBe(0);
    expect(world.fleet.guard.state).toBe("holding");
    expect(world.fleet.waiting).toHaveLength(10);
  });

  test.each(["constructor", "toString", "valueOf"])(
    "counts a worker whose type is called %s like any other",
    (type) => {
      const { world } = openScene();
      const ids = fleetOf(world, 20);
      world.add("odd", { worker_type: type });
      world.run(60);
      expect(Object.entries(world.fleet.monitored).find(([each]) => each === type)).toEqual([type, 1]);
      world.silence(...ids.slice(0, 10), "odd");
      world.run(400);
      expect(world.fleet.guard.state).toBe("holding");
      expect(world.signals).toEqual([]);
    },
  );

  test("all of a fleet silent at a threshold that is the time-out too: not even the first is killed", () => {
    const { world } = openScene({ heartbeat_timeout_seconds: 120, zombie_threshold_seconds: 120 });
    const ids = fleetOf(world, 20);
    world.run(60);
    world.silence(...ids);
    world.run(400);
    expect(world.signals).toEqual([]);
    expect(world.fleet.guard.state).toBe("holding");
  });

  test("all of a fleet silent with low scores, due at the time-out: not even the first is killed", () => {
    const { world } = openScene();
    const ids = fleetOf(world, 20);
    for (const id of ids) world.get(id).health = 30;
    world.run(60);
    world.silence(...ids);
    world.run(400);
    expect(world.signals).toEqual([]);
  });

  test("most come back: the hold ends by observation, and the rest go as canaries, one, two, four", async () => {
    const { world } = await playWithCrashes(
      { mass_failure: { clear_fraction: 0.4 } },
      ({ world }) => {
        world.restarts = "well";
        const ids = fleetOf(world, 20);
        world.run(60);
        world.silence(...ids.slice(0, 10));
        world.run(400);
        expect(world.signals).toEqual([]);
        world.beatAgain(...ids.slice(0, 3)); // Seven are left, of 20: few enough.
        world.run(400);
      },
      ({ events, ...end }, { events: expectedEvents, ...expected }, crashAfter) => {
        expect(end, `crashed after effect ${crashAfter}`).toEqual(expected);
        const restarts = (lines: readonly string[]) => lines.filter((line) => /zombie_detected|fleet_hold/.test(line));
        expect(restarts(events), `crashed after effect ${crashAfter}`).toEqual(restarts(expectedEvents));
      },
      53,
    );
    const killedAt = world.signals.map(({ atMs }) => atMs);
    expect(killedAt).toHaveLength(7);
    const rounds = [...new Set(killedAt)].map((atMs) => killedAt.filter((each) => each === atMs).length);
    expect(rounds).toEqual([1, 2, 4]);
    expect(world.eventsOf("fleet_hold_ended")).toHaveLength(1);
    expect(world.fleet.guard.state).toBe("clear");
    expect(Object.values(world.fleet.monitored)).toEqual([20]);
    expect([...world.workers.keys()].every((id) => world.part(id)?.state === "healthy")).toBe(true);
  });

  test("a canary that is silent again brings the hold back", () => {
    const { world } = openScene({ mass_failure: { clear_fraction: 0.4, hold_seconds: 200 } });
    world.restarts = "silent";
    const ids = fleetOf(world, 20);
    world.run(60);
    world.silence(...ids.slice(0, 10));
    world.run(400);
    world.beatAgain(...ids.slice(0, 3));
    world.run(350);
    expect(world.signals).toHaveLength(1);
    expect(world.fleet.guard.state).toBe("holding");
  });

  test("a canary whose new attempt ends before it beats brings the hold back at once, and the rest wait for the next release", async () => {
    const { world } = await playWithCrashes(
      { mass_failure: { clear_fraction: 0.4 } },
      ({ world }) => {
        world.restarts = "crashing";
        const ids = fleetOf(world, 20);
        world.run(60);
        world.silence(...ids.slice(0, 10));
        world.run(400);
        world.beatAgain(...ids.slice(0, 3));
        world.until("the canary is lost", () => world.eventsOf("fleet_hold_started").length > 1, 450);
        world.restarts = "well";
        expect(world.signals).toHaveLength(1);
        expect(world.fleet.guard).toMatchObject({ state: "holding", reason: "canary_lost" });
        world.run(100);
        expect(world.signals).toHaveLength(1);
        world.run(300);
      },
      ({ active, alive }, expected, crashAfter) =>
        expect({ active, alive }, `crashed after effect ${crashAfter}`).toEqual({
          active: expected.active,
          alive: expected.alive,
        }),
      53,
    );
    const [, again] = world.eventsOf("fleet_hold_started");
    expect(again?.message).toMatch(
      /^A worker that was let through did not come back, and \d of \d+ workers look dead: nothing is killed until it is understood$/,
    );
    expect(world.signals).toHaveLength(7);
    expect(world.fleet.guard.state).toBe("clear");
  });

  test("a canary whose new attempt never beats is lost when that is due, not when the hold time is over", () => {
    const { world } = openScene({ mass_failure: { clear_fraction: 0.4, hold_seconds: 3600 } });
    world.restarts = "silent";
    const ids = fleetOf(world, 20);
    world.run(60);
    world.silence(...ids.slice(0, 10));
    world.run(400);
    world.beatAgain(...ids.slice(0, 3));
    world.until("the canary goes", () => world.signals.length > 0, 200);
    // Its grace time is 300 s, twice that while many are suspect and the monitor doubts itself.
    const seconds = world.until("the canary is lost", () => world.fleet.guard.state === "holding", 700);
    expect(seconds).toBeGreaterThanOrEqual(300);
    expect(world.fleet.guard.reason).toBe("canary_lost");
    expect(world.signals).toHaveLength(1);
  });

  test("a canary whose new attempt finishes its work came back", () => {
    const { world } = openScene({ mass_failure: { clear_fraction: 0.4 } });
    world.restarts = "finishing";
    const ids = fleetOf(world, 20);
    world.run(60);
    world.silence(...ids.slice(0, 10));
    world.run(400);
    world.beatAgain(...ids.slice(0, 3));
    world.run(400);
    expect(world.signals).toHaveLength(7);
    expect(world.fleet.guard.state).toBe("clear");
    expect(world.eventsOf("fleet_hold_started")).toHaveLength(1);
  });

  test("the certainly dead are not held", () => {
    const { world } = openScene();
    const ids = fleetOf(world, 20);
    world.run(60);
    world.silence(...ids.slice(0, 10));
    world.run(200);
    expect(world.fleet.guard.state).toBe("holding");
    for (const id of ids.slice(0, 12)) world.end(id, { signal: "SIGKILL" });
    world.run(3);
    expect(world.requested.size).toBe(12);
  });

  test("switched off by a person: the held are ended", () => {
    const { world, simulation } = openScene();
    const ids = fleetOf(world, 8);
    world.run(60);
    world.silence(...ids);
    world.run(400);
    expect(world.signals).toEqual([]);
    simulation.setPolicy(policyOf({ mass_failure: { enabled: false } }));
    world.run(400); // So many silent together also make the monitor doubt itself and stretch their time.
    expect(world.requested.size).toBe(8);
  });
});

describe("limits on what is ended", () => {
  test("max_cleanups_per_minute: never more in any 60 seconds, and all in the end", async () => {
    const { world } = await playWithCrashes(
      { max_cleanups_per_minute: 2, mass_failure: { enabled: false } },
      ({ world }) => {
        const ids = fleetOf(world, 6);
        world.run(60);
        world.silence(...ids);
        world.run(1000);
      },
      ({ events: _, ...end }, { events: __, ...expected }, crashAfter) =>
        expect(end, `crashed after effect ${crashAfter}`).toEqual(expected),
      61,
    );
    const at = world.signals.map(({ atMs }) => atMs).sort((a, b) => a - b);
    expect(at).toHaveLength(6);
    for (const [nth, atMs] of at.entries())
      expect((at[nth + 2] ?? Number.POSITIVE_INFINITY) - atMs).toBeGreaterThan(59_000);
    expect(world.eventsOf("zombie_cleanup_rate_limited")).toHaveLength(4);
  });

  test("a hold on kills: nobody is ended under it, nor for one full time-out after it", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a");
        world.run(60);
        world.hold({ name: "worker-a", scope: "worker", target: "a", acts: ["kill"] });
        world.silence("a");
        world.run(500);
        expect(world.evidence.size).toBe(0);
        world.removeHold("worker-a");
        world.run(115);
        expect(world.evidence.size).toBe(0);
        world.run(60);
      },
      same,
      7,
    );
    expect(world.evidence.size).toBe(1);
    expect(world.verdicts().filter((line) => line.startsWith("suppressed"))).toEqual([
      "suppressed holds a",
      "suppressed observed_since_hold a",
    ]);
  });

  test("a hold that comes during the grace time: SIGKILL waits for its end, and that is said once", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        signalSilent(world);
        world.hold({ name: "all" });
        world.run(200);
        expect(world.signals.map(({ signal }) => signal)).not.toContain("SIGKILL");
        world.removeHold("all");
        world.run(100);
        expect(world.signals.map(({ signal }) => signal)).not.toContain("SIGKILL");
        world.run(60);
      },
      same,
      7,
    );
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM", "SIGTERM", "SIGKILL"]);
    expect(world.verdicts()[0]).toBe("zombie hung a");
    expect(world.verdicts().filter((line) => line === "suppressed holds a")).toHaveLength(1);
    expect(world.evidence.size).toBe(1);
  });

  test("a hold that comes during the grace time, under which the worker recovers: it is left alone after that", () => {
    const { world } = openScene();
    signalSilent(world);
    world.hold({ name: "all" });
    world.run(20);
    world.beatAgain("a");
    world.run(100);
    world.removeHold("all");
    world.run(400);
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM"]);
    expect(world.part("a")?.state).toBe("healthy");
    expect(world.evidence.size).toBe(0);
  });

  test("a person who wants a worker stopped that is being ended already ends it under a hold, too", () => {
    const { world } = openScene();
    signalSilent(world);
    world.hold({ name: "all" });
    world.run(20);
    world.want("a", "stopped");
    world.run(10);
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM", "SIGKILL"]);
  });

  test("a hold on kills: what a dead program left behind lives on under it, and is ended after it", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a");
        world.run(40);
        world.hold({ name: "all", acts: ["kill"] });
        world.run(2);
        world.processOf("a").children = 2;
        world.end("a", { code: 1 });
        world.run(100);
        expect(world.signals).toEqual([]);
        expect(world.queue.size).toBe(0);
        world.removeHold("all");
        world.run(10);
      },
      same,
    );
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM"]);
    expect([...world.requested.keys()]).toEqual(["a.1"]);
  });

  test("a host that goes down during the grace time: it ends the rest itself, and nothing gets SIGKILL", () => {
    const { world } = openScene();
    signalSilent(world);
    world.host = "stopping";
    world.run(60);
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM"]);
  });

  test("a hold keeps no person from stopping a worker, by force where it must be; that it was passed is on record", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a", { stop: { signal: "SIGTERM", scope: "main", grace_ms: 5000 } });
        world.processOf("a").ignoresTerm = true;
        world.run(40);
        world.hold({ name: "all" });
        world.run(5);
        world.want("a", "stopped");
        world.run(10);
      },
      same,
    );
    expect(world.signals.map(({ signal }) => signal)).toEqual(["SIGTERM", "SIGKILL"]);
    expect(world.verdicts()).toContain("stop desired a");
  });

  test("a hold on a target holds the worker that works on a task of that name", () => {
    const { world } = openScene();
    world.add("a", { task_id: "task-7" });
    world.add("b", { task_id: "task-8" });
    world.run(60);
    world.hold({ name: "t", scope: "target", target: "task-7" });
    world.silence("a", "b");
    world.run(400);
    expect([...world.evidence.keys()]).toEqual(["zombie/b.attempt-1"]);
  });

  test("a hold for another worker, for another act, or that is over holds nobody", () => {
    const { world } = openScene();
    world.add("a");
    world.run(60);
    world.hold({ name: "1", scope: "worker", target: "b" });
    world.hold({ name: "2", scope: "all", acts: ["restart"] });
    world.hold({ name: "3", scope: "all", starts_at_ms: 0, expires_at_ms: 1 });
    world.silence("a");
    world.run(310);
    expect(world.evidence.size).toBe(1);
  });

  test("hooks/before_kill asks for later: asked again each minute, said once, and nothing is signalled until then", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.hookAnswersLater = true;
        world.add("a");
        world.run(60);
        world.silence("a");
        world.run(500);
        expect(world.signals).toEqual([]);
        world.hookAnswersLater = false;
        world.run(100);
      },
      same,
      4,
    );
    expect(world.hooks.length).toBeGreaterThanOrEqual(4);
    expect(world.hooks.length).toBeLessThanOrEqual(6);
    expect(world.eventsOf("zombie_detected")).toHaveLength(1);
    expect([...world.requested.keys()]).toEqual(["a.1"]);
    expect(world.fleet.zombies_detected).toBe(1);
  });
});

describe("a monitor that has reason to suspect itself", () => {
  test.each([
    ["over 200 ms late against itself", 201, 3],
    ["no later than that as clean", 200, 0],
    ["at a time of which an older record does not say as clean", undefined, 0],
  ])("counts a loop that comes %s", (_name, loop_delay_ms, health) => {
    const { world } = openScene();
    fleetOf(world, 1);
    world.run(60);
    for (let nth = 0; nth < 3; nth++) world.pulse(loop_delay_ms === undefined ? {} : { loop_delay_ms });
    expect(world.fleet.local_health).toBe(health);
  });

  test("stalled: nobody is judged by the time in which it did not run, and that is said once", () => {
    const { world, simulation } = openScene();
    const ids = fleetOf(world, 3);
    world.run(100);
    // Stopped for ten minutes: due timers run before anything is read, then the pulse.
    for (const id of ids) world.writeBeat(id);
    simulation.advance(600_000);
    for (const id of ids) world.writeBeat(id);
    world.run(100);
    expect(world.types().filter((type) => type.startsWith("heartbeat_"))).toEqual([]);
    expect(world.eventsOf("detector_suspect")).toHaveLength(1);
    expect(world.eventsOf("detector_trusted")).toHaveLength(1);
    expect(world.signals).toEqual([]);
  });

  test("suspended: no verdict for one interval, said once", () => {
    const { world } = openScene();
    world.add("a");
    world.run(60);
    world.silence("a");
    world.run(235);
    world.pulse({ suspended_ms: 3_600_000 });
    world.run(28);
    expect(world.evidence.size).toBe(0);
    world.run(15);
    expect(world.evidence.size).toBe(1);
    expect(world.eventsOf("detector_suspect")).toHaveLength(1);
  });

  test("its wall clock is set forward or back: silence does not change", () => {
    const { world, simulation } = openScene();
    world.add("a");
    world.run(60);
    simulation.stepWall(7_200_000);
    world.pulse({ stepped_ms: 7_200_000 });
    world.run(100);
    simulation.stepWall(-86_400_000);
    world.pulse({ stepped_ms: -86_400_000 });
    world.run(100);
    expect(world.part("a")?.state).toBe("healthy");
    expect(world.eventsOf("detector_suspect")).toHaveLength(2);
    expect(world.types("a")).toEqual(["worker_registered"]);
  });

  test("cannot read heartbeats/: nobody is killed, the cause is named, and a stall meanwhile changes nothing", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world }) => {
        world.add("a");
        world.run(60);
        world.heartbeatsUnreadable = "EACCES";
        world.run(200);
        world.pulse({ stepped_ms: 60_000 });
        world.run(200);
        expect(world.evidence.size).toBe(0);
        world.heartbeatsUnreadable = "";
        world.run(100);
      },
      ({ events: _, ...end }, { events: __, ...expected }, crashAfter) =>
        expect(end, `crashed after effect ${crashAfter}`).toEqual(expected),
      5,
    );
    const [suspect] = world.eventsOf("detector_suspect");
    expect(suspect?.message).toBe("No verdicts for now: heartbeats/ cannot be read (EACCES); nobody is killed for it");
    expect(world.eventsOf("detector_suspect")).toHaveLength(1);
    expect(world.eventsOf("detector_trusted")).toHaveLength(1);
    expect(world.part("a")?.state).toBe("healthy");
    expect(world.types("a")).toEqual(["worker_registered"]);
  });

  test("could not write for a while: who is silent gets an interval to beat again", () => {
    const { world, simulation } = openScene();
    world.add("a");
    world.run(60);
    world.silence("a");
    world.run(260);
    simulation.offer({ kind: "weathered" });
    world.run(25);
    expect(world.evidence.size).toBe(0);
    world.beatAgain("a");
    world.run(60);
    expect(world.evidence.size).toBe(0);
    expect(world.part("a")?.state).toBe("healthy");
  });

  test("restarted after ten minutes: nothing is said of those who beat meanwhile, nor verdicts for an interval", () => {
    const { world, simulation } = openScene();
    world.add("a");
    world.add("b");
    world.run(60);
    world.silence("b");
    const beforeMs = simulation.monoMs;
    world.beforeScan = () => {
      if (simulation.monoMs > beforeMs) world.writeBeat("a");
    };
    simulation.absent(600_000);
    expect(world.types("a")).toEqual(["worker_registered"]);
    world.run(28);
    expect(world.types("b").filter((type) => type !== "worker_registered")).toEqual([]);
    expect(world.signals).toEqual([]);
    world.run(20);
    expect(world.types("a")).toEqual(["worker_registered"]);
    expect([...world.requested.keys()]).toEqual(["b.1"]);
    expect(Number(world.eventsOf("zombie_detected")[0]?.data.silent_seconds)).toBeGreaterThan(600);
  });

  test("restarted, with counts that a kill left behind: the guard counts who is there", () => {
    const { world, simulation } = openScene();
    fleetOf(world, 20);
    world.run(60);
    simulation.crash();
    expect(world.fleet.monitored).toEqual({ "test-worker": 20 });
  });
});

describe("the host", () => {
  test("goes down: everything that exits then is left to the next boot", () => {
    const { world } = openScene();
    fleetOf(world, 3);
    world.run(60);
    world.host = "stopping";
    world.run(2);
    for (const id of ["w-00", "w-01", "w-02"]) world.end(id, { signal: "SIGTERM" });
    world.run(30);
    expect(world.requested.size).toBe(0);
    expect(world.evidence.size).toBe(0);
  });

  test("was started anew: every worker comes back, one after another, and spends no retry", async () => {
    const { world } = await playWithCrashes(
      {},
      ({ world, simulation }) => {
        const ids = fleetOf(world, 6);
        world.run(60);
        world.reboot();
        simulation.reboot();
        world.run(8);
        expect(world.requested.size).toBe(0);
        world.run(30);
        expect(ids.every((id) => world.queue.has(id))).toBe(true);
      },
      ({ events: _, ...end }, { events: __, ...expected }, crashAfter) =>
        expect(end, `crashed after effect ${crashAfter}`).toEqual(expected),
      5,
    );
    const requests = [...world.queue.values()];
    expect(requests.map((request) => request.reason)).toEqual(Array(6).fill("host_reboot"));
    expect(requests[0]?.ended).toMatchObject({ spends_retry: false, class: "host_reboot" });
    const at = world.eventsOf("worker_exited").map((event) => event.at_ms);
    expect(Math.max(...at) - Math.min(...at)).toBe(1000); // Five in each second.
    expect(world.signals).toEqual([]);
  });

  test("boot.resume false: what ran before is filed and left to a person", () => {
    const { world, simulation } = openScene({ boot: { resume: false } });
    fleetOf(world, 2);
    world.run(60);
    world.reboot();
    simulation.reboot();
    world.run(20);
    expect(world.evidence.size).toBe(2);
    expect(world.requested.size).toBe(0);
    expect(world.verdicts()).toContain("suppressed boot_resume w-00");
  });
});
