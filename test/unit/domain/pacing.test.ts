import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nextSlotAtMs } from "../../../lib/domain/pacing.js";

/** The slots that are taken one after another at these instants. */
function slotsAt(instants: readonly number[], perSecond: number): number[] {
  const slots: number[] = [];
  for (const atMs of instants) slots.push(nextSlotAtMs(slots.at(-1) ?? 0, atMs, perSecond));
  return slots;
}

describe("nextSlotAtMs()", () => {
  test("spaces slots evenly, and loses those that were not used", () => {
    expect(slotsAt([1_000, 1_100, 60_000, 60_000], 2)).toEqual([1_000, 1_500, 60_000, 60_500]);
  });

  test("gives two hundred that ask at once their slots at the pace", () => {
    const slots = slotsAt(new Array<number>(200).fill(11_000), 5);
    expect([0, 1, 5, 199].map((index) => slots[index])).toEqual([11_000, 11_200, 12_000, 50_800]);
  });

  test("never gives two slots closer than the pace, nor one in the past", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3_000), { minLength: 2 }), fc.integer({ min: 1, max: 50 }), (waits, perSecond) => {
        let nowMs = 0;
        let lastMs = 0;
        for (const wait of waits) {
          nowMs += wait;
          const atMs = nextSlotAtMs(lastMs, nowMs, perSecond);
          expect(atMs).toBeGreaterThanOrEqual(nowMs);
          expect(atMs - lastMs).toBeGreaterThanOrEqual(1_000 / perSecond - 1e-6);
          lastMs = atMs;
        }
      }),
    );
  });

  test("refuses a pace of nothing", () => {
    expect(() => nextSlotAtMs(0, 0, 0)).toThrow("Cannot pace: per second must be positive, got 0");
  });
});
