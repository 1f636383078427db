import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  canaryDone,
  GUARD_CLEAR,
  type GuardFacts,
  type GuardState,
  guard,
  isHeld,
  type MassFailurePolicy,
  nextCanaries,
} from "../../../lib/domain/mass-guard.js";

const policy: MassFailurePolicy = {
  enabled: true,
  min_workers: 5,
  fraction: 0.3,
  max_workers: 25,
  per_type: { min_workers: 4, fraction: 0.5 },
  window_seconds: 120,
  hold_seconds: 600,
  clear_fraction: 0.1,
  clear_seconds: 120,
};

const NOW = 1_000_000;

/** Suspects of one type among a fleet. */
function facts(suspects: Record<string, number>, monitored: Record<string, number>, sinceMs = NOW): GuardFacts {
  const list = Object.entries(suspects).flatMap(([worker_type, count]) =>
    Array.from({ length: count }, () => ({ worker_type, since_ms: sinceMs })),
  );
  return { suspects: list, monitored };
}

function held(atMs = NOW): GuardState {
  return guard(GUARD_CLEAR, facts({ a: 10 }, { a: 20 }, atMs), atMs, policy).state;
}

function releasing(): GuardState {
  const few = facts({ a: 2 }, { a: 20 });
  const { state } = guard(held(NOW - 130_000), few, NOW - 119_000, policy);
  return guard(state, few, NOW + 1_000, policy).state;
}

function candidates(type: string, count: number) {
  return Array.from({ length: count }, (_, index) => ({ worker_id: `${type}-${index}`, worker_type: type }));
}

describe("guard(), its bounds", () => {
  test.each<[string, Record<string, number>, Record<string, number>, string]>([
    ["stays clear below the number", { a: 2, b: 2 }, { a: 5, b: 5 }, "clear"],
    ["stays clear below the share", { a: 2, b: 3 }, { a: 9, b: 8 }, "clear"],
    ["holds the fleet at number and share", { a: 2, b: 3 }, { a: 8, b: 8 }, "fleet_fraction"],
    ["holds the fleet at the absolute number, however large the fleet", { a: 25 }, { a: 1_000 }, "fleet_number"],
    ["holds one type at its own bounds", { a: 4 }, { a: 8, b: 100 }, "type_fraction"],
    ["leaves a type of three to die together", { a: 3 }, { a: 3, b: 100 }, "clear"],
  ])("%s", (_, suspects, monitored, reason) => {
    const next = guard(GUARD_CLEAR, facts(suspects, monitored), NOW, policy);
    expect(next.state.reason).toBe(reason);
    expect(next.edge).toBe(reason === "clear" ? "none" : "hold_started");
  });

  test("holds only the type whose bound was reached", () => {
    const { state } = guard(GUARD_CLEAR, facts({ a: 4 }, { a: 8, b: 100 }), NOW, policy);
    expect([isHeld(state, "a"), isHeld(state, "b")]).toEqual([true, false]);
  });

  test("does not add up suspects that came up further apart than the window", () => {
    const old = facts({ a: 10 }, { a: 20 }, NOW - 120_001);
    expect(guard(GUARD_CLEAR, old, NOW, policy).state.state).toBe("clear");
  });

  test("does nothing when it is switched off, and lets go of what it held", () => {
    const off = { ...policy, enabled: false };
    expect(guard(GUARD_CLEAR, facts({ a: 10 }, { a: 10 }), NOW, off).state.state).toBe("clear");
    expect(guard(held(), facts({ a: 10 }, { a: 10 }), NOW, off)).toMatchObject({ edge: "hold_ended" });
  });

  test("counts every suspect whatever the type is called", () => {
    const monitored = new Map([["constructor", 8]]);
    const { state } = guard(GUARD_CLEAR, { ...facts({ constructor: 8 }, {}), monitored }, NOW, policy);
    expect(state.state).toBe("holding");
  });
});

describe("guard(), while holding", () => {
  test("goes on holding when the suspects have merely been silent for long", () => {
    const later = guard(held(), facts({ a: 10 }, { a: 20 }), NOW + 500_000, policy);
    expect(later).toMatchObject({ edge: "none", state: { state: "holding" } });
  });

  test("asks for a person once after the hold time, and never lets go by itself", () => {
    let step = guard(held(), facts({ a: 10 }, { a: 20 }), NOW + 600_000, policy);
    expect(step.edge).toBe("escalated");
    for (let hour = 1; hour < 50; hour += 1) {
      step = guard(step.state, facts({ a: 10 }, { a: 20 }), NOW + 600_000 + hour * 3_600_000, policy);
      expect(step).toMatchObject({ edge: "none", state: { state: "holding" } });
    }
  });

  test("releases only after the suspects have been few without a break", () => {
    const few = facts({ a: 2 }, { a: 20 });
    const many = facts({ a: 3 }, { a: 20 });
    let step = guard(held(), few, NOW + 10_000, policy);
    step = guard(step.state, many, NOW + 100_000, policy);
    step = guard(step.state, few, NOW + 110_000, policy);
    step = guard(step.state, few, NOW + 229_999, policy);
    expect(step.state.state).toBe("holding");
    step = guard(step.state, few, NOW + 230_000, policy);
    expect(step).toMatchObject({ edge: "release_started", state: { state: "releasing", reason: "suspects_few" } });
  });

  test("widens from one type to the fleet", () => {
    const one = guard(GUARD_CLEAR, facts({ a: 4 }, { a: 8, b: 20 }), NOW, policy).state;
    const all = guard(one, facts({ a: 4, b: 10 }, { a: 8, b: 20 }), NOW, policy);
    expect(all).toMatchObject({ edge: "hold_widened", state: { types: null, reason: "fleet_fraction" } });
  });
});

