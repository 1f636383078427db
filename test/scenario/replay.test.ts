/** Guarantees that the scenarios' replay bites: a core that uses what is not in its record does not get through one. */
import { describe, expect, test } from "vitest";
import type { Core } from "../../lib/runtime/core.js";
import { Simulation } from "./simulation.js";
import { makeFleet } from "./worker-restart-world.js";

interface Slice {
  readonly part: { readonly sum: number } | null;
}
interface Add {
  readonly kind: "add";
  readonly amount: number;
}

/** @param unrecorded What a careless core reads beside its slice, its event and its policy. */
function careless(unrecorded: () => number): Core<Slice, Add, never, object> {
  return {
    name: "worker-restart",
    address: () => ({ part: "part" }),
    blank: () => null,
    decide: (slice, event) => {
      const sum = (slice.part?.sum ?? 0) + event.amount + unrecorded();
      const gates = [{ gate: "retries", value: sum, threshold: 100, passed: true }];
      const decision = { subject: "w", verdict: "start", reason: "retries", message: "It may start", gates };
      return { slice: { part: { sum } }, effects: [], decision };
    },
    wake: () => ({ kind: "add", amount: 0 }),
    failed: () => null,
    coalesced: new Set(),
  };
}

const simulate = (core: Core<Slice, Add, never, object>) =>
  new Simulation<Slice, Add, never, object>({
    core,
    policy: { settings: {}, overrides: {} },
    world: () => ({ perform: () => undefined, scan: () => {} }),
  });

describe("a scenario", () => {
  test("lets a core through that uses its record alone", () => {
    const simulation = simulate(careless(() => 0));
    simulation.offer({ kind: "add", amount: 1 });
    simulation.offer({ kind: "add", amount: 2 });
    expect(simulation.replayed).toBe(2);
  });

  test("catches a core that keeps a counter of its own, and names the field", () => {
    let counter = 0;
    const simulation = simulate(careless(() => counter++));
    expect(() => simulation.offer({ kind: "add", amount: 1 })).toThrow(/otherwise.*"field":"gates\.0\.value"/);
  });

  test("catches a core that reads a clock finer than its stamp", () => {
    const simulation = simulate(careless(() => performance.now()));
    expect(() => simulation.offer({ kind: "add", amount: 1 })).toThrow(/"field":"gates\.0\.value"/);
  });

  test("computes the decisions of a real daemon again", () => {
    const fleet = makeFleet({});
    fleet.world.fileDeath("scan-1", 1);
    fleet.simulation.advance(60_000);
    expect(fleet.simulation.replayed).toBeGreaterThan(0);
  });
});
