/** What is said of when failures come: planted habits are found, and what is no habit is not called one. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anomalyOn } from "../../../../lib/domain/statistics/anomaly.js";
import { burstAtEnd } from "../../../../lib/domain/statistics/burst.js";
import { addToHistory, beginHistory, findingsIn, type History } from "../../../../lib/domain/statistics/history.js";
import {
  addToPairs,
  closePairs,
  enterPair,
  NO_PAIRS,
  openPairs,
  pairsIn,
} from "../../../../lib/domain/statistics/pairs.js";
import { addToCusum, type Cusum, rateChangeAt, startCusum } from "../../../../lib/domain/statistics/rate-change.js";
import { countEvent, type HourCounts } from "../../../../lib/domain/statistics/rate-windows.js";
import { burdenScore, severityOf } from "../../../../lib/domain/statistics/severity.js";
import { dailyCycle, rayleigh } from "../../../../lib/domain/statistics/time-of-day.js";
import { isZone, zoneOffsetHours } from "../../../../lib/domain/statistics/zones.js";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const OPTIONS = { horizonMs: HOUR_MS / 2, gapsMin: 5, level: 0.05 };

const counted = (hours: readonly number[]): HourCounts =>
  hours.reduce<HourCounts>((all, hour) => countEvent(all, hour * HOUR_MS), []);
const fed = (instants: readonly number[]): History =>
  instants.slice(1).reduce((history, at) => addToHistory(history, at, OPTIONS), beginHistory(instants[0] as number));

describe("rayleigh()", () => {
  // Zar, Biostatistical Analysis, example 27.4: r = 0.82522, n = 8, P < 0.005 by the exact table.
  test("gives what the textbook has for its example", () => {
    const degrees = [45, 55, 81, 96, 110, 117, 132, 154];
    const { p, mean } = rayleigh(degrees.map((each) => (each / 180) * Math.PI));
    expect(p).toBeLessThan(0.005);
    expect(p).toBeGreaterThan(0.0005);
    expect((mean / Math.PI) * 180).toBeCloseTo(99, 0);
  });

  test("is 1 for what is spread evenly", () => {
    expect(rayleigh([0, 1, 2, 3].map((quarter) => (quarter / 2) * Math.PI)).p).toBeCloseTo(1, 1);
  });
});

describe("dailyCycle()", () => {
  const days = Array.from({ length: 20 }, (_, day) => day * 24);

  test("finds the hour at which failures gather", () => {
    const found = dailyCycle(counted(days.map((day) => day + 3 + (day % 48 === 0 ? 1 : 0))), 0.001);
    expect(found?.cycleHours).toBe(24);
    expect(found?.peakHour).toBeGreaterThan(3);
    expect(found?.peakHour).toBeLessThan(5);
  });

  test("finds two times a day by the second harmonic", () => {
    const found = dailyCycle(counted(days.flatMap((day) => [day + 6, day + 18])), 0.001);
    expect(found?.cycleHours).toBe(12);
    expect(found?.peakHour).toBeCloseTo(6.5, 1);
  });

  test("does not call one burst of a thousand failures a habit", () => {
    const burst = Array.from({ length: 1000 }, (_, nth) => 50 + (nth % 3));
    expect(dailyCycle(counted(burst.sort((a, b) => a - b)), 0.05)).toBeNull();
  });

  test("does not call a week without a pause a habit", () => {
    expect(dailyCycle(counted(Array.from({ length: 168 }, (_, hour) => hour)), 0.05)).toBeNull();
  });

  test("tells the hour on the clock of the zone, daylight saving time included", () => {
    expect(zoneOffsetHours("Europe/Berlin", Date.UTC(2026, 6, 1))).toBe(2);
    expect(zoneOffsetHours("Europe/Berlin", Date.UTC(2026, 11, 1))).toBe(1);
    expect(zoneOffsetHours("America/Chicago", Date.UTC(2026, 10, 18))).toBe(-6);
    expect(zoneOffsetHours("Asia/Kolkata", 0)).toBe(5.5);
    expect(isZone("Mars/Olympus")).toBe(false);
    const berlin = { name: "Europe/Berlin", offsetHours: () => 2 };
    const found = dailyCycle(counted(days.map((day) => day + 3)), 0.001, [berlin]);
    expect(found).toMatchObject({ peakHour: expect.closeTo(5.5, 5), zone: "Europe/Berlin" });
  });

  test("names the zone in which a habit shows best, and asks more of each where there are several", () => {
    const berlin = { name: "Europe/Berlin", offsetHours: (atMs: number) => zoneOffsetHours("Europe/Berlin", atMs) };
    const utc = { name: "UTC", offsetHours: () => 0 };
    // At nine in Berlin, twelve days before and after its clocks are set back.
    const atNine = Array.from({ length: 24 }, (_, day) => {
      const midnight = Date.UTC(2026, 9, 13 + day);
      return midnight / HOUR_MS + 9 - zoneOffsetHours("Europe/Berlin", midnight);
    });
    expect(dailyCycle(counted(atNine), 0.001, [utc, berlin])).toMatchObject({
      zone: "Europe/Berlin",
      peakHour: expect.closeTo(9.5, 0),
    });
    const weak = dailyCycle(counted(days.slice(0, 6).map((day, nth) => day + nth)), 1, [utc]);
    const level = (weak?.p_value ?? 0) * 1.5;
    expect(dailyCycle(counted(days.slice(0, 6).map((day, nth) => day + nth)), level, [utc])).not.toBeNull();
    expect(dailyCycle(counted(days.slice(0, 6).map((day, nth) => day + nth)), level, [utc, utc])).toBeNull();
  });
});

describe("burstAtEnd()", () => {
  const quiet = Array.from({ length: 10 }, (_, day) => day * DAY_MS);

  test("finds twelve failures in a minute after ten quiet days", () => {
    const burst = Array.from({ length: 12 }, (_, nth) => 10 * DAY_MS + nth * 5000);
    expect(burstAtEnd([...quiet, ...burst], 22, 0)).toMatchObject({ occurrences: 12, fromMs: 10 * DAY_MS });
  });

  test("is silent where that is the usual rate", () => {
    const always = Array.from({ length: 64 }, (_, nth) => 5 * DAY_MS + nth * 5000);
    expect(burstAtEnd(always, 5 * 17_280 + 64, 0)).toBeNull();
  });

  test("is silent for a few failures", () => {
    expect(burstAtEnd([...quiet, 10 * DAY_MS, 10 * DAY_MS + 1], 12, 0)).toBeNull();
  });
});

describe("anomalyOn()", () => {
  /** So many failures on each day, an hour apart. */
  const perDay = (...counts: readonly number[]): HourCounts =>
    counts.flatMap((count, day) => Array.from({ length: count }, (_, nth) => [day * 24 + nth, 1] as const));
  const on = (day: number, counts: HourCounts, sigmas = 3, baselineDays = 7) =>
    anomalyOn(counts, 0, day * DAY_MS + 23 * HOUR_MS, { sigmas, baselineDays });
  const usual = perDay(3, 4, 2, 3, 4, 3, 2, 16);

  // 2√16.375 = 8.093; the mean of 2√3.375, 2√4.375, 2√2.375, … is 3.651; and √(1 + 1/7) = 1.069.
  test("finds the day that stands out, and says what is usual", () => {
    expect(on(7, usual)).toEqual({
      dayMs: 7 * DAY_MS,
      occurrences: 16,
      usualPerDay: 3,
      sigmas: expect.closeTo(4.156, 3),
    });
    expect(on(6, usual)).toBeNull();
  });

  test("asks for as many sigmas as it is told", () => {
    expect(on(7, usual, 4)).not.toBeNull();
    expect(on(7, usual, 4.2)).toBeNull();
  });

  test("looks back as many days as it is told", () => {
    const calmed = perDay(20, 20, 20, 20, 20, 20, 2, 2, 2, 2, 12);
    expect(on(10, calmed, 3, 4)).not.toBeNull();
    expect(on(10, calmed, 3, 10)).toBeNull();
  });

  test("knows nothing of what is usual before three whole days", () => {
    expect(on(3, perDay(3, 3, 3, 24))).not.toBeNull();
    expect(on(2, perDay(3, 3, 24))).toBeNull();
    expect(anomalyOn(perDay(3, 3, 3, 24), HOUR_MS, 3 * DAY_MS, { sigmas: 3, baselineDays: 7 })).toBeNull();
  });

  // On the counts themselves a single failure after a quiet week would be infinitely many sigmas.
  test("does not call a failure or two after a quiet week extraordinary", () => {
    expect(on(7, perDay(0, 0, 0, 0, 0, 0, 0, 2))).toBeNull();
    expect(on(7, perDay(0, 0, 0, 0, 0, 0, 0, 12))).not.toBeNull();
  });
});

