/** Whether forecasts are better than knowing only how often something happens. @module */

/** Sums over the forecasts that came due, plain JSON. */
export interface Skill {
  readonly forecasts: number;
  readonly events: number;
  /** Sum of (p − o)² of the forecasts. */
  readonly brier: number;
  /** The same of climatology: the share of windows with an event so far. */
  readonly climatology: number;
  /** Sum of squared differences between the two, for how sure one may be. */
  readonly squares: number;
}

export const NO_SKILL: Skill = { forecasts: 0, events: 0, brier: 0, climatology: 0, squares: 0 };

/** How many standard errors better than climatology a forecast must be: it is asked again at every failure. */
const SURE = 3.5;
const FORECASTS_MIN = 40;
const EVENTS_MIN = 8;

/** What climatology says before the next window: (k + 1) / (n + 2), Laplace's rule. */
export function climatologyOf(skill: Skill): number {
  return (skill.events + 1) / (skill.forecasts + 2);
}

/** Scores one forecast whose window has passed. */
export function score(before: Skill, chance: number, happened: boolean): Skill {
  const outcome = happened ? 1 : 0;
  const usual = (climatologyOf(before) - outcome) ** 2;
  const ours = (chance - outcome) ** 2;
  return {
    forecasts: before.forecasts + 1,
    events: before.events + outcome,
    brier: before.brier + ours,
    climatology: before.climatology + usual,
    squares: before.squares + (usual - ours) ** 2,
  };
}

/**
 * The Brier skill score 1 − BS / BS(climatology): 1 is perfect, 0 no better than climatology; null before the first.
 *
 * @see Brier, Monthly Weather Review 78 (1950), 1-3; Wilks, Statistical Methods in the Atmospheric Sciences, section 8.4
 */
export function brierSkill(skill: Skill): number | null {
  return skill.climatology === 0 ? null : 1 - skill.brier / skill.climatology;
}

/** Whether the forecasts are better than climatology, and not by chance. */
export function isSkilled(skill: Skill): boolean {
  if (skill.forecasts < FORECASTS_MIN || skill.events < EVENTS_MIN) return false;
  const mean = (skill.climatology - skill.brier) / skill.forecasts;
  const variance = skill.squares / skill.forecasts - mean ** 2;
  return mean > 0 && mean >= SURE * Math.sqrt(Math.max(0, variance) / skill.forecasts);
}
