/**
 * Four weeks of made-up failures from a seed: planted habits that must be found, and noise in which nothing must be.
 *
 * Everything goes through the functions that the daemon uses, failure by failure, as it would have come.
 * @module
 */
import {
  addToHistory,
  beginHistory,
  type Findings,
  findingsIn,
  type History,
} from "../lib/domain/statistics/history.js";
import { addToPairs, NO_PAIRS, type PairsState, pairsIn } from "../lib/domain/statistics/pairs.js";
import { brierSkill } from "../lib/domain/statistics/skill.js";
import { generator } from "./chance.js";
import { round } from "./figures.js";
import type { Result } from "./main.js";

const START_MS = Date.UTC(2026, 9, 1);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const WEEKS_MS = 28 * DAY_MS;
const WINDOW_MS = 300_000;
const OPTIONS = { horizonMs: 30 * 60_000, gapsMin: 5, level: 0.05 };
/** As in the policy that ships. */
const SURE = { anomaly: { sigmas: 3, baselineDays: 7 }, chance: 0.8 };
const FREQUENCY = { threshold: 3, windowMs: DAY_MS };

type Chance = () => number;

/** A homogeneous Poisson process between two instants. */
export function poisson(chance: Chance, perDay: number, fromMs = START_MS, toMs = START_MS + WEEKS_MS): number[] {
  const instants: number[] = [];
  for (let at = fromMs; ; ) {
    at += (-Math.log(1 - chance()) * DAY_MS) / perDay;
    if (at >= toMs) return instants;
    instants.push(Math.round(at));
  }
}

const sorted = (...parts: readonly (readonly number[])[]): number[] => parts.flat().sort((a, b) => a - b);

/** What was found at any time in the course of a series. */
export interface Found {
  readonly frequency: boolean;
  readonly burst: boolean;
  readonly anomaly: boolean;
  readonly cycle: boolean;
  readonly rateChange: boolean;
  readonly forecast: boolean;
  readonly skill: number | null;
  readonly cycles: readonly number[];
  readonly changes: readonly number[];
}

/** Feeds a series failure by failure, and looks after each, as the daemon does. */
export function watch(instants: readonly number[]): Found {
  let history: History | null = null;
  const seen = { frequency: false, burst: false, anomaly: false, cycle: false, rateChange: false, forecast: false };
  const cycles: number[] = [];
  const changes: number[] = [];
  for (const at of instants) {
    history = history === null ? beginHistory(at) : addToHistory(history, at, OPTIONS);
    const within = history.recent.filter((each) => each > at - FREQUENCY.windowMs).length;
    seen.frequency ||= within >= FREQUENCY.threshold;
    const found: Findings = findingsIn(history, at, SURE);
    seen.burst ||= found.burst !== null;
    seen.anomaly ||= found.anomaly !== null;
    seen.cycle ||= found.cycle !== null;
    seen.rateChange ||= found.rateChange !== null;
    seen.forecast ||= found.forecast !== null;
    if (found.cycle) cycles.push(found.cycle.peakHour);
    if (found.rateChange) changes.push(found.rateChange.since_ms);
  }
  return { ...seen, skill: history === null ? null : brierSkill(history.forecast.skill), cycles, changes };
}

interface Planted {
  readonly name: string;
  /** Makes a series and says whether what was planted is found. */
  readonly isFound: (chance: Chance) => boolean;
}

const between = (chance: Chance, low: number, high: number): number => low + chance() * (high - low);

const PLANTED: readonly Planted[] = [
  { name: "frequency", isFound: (chance) => watch(poisson(chance, between(chance, 3, 20))).frequency },
  {
    name: "burst",
    isFound: (chance) => {
      const from = START_MS + between(chance, 2, 27) * DAY_MS;
      const count = Math.round(between(chance, 8, 30));
      const burst = Array.from({ length: count }, () => Math.round(from + chance() * 5 * 60_000));
      return watch(sorted(poisson(chance, between(chance, 0.5, 5)), burst)).burst;
    },
  },
  {
    name: "daily cycle",
    isFound: (chance) => {
      const hour = between(chance, 0, 24);
      const daily: number[] = [];
      for (let day = 0; day < 28; day++) {
        for (let nth = 0; nth < 1 + Math.floor(chance() * 3); nth++)
          if (chance() < 0.85)
            daily.push(Math.round(START_MS + day * DAY_MS + (hour + (chance() - 0.5) * 2) * HOUR_MS));
      }
      const peaks = watch(sorted(poisson(chance, 0.5), daily)).cycles;
      const last = peaks.at(-1);
      if (last === undefined) return false;
      const away = Math.abs(last - hour) % 12;
      return Math.min(away, 12 - away) <= 2;
    },
  },
  {
    name: "rate change",
    isFound: (chance) => {
      const base = between(chance, 2, 6);
      const at = START_MS + between(chance, 12, 22) * DAY_MS;
      const end = START_MS + WEEKS_MS;
      const series = sorted(
        poisson(chance, base, START_MS, at),
        poisson(chance, base * between(chance, 4, 6), at, end),
      );
      return watch(series).changes.some((since) => Math.abs(since - at) <= 3 * DAY_MS);
    },
  },
  {
    name: "odd day",
    isFound: (chance) => {
      const day = START_MS + Math.floor(between(chance, 8, 27)) * DAY_MS;
      const base = between(chance, 1, 6);
      return watch(sorted(poisson(chance, base), poisson(chance, base * 3 + 15, day, day + DAY_MS))).anomaly;
    },
  },
  { name: "lagged pair", isFound: (chance) => pairIsFound(chance) },
];