describe("the running sum of the rate", () => {
  const every = (gapMs: number, from: number, to: number): number[] =>
    Array.from({ length: Math.floor((to - from) / gapMs) }, (_, nth) => from + (nth + 1) * gapMs);
  const summed = (instants: readonly number[]): Cusum =>
    instants.reduce((cusum, at) => addToCusum(cusum, at, 0), startCusum(0));

  // Lucas (1985): each failure adds ln 3, each time t takes (λ1 − λ0)·t; five failures without time between them reach 5.
  test("adds ln 3 for a failure and takes 2λ0 for the time", () => {
    const base = summed(every(6 * HOUR_MS, 0, 10 * DAY_MS));
    const rate = base.before / base.from_ms;
    const next = addToCusum(base, base.last_ms + HOUR_MS, 0);
    const after = addToCusum(next, next.last_ms + HOUR_MS, 0);
    expect(base.sum).toBeCloseTo(Math.log(3), 10);
    expect(next.sum).toBeCloseTo(2 * Math.log(3) - 2 * rate * HOUR_MS, 10);
    expect(after.sum).toBeCloseTo(3 * Math.log(3) - 4 * rate * HOUR_MS, 10);
  });

  test("finds a rate that rose fivefold, and tells since when and how much", () => {
    const change = 10 * DAY_MS;
    const cusum = summed([...every(6 * HOUR_MS, 0, change), ...every(1.2 * HOUR_MS, change, change + DAY_MS)]);
    const found = rateChangeAt(cusum, cusum.last_ms, 0);
    // Known to the gap: the last failure of the good time may have begun it.
    expect(found?.since_ms).toBeGreaterThanOrEqual(change - 6 * HOUR_MS);
    expect(found?.since_ms).toBeLessThanOrEqual(change);
    expect(found?.factor).toBeGreaterThan(3);
  });

  test("is over when it has been quiet again", () => {
    const change = 10 * DAY_MS;
    const cusum = summed([...every(6 * HOUR_MS, 0, change), ...every(1.2 * HOUR_MS, change, change + DAY_MS)]);
    expect(rateChangeAt(cusum, cusum.last_ms + 7 * DAY_MS, 0)).toBeNull();
  });

  test("does not call a burst of a minute a changed rate", () => {
    const change = 10 * DAY_MS;
    expect(summed([...every(6 * HOUR_MS, 0, change), ...every(1000, change, change + 30_000)]).found).toBeNull();
  });

  test("is silent for what comes as evenly as ever", () => {
    expect(summed(every(HOUR_MS, 0, 20 * DAY_MS)).found).toBeNull();
  });
});

