/** Guarantee: trust in a fix is earned by verdicts, never by luck, and is lost within a few bad ones. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { betaCumulative, betaQuantile, confidenceOf, type PastVerdict } from "../../../lib/domain/fix-confidence.js";

const HOUR_MS = 3_600_000;
const TRUSTED = 0.9;

/** A generator that gives the same numbers each time (mulberry32). */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Confidence after each of the trials; trial n is effective with the chance that `share(n)` says. */
function run(seed: number, trials: number, prior: number, share: (trial: number) => number): number[] {
  const next = chance(seed);
  const verdicts: PastVerdict[] = [];
  return Array.from({ length: trials }, (_, trial) => {
    verdicts.push({ effective: next() < share(trial), at_ms: trial * 6 * HOUR_MS });
    return confidenceOf(prior, verdicts.slice(-200), trial * 6 * HOUR_MS, 5).bound;
  });
}

const seeds = Array.from({ length: 60 }, (_, index) => index + 1);

describe("confidence in a fix, over 200 trials", () => {
  test("never makes a placebo trusted on a failure that heals itself in 70 % of the cases", () => {
    const trusted = seeds.filter((seed) => run(seed, 200, 0.6, () => 0.7).some((bound) => bound >= TRUSTED));
    expect(trusted.length).toBeLessThanOrEqual(0.05 * seeds.length);
  });

  test.each([0.82, 0.9, 0.95])(
    "takes trust away from a placebo that the registry has trusted with %s, and never gives it back",
    (prior) => {
      const bounds = seeds.map((seed) => run(seed, 200, prior, () => 0.7));
      expect(bounds.filter((each) => each.slice(10).some((bound) => bound >= TRUSTED)).length).toBeLessThanOrEqual(
        0.05 * seeds.length,
      );
    },
  );

  test("makes a good fix trusted", () => {
    const trusted = seeds.filter((seed) => run(seed, 200, 0.6, () => 0.98).some((bound) => bound >= TRUSTED));
    expect(trusted.length).toBeGreaterThanOrEqual(0.9 * seeds.length);
  });

  test("takes trust away within 25 trials from a fix that turns harmful half-way", () => {
    const bounds = seeds.map((seed) => run(seed, 125, 0.6, (trial) => (trial < 100 ? 0.98 : 0.1)));
    // Demoted: a person is asked again.
    expect(bounds.filter((each) => each.slice(100).some((bound) => bound < 0.7)).length).toBe(seeds.length);
    expect(Math.max(...bounds.map((each) => each.at(-1) as number))).toBeLessThan(0.7);
  });
});

describe("confidenceOf()", () => {
  test("begins exactly at the registry's score", () => {
    for (const prior of [0.5, 0.65, 0.82, 0.95]) expect(confidenceOf(prior, [], 0, 5).bound).toBe(prior);
  });

  test("falls with one ineffective verdict, and does not rise with fewer effective ones than wanted", () => {
    const good = { effective: true, at_ms: 0 };
    expect(confidenceOf(0.9, [{ effective: false, at_ms: 0 }], 0, 5).bound).toBeLessThan(0.75);
    expect(confidenceOf(0.6, [good, good, good, good], 0, 5).bound).toBeLessThanOrEqual(0.6);
    expect(confidenceOf(0.6, [good, good, good, good, good], 0, 5).bound).toBeGreaterThan(0.6);
  });

  test("forgets with age, back towards the prior", () => {
    const bad = Array.from({ length: 5 }, () => ({ effective: false, at_ms: 0 }));
    const fresh = confidenceOf(0.9, bad, 0, 5).bound;
    const old = confidenceOf(0.9, bad, 365 * 24 * HOUR_MS, 5).bound;
    expect(fresh).toBeLessThan(0.5);
    expect(old).toBeGreaterThan(fresh + 0.1);
    expect(old).toBeLessThanOrEqual(0.9);
  });

  test("never leaves 0 to 1, and an effective verdict is never worse than an ineffective one", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.05, max: 0.99, noNaN: true }),
        fc.array(fc.boolean(), { minLength: 0, maxLength: 60 }),
        (prior, row) => {
          const verdicts = row.map((effective, index) => ({ effective, at_ms: index * HOUR_MS }));
          const at = row.length * HOUR_MS;
          const bound = (effective: boolean): number =>
            confidenceOf(prior, [...verdicts, { effective, at_ms: at }], at, 5).bound;
          expect(bound(true)).toBeGreaterThanOrEqual(bound(false));
          expect(bound(true)).toBeLessThanOrEqual(1);
          expect(bound(false)).toBeGreaterThanOrEqual(0);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("the Beta distribution", () => {
  // I_x(2, 3) = 6x² - 8x³ + 3x⁴, by integrating 12 t (1 - t)².
  test.each([0.1, 0.35, 0.5, 0.9])("has the cumulative of its polynomial at %d", (x) => {
    expect(betaCumulative(x, 2, 3)).toBeCloseTo(6 * x ** 2 - 8 * x ** 3 + 3 * x ** 4, 10);
  });

  test("has the quantile that inverts it", () => {
    // Beta(n, 1) has the quantile p^(1/n).
    expect(betaQuantile(0.05, 10, 1)).toBeCloseTo(0.05 ** 0.1, 8);
  });
});
