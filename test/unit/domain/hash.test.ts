import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { shortHash, unitSample } from "../../../lib/domain/hash.js";

describe("unitSample()", () => {
  test("stays in [0, 1) and repeats itself", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.integer())), (parts) => {
        const sample = unitSample(...parts);
        expect(sample).toBeGreaterThanOrEqual(0);
        expect(sample).toBeLessThan(1);
        expect(unitSample(...parts)).toBe(sample);
      }),
    );
  });

  test("keeps its parts apart, and reads a number like its text", () => {
    expect(unitSample("a", "bc")).not.toBe(unitSample("ab", "c"));
    expect(unitSample("a", "")).not.toBe(unitSample("a"));
    expect(unitSample("worker-1", 2)).toBe(unitSample("worker-1", "2"));
  });

  test("spreads neighbouring workers and attempts evenly", () => {
    const bins = new Array<number>(20).fill(0);
    for (let worker = 0; worker < 400; worker += 1) {
      for (let attempt = 1; attempt <= 50; attempt += 1) {
        const bin = Math.floor(20 * unitSample(`worker-${worker}`, attempt, "inc-1"));
        bins[bin] = (bins[bin] ?? 0) + 1;
      }
    }
    const chiSquare = bins.reduce((sum, count) => sum + (count - 1_000) ** 2 / 1_000, 0);
    // 19 degrees of freedom: 43.8 is the 99.9 % quantile (NIST/SEMATECH e-Handbook, 1.3.6.7.4).
    expect(chiSquare).toBeLessThan(43.8);
  });

  test("changes half of its bits when one character changes", () => {
    let changed = 0;
    for (let round = 0; round < 2_000; round += 1) {
      const before = BigInt(unitSample(`worker-${round}`, 1) * 2 ** 53);
      let bits = before ^ BigInt(unitSample(`worker-${round}`, 2) * 2 ** 53);
      for (; bits > 0n; bits >>= 1n) changed += Number(bits & 1n);
    }
    expect(changed / 2_000 / 53).toBeGreaterThan(0.48);
    expect(changed / 2_000 / 53).toBeLessThan(0.52);
  });
});

describe("shortHash()", () => {
  test("is sixteen hexadecimal digits, the same in every release", () => {
    expect(shortHash("")).toMatch(/^[0-9a-f]{16}$/);
    expect(shortHash("heald")).toBe("8edae440694a8034");
  });

  test("gives a hundred thousand texts a hundred thousand names", () => {
    const names = new Set<string>();
    for (let index = 0; index < 100_000; index += 1) names.add(shortHash(`line ${index}`));
    expect(names.size).toBe(100_000);
  });
});
