import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  allow,
  BREAKER_CLOSED,
  type BreakerPolicy,
  type BreakerState,
  breakerAt,
  type Outcome,
  recordOutcome,
  resetByHand,
  returnLease,
  setByHand,
  takeLease,
} from "../../../lib/domain/breaker.js";
import { unitSample } from "../../../lib/domain/hash.js";

const policy: BreakerPolicy = {
  circuit_breaker_enabled: true,
  circuit_breaker_threshold: 5,
  circuit_breaker_window_seconds: 600,
  circuit_breaker_reset_seconds: 300,
  circuit_breaker_max_open_seconds: 3_600,
  circuit_breaker_half_open_requests: 1,
  success_after_seconds: 30,
};

const T0 = 1_700_000_000_000;
const seconds = (count: number): number => T0 + count * 1_000;
const failure = (second: number): Outcome => ({ result: "failure", atMs: seconds(second) });
const success = (second: number, worker?: string): Outcome =>
  worker === undefined
    ? { result: "success", atMs: seconds(second) }
    : { result: "success", atMs: seconds(second), worker_id: worker, attempt: 1 };
const relapse = (second: number, worker: string): Outcome => ({
  result: "relapsed",
  atMs: seconds(second),
  worker_id: worker,
  attempt: 1,
});

/** Records outcomes one after another, as they stand in the history. */
function recordAll(
  state: BreakerState,
  outcomes: readonly Outcome[],
  settings: BreakerPolicy,
  nowMs: number,
): BreakerState {
  return outcomes.reduce((current, outcome) => recordOutcome(current, outcome, settings, nowMs), state);
}

/** The state after these outcomes, at the end of the given second. */
function stateAfter(outcomes: readonly Outcome[], second: number, from: BreakerState = BREAKER_CLOSED): BreakerState {
  return breakerAt(recordAll(from, outcomes, policy, seconds(second)), seconds(second), policy);
}

const fiveFailures = [0, 1, 2, 3, 4].map(failure);
const probe = { worker_id: "w", attempt: 7 };

describe("recordOutcome(), opening", () => {
  test("opens at five failures in a row, at the time of the fifth", () => {
    expect(stateAfter(fiveFailures.slice(1), 4).state).toBe("closed");
    expect(stateAfter(fiveFailures, 4)).toMatchObject({
      state: "open",
      failure_count: 5,
      opened_at_ms: seconds(4),
      next_probe_at_ms: seconds(304),
      reason: "failures",
    });
  });

  test("opens at five lines appended by hand in one second, and counts a sixth", () => {
    const lines = Array.from({ length: 6 }, () => failure(0));
    expect(stateAfter(lines, 1)).toMatchObject({ state: "open", failure_count: 6 });
  });

  test("starts the row again after a success between the failures", () => {
    expect(stateAfter([...fiveFailures.slice(0, 4), success(4), failure(5)], 6)).toMatchObject({
      state: "closed",
      failure_count: 1,
    });
  });

  test("does not count a success that was taken back by a relapse", () => {
    const outcomes = [failure(0), failure(1), failure(2), success(40, "w"), failure(41)];
    expect(stateAfter(outcomes, 50).state).toBe("closed");
    expect(stateAfter([...outcomes, relapse(60, "w")], 60)).toMatchObject({ state: "open", failure_count: 5 });
    expect(stateAfter([...outcomes, relapse(60, "other")], 60).state).toBe("closed");
  });

  test("does not open for failures further apart than the window", () => {
    const outcomes = [0, 160, 320, 480, 640].map(failure);
    expect(stateAfter(outcomes, 700)).toMatchObject({ state: "closed" });
    expect(stateAfter([0, 150, 300, 450, 600].map(failure), 600).state).toBe("open");
  });

  test("lets the row fade with the window", () => {
    expect(stateAfter(fiveFailures.slice(0, 4), 10).failure_count).toBe(4);
    expect(stateAfter(fiveFailures.slice(0, 4), 601).failure_count).toBe(3);
    expect(stateAfter(fiveFailures.slice(0, 4), 700).failure_count).toBe(0);
  });

  test("reads an outcome from the future as one of now", () => {
    const future = Array.from({ length: 5 }, () => failure(99_999));
    expect(stateAfter(future, 10)).toMatchObject({ state: "open", opened_at_ms: seconds(10) });
  });

  test("stays closed while it is switched off", () => {
    const off = { ...policy, circuit_breaker_enabled: false };
    const state = recordAll(BREAKER_CLOSED, fiveFailures, off, seconds(5));
    expect(state.state).toBe("closed");
    expect(allow(state, seconds(5), off)).toEqual({ allowed: true, passesAtMs: seconds(5), gateValue: "disabled" });
  });
});

