/** A running forecast of one series of failures, scored against what then happened before it may be shown. @module */
import { chanceWithin, timeUntil } from "./hazard.js";
import { brierSkill, isSkilled, NO_SKILL, type Skill, score } from "./skill.js";

/** What is kept between failures, plain JSON. */
export interface ForecastState {
  /** The last gaps, oldest first. */
  readonly gaps_ms: readonly number[];
  readonly last_ms: number;
  /** Windows up to this instant have been scored. */
  readonly scored_ms: number;
  readonly skill: Skill;
}

export interface Forecast {
  /** The next failure comes before this instant with the chance given. */
  readonly beforeMs: number;
  readonly chance: number;
  readonly skill: number;
  readonly samples: number;
}

const GAPS_MAX = 60;
/** Windows that one failure lets be scored; of a longer silence the rest goes unscored. */
const WINDOWS_MAX = 400;

export function startForecast(atMs: number): ForecastState {
  return { gaps_ms: [], last_ms: atMs, scored_ms: atMs, skill: NO_SKILL };
}

/**
 * Takes the next failure in. Every window of the horizon's length since the last one is scored with what was known then.
 *
 * @param gapsMin So many gaps must be known before forecasts are made.
 */
export function addToForecast(before: ForecastState, atMs: number, horizonMs: number, gapsMin: number): ForecastState {
  if (atMs <= before.last_ms) return before;
  let { skill, scored_ms } = before;
  if (before.gaps_ms.length < gapsMin) scored_ms = atMs;
  for (let windows = 0; scored_ms < atMs; windows++) {
    if (windows >= WINDOWS_MAX) {
      scored_ms = atMs;
      break;
    }
    const chance = chanceWithin(before.gaps_ms, Math.max(0, scored_ms - before.last_ms), horizonMs);
    skill = score(skill, chance, atMs <= scored_ms + horizonMs);
    scored_ms += horizonMs;
  }
  const gaps = [...before.gaps_ms, atMs - before.last_ms].slice(-GAPS_MAX);
  return { gaps_ms: gaps, last_ms: atMs, scored_ms, skill };
}

/**
 * The forecast as of now: the earliest instant before which the next failure comes with the chance asked for.
 *
 * Null unless forecasts of this series have been better than climatology, and where too few gaps are known to be so sure.
 */
export function forecastAt(state: ForecastState, nowMs: number, chanceMin: number): Forecast | null {
  if (!isSkilled(state.skill)) return null;
  const ageMs = Math.max(0, nowMs - state.last_ms);
  // Of n gaps that lasted as long, none lasting longer, the next one still does with a chance of 1 in n + 1.
  const alike = state.gaps_ms.filter((gap) => gap > ageMs).length;
  const sureness = alike / (alike + 1);
  const waitMs = timeUntil(state.gaps_ms, ageMs, chanceMin / sureness);
  if (waitMs === null) return null;
  const chance = chanceWithin(state.gaps_ms, ageMs, waitMs) * sureness;
  return { beforeMs: nowMs + waitMs, chance, skill: brierSkill(state.skill) ?? 0, samples: state.skill.forecasts };
}
