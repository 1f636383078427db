/** Guarantee: a process gives way on a small host, once for deaths that follow each other closely. */
import { describe, expect, test } from "vitest";
import { GivingWay } from "../../../lib/platform/giving-way.js";

describe("GivingWay", () => {
  test("stands still for some milliseconds on a host with two cores", () => {
    const fromMs = performance.now();
    expect(new GivingWay(2).rest()).toBe(true);
    expect(performance.now() - fromMs).toBeGreaterThanOrEqual(3.5);
  });

  test("never rests where there are cores enough", () => {
    expect(new GivingWay(4).rest()).toBe(false);
  });

  test("rests for the first death of a wave alone, however long it is, and again for the next one after it", () => {
    let nowMs = 0;
    const way = new GivingWay(2, () => nowMs);
    const rests = [0, 3, 40, 80, 120, 160, 230, 231].map((atMs) => {
      nowMs = atMs;
      return way.rest();
    });
    expect(rests).toEqual([true, false, false, false, false, false, true, false]);
  });
});
