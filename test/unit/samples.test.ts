import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isMetricName, METRICS_MAX, numbersOf } from "../../lib/schema/samples.js";

describe("numbersOf()", () => {
  test("keeps finite numbers under usable names, and nothing else", () => {
    const metrics = JSON.parse(
      '{"latency_p99":12.5,"__proto__":1,"constructor":2,"toString":3,"a b":4,"text":"5","queue.depth":6,"deep":{"a":7},"no":null}',
    ) as unknown;
    expect(Object.entries(numbersOf(metrics))).toEqual([
      ["latency_p99", 12.5],
      ["queue.depth", 6],
    ]);
    expect(Object.getPrototypeOf(numbersOf(metrics))).toBe(Object.prototype);
  });

  test("keeps at most 64 numbers, whatever a worker reports", () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, nth) => [`m${nth}`, nth]));
    expect(Object.keys(numbersOf(many))).toHaveLength(METRICS_MAX);
  });

  test("makes something harmless of anything", () => {
    fc.assert(
      fc.property(fc.anything(), (anything) => {
        for (const [name, value] of Object.entries(numbersOf(anything))) {
          expect(isMetricName(name)).toBe(true);
          expect(Number.isFinite(value)).toBe(true);
        }
      }),
    );
  });
});
