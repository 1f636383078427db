import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { slidingAllow, spend } from "../../../lib/domain/limits.js";

const HOUR = 3_600_000;

/** The largest number of uses in any half-open window. */
function densest(uses: readonly number[], windowMs: number): number {
  return Math.max(0, ...uses.map((from) => uses.filter((at) => at >= from && at < from + windowMs).length));
}

/** Times that go forward by these steps. */
const steps = fc.array(fc.nat(500), { maxLength: 150 });

describe("slidingAllow()", () => {
  test("allows ten in any sixty minutes, not ten in each hour of the clock", () => {
    let log: readonly number[] = [];
    for (let use = 0; use < 10; use += 1) log = spend(log, HOUR - 10 + use, HOUR);
    expect(slidingAllow(log, HOUR + 1, { max: 10, windowMs: HOUR })).toMatchObject({
      allowed: false,
      passesAtMs: 2 * HOUR - 10,
    });
    expect(slidingAllow(log, 2 * HOUR - 10, { max: 10, windowMs: HOUR }).allowed).toBe(true);
  });

  test("never allows more than its limit in any window", () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 2_000 }), (waits, max, windowMs) => {
        const used: number[] = [];
        let log: readonly number[] = [];
        let nowMs = 0;
        for (const wait of waits) {
          nowMs += wait;
          if (!slidingAllow(log, nowMs, { max, windowMs }).allowed) continue;
          log = spend(log, nowMs, windowMs);
          used.push(nowMs);
        }
        expect(densest(used, windowMs)).toBeLessThanOrEqual(max);
        expect(log.length).toBeLessThanOrEqual(max);
      }),
    );
  });

  test("passes at the instant it names, and not a millisecond before", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1_000), { minLength: 1 }), fc.integer({ min: 1, max: 8 }), (log, max) => {
        const limit = { max, windowMs: 700 };
        const answer = slidingAllow(log, 1_000, limit);
        if (answer.allowed || answer.passesAtMs === null) return;
        expect(slidingAllow(log, answer.passesAtMs - 1, limit).allowed).toBe(false);
        expect(slidingAllow(log, answer.passesAtMs, limit).allowed).toBe(true);
      }),
    );
  });

  test("blocks for one window at most when the clock was set back", () => {
    const answer = slidingAllow([9 * HOUR], 1_000, { max: 1, windowMs: HOUR });
    expect(answer).toEqual({ allowed: false, passesAtMs: 1_000 + HOUR, log: [1_000] });
  });

  test("never passes where nothing is allowed", () => {
    expect(slidingAllow([], 0, { max: 0, windowMs: HOUR })).toEqual({ allowed: false, passesAtMs: null, log: [] });
  });
});
