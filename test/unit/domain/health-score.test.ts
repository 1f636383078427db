import { describe, expect, test } from "vitest";
import { decayedScore, missedIntervals } from "../../../lib/domain/health-score.js";

describe("decayedScore()", () => {
  test.each([
    [100, 0, 5, { reported: 100, missed: 0, decay: 0, score: 100 }],
    [100, 3, 5, { reported: 100, missed: 3, decay: 15, score: 85 }],
    [30, 3, 5, { reported: 30, missed: 3, decay: 15, score: 15 }],
    [10, 30, 5, { reported: 10, missed: 30, decay: 150, score: 0 }],
    [250, 1, 5, { reported: 100, missed: 1, decay: 5, score: 95 }],
    [-5, 0, 5, { reported: 0, missed: 0, decay: 0, score: 0 }],
  ])(
    "takes off the decay for each missed interval, never below zero: %d, %d, %d",
    (reported, missed, rate, expected) => {
      expect(decayedScore(reported, missed, rate)).toEqual(expected);
    },
  );

  test("reads a beat without a score as a well worker", () => {
    expect(decayedScore(null, 2, 5)).toEqual({ reported: 100, missed: 2, decay: 10, score: 90 });
  });
});

describe("missedIntervals()", () => {
  test.each([
    [0, 0],
    [44_999, 0],
    [45_000, 1],
    [74_999, 1],
    [75_000, 2],
    [-1, 0],
  ])("counts a beat as missed half an interval after it was due: %d ms is %d", (silentMs, missed) => {
    expect(missedIntervals(silentMs, 30_000)).toBe(missed);
  });

  test("counts nothing without an interval", () => {
    expect(missedIntervals(1_000, 0)).toBe(0);
  });
});
