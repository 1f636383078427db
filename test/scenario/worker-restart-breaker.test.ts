/** Guarantee: a type whose restarts fail, and a task that kills its workers, stop the restarts, and a person's hand counts at once. */
import { describe, expect, test } from "vitest";
import { withEveryCrash } from "./simulation.js";
import { endOf, type Fleet, makeFleet } from "./worker-restart-world.js";

async function scenario(policy: Readonly<Record<string, unknown>>, script: (fleet: Fleet) => void) {
  return await withEveryCrash(
    async (crashAfter) => {
      const fleet = makeFleet(policy, crashAfter);
      script(fleet);
      await fleet.simulation.settle();
      return { performed: fleet.simulation.performed, end: endOf(fleet) };
    },
    (end, expected, crashAfter) => expect(end, `crash after effect ${crashAfter}`).toEqual(expected),
  );
}

const QUICK = { circuit_breaker_threshold: 3, circuit_breaker_reset_seconds: 300, first_retry_delay_seconds: 0 };

/** Appends lines by hand, as with `>>`: three fields and no id. */
function appendFailures({ world, simulation }: Fleet, count: number): void {
  for (let each = 0; each < count; each++)
    world.history.push({
      worker_type: "scan-worker",
      result: "failure",
      at_ms: simulation.nowMs,
      history_id: `by-hand-${world.history.length}`,
    });
  world.scan((event) => event.kind === "history" && simulation.offer(event));
}

describe("a circuit breaker", () => {
  test("is opened by lines that a person appends, identical ones included, and defers what comes then", async () => {
    const end = await scenario(QUICK, (fleet) => {
      appendFailures(fleet, 3);
      fleet.world.fileDeath("scan-1", 1);
      fleet.simulation.advance(1_000);
    });
    expect(end.attempts).toEqual([]);
    expect(end.breakers).toEqual({ "scan-worker": "open" });
    expect(end.waiting).toEqual(["scan-1-restart.json circuit_breaker"]);
    expect(end.events.filter((event) => event.startsWith("circuit_breaker"))).toEqual([
      "circuit_breaker_tripped  failures",
    ]);
  });

  test("is opened by three starts that fail one after another", async () => {
    const end = await scenario({ ...QUICK, max_retries: 9 }, ({ simulation, world }) => {
      for (const id of ["scan-1", "scan-2", "scan-3"]) {
        world.fileDeath(id, 1);
        simulation.advance(1_000);
      }
      for (const id of ["scan-1", "scan-2", "scan-3"]) world.die(id);
      simulation.advance(1_000);
    });
    expect(end.breakers).toEqual({ "scan-worker": "open" });
    expect(end.history).toHaveLength(3);
    expect(end.waiting).toContain("scan-3-restart.json circuit_breaker");
  });

  test("lets one probe through when it is due, and closes when that has proved itself", async () => {
    const end = await scenario(QUICK, (fleet) => {
      const { simulation, world } = fleet;
      appendFailures(fleet, 3);
      world.fileDeath("scan-1", 1);
      world.fileDeath("scan-2", 1);
      simulation.advance(299_000);
      expect(world.alive()).toEqual([]);
      simulation.advance(5_000);
      expect(world.alive()).toHaveLength(1);
      simulation.advance(60_000);
      expect(world.alive()).toHaveLength(2);
      simulation.advance(60_000);
    });
    expect(end.breakers).toEqual({ "scan-worker": "closed" });
    expect(end.waiting).toEqual([]);
  });

  test("learns nothing from a probe that a person stops, and lets the next one through at once", async () => {
    const end = await scenario(QUICK, (fleet) => {
      const { simulation, world } = fleet;
      appendFailures(fleet, 3);
      world.fileDeath("scan-1", 1);
      world.fileDeath("scan-2", 1);
      simulation.advance(305_000);
      expect(world.alive()).toEqual(["scan-1.2"]);
      world.stop("scan-1");
      simulation.advance(40_000);
      expect(simulation.part("type:scan-worker")).toMatchObject({ breaker: { state: "half-open" } });
      expect(simulation.part("fleet")).toMatchObject({ attempted: 2, succeeded: 0, failed: 0 });
      expect(world.alive()).toEqual(["scan-2.2"]);
      simulation.advance(60_000);
    });
    expect(end.history.slice(3)).toEqual(["scan-2.2 success restarted"]);
    expect(end.settled).toEqual(["done inconclusive", "done restarted"]);
    expect(end.breakers).toEqual({ "scan-worker": "closed" });
    expect(end.claimed).toBe(0);
  });

  test("is not opened by a probe that a person's restart has cut short", () => {
    const { simulation, world } = makeFleet({ ...QUICK, circuit_breaker_half_open_requests: 2 });
    appendFailures({ simulation, world }, 3);
    world.fileDeath("scan-1", 1);
    simulation.advance(305_000);
    expect(world.alive()).toEqual(["scan-1.2"]);
    world.filePersons("scan-1", { force: true, attempt: 2 });
    simulation.advance(500);
    world.attemptOf("scan-1").spec = "stopped";
    world.noticeAll();
    simulation.advance(5_000);
    expect(world.alive()).toEqual(["scan-1.3"]);
    expect(simulation.part("type:scan-worker")).toMatchObject({ breaker: { leases: [{ attempt: 3 }] } });
  });

  test("is closed at once by a person, and what was written before counts no more", async () => {
    const end = await scenario(QUICK, (fleet) => {
      const { simulation, world } = fleet;
      appendFailures(fleet, 3);
      world.fileDeath("scan-1", 1);
      simulation.advance(1_000);
      const read_to = { file: "history", offset: world.history.length };
      simulation.offer({
        kind: "breaker-by-hand",
        worker_type: "scan-worker",
        wanted: "closed",
        next_probe_at_ms: null,
        removed: false,
        read_to,
      });
      expect(simulation.part("type:scan-worker")).toMatchObject({ breaker: { manual_reset: true, failure_count: 0 } });
      world.noticeAll();
      simulation.advance(5_000);
    });
    expect(end.attempts).toEqual(["scan-1.2 lives"]);
    expect(end.breakers).toEqual({ "scan-worker": "closed" });
  });

  test("is passed over by a person who names it, and only by name", async () => {
    const end = await scenario(QUICK, (fleet) => {
      appendFailures(fleet, 3);
      fleet.world.filePersons("scan-1");
      fleet.simulation.advance(1_000);
      expect(fleet.world.alive()).toEqual([]);
      fleet.world.filePersons("scan-1", { override: ["breaker"] });
      fleet.simulation.advance(1_000);
    });
    expect(end.attempts).toEqual(["scan-1.1 lives"]);
  });
});