describe("breakerAt(), half-open", () => {
  test("turns half-open when the open time is over, not a millisecond before", () => {
    const open = stateAfter(fiveFailures, 4);
    expect(breakerAt(open, seconds(304) - 1, policy).state).toBe("open");
    expect(breakerAt(open, seconds(304), policy).state).toBe("half-open");
  });

  test("closes on a success and forgets the row", () => {
    expect(stateAfter([...fiveFailures, success(310)], 311)).toMatchObject({ state: "closed", failure_count: 0 });
    expect(stateAfter([...fiveFailures, success(310), failure(312)], 313)).toMatchObject({
      state: "closed",
      failure_count: 1,
    });
  });

  test("ignores a success from before the probes, but not one written in whole seconds", () => {
    expect(stateAfter([...fiveFailures, success(200)], 310).state).toBe("half-open");
    const open = setByHand(BREAKER_CLOSED, "half-open", T0 + 700, policy);
    expect(recordOutcome(open, { result: "success", atMs: T0 }, policy, T0 + 900).state).toBe("closed");
  });

  test("re-opens on a failure for twice as long, up to the cap", () => {
    let state = stateAfter(fiveFailures, 4);
    const openSeconds: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      const dueAtMs = state.next_probe_at_ms as number;
      state = recordOutcome(state, { result: "failure", atMs: dueAtMs }, policy, dueAtMs);
      openSeconds.push(state.open_for_ms / 1_000);
    }
    expect(openSeconds).toEqual([600, 1_200, 2_400, 3_600, 3_600, 3_600]);
  });

  test("re-opens when the success that closed it is taken back", () => {
    const closed = [...fiveFailures, success(310, "w")];
    expect(stateAfter([...closed, relapse(400, "w")], 400)).toMatchObject({
      state: "open",
      reason: "relapsed",
      open_for_ms: 600_000,
    });
    const borneOut = [...closed, success(350, "v"), relapse(400, "w")];
    expect(stateAfter(borneOut, 400)).toMatchObject({ state: "closed", failure_count: 1 });
  });

  test("opens for the first time again after it had closed", () => {
    const again = [320, 321, 322, 323, 324].map(failure);
    expect(stateAfter([...fiveFailures, success(310), ...again], 324)).toMatchObject({
      state: "open",
      open_for_ms: 300_000,
    });
  });
});

describe("leases", () => {
  const halfOpen = stateAfter(fiveFailures, 310);

  test("let one probe through at a time", () => {
    expect(allow(halfOpen, seconds(310), policy)).toMatchObject({ allowed: true, gateValue: "half-open 0/1" });
    const taken = takeLease(halfOpen, probe, seconds(310), policy);
    expect(allow(taken, seconds(311), policy)).toEqual({
      allowed: false,
      passesAtMs: seconds(400),
      gateValue: "half-open 1/1",
    });
    expect(() => takeLease(taken, { ...probe, attempt: 8 }, seconds(311), policy)).toThrow(
      "Cannot take a probe's lease: the breaker is half-open 1/1",
    );
  });

  test("may be taken twice by one attempt and count once", () => {
    const taken = takeLease(halfOpen, probe, seconds(310), policy);
    expect(takeLease(taken, probe, seconds(312), policy)).toEqual(taken);
  });

  test("count as failures when they expire, and not before", () => {
    const taken = takeLease(halfOpen, probe, seconds(310), policy);
    expect(breakerAt(taken, seconds(400) - 1, policy).state).toBe("half-open");
    expect(breakerAt(taken, seconds(400), policy)).toMatchObject({
      state: "open",
      reason: "lease_expired",
      open_for_ms: 600_000,
      opened_at_ms: seconds(400),
      leases: [],
    });
    expect(breakerAt(taken, seconds(1_000), policy).state).toBe("half-open");
  });

  test("have had their outcome in time if it came in the instant of their end", () => {
    const taken = takeLease(halfOpen, probe, seconds(310), policy);
    expect(recordOutcome(taken, success(400), policy, seconds(401)).state).toBe("closed");
  });

  test("can be given back unused", () => {
    const taken = takeLease(halfOpen, probe, seconds(310), policy);
    expect(returnLease(taken, probe)).toEqual(halfOpen);
  });

  test("are not needed while closed, and not to be had while open", () => {
    expect(takeLease(BREAKER_CLOSED, probe, T0, policy)).toEqual(BREAKER_CLOSED);
    expect(() => takeLease(stateAfter(fiveFailures, 4), probe, seconds(5), policy)).toThrow("the breaker is open");
  });
});