function pairIsFound(chance: Chance): boolean {
  const first = poisson(chance, between(chance, 1, 4));
  const second = first.filter(() => chance() < 0.8).map((at) => Math.round(at + between(chance, 10, 240) * 1000));
  const series: Record<string, number[]> = { first, second: sorted(second, poisson(chance, 1)) };
  for (let other = 0; other < 8; other++) series[`other-${other}`] = poisson(chance, between(chance, 1, 6));
  const found = pairsOf(series);
  return found.has("first>second");
}

/** The pairs found at any time, all kinds' failures in the order in which they come. */
export function pairsOf(series: Readonly<Record<string, readonly number[]>>): ReadonlySet<string> {
  const all = Object.entries(series)
    .flatMap(([kind, instants]) => instants.map((at) => ({ kind, at })))
    .sort((a, b) => a.at - b.at);
  const found = new Set<string>();
  let state: PairsState = NO_PAIRS;
  for (const { kind, at } of all) {
    state = addToPairs(state, kind, at, WINDOW_MS);
    for (const pair of pairsIn(state, at, WINDOW_MS, 2)) found.add(`${pair.first}>${pair.second}`);
  }
  return found;
}

const EACH = 40;
const NOISE_STREAMS = 200;

/** Plants, watches, and counts. */
export async function patterns(seed: number): Promise<Result> {
  const figures: Record<string, number | string | null> = { seed };
  let found = 0;
  let planted = 0;
  for (const [index, plant] of PLANTED.entries()) {
    const hits = Array.from({ length: EACH }, (_, nth) => plant.isFound(generator(seed * 1000 + index * 100 + nth)));
    const count = hits.filter(Boolean).length;
    figures[`recall_${plant.name.replace(" ", "_")}`] = round(count / EACH, 3);
    found += count;
    planted += EACH;
  }
  figures.recall = round(found / planted, 3);
  Object.assign(figures, noise(seed), forecasts(seed));
  return {
    name: "patterns",
    what: `four weeks of synthetic failures: ${planted} planted habits, ${NOISE_STREAMS} streams of noise`,
    leaves_out: "reading, naming and grouping of failures: the grouping benchmark and the daemon's tests measure them",
    ...figures,
  };
}

/** Streams without habits: anything but their frequency that is said of them is false. */
function noise(seed: number): Record<string, number> {
  const streams = Array.from({ length: NOISE_STREAMS }, (_, nth) => {
    const chance = generator(seed * 7919 + nth);
    return poisson(chance, 0.2 * 100 ** chance());
  });
  const watched = streams.map(watch);
  const falsePairs = Array.from({ length: NOISE_STREAMS / 10 }, (_, group) => {
    const some = streams.slice(group * 10, group * 10 + 10);
    return pairsOf(Object.fromEntries(some.map((each, index) => [`noise-${index}`, each]))).size;
  });
  const count = (key: "burst" | "anomaly" | "cycle" | "rateChange" | "forecast"): number =>
    watched.filter((each) => each[key]).length;
  const wrong = watched.filter(
    (each) => each.burst || each.anomaly || each.cycle || each.rateChange || each.forecast,
  ).length;
  const pairs = falsePairs.reduce((sum, each) => sum + each, 0);
  return {
    noise_bursts: count("burst"),
    noise_anomalies: count("anomaly"),
    noise_cycles: count("cycle"),
    noise_rate_changes: count("rateChange"),
    noise_forecasts: count("forecast"),
    noise_pairs: pairs,
    false_patterns: round((wrong + pairs) / NOISE_STREAMS, 4),
  };
}

/** Failures that come by a clock of their own, and failures that come by chance: who gets a forecast, and how good it is. */
function forecasts(seed: number): Record<string, number> {
  const regular = Array.from({ length: EACH }, (_, nth) => {
    const chance = generator(seed * 31 + nth);
    const gapMs = between(chance, 0.5, 6) * HOUR_MS;
    const instants: number[] = [];
    for (let at = START_MS; at < START_MS + WEEKS_MS; at += gapMs * between(chance, 0.9, 1.1))
      instants.push(Math.round(at));
    return watch(instants);
  });
  const random = Array.from({ length: EACH }, (_, nth) => watch(poisson(generator(seed * 37 + nth), 10)));
  const mean = (all: readonly Found[]): number =>
    round(all.reduce((sum, { skill }) => sum + (skill ?? 0), 0) / all.length, 3);
  return {
    forecasts_of_regular: regular.filter((each) => each.forecast).length / EACH,
    brier_skill_regular: mean(regular),
    forecasts_of_random: random.filter((each) => each.forecast).length / EACH,
    brier_skill_random: mean(random),
  };
}
