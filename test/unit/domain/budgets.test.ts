import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { budgetGate, exhaustedProbeDelayMs, longestWindowMs, retriesGate } from "../../../lib/domain/budgets.js";

const budgets = [
  { max: 5, window_seconds: 3_600 },
  { max: 12, window_seconds: 86_400 },
];
const HOUR = 3_600_000;
const NOW = 100 * HOUR;

describe("budgetGate()", () => {
  test("passes while every budget has something left, and shows the nearest to its end", () => {
    expect(budgetGate([NOW - 1, NOW - 2], NOW, budgets)).toEqual({
      passed: true,
      value: 2,
      threshold: 5,
      passesAtMs: NOW,
    });
    const day = Array.from({ length: 11 }, (_, index) => NOW - (index + 2) * HOUR);
    expect(budgetGate(day, NOW, budgets)).toMatchObject({ passed: true, value: 11, threshold: 12 });
  });

  test("blocks until the oldest start in the way has left the window", () => {
    const starts = [50, 40, 30, 20, 10].map((minutes) => NOW - minutes * 60_000);
    expect(budgetGate(starts, NOW, budgets)).toEqual({
      passed: false,
      value: 5,
      threshold: 5,
      passesAtMs: NOW + 10 * 60_000,
    });
  });

  test("names the budget that blocks for longest", () => {
    const starts = Array.from({ length: 12 }, (_, index) => NOW - index * 60_000);
    expect(budgetGate(starts, NOW, budgets)).toEqual({
      passed: false,
      value: 12,
      threshold: 12,
      passesAtMs: NOW - 11 * 60_000 + 24 * HOUR,
    });
  });

  test("never passes a budget of nothing, and always without budgets", () => {
    expect(budgetGate([], NOW, [{ max: 0, window_seconds: 60 }])).toMatchObject({ passed: false, passesAtMs: null });
    expect(budgetGate([1, 2, 3], NOW, [])).toMatchObject({ passed: true });
  });

  test("passes at the instant it names and not before, whatever the starts", () => {
    const starts = fc.array(fc.integer({ min: NOW - 30 * HOUR, max: NOW }), { maxLength: 40 });
    fc.assert(
      fc.property(starts, (log) => {
        const { passed, passesAtMs } = budgetGate(log, NOW, budgets);
        if (passed || passesAtMs === null) return;
        expect(budgetGate(log, passesAtMs - 1, budgets).passed).toBe(false);
        expect(budgetGate(log, passesAtMs, budgets).passed).toBe(true);
      }),
    );
  });

  test("says how long a log must be kept", () => {
    expect(longestWindowMs(budgets)).toBe(24 * HOUR);
    expect(longestWindowMs([])).toBe(0);
  });
});

describe("retriesGate()", () => {
  const policy = { max_retries: 3, exhausted_probe_seconds: 900, exhausted_probe_max_seconds: 14_400 };

  test("passes while retries are left", () => {
    expect(retriesGate({ attempts: 2, exhaustedAtMs: null, probes: 0 }, NOW, policy)).toMatchObject({ passed: true });
  });

  test("lets one probe through after a wait once they are spent", () => {
    const facts = { attempts: 3, exhaustedAtMs: NOW, probes: 0 };
    const early = retriesGate(facts, NOW + 899_999, policy);
    expect(early).toEqual({ passed: false, value: 3, threshold: 3, passesAtMs: NOW + 900_000 });
    expect(retriesGate(facts, NOW + 900_000, policy).passed).toBe(true);
    expect(retriesGate({ ...facts, exhaustedAtMs: null }, NOW, policy).passesAtMs).toBe(NOW + 900_000);
  });

  test("doubles the wait with each probe, up to the cap and never to the end", () => {
    const waits = [0, 1, 2, 3, 4, 5, 2_000].map((probes) => exhaustedProbeDelayMs(probes, policy) / 1_000);
    expect(waits).toEqual([900, 1_800, 3_600, 7_200, 14_400, 14_400, 14_400]);
  });
});
