import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BackoffPolicy, retryDelayMs } from "../../../lib/domain/backoff.js";
import { unitSample } from "../../../lib/domain/hash.js";

const policy: BackoffPolicy = {
  retry_interval_seconds: 60,
  backoff_multiplier: 2,
  max_retry_interval_seconds: 900,
  first_retry_delay_seconds: 0,
  jitter: "none",
};

const ask = (retry: number, change: Partial<BackoffPolicy> = {}, sample = 0, exitedFast = false, previousDelayMs = 0) =>
  retryDelayMs({ retry, policy: { ...policy, ...change }, exitedFast, sample, previousDelayMs });

describe("retryDelayMs()", () => {
  test.each([
    [1, 0],
    [2, 60_000],
    [3, 120_000],
    [4, 240_000],
    [5, 480_000],
    [6, 900_000],
    [2_000, 900_000],
  ])("waits interval × multiplier ^ (retry - 2), capped: retry %d waits %d ms", (retry, delayMs) => {
    expect(ask(retry)).toBe(delayMs);
  });

  test("lets a worker that exited fast wait the interval before its first retry", () => {
    expect(ask(1, {}, 0, true)).toBe(60_000);
    expect(ask(1, { first_retry_delay_seconds: 5 })).toBe(5_000);
    expect(ask(1, { first_retry_delay_seconds: 90 }, 0, true)).toBe(90_000);
  });

  test("puts no jitter on the first retry", () => {
    expect(ask(1, { jitter: "full" }, 0.1, true)).toBe(60_000);
  });

  test("takes a list as written, and repeats its last entry", () => {
    const delays = [1, 5, 3_600];
    expect([1, 2, 3, 4].map((retry) => ask(retry, { delays }))).toEqual([1_000, 5_000, 3_600_000, 3_600_000]);
    expect(ask(1, { delays }, 0, true)).toBe(5_000);
    expect(ask(2, { delays: [] })).toBe(60_000);
  });

  // The formulas: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
  test.each<[BackoffPolicy["jitter"], number, number, number]>([
    ["equal", 0, 0, 60_000],
    ["equal", 0.5, 0, 90_000],
    ["full", 0, 0, 0],
    ["full", 0.5, 0, 60_000],
    ["decorrelated", 0, 0, 60_000],
    ["decorrelated", 0.5, 100_000, 180_000],
    ["decorrelated", 0.99, 800_000, 900_000],
  ])("spreads with %s jitter: sample %d after %d ms gives %d ms", (jitter, sample, previousMs, delayMs) => {
    expect(ask(3, { jitter }, sample, false, previousMs)).toBe(delayMs);
  });

  test("spreads a list with decorrelated jitter as with equal", () => {
    expect(ask(2, { delays: [1, 10], jitter: "decorrelated" }, 0.5, false, 99_000)).toBe(7_500);
  });

  test("waits nothing where the interval is nothing, however often", () => {
    expect(ask(5_000, { retry_interval_seconds: 0 })).toBe(0);
  });

  test.each([0, -1, 1.5, Number.NaN])("refuses %d as a retry", (retry) => {
    expect(() => ask(retry)).toThrow(`Cannot compute a retry delay: retry must be a positive integer, got ${retry}`);
  });

  test.each([-0.1, 1, Number.NaN])("refuses %d as a sample", (sample) => {
    expect(() => ask(2, {}, sample)).toThrow(`Cannot compute a retry delay: sample must be in [0, 1), got ${sample}`);
  });

  test("is a whole number of milliseconds from 0 to the cap, for any policy", () => {
    const anyPolicy = fc.record<BackoffPolicy>({
      retry_interval_seconds: fc.integer({ min: 0, max: 900 }),
      backoff_multiplier: fc.double({ min: 1, max: 10, noNaN: true }),
      max_retry_interval_seconds: fc.constant(900),
      first_retry_delay_seconds: fc.integer({ min: 0, max: 900 }),
      jitter: fc.constantFrom("equal", "full", "decorrelated", "none"),
    });
    const sample = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(anyPolicy, sample, fc.integer({ min: 1, max: 5_000 }), fc.boolean(), (any, unit, retry, fast) => {
        const delayMs = retryDelayMs({ retry, policy: any, exitedFast: fast, sample: unit, previousDelayMs: 70_000 });
        expect(Number.isInteger(delayMs)).toBe(true);
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(900_000);
      }),
    );
  });

  test("keeps 200 workers that died together from coming back in one second", () => {
    const peak = (jitter: BackoffPolicy["jitter"]): number => {
      const seconds = new Map<number, number>();
      for (let worker = 0; worker < 200; worker += 1) {
        const delayMs = ask(2, { jitter, retry_interval_seconds: 10 }, unitSample(`worker-${worker}`, 2, "inc"));
        const second = Math.floor(delayMs / 1000);
        seconds.set(second, (seconds.get(second) ?? 0) + 1);
      }
      return Math.max(...seconds.values());
    };
    expect(peak("none")).toBe(200);
    expect(peak("equal")).toBeLessThan(70);
    expect(peak("full")).toBeLessThan(40);
    expect(peak("decorrelated")).toBeLessThan(30);
  });
});