describe("pairsIn()", () => {
  const WINDOW_MS = 300_000;
  const feed = (events: readonly (readonly [string, number])[]) =>
    [...events]
      .sort((a, b) => a[1] - b[1])
      .reduce((state, [kind, at]) => addToPairs(state, kind, at, WINDOW_MS), NO_PAIRS);

  test("finds what follows another within the window, and in which order", () => {
    const events = Array.from({ length: 10 }, (_, day): [string, number][] => [
      ["disk", day * DAY_MS],
      ["crash", day * DAY_MS + 60_000],
    ]).flat();
    const found = pairsIn(feed(events), 10 * DAY_MS, WINDOW_MS, 2);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ first: "disk", second: "crash", count: 9, lagMs: 60_000 });
  });

  test("does not call two kinds related for one bad minute in which both failed a hundred times", () => {
    const minute = Array.from({ length: 100 }, (_, nth): [string, number][] => [
      ["a", 5 * DAY_MS + nth * 300],
      ["b", 5 * DAY_MS + nth * 300 + 100],
    ]).flat();
    const rest = Array.from({ length: 5 }, (_, day): [string, number][] => [
      ["a", day * DAY_MS],
      ["b", day * DAY_MS + 12 * HOUR_MS],
    ]).flat();
    expect(pairsIn(feed([...rest, ...minute]), 6 * DAY_MS, WINDOW_MS, 2)).toEqual([]);
  });

  test("keeps the same of many failures whether they are entered one by one or all at once", () => {
    const events = Array.from({ length: 900 }, (_, nth): [string, number] => [`kind-${(nth * 7) % 90}`, nth * 40_000]);
    const book = openPairs(NO_PAIRS);
    for (const [kind, at] of events) enterPair(book, kind, at, WINDOW_MS);
    expect(Object.entries(closePairs(book).kinds)).toEqual(Object.entries(feed(events).kinds));
    expect(Object.entries(closePairs(book).pairs)).toEqual(Object.entries(feed(events).pairs));
  });

  test("stays bounded however many kinds there are", () => {
    const events = Array.from({ length: 3000 }, (_, nth): [string, number] => [`kind-${nth % 700}`, nth * 1000]);
    const state = feed(events);
    expect(Object.keys(state.kinds).length).toBeLessThanOrEqual(75);
    expect(Object.keys(state.pairs).length).toBeLessThanOrEqual(750);
  });
});

