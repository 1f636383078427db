/** Forecasts: right where there is something to know, silent where there is not. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addToForecast,
  type ForecastState,
  forecastAt,
  startForecast,
} from "../../../../lib/domain/statistics/forecast.js";
import { chanceWithin, survival, timeUntil } from "../../../../lib/domain/statistics/hazard.js";
import { brierSkill, isSkilled, NO_SKILL, score } from "../../../../lib/domain/statistics/skill.js";

const MINUTE_MS = 60_000;

describe("survival()", () => {
  test("is the share of gaps that last longer, where all of them have ended", () => {
    expect(survival([1, 2, 2, 4], 0)).toEqual([
      [1, 0.75],
      [2, 0.25],
      [4, 0],
    ]);
  });

  // Kaplan and Meier (1958), section 1: a censored item counts as at risk up to where it was lost. Here 3 ends at
  // 1 (4 at risk), 2 (3 at risk), 4 (1 at risk), and one is lost at 3.
  test("counts a gap that still lasts as at risk up to its age", () => {
    expect(survival([1, 2, 4], 3)).toEqual([
      [1, 3 / 4],
      [2, 1 / 2],
      [4, 0],
    ]);
  });

  test("never rises and stays a share", () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(gaps, fc.integer({ min: 0, max: 1000 }), (all, age) => {
        const shares = survival(all, age).map(([, share]) => share);
        for (const [index, share] of shares.entries()) {
          expect(share).toBeGreaterThanOrEqual(0);
          expect(share).toBeLessThanOrEqual(index === 0 ? 1 : (shares[index - 1] as number));
        }
        const chance = chanceWithin(all, age, 100);
        expect(chance).toBeGreaterThanOrEqual(0);
        expect(chance).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe("timeUntil()", () => {
  test("is what is left until the gap has ended with the chance", () => {
    expect(timeUntil([10, 10, 10, 10, 60], 0, 0.8)).toBe(10);
    expect(timeUntil([10, 10, 10, 10, 60], 20, 0.8)).toBe(40);
  });

  test("is nothing beyond all gaps that were seen", () => {
    expect(timeUntil([10, 20], 30, 0.8)).toBeNull();
  });
});

describe("the skill", () => {
  // Wilks, section 8.4.1: BS = mean of (p − o)²; skill = 1 − BS / BS of climatology.
  test("is 1 for forecasts that are always right, and below 0 for those that are always wrong", () => {
    const outcomes = Array.from({ length: 100 }, (_, nth) => nth % 4 === 0);
    const right = outcomes.reduce((skill, happened) => score(skill, happened ? 1 : 0, happened), NO_SKILL);
    const wrong = outcomes.reduce((skill, happened) => score(skill, happened ? 0 : 1, happened), NO_SKILL);
    expect(brierSkill(right)).toBe(1);
    expect(brierSkill(wrong)).toBeLessThan(0);
    expect([isSkilled(right), isSkilled(wrong)]).toEqual([true, false]);
  });

  test("of climatology's own forecasts is 0 and is not believed", () => {
    let skill = NO_SKILL;
    for (let nth = 0; nth < 200; nth++) skill = score(skill, (skill.events + 1) / (skill.forecasts + 2), nth % 3 === 0);
    expect(brierSkill(skill)).toBeCloseTo(0, 12);
    expect(isSkilled(skill)).toBe(false);
  });
});

describe("a running forecast", () => {
  const fed = (gapsMs: readonly number[]): ForecastState => {
    let state = startForecast(0);
    let at = 0;
    for (const gap of gapsMs) {
      at += gap;
      state = addToForecast(state, at, 30 * MINUTE_MS, 5);
    }
    return state;
  };

  test("of failures that come every two hours names the time of the next", () => {
    const state = fed(Array.from({ length: 60 }, (_, nth) => (118 + (nth % 5)) * MINUTE_MS));
    const forecast = forecastAt(state, state.last_ms + 30 * MINUTE_MS, 0.75);
    expect(forecast?.beforeMs).toBe(state.last_ms + 121 * MINUTE_MS);
    expect(forecast?.skill).toBeGreaterThan(0.5);
  });

  test("is not given before there are forecasts enough that came due", () => {
    const state = fed(Array.from({ length: 12 }, () => 120 * MINUTE_MS));
    expect(forecastAt(state, state.last_ms, 0.8)).toBeNull();
  });

  test("names a later instant to be surer of it, and none where too few gaps are known to be so sure", () => {
    const state = fed(Array.from({ length: 60 }, (_, nth) => (118 + (nth % 5)) * MINUTE_MS));
    const minutes = (chance: number) => {
      const found = forecastAt(state, state.last_ms, chance);
      if (found !== null) expect(found.chance).toBeGreaterThanOrEqual(chance);
      return found === null ? null : (found.beforeMs - state.last_ms) / MINUTE_MS;
    };
    // Each of five lengths is a fifth of the gaps; 60 gaps make nothing surer than 60 in 61.
    expect([0.15, 0.35, 0.55, 0.75, 0.95, 60 / 61, 0.99].map(minutes)).toEqual([118, 119, 120, 121, 122, 122, null]);
  });
});
