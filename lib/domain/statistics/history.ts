/** All that is kept of one series of failures, and what can be said of it. Plain JSON, bounded, and exact to replay. @module */
import { type Anomaly, type AnomalyOptions, anomalyOn } from "./anomaly.js";
import { type Burst, burstAtEnd } from "./burst.js";
import { addToForecast, type Forecast, type ForecastState, forecastAt, startForecast } from "./forecast.js";
import { addToCusum, type Cusum, type RateChange, rateChangeAt, startCusum } from "./rate-change.js";
import { countEvent, type HourCounts } from "./rate-windows.js";
import { type DailyCycle, dailyCycle, UTC, type Zone } from "./time-of-day.js";

export interface History {
  readonly total: number;
  readonly first_ms: number;
  readonly last_ms: number;
  /** Instants of the last failures, in order. */
  readonly recent: readonly number[];
  readonly hours: HourCounts;
  readonly cusum: Cusum;
  readonly forecast: ForecastState;
  readonly burst: Burst | null;
  /** The day on which a daily cycle was last looked for, and what was found. */
  readonly cycle_day: number;
  readonly cycle: DailyCycle | null;
}

export interface HistoryOptions {
  readonly horizonMs: number;
  readonly gapsMin: number;
  /** How sure one must be of a daily cycle. */
  readonly level: number;
  /** Where the time of day is looked at; UTC unless said otherwise. */
  readonly zones?: readonly Zone[];
}

/** How sure one must be to speak. */
export interface FindingOptions {
  readonly anomaly: AnomalyOptions;
  /** The chance with which a forecast must hold. */
  readonly chance: number;
}

export interface Findings {
  readonly burst: Burst | null;
  readonly anomaly: Anomaly | null;
  readonly cycle: DailyCycle | null;
  readonly rateChange: RateChange | null;
  readonly forecast: Forecast | null;
}

export const RECENT_MAX = 64;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** Looks within the time that is remembered: one each day for four weeks. */
const LOOKS = 28;

/** A series that begins with this failure. */
export function beginHistory(atMs: number): History {
  return {
    total: 1,
    first_ms: atMs,
    last_ms: atMs,
    recent: [atMs],
    hours: countEvent([], atMs),
    cusum: startCusum(atMs),
    forecast: startForecast(atMs),
    burst: null,
    cycle_day: 0,
    cycle: null,
  };
}

/** Adds a failure. One that comes late, out of order, is counted and teaches the sequential tests nothing. */
export function addToHistory(before: History, atMs: number, options: HistoryOptions): History {
  const isLate = atMs < before.last_ms;
  const total = before.total + 1;
  const hours = countEvent(before.hours, atMs);
  const recent = inserted(before.recent, atMs);
  const counted = { ...before, total, hours, recent, first_ms: Math.min(before.first_ms, atMs) };
  if (isLate) return counted;
  const day = Math.floor(atMs / DAY_MS);
  const isNewDay = day > before.cycle_day;
  return {
    ...counted,
    last_ms: atMs,
    cusum: addToCusum(before.cusum, atMs, counted.first_ms),
    forecast: addToForecast(before.forecast, atMs, options.horizonMs, options.gapsMin),
    burst: burstAtEnd(recent, total, counted.first_ms) ?? before.burst,
    cycle_day: isNewDay ? day : before.cycle_day,
    // Once a day, and the level shared among the looks: who looks often enough finds anything.
    cycle: isNewDay ? dailyCycle(hours, options.level / LOOKS, options.zones ?? UTC) : before.cycle,
  };
}

/** What can be said now. A burst is told for an hour, an extraordinary day for a day after its last failure. */
export function findingsIn(history: History, nowMs: number, options: FindingOptions): Findings {
  const { burst, hours, first_ms, last_ms } = history;
  return {
    burst: burst !== null && nowMs - burst.toMs <= HOUR_MS ? burst : null,
    anomaly: nowMs - last_ms <= DAY_MS ? anomalyOn(hours, first_ms, last_ms, options.anomaly) : null,
    cycle: history.cycle,
    rateChange: rateChangeAt(history.cusum, nowMs, history.first_ms),
    forecast: forecastAt(history.forecast, nowMs, options.chance),
  };
}

function inserted(recent: readonly number[], atMs: number): readonly number[] {
  let at = recent.length;
  while (at > 0 && (recent[at - 1] as number) > atMs) at -= 1;
  const next = [...recent.slice(0, at), atMs, ...recent.slice(at)];
  return next.length > RECENT_MAX ? next.slice(-RECENT_MAX) : next;
}
