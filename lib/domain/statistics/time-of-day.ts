/** Whether failures prefer a time of the day. @module */
import type { HourCounts } from "./rate-windows.js";

export interface DailyCycle {
  /** The hour around which failures gather, 0 to 24, in the zone that was asked for. */
  readonly peakHour: number;
  /** 24, or 12 where they gather twice a day. */
  readonly cycleHours: 24 | 12;
  readonly p_value: number;
  readonly samples: number;
  /** The zone in which the habit shows most clearly. */
  readonly zone: string;
}

/** Clocks that people live by. */
export interface Zone {
  readonly name: string;
  /** Hours to add to UTC, e.g. -6; it may change with the instant. */
  readonly offsetHours: (atMs: number) => number;
}

export const UTC: readonly Zone[] = [{ name: "UTC", offsetHours: () => 0 }];

const DAY_HOURS = 24;
const SAMPLES_MIN = 6;
const DAYS_MIN = 5;

/**
 * Tests for a cycle of a day, and of half a day by the second harmonic.
 *
 * Counted is one event for each day and hour, and hours that follow each other are one episode at their middle: otherwise a
 * single burst, or a night's outage, looks like a habit. The smaller of the two p-values counts, doubled for two tests.
 *
 * Of several zones the one that shows it most clearly is taken, and the level is shared among them. They differ only where
 * their clocks are set forward and back on different days.
 *
 * @returns null if there are too few episodes or days, or nothing is found at the level.
 */
export function dailyCycle(counts: HourCounts, level: number, zones: readonly Zone[] = UTC): DailyCycle | null {
  const found = zones.flatMap((zone) => cycleIn(zone, counts, level / zones.length) ?? []);
  return found.reduce<DailyCycle | null>((best, each) => (best && best.p_value <= each.p_value ? best : each), null);
}

function cycleIn({ name, offsetHours }: Zone, counts: HourCounts, level: number): DailyCycle | null {
  const local = counts.map(([hour]) => hour + offsetHours(hour * 3_600_000));
  const episodes = episodesOf(local);
  const days = new Set(episodes.map((hour) => Math.floor(hour / DAY_HOURS))).size;
  if (episodes.length < SAMPLES_MIN || days < DAYS_MIN) return null;
  const day = rayleigh(episodes.map((hour) => (hour / DAY_HOURS) * 2 * Math.PI));
  const half = rayleigh(episodes.map((hour) => (hour / DAY_HOURS) * 4 * Math.PI));
  const isDay = day.p <= half.p;
  const p = Math.min(1, 2 * Math.min(day.p, half.p));
  if (p > level) return null;
  const turn = 2 * Math.PI;
  const mean = (((isDay ? day.mean : half.mean) % turn) + turn) % turn;
  const cycleHours = isDay ? 24 : 12;
  return { peakHour: (mean / turn) * cycleHours, cycleHours, p_value: p, samples: episodes.length, zone: name };
}

/** The middles of runs of hours. */
function episodesOf(hours: readonly number[]): number[] {
  const episodes: number[] = [];
  let from: number | null = null;
  let last = 0;
  for (const hour of hours) {
    // What fills days without a gap has no time of its own, and ends up as a single episode.
    if (from !== null && hour - last > 1) episodes.push((from + last + 1) / 2);
    if (from === null || hour - last > 1) from = hour;
    last = hour;
  }
  if (from !== null) episodes.push((from + last + 1) / 2);
  return episodes;
}

/**
 * Rayleigh's test of uniformity on the circle.
 *
 * p = exp(√(1 + 4n + 4(n² − R²)) − (1 + 2n)), R the length of the sum of the unit vectors.
 * @see Zar, Biostatistical Analysis, 5th edition (2010), equation 27.4; Fisher, Statistical Analysis of Circular Data (1993)
 */
export function rayleigh(angles: readonly number[]): { readonly p: number; readonly mean: number } {
  const n = angles.length;
  const x = angles.reduce((sum, angle) => sum + Math.cos(angle), 0);
  const y = angles.reduce((sum, angle) => sum + Math.sin(angle), 0);
  const length = Math.min(n, Math.hypot(x, y));
  const p = Math.exp(Math.sqrt(1 + 4 * n + 4 * (n ** 2 - length ** 2)) - (1 + 2 * n));
  return { p: Math.min(1, p), mean: Math.atan2(y, x) };
}
