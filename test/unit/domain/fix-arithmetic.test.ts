/** Guarantee: what a fix changes stays within its bounds, and "it ran" is never taken for "it helped". */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { changeOf, factorFrom } from "../../../lib/domain/field-change.js";
import { type Counted, judge } from "../../../lib/domain/fix-verdict.js";
import { allHold, askCondition, type MetricCondition } from "../../../lib/domain/metric-conditions.js";

describe("changeOf()", () => {
  const raise = { field: "resources.memory_limit_mb", operation: "multiply", value: 1.5, max_value: 8192 } as const;

  test.each([
    [512, 768],
    [8000, 8192],
    [333, 500],
    [0.5, 0.75],
  ])("makes %d into %d", (before, after) => {
    expect(changeOf(before, raise)).toEqual({ kind: "changed", after });
  });

  test("changes nothing at its bound or beyond, and needs something to begin from", () => {
    expect(changeOf(8192, raise)).toMatchObject({ kind: "same" });
    expect(changeOf(9000, raise)).toMatchObject({ kind: "same" });
    expect(changeOf(null, raise)).toEqual({
      kind: "impossible",
      why: "resources.memory_limit_mb has no number to begin from",
    });
    expect(changeOf("512", raise)).toMatchObject({ kind: "impossible" });
    expect(changeOf("exponential", { field: "retry.strategy", operation: "set", value: "exponential" })).toMatchObject({
      kind: "same",
    });
  });

  test("never leaves its bounds from within, and never turns around", () => {
    const any = fc.record({
      before: fc.integer({ min: 10, max: 8192 }),
      value: fc.double({ min: 0.1, max: 5, noNaN: true }),
    });
    fc.assert(
      fc.property(any, ({ before, value }) => {
        const changed = changeOf(before, { field: "x", operation: "multiply", value, max_value: 8192, min_value: 10 });
        if (changed.kind !== "changed") return;
        expect(changed.after).toBeGreaterThanOrEqual(10);
        expect(changed.after).toBeLessThanOrEqual(8192);
        expect(Number(changed.after) > before).toBe(value > 1);
      }),
    );
  });

  test("says by which factor a value lies from where it began, up or down", () => {
    expect(factorFrom(512, 1152)).toBe(2.25);
    expect(factorFrom(100, 40)).toBe(2.5);
    expect(factorFrom("a", "b")).toBe(1);
  });
});

describe("judge()", () => {
  const criteria = { min_decrease: 0.5, min_success_rate: 0.8, new_failures_max: 3 };
  const before: Counted = { exposure_seconds: 3600, recurrences: 6, other_failures: 0, successes: 0 };
  const since = (more: Partial<Counted>): Counted => ({
    exposure_seconds: 0,
    recurrences: 0,
    other_failures: 0,
    successes: 0,
    ...more,
  });

  test.each<[string, Partial<Counted>, boolean, string, string]>([
    [
      "no failure where three were to be expected",
      { exposure_seconds: 1800, successes: 1 },
      false,
      "effective",
      "fell",
    ],
    ["no failure, but too soon", { exposure_seconds: 600, successes: 1 }, false, "inconclusive", "too_few_samples"],
    [
      "no failure, and little time at the end of the window",
      { exposure_seconds: 900, successes: 1 },
      true,
      "effective",
      "fell",
    ],
    ["nothing at all at the end of the window", {}, true, "inconclusive", "too_few_samples"],
    [
      "time, but no attempt that has proved itself",
      { exposure_seconds: 3600 },
      true,
      "inconclusive",
      "too_few_samples",
    ],
    ["two failures at once", { exposure_seconds: 60, recurrences: 2 }, false, "ineffective", "worse"],
    ["one failure alone, early", { exposure_seconds: 60, recurrences: 1 }, false, "inconclusive", "too_few_samples"],
    ["one failure alone, at the end", { exposure_seconds: 60, recurrences: 1 }, true, "ineffective", "no_better"],
    [
      "a rate that fell too little",
      { exposure_seconds: 3600, recurrences: 4, successes: 20 },
      false,
      "ineffective",
      "no_better",
    ],
    ["a rate that fell enough", { exposure_seconds: 3600, recurrences: 2, successes: 20 }, false, "effective", "fell"],
    [
      "failures of another kind",
      { exposure_seconds: 3600, other_failures: 3, successes: 1 },
      false,
      "ineffective",
      "new_failures",
    ],
    [
      "too many failed attempts",
      { exposure_seconds: 7200, recurrences: 2, other_failures: 2, successes: 6 },
      true,
      "ineffective",
      "success_rate",
    ],
  ])("%s is %4$s", (_, found, atEnd, verdict, reason) => {
    expect(judge(before, since(found), criteria, atEnd)).toMatchObject({ verdict, reason });
  });

  test("knows nothing where nothing was measured before", () => {
    const none = { ...before, exposure_seconds: 0, recurrences: 0 };
    expect(judge(none, since({ exposure_seconds: 1e6, successes: 9 }), criteria, true).verdict).toBe("inconclusive");
  });
});

describe("a condition on a metric", () => {
  const hot: MetricCondition = { metric: "cpu_util", operator: "gt", threshold: 0.9, for_seconds: 180, min_samples: 5 };
  const every = (seconds: number, values: readonly number[]) =>
    values.map((value, index) => ({ at_ms: index * seconds * 1000, value }));

  test("holds when every sample has met it for its whole time", () => {
    const samples = every(60, [0.95, 0.95, 0.95, 0.95, 0.95]);
    expect(askCondition(hot, samples, 240_000, 0)).toMatchObject({ holds: true, samples: 5, held_seconds: 240 });
  });

  test("does not hold for one sample that breaks it, nor on too few of them, nor on those of a settling time", () => {
    expect(askCondition(hot, every(60, [0.95, 0.95, 0.5, 0.95, 0.95, 0.95]), 300_000, 0).holds).toBe(false);
    expect(askCondition(hot, every(60, [0.95, 0.95, 0.95]), 120_000, 0).holds).toBeNull();
    expect(askCondition(hot, every(60, [0.95, 0.95, 0.95, 0.95, 0.95]), 240_000, 100_000).holds).toBeNull();
  });

  test("is not known when the samples have ended", () => {
    expect(askCondition(hot, every(60, [0.95, 0.95, 0.95, 0.95, 0.95]), 3_600_000, 0).holds).toBeNull();
    expect(askCondition(hot, [], 0, 0).holds).toBeNull();
  });

  test("of several, one that denies it is enough, and one that is not known leaves it open", () => {
    const yes = askCondition(hot, every(60, [1, 1, 1, 1, 1]), 240_000, 0);
    const no = askCondition(hot, every(60, [0, 0, 0, 0, 0]), 240_000, 0);
    const open = askCondition(hot, [], 240_000, 0);
    expect([allHold([yes, yes]), allHold([yes, no]), allHold([yes, open]), allHold([])]).toEqual([
      true,
      false,
      null,
      null,
    ]);
  });
});
