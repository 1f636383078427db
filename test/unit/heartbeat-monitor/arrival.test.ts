/** Guarantee: a beat is called no younger than it can be, and no older than two ticks of the kernel's clock make it. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { arrivedAtMs } from "../../../daemons/heartbeat-monitor/arrival.js";

test("a beat that says when it was written arrived after that", () => {
  expect(arrivedAtMs(601.6, 609, 900)).toBe(609);
  expect(arrivedAtMs(601.6, 602, 900)).toBe(605.6);
});

test("without a time of its own, or with one that the file's contradicts, it arrived within two ticks", () => {
  for (const writtenMs of [null, 0, 601, 622, 5000]) expect(arrivedAtMs(601.6, writtenMs, 900)).toBeCloseTo(609.6);
});

test("it never arrives in the future, never before its file's time, and never before it arrived", () => {
  const ms = fc.double({ min: 0, max: 1000, noNaN: true });
  fc.assert(
    // A beat is written, then put in its place a moment later; the kernel's clock is up to two ticks behind.
    fc.property(
      ms,
      fc.double({ min: 0, max: 4, noNaN: true }),
      fc.double({ min: 0, max: 8, noNaN: true }),
      fc.boolean(),
      (written, moment, behind, says) => {
        const placed = written + moment;
        const arrived = arrivedAtMs(placed - behind, says ? written : null, placed + 500);
        expect(arrived).toBeGreaterThanOrEqual(placed - moment - 1e-9);
        expect(arrived).toBeLessThanOrEqual(placed + 8 + 1e-9);
        if (!says) expect(arrived).toBeGreaterThanOrEqual(placed - 1e-9);
        expect(arrivedAtMs(placed, written, placed)).toBe(placed);
      },
    ),
  );
});
