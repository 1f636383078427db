import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { unitSample } from "../../../lib/domain/hash.js";
import {
  addGap,
  GAPS_NONE,
  type GapHistogram,
  gapBucketMs,
  levelOf,
  nextSilence,
  phi,
  phiSuspectMs,
  phiThresholds,
} from "../../../lib/domain/suspicion.js";
import { thresholdsOf } from "../../../lib/domain/thresholds.js";

const thresholds = thresholdsOf({
  heartbeat_interval_seconds: 30,
  heartbeat_timeout_seconds: 120,
  zombie_threshold_seconds: 300,
  verify_delay_seconds: 2,
  busy_multiple: 4,
  blocked_multiple: 2,
});

function gapsOf(list: readonly number[]): GapHistogram {
  return list.reduce(addGap, GAPS_NONE);
}

describe("levelOf()", () => {
  test.each([
    [0, "none"],
    [44_999, "none"],
    [45_000, "late"],
    [59_999, "late"],
    [60_000, "warning"],
    [119_999, "warning"],
    [120_000, "critical"],
    [300_000, "critical"],
  ])("turns at the threshold, not a millisecond before: %d ms is %s", (silentMs, level) => {
    expect(levelOf(silentMs, thresholds)).toBe(level);
  });
});

describe("nextSilence()", () => {
  test("walks from late to busy, each once, and looks twice before anything destructive", () => {
    const seen: number[] = [];
    for (let next = nextSilence(0, thresholds); next.nextMs !== null; next = nextSilence(next.nextMs, thresholds)) {
      seen.push(next.nextMs);
    }
    expect(seen).toEqual([45_000, 60_000, 118_000, 120_000, 298_000, 300_000, 598_000, 600_000, 1_198_000, 1_200_000]);
  });

  test("tells whether anything was due before, also where a look comes sooner than the lateness", () => {
    expect([44_999, 45_000].map((silentMs) => nextSilence(silentMs, thresholds).isFirst)).toEqual([true, false]);
    const short = { ...thresholds, timeoutMs: 60_000, verifyMs: 30_000 };
    expect([29_999, 30_000].map((silentMs) => nextSilence(silentMs, short))).toEqual([
      { nextMs: 30_000, isFirst: true },
      { nextMs: 45_000, isFirst: false },
    ]);
  });

  test("is never in the past, and no level begins between now and then", () => {
    fc.assert(
      fc.property(fc.nat(1_300_000), (silentMs) => {
        const { nextMs } = nextSilence(silentMs, thresholds);
        if (nextMs === null) {
          expect(silentMs).toBeGreaterThanOrEqual(thresholds.busyMs);
          return;
        }
        expect(nextMs).toBeGreaterThan(silentMs);
        expect(levelOf(nextMs - 1, thresholds)).toBe(levelOf(silentMs, thresholds));
      }),
    );
  });
});

describe("phi()", () => {
  const clockwork = gapsOf(new Array<number>(100).fill(30_000));

  // Hayashibara et al. 2004: phi = -log10(P_later). With a spread of 7.5 s (a quarter of the interval):
  // P(Z > 0) = .5, P(Z > 2) = .02275, P(Z > 3) = .00135 (normal table); the curve is good to 1.4e-4 in P.
  test.each([
    [30_000, 0.301],
    [45_000, 1.643],
    [52_500, 2.87],
  ])("is minus the logarithm of the normal tail: %d ms gives %d", (silentMs, expected) => {
    expect(phi(clockwork, silentMs, 30_000)).toBeCloseTo(expected, 1);
  });

  test("only grows with silence, and stays a number for any of it", () => {
    const gaps = gapsOf(Array.from({ length: 200 }, (_, index) => 5_000 + 60_000 * unitSample("gap", index)));
    fc.assert(
      fc.property(fc.nat(100_000_000), fc.nat(1_000_000), (silentMs, moreMs) => {
        const before = phi(gaps, silentMs, 30_000);
        expect(Number.isFinite(before)).toBe(true);
        expect(phi(gaps, silentMs + moreMs, 30_000)).toBeGreaterThanOrEqual(before);
      }),
    );
  });

  test("says nothing while few gaps are known", () => {
    expect(phi(gapsOf(new Array<number>(19).fill(30_000)), 9_999_999, 30_000)).toBe(0);
  });
});

describe("phiSuspectMs()", () => {
  test("suspects clockwork no sooner than half the time-out", () => {
    expect(phiSuspectMs(gapsOf(new Array<number>(100).fill(10_000)), thresholds)).toBe(60_000);
  });

  test("suspects irregular beats no later than the zombie threshold", () => {
    const wild = Array.from({ length: 100 }, (_, index) => (index % 10 === 0 ? 280_000 : 10_000));
    expect(phiSuspectMs(gapsOf(wild), thresholds)).toBe(300_000);
  });

  test("keeps the fixed time-out while few gaps are known", () => {
    expect(phiSuspectMs(GAPS_NONE, thresholds)).toBe(120_000);
  });

  test("names the first silence at which phi reaches its limit", () => {
    const gaps = gapsOf(Array.from({ length: 100 }, (_, index) => 20_000 + 20_000 * unitSample("gap", index)));
    const suspectMs = phiSuspectMs(gaps, thresholds);
    expect(phi(gaps, suspectMs, 30_000)).toBeGreaterThanOrEqual(8);
    expect(phi(gaps, suspectMs - 2, 30_000)).toBeLessThan(8);
  });

  test("stays within its bounds and leaves the zombie threshold alone, whatever the gaps", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 400_000 }), { maxLength: 80 }), (list) => {
        const moved = phiThresholds(thresholds, gapsOf(list));
        expect(moved.timeoutMs).toBeGreaterThanOrEqual(60_000);
        expect(moved.timeoutMs).toBeLessThanOrEqual(300_000);
        expect(moved.warningMs).toBeLessThanOrEqual(moved.timeoutMs);
        expect(moved.zombieMs).toBe(thresholds.zombieMs);
      }),
    );
  });
});

describe("addGap()", () => {
  test("puts a gap into the bucket that begins at or below it", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 90_000_000 }), (gapMs) => {
        const [entry] = addGap(GAPS_NONE, gapMs).buckets;
        const bucket = entry?.[0] as number;
        expect(gapBucketMs(bucket)).toBeLessThanOrEqual(gapMs * (1 + 1e-9));
        expect(gapBucketMs(bucket + 1)).toBeGreaterThan(gapMs * (1 - 1e-9));
      }),
    );
  });

  test("stays bounded, and lets old gaps fade", () => {
    let gaps = gapsOf(new Array<number>(5_000).fill(1_000));
    for (let index = 0; index < 5_000; index += 1) gaps = addGap(gaps, 60_000);
    expect(gaps.count).toBeLessThanOrEqual(1_000);
    expect(gaps.buckets.length).toBeLessThanOrEqual(107);
    expect(gaps.sum_ms / gaps.count).toBeGreaterThan(59_000);
  });

  test.each([0, -5, Number.NaN, Number.POSITIVE_INFINITY])("leaves out %d", (gapMs) => {
    expect(addGap(GAPS_NONE, gapMs)).toBe(GAPS_NONE);
  });
});
