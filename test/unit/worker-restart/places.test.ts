/** Guarantee: a start keeps one place until its program is seen, or its time is over; what is kept of places is short. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { leavePlace, placesTaken, takePlace } from "../../../daemons/worker-restart/places.js";
import {
  FLEET_NEW,
  type FleetPart,
  TASK_NEW,
  TYPE_NEW,
  type WorkerPart,
  workerNew,
} from "../../../daemons/worker-restart/state.js";

const GRAIN_MS = 1000;
const KEPT_MS = 10_000;

/** Workers, each with a part of its own, who share the places of one fleet. */
class Places {
  fleet: FleetPart = FLEET_NEW;
  readonly workers = new Map<string, WorkerPart>();

  apply(act: typeof takePlace, id: string, nowMs: number): void {
    const worker = this.workers.get(id) ?? workerNew("t", null, 0);
    const after = act({ worker, type: TYPE_NEW, task: TASK_NEW, fleet: this.fleet }, id, nowMs);
    this.fleet = after.fleet;
    this.workers.set(id, after.worker);
  }
}

const step = fc.record({
  id: fc.integer({ min: 0, max: 30 }).map((n) => `w-${n}`),
  act: fc.constantFrom("take", "leave"),
  afterMs: fc.integer({ min: 0, max: 1500 }),
});

describe("places among the starts that are under way", () => {
  test("are as many as workers that took one and did not leave it, up to a second beyond its time", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const places = new Places();
        const takenAt = new Map<string, number>();
        let nowMs = 1_700_000_000_123;
        for (const { id, act, afterMs } of steps) {
          nowMs += afterMs;
          places.apply(act === "take" ? takePlace : leavePlace, id, nowMs);
          if (act === "take") takenAt.set(id, nowMs);
          else takenAt.delete(id);
          const ages = [...takenAt.values()].map((at) => nowMs - at);
          const taken = placesTaken(places.fleet, nowMs);
          expect(taken).toBeGreaterThanOrEqual(ages.filter((age) => age < KEPT_MS).length);
          expect(taken).toBeLessThanOrEqual(ages.filter((age) => age < KEPT_MS + GRAIN_MS).length);
        }
      }),
    );
  });

  test("take no more room for a thousand workers than for ten", () => {
    const places = new Places();
    for (let n = 0; n < 1000; n++) places.apply(takePlace, `w-${n}`, 1_700_000_000_000 + n * 15);
    expect(placesTaken(places.fleet, 1_700_000_015_000)).toBeGreaterThan(600);
    expect(JSON.stringify(places.fleet.under_way).length).toBeLessThan(500);
  });

  test("are left once, however often a worker leaves", () => {
    const places = new Places();
    for (const id of ["a", "b", "c"]) places.apply(takePlace, id, 1000);
    for (const id of ["a", "a", "b", "a"]) places.apply(leavePlace, id, 1000);
    expect(placesTaken(places.fleet, 1000)).toBe(1);
  });

  test("that an older version kept, one entry for each worker, are counted and left as before", () => {
    const places = new Places();
    const until_ms = 1_700_000_009_000;
    places.fleet = { ...FLEET_NEW, under_way: ["a", "b"].map((worker_id) => ({ worker_id, until_ms })) };
    places.apply(takePlace, "c", until_ms - KEPT_MS);
    expect(placesTaken(places.fleet, until_ms - KEPT_MS)).toBe(3);
    places.apply(takePlace, "a", until_ms - KEPT_MS);
    places.apply(leavePlace, "b", until_ms - KEPT_MS);
    expect(placesTaken(places.fleet, until_ms - KEPT_MS)).toBe(2);
    places.apply(leavePlace, "a", until_ms - KEPT_MS);
    places.apply(leavePlace, "c", until_ms - KEPT_MS);
    expect(places.fleet.under_way).toEqual([]);
  });
});
