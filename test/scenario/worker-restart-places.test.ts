/** Guarantee: never more starts are under way than may be, and whoever waits for a place gets the next one, the oldest first. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { withEveryCrash } from "./simulation.js";
import { endOf, type Fleet, makeFleet } from "./worker-restart-world.js";

const LIFTED = { global_per_minute: null, per_type_per_minute: null, per_task_min_interval_seconds: 0 };

function fleetWith(places: number, crashAfter: readonly number[] = []): Fleet {
  return makeFleet({ rate_limits: LIFTED, max_concurrent_restarts: places }, crashAfter);
}

/** The launch record of a worker's latest attempt tells that its program runs. */
function launch({ simulation, world }: Fleet, worker_id: string): void {
  const { attempt, at_ms } = world.attemptOf(worker_id);
  const subject = { worker_id, worker_type: "scan-worker", task_id: null };
  simulation.offer({ kind: "launched", ...subject, attempt, at_ms });
}

/** Deaths a hundredth of a second apart, in an order that is not that of their names. */
function die({ simulation, world }: Fleet, ...workerIds: readonly string[]): void {
  for (const workerId of workerIds) {
    world.fileDeath(workerId, 1);
    simulation.advance(10);
  }
}

describe("of many that died together", () => {
  test("each launch lets the one follow that has waited longest, and only that one is looked at", () => {
    const fleet = fleetWith(2);
    die(fleet, "scan-5", "scan-3", "scan-4", "scan-1", "scan-2");
    expect(fleet.world.alive()).toEqual(["scan-5.2", "scan-3.2"]);
    fleet.world.looked.splice(0);
    launch(fleet, "scan-3");
    expect(fleet.world.alive()).toEqual(["scan-5.2", "scan-3.2", "scan-4.2"]);
    launch(fleet, "scan-4");
    launch(fleet, "scan-5");
    expect(fleet.world.alive()).toEqual(["scan-5.2", "scan-3.2", "scan-4.2", "scan-1.2", "scan-2.2"]);
    expect(fleet.world.looked).toEqual(["scan-4", "scan-1", "scan-2"]);
  });

  test("a place that the next does not take is another's at once", async () => {
    await withEveryCrash(
      async (crashAfter) => {
        const fleet = fleetWith(1, crashAfter);
        const { simulation, world } = fleet;
        die(fleet, "scan-1", "scan-2", "scan-3", "scan-4", "scan-5");
        world.factsOf.set("scan-2", { desired: "stopped" });
        world.factsOf.set("scan-3", { when: "never" });
        world.queue.delete("scan-4-restart.json");
        launch(fleet, "scan-1");
        expect(world.alive()).toEqual(["scan-1.2", "scan-5.2"]);
        await simulation.settle();
        return { performed: simulation.performed, end: endOf(fleet) };
      },
      (end, expected, crashAfter) => expect(end, `crash after effect ${crashAfter}`).toEqual(expected),
    );
  });

  test("one that may not be read for now is passed over, and keeps nobody waiting", () => {
    const fleet = fleetWith(1);
    const { world } = fleet;
    die(fleet, "scan-1", "scan-2", "scan-3");
    world.unreadable.add("scan-2-restart.json");
    launch(fleet, "scan-1");
    expect(world.alive()).toEqual(["scan-1.2", "scan-3.2"]);
    world.unreadable.clear();
    launch(fleet, "scan-3");
    expect(world.alive()).toEqual(["scan-1.2", "scan-3.2", "scan-2.2"]);
  });

  test("a type that may have fewer starts under way keeps no place that it may not take", () => {
    const fleet = makeFleet({
      rate_limits: LIFTED,
      max_concurrent_restarts: 2,
      overrides: { "slow-worker": { max_concurrent_restarts: 1 } },
    });
    const { simulation, world } = fleet;
    const slow = (worker_id: string): void => {
      world.file(`${worker_id}-restart.json`, { worker_id, worker_type: "slow-worker", task_id: null }, { attempt: 1 });
      simulation.advance(10);
    };
    die(fleet, "scan-1", "scan-2");
    for (const id of ["slow-1", "slow-2"]) slow(id);
    die(fleet, "scan-3");
    launch(fleet, "scan-1");
    expect(world.alive()).toEqual(["scan-1.2", "scan-2.2", "scan-3.2"]);
  });

  test("a place is free again when a start was not made, and when an attempt dies before its launch was seen", async () => {
    await withEveryCrash(
      async (crashAfter) => {
        const fleet = fleetWith(1, crashAfter);
        const { simulation, world } = fleet;
        world.noStartsBeforeMs = simulation.nowMs + 5;
        world.fileDeath("scan-1", 1);
        simulation.advance(10);
        // Its host could make no process: it waits for its delay, and the place is another's.
        die(fleet, "scan-2", "scan-3");
        expect(world.alive()).toEqual(["scan-2.2"]);
        world.die("scan-2");
        simulation.advance(100);
        expect(world.alive()).toEqual(["scan-3.2"]);
        await simulation.settle();
        return { performed: simulation.performed, end: world.alive() };
      },
      (end, expected, crashAfter) => expect(end, `crash after effect ${crashAfter}`).toEqual(expected),
    );
  });

  test("all come back, one launch after another, with no more under way than may be", () => {
    const sizes = fc.record({ workers: fc.integer({ min: 1, max: 30 }), places: fc.integer({ min: 1, max: 10 }) });
    fc.assert(
      fc.property(sizes, fc.infiniteStream(fc.nat()), ({ workers, places }, picks) => {
        const fleet = fleetWith(places);
        die(fleet, ...Array.from({ length: workers }, (_, nth) => `scan-${nth}`));
        const underWay = new Set<string>();
        for (let launched = 0; launched < workers; launched++) {
          for (const { worker_id } of fleet.world.attempts.slice(underWay.size + launched)) underWay.add(worker_id);
          expect(underWay.size).toBe(Math.min(places, workers - launched));
          const next = [...underWay][(picks.next().value as number) % underWay.size] as string;
          underWay.delete(next);
          launch(fleet, next);
        }
        expect(fleet.world.alive()).toHaveLength(workers);
      }),
      { numRuns: 50 },
    );
  });
});