describe("severityOf()", () => {
  const burden = { workers: 1, ratePerHour: 0.1, open: 0, unrecoveredMs: 0 };

  test("is the category's own for one worker that came back", () => {
    expect(burdenScore(burden)).toBe(1);
    expect(severityOf("medium", burden)).toBe("medium");
  });

  test("rises with a hundred workers that stay down, and not above critical", () => {
    const bad = { workers: 100, ratePerHour: 200, open: 100, unrecoveredMs: 2 * HOUR_MS };
    expect(severityOf("low", bad)).toBe("high");
    expect(severityOf("high", bad)).toBe("critical");
  });

  test("never falls when a factor of the burden grows", () => {
    const factor = fc.integer({ min: 1, max: 10_000 });
    fc.assert(
      fc.property(factor, factor, factor, factor, (workers, ratePerHour, open, hours) => {
        const less = { workers, ratePerHour, open, unrecoveredMs: hours * HOUR_MS };
        const score = burdenScore(less);
        expect(burdenScore({ ...less, workers: workers + 1 })).toBeGreaterThanOrEqual(score);
        expect(burdenScore({ ...less, ratePerHour: ratePerHour + 1 })).toBeGreaterThanOrEqual(score);
        expect(burdenScore({ ...less, open: open + 1 })).toBeGreaterThanOrEqual(score);
        expect(burdenScore({ ...less, unrecoveredMs: (hours + 1) * HOUR_MS })).toBeGreaterThanOrEqual(score);
      }),
    );
  });
});

describe("a history", () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 3 * DAY_MS }), { minLength: 1, maxLength: 300 });
  const instantsOf = (each: readonly number[]): number[] => {
    let at = 1_700_000_000_000;
    return each.map((gap) => {
      at += gap;
      return at;
    });
  };

  test("is plain JSON: read back, it goes on as it would have", () => {
    fc.assert(
      fc.property(gaps, fc.integer({ min: 0, max: 300 }), (all, cut) => {
        const instants = instantsOf(all);
        const at = 1 + (cut % instants.length);
        const first = JSON.parse(JSON.stringify(fed(instants.slice(0, at)))) as History;
        const rest = instants.slice(at).reduce((history, each) => addToHistory(history, each, OPTIONS), first);
        expect(rest).toEqual(fed(instants));
      }),
      { numRuns: 10 },
    );
  });

  test("stays within 40 kB and counts every failure, in whatever order they come", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 60 * DAY_MS }), { minLength: 1, maxLength: 400 }), (instants) => {
        const history = fed(instants);
        expect(history.total).toBe(instants.length);
        expect(history.first_ms).toBe(Math.min(...instants));
        expect(history.last_ms).toBe(Math.max(...instants));
        expect(JSON.stringify(history).length).toBeLessThan(40_000);
        expect(() =>
          findingsIn(history, history.last_ms, { anomaly: { sigmas: 3, baselineDays: 7 }, chance: 0.8 }),
        ).not.toThrow();
      }),
      { numRuns: 8 },
    );
  });
});
