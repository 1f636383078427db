/**
 * How bad a pattern is: how many it hits, how often, and for how long nobody recovers. Says nothing of how sure it is.
 * @module
 */

export type Level = "low" | "medium" | "high" | "critical";
const LEVELS: readonly Level[] = ["low", "medium", "high", "critical"];

export interface Burden {
  /** Workers that failed within the window. */
  readonly workers: number;
  readonly ratePerHour: number;
  /** Workers that are not well again. */
  readonly open: number;
  /** The longest time that one of them has been so, milliseconds. */
  readonly unrecoveredMs: number;
}

const HOUR_MS = 3_600_000;

/**
 * The burden as one figure: blast radius × rate × time unrecovered, each on a logarithm of its own.
 *
 * Logarithms, because ten workers are worse than one but not ten times as urgent; in the product of the three each factor is at
 * least 1, so that one large factor alone counts and three large ones count threefold.
 */
export function burdenScore(burden: Burden): number {
  const radius = 1 + Math.log10(Math.max(1, burden.workers));
  const rate = 1 + Math.log10(Math.max(1, burden.ratePerHour));
  const unrecoveredHours = burden.open === 0 ? 0 : burden.unrecoveredMs / HOUR_MS;
  const unrecovered = 1 + Math.log10(1 + Math.max(0, unrecoveredHours)) * Math.min(1, burden.open / 2);
  return radius * rate * unrecovered;
}

/** The severity: a category's own, raised one step from a score of 3 on and two from 6 on. */
export function severityOf(usual: Level, burden: Burden): Level {
  const score = burdenScore(burden);
  const steps = score >= 6 ? 2 : score >= 3 ? 1 : 0;
  return LEVELS[Math.min(LEVELS.length - 1, LEVELS.indexOf(usual) + steps)] as Level;
}

export function compareLevels(a: Level, b: Level): number {
  return LEVELS.indexOf(a) - LEVELS.indexOf(b);
}
