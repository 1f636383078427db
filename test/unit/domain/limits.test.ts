import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { gcraAllow, slidingAllow, spend } from "../../../lib/domain/limits.js";

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

describe("gcraAllow()", () => {
  test("never allows more than its limit in any window, whatever the burst (ITU-T I.371)", () => {
    const shape = fc.integer({ min: 1, max: 12 }).chain((max) =>
      fc.record({
        max: fc.constant(max),
        burst: fc.integer({ min: 1, max }),
        windowMs: fc.integer({ min: 1, max: 3_000 }),
      }),
    );
    fc.assert(
      fc.property(steps, shape, (waits, limit) => {
        const used: number[] = [];
        let tatMs: number | null = null;
        let nowMs = 0;
        for (const wait of waits) {
          nowMs += wait;
          const answer = gcraAllow(tatMs, nowMs, limit);
          tatMs = answer.tatMs;
          if (answer.allowed) used.push(nowMs);
        }
        expect(densest(used, limit.windowMs)).toBeLessThanOrEqual(limit.max);
      }),
      { numRuns: 300 },
    );
  });

  test("allows a burst at once, and then one for each spacing", () => {
    const limit = { max: 10, burst: 4, windowMs: 7_000 };
    let tatMs: number | null = null;
    const allowedAt: number[] = [];
    for (let nowMs = 0; nowMs < 7_000; nowMs += 100) {
      for (let again = 0; again < 5; again += 1) {
        const answer = gcraAllow(tatMs, nowMs, limit);
        tatMs = answer.tatMs;
        if (answer.allowed) allowedAt.push(nowMs);
      }
    }
    expect(allowedAt).toEqual([0, 0, 0, 0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000]);
  });

  test("names the instant at which it passes", () => {
    const limit = { max: 2, burst: 1, windowMs: 1_000 };
    const { tatMs } = gcraAllow(null, 0, limit);
    expect(gcraAllow(tatMs, 100, limit)).toEqual({ allowed: false, passesAtMs: 500, tatMs: 500 });
    expect(gcraAllow(tatMs, 500, limit).allowed).toBe(true);
  });

  test("refuses a burst beyond the limit", () => {
    const limit = { max: 3, burst: 4, windowMs: 1_000 };
    expect(() => gcraAllow(null, 0, limit)).toThrow("Cannot apply a rate limit: burst must be between 1 and 3, got 4");
  });

  test("never passes where nothing is allowed", () => {
    const limit = { max: 0, burst: 1, windowMs: 1_000 };
    expect(gcraAllow(null, 0, limit)).toEqual({ allowed: false, passesAtMs: null, tatMs: null });
  });
});
