/**
 * Guarantee: the detector that learns from each worker's gaps gives an irregular worker fewer false alarms than the fixed
 * time-out, sees the hang of a regular one sooner, and never leaves the policy's bounds; nobody dies sooner for it.
 */
import { describe, expect, test } from "vitest";
import { type Ending, openScene, playWithCrashes } from "./monitor-world.js";

const PHI = { detector: "phi" };
const same = (end: Ending, expected: Ending, crashAfter: number): void =>
  expect(end, `crashed after effect ${crashAfter}`).toEqual(expected);

/** Gaps between 10 s and 170 s, the same at each run: a worker whose work comes in pieces of any size. */
function irregularGaps(count: number): number[] {
  let seed = 7;
  return Array.from({ length: count }, () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return 10 + (seed % 161);
  });
}

/** Lets a worker beat after each of the gaps, and gives the kinds of event that were said of it. */
function playIrregular(policy: Readonly<Record<string, unknown>>, gaps: readonly number[]): string[] {
  const { world } = openScene(policy);
  world.add("a", { beatEvery: 10_000 });
  world.run(1);
  for (const gap of gaps) {
    world.run(gap);
    world.get("a").nextBeatMs = 0;
  }
  world.run(1);
  expect(world.get("a").process?.alive).toBe(true);
  return world.types("a");
}

const count = (types: readonly string[], type: string): number => types.filter((each) => each === type).length;

describe('"detector": "phi"', () => {
  test("gives a worker with irregular beats fewer false alarms than the fixed time-out", () => {
    const gaps = irregularGaps(150);
    const fixed = playIrregular({}, gaps);
    const phi = playIrregular(PHI, gaps);
    expect(count(fixed, "heartbeat_timeout")).toBeGreaterThan(25);
    expect(count(phi, "heartbeat_timeout")).toBeLessThan(count(fixed, "heartbeat_timeout") / 3);
    expect(count(phi, "heartbeat_warning")).toBeLessThan(count(fixed, "heartbeat_warning") / 2);
  });

  test("does as the fixed one while it knows fewer than twenty gaps", () => {
    const gaps = irregularGaps(19);
    expect(playIrregular(PHI, gaps)).toEqual(playIrregular({}, gaps));
  });

  test.each([
    ["fixed", 120],
    ["phi", 69],
  ])("suspects a worker that beat like clockwork: %s, after %d s", (detector, timeoutSeconds) => {
    const { world } = openScene({ detector });
    world.add("a");
    world.run(1200);
    world.silence("a");
    world.run(200);
    const timeout = [...world.events.values()].find((event) => event.event_type === "heartbeat_timeout");
    const { silent_seconds: silent } = (timeout?.data ?? {}) as { readonly silent_seconds?: number };
    expect(silent).toBeGreaterThanOrEqual(timeoutSeconds);
    expect(silent).toBeLessThan(timeoutSeconds + 2);
  });

  test.each([["fixed"], ["phi"]])("leaves the zombie threshold where it is: %s", (detector) => {
    const { world } = openScene({ detector });
    world.add("a");
    world.run(1200);
    world.silence("a");
    world.run(269);
    expect(world.types("a")).not.toContain("zombie_detected");
    world.run(33);
    expect(world.types("a")).toContain("zombie_detected");
  });

  test("learns nothing from a silence for which the monitor itself is to blame", () => {
    const { world, simulation } = openScene(PHI);
    world.add("a");
    world.run(900);
    const before = world.part("a")?.gaps;
    simulation.advance(600_000);
    world.run(300);
    const after = world.part("a")?.gaps;
    expect(after?.count).toBeGreaterThan(before?.count ?? 0);
    expect((after?.sum_ms ?? 0) / (after?.count ?? 1)).toBeCloseTo(30_000, -3);
  });

  test("keeps nothing where the detector is fixed", () => {
    const { world } = openScene();
    world.add("a");
    world.run(900);
    expect(world.part("a")).not.toHaveProperty("gaps");
  });

  test("comes to the same end after a kill at any effect", async () => {
    const { world } = await playWithCrashes(
      PHI,
      ({ world }) => {
        world.add("a", { beatEvery: 10 });
        world.run(300);
        world.silence("a");
        world.run(340);
      },
      same,
    );
    expect([...world.requested]).toEqual([["a.1", 1]]);
    expect(world.types("a").filter((type) => type === "heartbeat_timeout")).toHaveLength(1);
  });
});
