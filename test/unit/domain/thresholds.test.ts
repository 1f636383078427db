import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { startupThresholds, type ThresholdPolicy, thresholdsOf } from "../../../lib/domain/thresholds.js";

const shipped: ThresholdPolicy = {
  heartbeat_interval_seconds: 30,
  heartbeat_timeout_seconds: 120,
  zombie_threshold_seconds: 300,
  verify_delay_seconds: 2,
  busy_multiple: 4,
  blocked_multiple: 2,
};

describe("thresholdsOf()", () => {
  test("gives the documented defaults to a worker that says nothing", () => {
    expect(thresholdsOf(shipped)).toEqual({
      intervalMs: 30_000,
      lateMs: 45_000,
      warningMs: 60_000,
      timeoutMs: 120_000,
      zombieMs: 300_000,
      graceMs: 300_000,
      busyMs: 1_200_000,
      blockedMs: 600_000,
      firstLookMs: 298_000,
      verifyMs: 2_000,
    });
  });

  test("scales warning and time-out in proportion to a worker's own threshold", () => {
    const own = thresholdsOf(shipped, { zombie_threshold_seconds: 60 });
    expect(own).toMatchObject({ zombieMs: 60_000, timeoutMs: 24_000, warningMs: 12_000, intervalMs: 6_000 });
  });

  test("scales upwards as well, so that the decaying score does not undercut a long threshold", () => {
    const own = thresholdsOf(shipped, { zombie_threshold_seconds: 3_000 });
    expect(own).toMatchObject({ zombieMs: 3_000_000, timeoutMs: 1_200_000, warningMs: 600_000, intervalMs: 300_000 });
  });

  test("follows a worker's own time-out with the zombie threshold", () => {
    expect(thresholdsOf(shipped, { timeout_seconds: 240 })).toMatchObject({ timeoutMs: 240_000, zombieMs: 600_000 });
  });

  test("widens the thresholds for a worker that beats slower than the time-out allows", () => {
    const own = thresholdsOf(shipped, { interval_seconds: 120 });
    expect(own).toMatchObject({ intervalMs: 120_000, timeoutMs: 480_000, zombieMs: 1_200_000 });
  });

  test("expects two beats within a time-out, also of a worker whose own values contradict each other", () => {
    expect(thresholdsOf(shipped, { interval_seconds: 100, zombie_threshold_seconds: 120 })).toMatchObject({
      intervalMs: 60_000,
      timeoutMs: 120_000,
    });
  });

  test("does not judge a worker sooner because it beats more often", () => {
    expect(thresholdsOf(shipped, { interval_seconds: 5 })).toMatchObject({ timeoutMs: 120_000, zombieMs: 300_000 });
  });

  test("derives what the policy leaves out from what it says", () => {
    const bare = { heartbeat_interval_seconds: 10, verify_delay_seconds: 2, busy_multiple: 4, blocked_multiple: 2 };
    expect(thresholdsOf(bare)).toMatchObject({ warningMs: 20_000, timeoutMs: 40_000, zombieMs: 100_000 });
    const short = thresholdsOf({ ...bare, heartbeat_interval_seconds: 30, zombie_threshold_seconds: 10 });
    expect(short).toMatchObject({ intervalMs: 5_000, timeoutMs: 10_000, zombieMs: 10_000 });
  });

  test("keeps the two looks apart when the threshold is as short as their distance", () => {
    const own = thresholdsOf(shipped, { zombie_threshold_seconds: 1 });
    expect(own).toMatchObject({ firstLookMs: 500, verifyMs: 500 });
  });

  test("ignores own values that are no positive numbers", () => {
    const own = { interval_seconds: 0, timeout_seconds: -1, zombie_threshold_seconds: Number.NaN };
    expect(thresholdsOf(shipped, own)).toEqual(thresholdsOf(shipped));
  });

  test("always ends up in order, whatever a worker wishes", () => {
    const seconds = fc.option(fc.double({ min: 0.01, max: 100_000, noNaN: true }));
    const own = fc.record({ interval_seconds: seconds, timeout_seconds: seconds, zombie_threshold_seconds: seconds });
    fc.assert(
      fc.property(own, (wishes) => {
        const all = thresholdsOf(shipped, wishes);
        expect(all.intervalMs).toBeLessThanOrEqual(all.timeoutMs / 2);
        expect(all.warningMs).toBeLessThanOrEqual(all.timeoutMs);
        expect(all.timeoutMs).toBeLessThanOrEqual(all.zombieMs);
        expect(all.zombieMs).toBeLessThanOrEqual(all.blockedMs);
        expect(all.blockedMs).toBeLessThanOrEqual(all.busyMs);
        expect(all.firstLookMs).toBeLessThan(all.zombieMs);
        expect(all.firstLookMs).toBeGreaterThan(0);
        for (const ms of Object.values(all)) expect(ms).toBeGreaterThan(0);
      }),
    );
  });
});

describe("startupThresholds()", () => {
  test("puts the grace time in the place of the zombie threshold", () => {
    const all = startupThresholds(thresholdsOf({ ...shipped, startup_grace_seconds: 600 }));
    expect(all).toMatchObject({ zombieMs: 600_000, timeoutMs: 240_000, lateMs: 90_000, firstLookMs: 598_000 });
  });

  test("changes nothing where the grace time is the threshold", () => {
    const all = thresholdsOf(shipped);
    expect(startupThresholds(all)).toBe(all);
  });
});
