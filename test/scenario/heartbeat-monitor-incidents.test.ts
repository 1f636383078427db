/** Guarantee: all that follows from one failure carries its incident, until the worker has recovered; the next failure has its own. */
import { describe, expect, test } from "vitest";
import type { ExitFacts } from "../../daemons/heartbeat-monitor/facts.js";
import { type Ending, type MonitorWorld, openScene, type Plan, playWithCrashes } from "./monitor-world.js";

const same = (end: Ending, expected: Ending, crashAfter: number): void =>
  expect(end, `crashed after effect ${crashAfter}`).toEqual(expected);

/** Kills the worker again and again, each time after so many seconds of life. */
function killAfter(world: MonitorWorld, plan: Plan, lives: readonly number[]): (string | undefined)[] {
  world.restarts = "well";
  world.add("a", plan);
  world.run(40);
  for (const seconds of [0, ...lives]) {
    world.run(seconds);
    world.end("a", { signal: "SIGKILL" });
    world.run(2);
  }
  return world.eventsOf("worker_exited", "a").map((event) => event.incident_id);
}

const PROCESS_ALONE: Plan = { has_heartbeat: false, beatEvery: 0 };

describe("a worker that never beats", () => {
  test("is killed again when each attempt has long recovered: each time it is another incident", async () => {
    await playWithCrashes(
      {},
      ({ world }) => {
        const incidents = killAfter(world, PROCESS_ALONE, [60, 60]);
        expect(incidents).toHaveLength(3);
        expect(new Set(incidents).size).toBe(3);
        expect(incidents).not.toContain(undefined);
      },
      same,
    );
  });

  test("is killed again before it has recovered: it is the same incident still", async () => {
    await playWithCrashes(
      {},
      ({ world }) => {
        const incidents = killAfter(world, PROCESS_ALONE, [20, 20]);
        expect(incidents).toHaveLength(3);
        expect(new Set(incidents).size).toBe(1);
      },
      same,
    );
  });

  test("recovers once it has run for half a minute, not a second before", () => {
    const { world } = openScene();
    world.restarts = "well";
    world.add("a", PROCESS_ALONE);
    world.run(40);
    world.end("a", { code: 1 });
    world.until("it is back", () => world.part("a")?.spec.attempt === 2 && world.part("a")?.state === "healthy", 5);
    const incident = world.eventsOf("worker_exited", "a")[0]?.incident_id;
    const started = world.part("a")?.started_mono_ms ?? 0;
    const seconds = world.until("it has recovered", () => world.part("a")?.incident_id === null, 60);
    expect(incident).toMatch(/^inc-/);
    expect(world.part("a")?.started_mono_ms).toBe(started);
    expect(seconds).toBeGreaterThanOrEqual(29);
    expect(seconds).toBeLessThanOrEqual(31);
  });

  test("that a person had restarted dies later: that has nothing to do with their request", () => {
    const { world } = openScene();
    const worker = world.add("a", PROCESS_ALONE);
    worker.spec = { ...worker.spec, attempt: 2, incident_id: "incident-of-the-request" };
    world.run(60);
    world.end("a", { signal: "SIGKILL" });
    world.run(2);
    expect(world.queue.get("a")?.incident_id).toMatch(/^inc-/);
  });

  test("has recovered and died while the monitor was down: its exit record tells for how long it had run", () => {
    const { world, simulation } = openScene();
    const worker = world.add("a", PROCESS_ALONE);
    worker.spec = { ...worker.spec, attempt: 2, incident_id: "inc-before" };
    world.run(5);
    world.beforeScan = () => {
      world.beforeScan = () => {};
      world.end("a", { signal: "SIGKILL" });
      const exit = world.exits.get("a.2") as ExitFacts;
      world.exits.set("a.2", { ...exit, ended_at_ms: exit.ended_at_ms - 60_000 });
    };
    simulation.absent(120_000);
    world.run(40);
    expect(world.queue.get("a")?.incident_id).toMatch(/^inc-.+/);
    expect(world.queue.get("a")?.incident_id).not.toBe("inc-before");
  });

  test("has not recovered while it is paused", () => {
    const { world } = openScene();
    const worker = world.add("a", PROCESS_ALONE);
    worker.spec = { ...worker.spec, attempt: 2, incident_id: "inc-before" };
    world.run(5);
    world.processOf("a").state = "T";
    world.run(60);
    expect(world.part("a")).toMatchObject({ state: "paused", incident_id: "inc-before" });
    world.processOf("a").state = "S";
    world.run(2);
    expect(world.part("a")).toMatchObject({ state: "healthy", incident_id: null });
  });
});

describe("a worker that beats", () => {
  test.each([
    ["of which beats are awaited", { beatEvery: 5 }],
    ["of which none are awaited, until its first", { beatEvery: 5, has_heartbeat: false }],
  ])("%s has recovered with its first beat", async (_, plan) => {
    await playWithCrashes(
      {},
      ({ world }) => {
        const incidents = killAfter(world, plan, [12]);
        expect(incidents).toHaveLength(2);
        expect(new Set(incidents).size).toBe(2);
      },
      same,
    );
  });
});
