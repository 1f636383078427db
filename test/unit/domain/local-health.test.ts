import { describe, expect, test } from "vitest";
import { compareClocks, isOwnStall, step, stretch } from "../../../lib/domain/local-health.js";

const clean = { lateTick: false, loopDelayMs: 20, cpuPressure: 10, suspectShare: 0 };

describe("step()", () => {
  test.each([
    ["a late tick", { lateTick: true }],
    ["an event-loop delay over 200 ms", { loopDelayMs: 201 }],
    ["a starved CPU", { cpuPressure: 81 }],
    ["more than 30 % of the workers suspect together", { suspectShare: 0.31 }],
  ])("rises by one for %s", (_, sign) => {
    expect(step(3, { ...clean, ...sign })).toBe(4);
  });

  test("falls by one for a clean tick, and stays within 0 and 7", () => {
    expect(step(3, clean)).toBe(2);
    expect(step(0, clean)).toBe(0);
    expect(step(7, { ...clean, lateTick: true })).toBe(7);
  });

  test("reads what could not be measured as clean", () => {
    expect(step(1, { lateTick: false, loopDelayMs: null, cpuPressure: null, suspectShare: 0.3 })).toBe(0);
  });
});

describe("stretch()", () => {
  test("leaves a time-out alone at 0 and doubles it at 7", () => {
    expect(stretch(120_000, 0)).toBe(120_000);
    expect(stretch(120_000, 7)).toBe(240_000);
    expect(stretch(120_000, 99)).toBe(240_000);
  });
});

describe("isOwnStall()", () => {
  test("takes a gap for a stall only beyond one and a half intervals and beyond five seconds", () => {
    expect(isOwnStall(5_000, 1_000)).toBe(false);
    expect(isOwnStall(5_001, 1_000)).toBe(true);
    expect(isOwnStall(45_000, 30_000)).toBe(false);
    expect(isOwnStall(45_001, 30_000)).toBe(true);
  });
});

describe("compareClocks()", () => {
  const before = { atMs: 1_000_000, monoMs: 5_000, bootMs: 5_000 };
  const later = (wallMs: number, monoMs: number, bootMs: number) => ({
    atMs: before.atMs + wallMs,
    monoMs: before.monoMs + monoMs,
    bootMs: before.bootMs + bootMs,
  });

  test.each([
    ["an undisturbed minute", later(60_000, 60_000, 60_000), { suspendedMs: 0, steppedMs: 0, gapMs: 60_000 }],
    ["rounding and reading order", later(60_400, 60_000, 59_990), { suspendedMs: 0, steppedMs: 0, gapMs: 60_000 }],
    ["an hour's suspend", later(3_660_000, 60_000, 3_660_000), { suspendedMs: 3_600_000, steppedMs: 0, gapMs: 60_000 }],
    ["a step back", later(-3_540_000, 60_000, 60_000), { suspendedMs: 0, steppedMs: -3_600_000, gapMs: 60_000 }],
    ["a step forward", later(3_660_000, 60_000, 60_000), { suspendedMs: 0, steppedMs: 3_600_000, gapMs: 60_000 }],
    ["both", later(7_260_000, 60_000, 3_660_000), { suspendedMs: 3_600_000, steppedMs: 3_600_000, gapMs: 60_000 }],
  ])("tells %s", (_, current, expected) => {
    expect(compareClocks(before, current)).toEqual(expected);
  });

  test("reports a suspend as a step where there is no boot clock", () => {
    const current = { ...later(3_660_000, 60_000, 0), bootMs: null };
    expect(compareClocks(before, current)).toEqual({ suspendedMs: 0, steppedMs: 3_600_000, gapMs: 60_000 });
  });
});