describe("a task that killed its workers three times", () => {
  const policy = {
    ...QUICK,
    circuit_breaker_enabled: false,
    max_retries: 50,
    retry_interval_seconds: 0,
    restart_budgets: [],
  };
  const die = ({ world, simulation }: Fleet): void => {
    for (const id of ["scan-1", "scan-2", "scan-3"]) {
      world.fileDeath(id, 1, { task_id: "task-9" });
      simulation.advance(20_000);
    }
  };

  test("is held with its evidence, and said once", async () => {
    const end = await scenario(policy, die);
    expect(end.holds).toEqual(["task-9"]);
    expect(end.attempts).toEqual(["scan-1.2 lives", "scan-2.2 lives"]);
    expect(end.waiting).toEqual(["scan-3-restart.json poison_task"]);
    expect(end.events.filter((event) => event.startsWith("task_quarantined"))).toHaveLength(1);
  });

  test("is tried again when a person removes its hold", async () => {
    const end = await scenario(policy, (fleet) => {
      die(fleet);
      fleet.world.taskHolds.clear();
      fleet.world.noticeAll();
    });
    expect(end.attempts).toContain("scan-3.2 lives");
  });
});

describe("many deaths at once", () => {
  test("are started within the limits, and none is forgotten", () => {
    const { simulation, world } = makeFleet({
      rate_limits: { global_per_minute: 20, per_type_per_minute: 20, per_task_min_interval_seconds: 0 },
      max_concurrent_restarts: 5,
    });
    for (let number = 1; number <= 50; number++) world.fileDeath(`scan-${number}`, 1);
    expect(world.alive().length).toBe(5);
    for (let second = 0; second < 300; second++) {
      for (const each of world.attempts)
        simulation.offer({
          kind: "launched",
          worker_id: each.worker_id,
          worker_type: "scan-worker",
          task_id: null,
          attempt: each.attempt,
          at_ms: each.at_ms,
        });
      simulation.advance(1_000);
    }
    expect(world.alive().length).toBe(50);
    for (const { at_ms } of world.attempts)
      expect(
        world.attempts.filter((other) => other.at_ms >= at_ms && other.at_ms < at_ms + 60_000).length,
      ).toBeLessThanOrEqual(20);
  });
});
