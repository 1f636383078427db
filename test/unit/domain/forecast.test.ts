/** Guarantee: a line that leads to a threshold is seen before it is there, and what is planned for it meets a quiet moment or is done just in time. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { askForecast } from "../../../lib/domain/forecast.js";
import type { MetricCondition, Sample } from "../../../lib/domain/metric-conditions.js";
import { askQuiet, isDue, type QuietRule } from "../../../lib/domain/quiet-moment.js";

const MINUTE_MS = 60_000;
const HORIZON_MS = 30 * MINUTE_MS;
const full: MetricCondition = {
  metric: "memory_util",
  operator: "gt",
  threshold: 0.9,
  for_seconds: 180,
  min_samples: 5,
};
const everyMinute = (values: readonly number[]): Sample[] =>
  values.map((value, index) => ({ at_ms: index * MINUTE_MS, value }));
const ask = (values: readonly number[], more: Partial<MetricCondition> = {}) =>
  askForecast({ ...full, ...more }, everyMinute(values), HORIZON_MS, (values.length - 1) * MINUTE_MS, 0);

describe("askForecast()", () => {
  test("sees a rising line meet its limit before it is there, and says when", () => {
    expect(ask([0.5, 0.52, 0.54, 0.56, 0.58])).toMatchObject({ holds: true, value: 0.58, meets_in_seconds: 16 * 60 });
  });

  test("does not claim what lies further ahead than it looks", () => {
    expect(ask([0.5, 0.501, 0.502, 0.503, 0.504])).toMatchObject({ holds: false, meets_in_seconds: null });
  });

  test("sees a falling line meet a lower limit", () => {
    const free = ask([0.5, 0.48, 0.46, 0.44, 0.42], { operator: "lt", threshold: 0.1 });
    expect(free).toMatchObject({ holds: true, meets_in_seconds: 16 * 60 });
    expect(ask([0.5, 0.52, 0.54, 0.56, 0.58], { operator: "lt", threshold: 0.1 }).holds).toBe(false);
  });

  test("foretells nothing of what falls, stands still, or makes no line", () => {
    expect(ask([0.9, 0.8, 0.7, 0.6, 0.5]).holds).toBe(false);
    expect(ask([0.5, 0.5, 0.5, 0.5, 0.5]).holds).toBe(false);
    expect(ask([0.7, 0.2, 0.9, 0.1, 0.6]).holds).toBe(false);
  });

  test("knows nothing from too few samples, from too short a time, or when they have ended", () => {
    expect(ask([0.5, 0.6, 0.7]).holds).toBeNull();
    const quick = everyMinute([0.5, 0.52, 0.54, 0.56, 0.58]).map((each) => ({ ...each, at_ms: each.at_ms / 60 }));
    expect(askForecast(full, quick, HORIZON_MS, 4_000, 0).holds).toBeNull();
    expect(askForecast(full, everyMinute([0.5, 0.52, 0.54, 0.56, 0.58]), HORIZON_MS, 3_600_000, 0).holds).toBeNull();
  });

  test("says of what is there already that it is there", () => {
    expect(ask([0.95, 0.95, 0.95, 0.95, 0.95])).toMatchObject({ holds: true, meets_in_seconds: 0 });
  });

  test("is not led by hours that were flat before the line began", () => {
    const flat = Array.from({ length: 300 }, () => 0.3);
    const rising = Array.from({ length: 30 }, (_, index) => 0.3 + index * 0.015);
    expect(ask([...flat, ...rising]).holds).toBe(true);
  });

  test("sees the line of a component whose workers are measured in turn, each on its own level", () => {
    const levels = [0.1, 0.4, 0.9, 0.3, 0.7];
    const samples = Array.from({ length: 150 }, (_, nth) => {
      const at_ms = nth * 12_000;
      return { at_ms, value: (levels[nth % 5] as number) + (at_ms / MINUTE_MS) * 0.01 };
    });
    const nowMs = (samples.at(-1) as Sample).at_ms;
    // Their mean is 0.78 by now, and rises by 0.01 a minute.
    const asked = askForecast(full, samples, HORIZON_MS, nowMs, 0);
    expect(asked.holds).toBe(true);
    expect(Math.abs((asked.meets_in_seconds ?? 0) - 12 * 60)).toBeLessThan(150);
    const flat = samples.map(({ at_ms }, nth) => ({ at_ms, value: levels[nth % 5] as number }));
    expect(askForecast(full, flat, HORIZON_MS, nowMs, 0).holds).toBe(false);
  });

  test("finds where any line crosses, to the second", () => {
    const slopes = fc.record({
      from: fc.double({ min: 0, max: 0.5, noNaN: true }),
      slope: fc.double({ min: 0.005, max: 0.03, noNaN: true }),
    });
    fc.assert(
      fc.property(slopes, ({ from, slope }) => {
        const values = Array.from({ length: 10 }, (_, index) => from + index * slope);
        const expected = ((0.9 - from) / slope - 9) * 60;
        const { holds, meets_in_seconds } = ask(values);
        expect(holds).toBe(expected <= HORIZON_MS / 1000);
        if (holds) expect(Math.abs((meets_in_seconds ?? 0) - Math.max(0, expected))).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe("askQuiet()", () => {
  const rule: QuietRule = { share: 0.5, for_seconds: 120, latest_seconds: 300 };
  const busy = Array.from({ length: 60 }, () => 100);
  const quiet = (values: readonly number[], meetsInSeconds = 1800) => {
    const nowMs = (values.length - 1) * MINUTE_MS;
    const answer = askQuiet(rule, "throughput", everyMinute(values), meetsInSeconds, nowMs);
    return { ...answer, isDue: isDue(answer, nowMs), waitsSeconds: (answer.latest_at_ms - nowMs) / 1000 };
  };

  test("calls a moment quiet when the load stays below a share of what is usual", () => {
    expect(quiet([...busy, 40, 30, 20])).toMatchObject({ is_quiet: true, isDue: true, load: 40, usual: 100 });
  });

  test("does not call one low sample between two busy ones quiet", () => {
    expect(quiet([...busy, 20, 100])).toMatchObject({ is_quiet: false, isDue: false, load: 100 });
    expect(quiet([...busy, 100, 20])).toMatchObject({ is_quiet: false, load: 100 });
  });

  test("compares a component with itself: what is always busy, or always idle, has its own usual", () => {
    expect(quiet(busy).is_quiet).toBe(false);
    expect(quiet(busy.map(() => 0)).is_quiet).toBe(true);
    expect(quiet([...busy.map((value) => value * 1000), 40_000, 40_000, 40_000]).is_quiet).toBe(true);
  });

  test("waits no longer than until shortly before the forecast comes true", () => {
    expect(quiet(busy)).toMatchObject({ isDue: false, waitsSeconds: 1500 });
    expect(quiet(busy, 301)).toMatchObject({ isDue: false, waitsSeconds: 1 });
    expect(quiet(busy, 300)).toMatchObject({ isDue: true });
    expect(quiet(busy, 0)).toMatchObject({ isDue: true });
  });

  test("knows no quiet moment where nothing says what the load is, and then waits for the last one", () => {
    const nothing = askQuiet(rule, null, [], 1800, 0);
    expect(nothing).toMatchObject({ metric: null, load: null, is_quiet: false, latest_at_ms: 1_500_000 });
    expect([isDue(nothing, 1_499_999), isDue(nothing, 1_500_000)]).toEqual([false, true]);
    expect(quiet([1, 1, 1]).load).toBeNull();
  });

  test("is always due at the latest moment, whatever the load", () => {
    const loads = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { maxLength: 80 });
    fc.assert(
      fc.property(loads, fc.integer({ min: 0, max: 3600 }), (values, meetsInSeconds) => {
        const answer = askQuiet(rule, "throughput", everyMinute(values), meetsInSeconds, 0);
        expect(isDue(answer, answer.latest_at_ms)).toBe(true);
      }),
    );
  });
});
