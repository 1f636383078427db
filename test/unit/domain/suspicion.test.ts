import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { unitSample } from "../../../lib/domain/hash.js";
import {
  addGap,
  GAPS_NONE,
  type GapHistogram,
  gapBucketMs,
  nextDeadline,
  phaseOf,
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

describe("phaseOf()", () => {
  test.each([
    [0, "healthy"],
    [44_999, "healthy"],
    [45_000, "late"],
    [59_999, "late"],
    [60_000, "warning"],
    [119_999, "warning"],
    [120_000, "critical"],
    [299_999, "critical"],
    [300_000, "zombie"],
  ])("turns at the threshold, not a millisecond before: %d ms is %s", (silentMs, phase) => {
    expect(phaseOf(silentMs, thresholds)).toBe(phase);
  });
});

describe("nextDeadline()", () => {
  test("walks from late to busy, each once", () => {
    const seen: [string, number][] = [];
    let nowMs = 1_000;
    for (let turn = 0; turn < 20; turn += 1) {
      const next = nextDeadline({ lastSeenAtMs: 1_000, nowMs }, thresholds);
      if (next === null) break;
      seen.push([next.kind, next.atMs - 1_000]);
      nowMs = next.atMs;
    }
    expect(seen).toEqual([
      ["late", 45_000],
      ["warning", 60_000],
      ["timeout", 120_000],
      ["first_look", 298_000],
      ["zombie", 300_000],
      ["blocked", 600_000],
      ["busy", 1_200_000],
    ]);
  });

  test("looks before the time-out as well where a low score may make a zombie there", () => {
    const facts = { lastSeenAtMs: 0, nowMs: 60_000, scoreLowAtTimeout: true };
    expect(nextDeadline(facts, thresholds)).toEqual({ kind: "first_look", atMs: 118_000 });
  });

  test("is never in the past, and no phase begins between now and the deadline", () => {
    fc.assert(
      fc.property(fc.nat(1_300_000), fc.boolean(), (silentMs, scoreLowAtTimeout) => {
        const next = nextDeadline({ lastSeenAtMs: 0, nowMs: silentMs, scoreLowAtTimeout }, thresholds);
        if (next === null) {
          expect(silentMs).toBeGreaterThanOrEqual(thresholds.busyMs);
          return;
        }
        expect(next.atMs).toBeGreaterThan(silentMs);
        expect(phaseOf(next.atMs - 1, thresholds)).toBe(phaseOf(silentMs, thresholds));
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