describe("a person's hand", () => {
  test("resets, and nothing that was recorded before counts", () => {
    const reset = resetByHand(stateAfter(fiveFailures, 4), seconds(5));
    expect(reset).toMatchObject({ state: "closed", failure_count: 0, manual_reset: true, last_reset_ms: seconds(5) });
    expect(stateAfter([failure(6)], 6, reset)).toMatchObject({ state: "closed", failure_count: 1 });
    expect(stateAfter([6, 7, 8, 9, 10].map(failure), 10, reset)).toMatchObject({ state: "open", manual_reset: false });
  });

  test("opens and half-opens at once", () => {
    expect(setByHand(BREAKER_CLOSED, "open", T0, policy)).toMatchObject({
      state: "open",
      next_probe_at_ms: seconds(300),
      reason: "by_hand",
    });
    expect(setByHand(BREAKER_CLOSED, "open", T0, policy, seconds(20)).next_probe_at_ms).toBe(seconds(20));
    const open = stateAfter(fiveFailures, 4);
    expect(allow(setByHand(open, "half-open", seconds(10), policy), seconds(10), policy).allowed).toBe(true);
  });

  test("may leave out the time of the next probe", () => {
    const bare = { ...BREAKER_CLOSED, state: "open", opened_at_ms: T0 } as const;
    expect(allow(bare, T0, policy)).toMatchObject({ allowed: false, passesAtMs: seconds(300) });
    expect(breakerAt(bare, seconds(300), policy)).toMatchObject({ state: "half-open", next_probe_at_ms: seconds(300) });
  });
});

describe("the breaker as a function of outcomes and time", () => {
  const anyOutcome = fc.record({
    waitSeconds: fc.integer({ min: 0, max: 400 }),
    result: fc.constantFrom("success", "failure", "failure", "failure", "relapsed"),
    worker: fc.nat(3),
  });
  const history = fc.array(anyOutcome, { maxLength: 60 }).map((all) => {
    let second = 0;
    return all.map(({ waitSeconds, result, worker }): Outcome => {
      second += waitSeconds;
      return { result, atMs: seconds(second), worker_id: `w${worker}`, attempt: 1 } as Outcome;
    });
  });

  test("ends in the same state whether outcomes come one by one or all at once", () => {
    fc.assert(
      fc.property(history, fc.nat(5_000), (outcomes, laterSeconds) => {
        const endMs = (outcomes.at(-1)?.atMs ?? T0) + laterSeconds * 1_000;
        const atOnce = breakerAt(recordAll(BREAKER_CLOSED, outcomes, policy, endMs), endMs, policy);
        let oneByOne = BREAKER_CLOSED;
        for (const outcome of outcomes) {
          oneByOne = breakerAt(oneByOne, outcome.atMs, policy);
          oneByOne = breakerAt(recordOutcome(oneByOne, outcome, policy, outcome.atMs), outcome.atMs, policy);
        }
        expect(breakerAt(oneByOne, endMs, policy)).toEqual(atOnce);
      }),
      { numRuns: 500 },
    );
  });

  test("does not mind being asked for the present before the past has been read", () => {
    const asked = fc.array(fc.nat(4_000), { minLength: 60, maxLength: 60 });
    fc.assert(
      fc.property(history, asked, (outcomes, ahead) => {
        const endMs = (outcomes.at(-1)?.atMs ?? T0) + 4_000_000;
        let late = BREAKER_CLOSED;
        outcomes.forEach((outcome, index) => {
          const askedAtMs = Math.min(endMs, outcome.atMs + (ahead[index] as number) * 1_000);
          late = recordOutcome(breakerAt(late, askedAtMs, policy), outcome, policy, endMs);
        });
        const atOnce = breakerAt(recordAll(BREAKER_CLOSED, outcomes, policy, endMs), endMs, policy);
        expect(breakerAt(late, endMs, policy)).toEqual(atOnce);
      }),
      { numRuns: 500 },
    );
  });

  test("waits from now when the clock was set back by a day", () => {
    const open = stateAfter(fiveFailures, 4);
    const earlier = breakerAt(open, seconds(-86_400), policy);
    expect(earlier).toMatchObject({ state: "open", next_probe_at_ms: seconds(-86_400 + 300) });
    expect(breakerAt(earlier, seconds(-86_400 + 300), policy).state).toBe("half-open");
  });

  test("comes out of a file as it went in, stays bounded, and is never open beyond the cap", () => {
    fc.assert(
      fc.property(history, (outcomes) => {
        const state = recordAll(BREAKER_CLOSED, outcomes, policy, seconds(100_000));
        expect(JSON.parse(JSON.stringify(state))).toEqual(state);
        expect(state.outcomes.length).toBeLessThanOrEqual(256);
        expect(state.open_for_ms).toBeLessThanOrEqual(3_600_000);
        expect(allow(state, seconds(100_000), policy).passesAtMs).toBeLessThanOrEqual(seconds(103_600));
      }),
    );
  });

  test("is moved by time alone to the same place in one step as in many", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2_000), { maxLength: 20 }), (waits) => {
        const leased = takeLease(stateAfter(fiveFailures, 310), probe, seconds(310), policy);
        let nowMs = seconds(310);
        let many = leased;
        for (const wait of waits) {
          nowMs += wait * 1_000;
          many = breakerAt(many, nowMs, policy);
        }
        expect(many).toEqual(breakerAt(leased, nowMs, policy));
      }),
    );
  });
});

