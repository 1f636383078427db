/** Guarantee: a process gives way on a small host, once for deaths that follow each other closely. */
import { describe, expect, test } from "vitest";
import { GivingWay } from "../../../lib/platform/giving-way.js";

describe("GivingWay", () => {
  test("rests once on a host with two cores, and not again at once", () => {
    const way = new GivingWay(2);
    const fromMs = performance.now();
    expect(way.rest()).toBe(true);
    expect(performance.now() - fromMs).toBeGreaterThanOrEqual(3.5);
    expect(way.rest()).toBe(false);
  });

  test("never rests where there are cores enough", () => {
    expect(new GivingWay(4).rest()).toBe(false);
  });
});
