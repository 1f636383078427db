import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { benjaminiHochberg, binomialTail, logGamma, poissonTail } from "../../../../lib/domain/statistics/poisson.js";
import { countEvent, countWithin, HOURS_MAX, ratePerHour } from "../../../../lib/domain/statistics/rate-windows.js";

const HOUR_MS = 3_600_000;

describe("logGamma()", () => {
  // DLMF 5.4.1 and 5.4.6: Γ(n) = (n − 1)!, Γ(1/2) = √π.
  test.each([
    [0.5, Math.log(Math.sqrt(Math.PI))],
    [1, 0],
    [5, Math.log(24)],
    [11, Math.log(3_628_800)],
    [101, 363.7393755555635],
  ])("of %d is as the handbook has it", (x, wanted) => {
    expect(logGamma(x)).toBeCloseTo(wanted, 10);
  });
});

describe("poissonTail()", () => {
  // R: ppois(k - 1, mean, lower.tail = FALSE)
  test.each([
    [1, 1, 0.6321205588285577],
    [3, 1, 0.08030139707139419],
    [10, 3, 0.001102488125184949],
    [5, 10, 0.9707473119230389],
    [20, 5, 3.45213582091446e-7],
  ])("of %d where %d are expected is as R computes it", (count, mean, wanted) => {
    expect(poissonTail(count, mean) / wanted).toBeCloseTo(1, 6);
  });

  test("is a probability, and falls with the count", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 300 }), fc.double({ min: 0.001, max: 200, noNaN: true }), (count, mean) => {
        const p = poissonTail(count, mean);
        expect(p).toBeGreaterThanOrEqual(0);
        expect(p).toBeLessThanOrEqual(1);
        expect(poissonTail(count + 1, mean)).toBeLessThanOrEqual(p + 1e-12);
      }),
    );
  });
});

describe("binomialTail()", () => {
  // R: pbinom(k - 1, n, p, lower.tail = FALSE)
  test.each([
    [1, 1, 0.3, 0.3],
    [8, 10, 0.5, 0.0546875],
    [3, 10, 0.1, 0.0701908264],
    [9, 10, 0.9, 0.7360989291],
  ])("of %d in %d at %d is as R computes it", (count, trials, share, wanted) => {
    expect(binomialTail(count, trials, share)).toBeCloseTo(wanted, 9);
  });
});

describe("benjaminiHochberg()", () => {
  // The example of Benjamini and Hochberg (1995), table on page 295: at 0.05, the four smallest of fifteen.
  const published = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262, 0.5719, 0.6528, 0.759, 1,
  ];
  test("believes the four of the published example", () => {
    expect(benjaminiHochberg(published, 0.05).filter(Boolean)).toHaveLength(4);
  });

  test("believes fewer when more tests were made than are shown", () => {
    expect(benjaminiHochberg(published, 0.05, 1000).filter(Boolean)).toHaveLength(0);
  });

  test("never believes a larger p-value and not a smaller one", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 50 }), (values) => {
        const believed = benjaminiHochberg(values, 0.1);
        for (const [a, p] of values.entries())
          for (const [b, q] of values.entries()) if (p < q && believed[b]) expect(believed[a]).toBe(true);
      }),
    );
  });
});

describe("the counts by hour", () => {
  test("keep four weeks and no more, in order, whatever comes", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 2_000 }), { maxLength: 200 }), (hours) => {
        const counts = hours.reduce((all, hour) => countEvent(all, hour * HOUR_MS), countEvent([], 0));
        expect(counts.length).toBeLessThanOrEqual(HOURS_MAX);
        const order = counts.map(([hour]) => hour);
        expect(order).toEqual([...new Set(order)].sort((a, b) => a - b));
      }),
    );
  });

  test("lose nothing of the window that is asked for", () => {
    const counts = [0, 1, 1, 5, 30].reduce((all, hour) => countEvent(all, hour * HOUR_MS + 1000), countEvent([], 0));
    expect(countWithin(counts, 30 * HOUR_MS + 2000, 26 * HOUR_MS)).toBe(2);
    expect(countWithin(counts, 30 * HOUR_MS + 2000, 48 * HOUR_MS)).toBe(6);
  });

  test("do not call three failures in a minute 180 an hour", () => {
    expect(ratePerHour(3, 0, 60_000, 24 * HOUR_MS)).toBe(3);
    expect(ratePerHour(48, 0, 48 * HOUR_MS, 24 * HOUR_MS)).toBe(2);
  });
});