describe("what a breaker remembers", () => {
  const success = (second: number): Outcome =>
    ({ result: "success", atMs: seconds(second), worker_id: "scan-1", attempt: second }) as Outcome;
  const relapse = (of: number, second: number): Outcome =>
    ({ result: "relapsed", atMs: seconds(second), worker_id: "scan-1", attempt: of }) as Outcome;

  test("is its latest successes and what came after them, however many there were", () => {
    const many = Array.from({ length: 200 }, (_, second) => success(second));
    expect(recordAll(BREAKER_CLOSED, many, policy, seconds(200)).outcomes).toHaveLength(10);
  });

  test("is enough to open it when the latest successes are all taken back", () => {
    const many = Array.from({ length: 200 }, (_, second) => success(second));
    const backTo = (count: number): Outcome[] =>
      Array.from({ length: count }, (_, nth) => relapse(199 - nth, 201 + nth));
    const afterRelapses = (count: number) =>
      recordAll(BREAKER_CLOSED, [...many, ...backTo(count)], policy, seconds(300)).state;
    expect(afterRelapses(policy.circuit_breaker_threshold - 1)).toBe("closed");
    expect(afterRelapses(policy.circuit_breaker_threshold)).toBe("open");
  });
});

describe("false trips", () => {
  /** How many of 500 healthy types (5 % failures) trip within 100 restarts, each some minutes after the one before. */
  function tripped(trips: (outcomes: readonly Outcome[]) => boolean): number {
    let count = 0;
    for (let type = 0; type < 500; type += 1) {
      const outcomes = Array.from({ length: 100 }, (_, index): Outcome => {
        const result = unitSample("healthy", type, index) < 0.05 ? "failure" : "success";
        return { result, atMs: seconds(index * 60 * unitSample("wait", type, index)) };
      });
      if (trips(outcomes)) count += 1;
    }
    return count;
  }

  test("do not happen to healthy types, of which counting all failures trips more than half", () => {
    const naive = tripped((outcomes) => outcomes.filter((each) => each.result === "failure").length >= 5);
    // P(at least 5 of 100 at 5 %) = .564 (binomial): the rule "N failures, no window".
    expect(naive / 500).toBeGreaterThan(0.5);
    const ours = tripped((outcomes) => {
      const state = recordAll(BREAKER_CLOSED, outcomes, policy, seconds(1_000_000));
      return state.opened_at_ms !== null;
    });
    expect(ours).toBe(0);
  });
});