describe("nextCanaries()", () => {
  test("lets nobody through while holding", () => {
    expect(nextCanaries(held(), candidates("a", 3), NOW).chosen).toEqual([]);
  });

  test("sends one of each type, then two, then four", () => {
    let state = releasing();
    const sizes: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const choice = nextCanaries(state, [...candidates("a", 9), ...candidates("b", 9)], NOW);
      sizes.push(choice.chosen.filter((each) => each.worker_type === "a").length);
      expect(nextCanaries(choice.state, candidates("a", 9), NOW).chosen).toEqual([]);
      state = choice.state;
      for (const { worker_id } of choice.chosen) state = canaryDone(state, worker_id, true, NOW);
    }
    expect(sizes).toEqual([1, 2, 4]);
  });

  test("goes back to holding when a canary is lost", () => {
    const { state } = nextCanaries(releasing(), candidates("a", 9), NOW);
    expect(canaryDone(state, "a-0", false, NOW)).toMatchObject({
      state: "holding",
      reason: "canary_lost",
      canaries: [],
    });
  });

  test("waits twice as long for the next release after each canary that is lost, but no longer than 32 times", () => {
    const few = facts({ a: 1 }, { a: 20 });
    const waits: number[] = [];
    let state = releasing();
    let nowMs = NOW + 2_000;
    for (let nth = 0; nth < 7; nth++) {
      state = canaryDone(nextCanaries(state, candidates("a", 1), nowMs).state, "a-0", false, nowMs);
      const sinceMs = nowMs;
      while (state.state === "holding") {
        nowMs += 1_000;
        state = guard(state, few, nowMs, policy).state;
      }
      waits.push(Math.round((nowMs - sinceMs) / 1000));
    }
    expect(waits).toEqual([241, 481, 961, 1921, 3841, 3841, 3841]);
    const ended = guard(state, facts({}, { a: 20 }), nowMs, policy).state;
    expect(guard(ended, facts({ a: 10 }, { a: 20 }, nowMs), nowMs, policy).state.lost).toBeUndefined();
  });

  test("takes a canary of which nothing is heard for a lost one", () => {
    const { state } = nextCanaries(releasing(), candidates("a", 9), NOW);
    const old = facts({ a: 9 }, { a: 20 }, NOW - 500_000);
    expect(guard(state, old, NOW + 599_999, policy).state.state).toBe("releasing");
    expect(guard(state, old, NOW + 600_000, policy).state).toMatchObject({ state: "holding", reason: "canary_lost" });
  });

  test("ends the hold when no suspect is left and every canary is back", () => {
    const { state } = nextCanaries(releasing(), candidates("a", 1), NOW);
    const none = facts({}, { a: 20 });
    expect(guard(state, none, NOW + 2_000, policy).edge).toBe("none");
    const back = canaryDone(state, "a-0", true, NOW + 2_000);
    expect(guard(back, none, NOW + 3_000, policy)).toMatchObject({ edge: "hold_ended", state: { state: "clear" } });
  });

  test("holds again when newcomers reach a bound during the release", () => {
    const wave = facts({ a: 10 }, { a: 20 }, NOW + 5_000);
    expect(guard(releasing(), wave, NOW + 6_000, policy)).toMatchObject({ edge: "hold_started" });
    const same = facts({ a: 10 }, { a: 20 }, NOW);
    expect(guard(releasing(), same, NOW + 6_000, policy).state.state).toBe("releasing");
  });
});

describe("the guard and its canaries together", () => {
  test("never have more of a type out at once than its rounds allow, and none while holding", () => {
    const moves = fc.array(
      fc.record({
        suspects: fc.oneof(fc.nat(2), fc.nat(12)),
        ageMs: fc.nat(300_000),
        waitMs: fc.nat(400_000),
        well: fc.boolean(),
      }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(moves, (all) => {
        let state: GuardState = GUARD_CLEAR;
        let nowMs = NOW;
        for (const move of all) {
          nowMs += move.waitMs;
          state = guard(state, facts({ a: move.suspects }, { a: 20 }, nowMs - move.ageMs), nowMs, policy).state;
          const roundSize = state.rounds[0]?.size ?? 1;
          const choice = nextCanaries(state, candidates("a", move.suspects), nowMs);
          if (state.state !== "releasing") expect(choice.chosen).toEqual([]);
          expect(choice.state.canaries.length).toBeLessThanOrEqual(roundSize);
          state = choice.state;
          const first = state.canaries[0];
          if (first !== undefined) state = canaryDone(state, first.worker_id, move.well, nowMs);
          expect(JSON.parse(JSON.stringify(state))).toEqual(state);
        }
      }),
    );
  });
});
