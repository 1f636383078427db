import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bootStartAtMs, PACE_NEW, takeSlot } from "../../../lib/domain/pacing.js";

describe("bootStartAtMs()", () => {
  test("starts the first worker after the delay and the rest at the pace", () => {
    const policy = { delay_seconds: 10, per_second: 5 };
    expect([0, 1, 5, 199].map((index) => bootStartAtMs(index, 1_000, policy))).toEqual([
      11_000, 11_200, 12_000, 50_800,
    ]);
  });

  test("refuses a pace of nothing", () => {
    const policy = { delay_seconds: 10, per_second: 0 };
    expect(() => bootStartAtMs(0, 0, policy)).toThrow("Cannot pace: per second must be positive, got 0");
  });
});

describe("takeSlot()", () => {
  test("spaces slots evenly, and loses those that were not used", () => {
    const first = takeSlot(PACE_NEW, 1_000, 2);
    const second = takeSlot(first.state, 1_100, 2);
    const third = takeSlot(second.state, 60_000, 2);
    const fourth = takeSlot(third.state, 60_000, 2);
    expect([first.atMs, second.atMs, third.atMs, fourth.atMs]).toEqual([1_000, 1_500, 60_000, 60_500]);
  });

  test("never gives two slots closer than the pace, nor one in the past", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3_000), { minLength: 2 }), fc.integer({ min: 1, max: 50 }), (waits, perSecond) => {
        let state = PACE_NEW;
        let nowMs = 0;
        let previousMs = Number.NEGATIVE_INFINITY;
        for (const wait of waits) {
          nowMs += wait;
          const slot = takeSlot(state, nowMs, perSecond);
          expect(slot.atMs).toBeGreaterThanOrEqual(nowMs);
          expect(slot.atMs - previousMs).toBeGreaterThanOrEqual(1_000 / perSecond - 1e-6);
          previousMs = slot.atMs;
          state = slot.state;
        }
      }),
    );
  });
});
