/**
 * How far a fix is trusted: the lower bound of a Beta posterior over its verdicts.
 *
 * The registry's score is the prior, stated as such: it is turned into the Beta distribution of a fixed weight whose own
 * lower bound is that score. So a fix begins exactly at its score, an effective verdict raises it, an ineffective one
 * lowers it, and what is old or long followed by others fades back towards the prior. Inconclusive verdicts count nothing.
 *
 * @module
 */
import { logGamma } from "./statistics/poisson.js";

export interface PastVerdict {
  readonly effective: boolean;
  readonly at_ms: number;
}

/** The chance that the true share of effective fixes lies below the bound. */
const BELOW = 0.05;
/** How many verdicts the registry's word is worth at first, how it fades with each verdict, and what always stays of it. */
const PRIOR_WEIGHT = 12;
const PRIOR_KEPT = 0.96;
const PRIOR_WEIGHT_MIN = 4;
/** After so long a verdict counts half. */
const HALF_LIFE_MS = 60 * 86_400_000;
/** Each later verdict takes this from the weight of an earlier one: what turned harmful is not saved by its past. */
const KEPT_PER_VERDICT = 0.985;
/** An ineffective one tells more about today than many effective ones about the past. */
const KEPT_PER_FAILURE = 0.93;
export const VERDICTS_MAX = 200;

export interface Confidence {
  /** The registry's score. */
  readonly prior: number;
  readonly effective: number;
  readonly ineffective: number;
  /** What the safety band is asked with. */
  readonly bound: number;
}

/**
 * @param minSamples Below so many verdicts the bound only falls: a few lucky ones raise nothing.
 */
export function confidenceOf(
  prior: number,
  verdicts: readonly PastVerdict[],
  nowMs: number,
  minSamples: number,
): Confidence {
  const effective = verdicts.filter((each) => each.effective).length;
  const counts = { prior, effective, ineffective: verdicts.length - effective };
  if (verdicts.length === 0) return { ...counts, bound: prior };
  const { good, bad } = weighted(verdicts, nowMs);
  const mean = priorMean(prior);
  const weight = Math.max(PRIOR_WEIGHT_MIN, PRIOR_WEIGHT * PRIOR_KEPT ** verdicts.length);
  const bound = betaQuantile(BELOW, mean * weight + good, (1 - mean) * weight + bad);
  return { ...counts, bound: verdicts.length < minSamples ? Math.min(prior, bound) : bound };
}

function weighted(verdicts: readonly PastVerdict[], nowMs: number): { good: number; bad: number } {
  let good = 0;
  let bad = 0;
  for (const { effective, at_ms } of [...verdicts].sort((a, b) => a.at_ms - b.at_ms).slice(-VERDICTS_MAX)) {
    const kept = effective ? KEPT_PER_VERDICT : KEPT_PER_FAILURE;
    const age = 0.5 ** (Math.max(0, nowMs - at_ms) / HALF_LIFE_MS);
    good = good * kept + (effective ? age : 0);
    bad = bad * kept + (effective ? 0 : age);
  }
  return { good, bad };
}

const MEANS = new Map<number, number>();
const MEANS_MAX = 1000;

/** The mean of the prior whose lower bound is the score; remembered, because the search takes a thousand steps. */
function priorMean(score: number): number {
  const known = MEANS.get(score);
  if (known !== undefined) return known;
  const mean = searchMean(score);
  if (MEANS.size < MEANS_MAX) MEANS.set(score, mean);
  return mean;
}

function searchMean(score: number): number {
  let low = 0.001;
  let high = 0.9999;
  for (let step = 0; step < 30; step++) {
    const middle = (low + high) / 2;
    if (betaQuantile(BELOW, middle * PRIOR_WEIGHT, (1 - middle) * PRIOR_WEIGHT) < score) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** The value below which a Beta(a, b) variable lies with the given probability. */
export function betaQuantile(probability: number, a: number, b: number): number {
  let low = 0;
  let high = 1;
  for (let step = 0; step < 32; step++) {
    const middle = (low + high) / 2;
    if (betaCumulative(middle, a, b) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * The regularised incomplete beta function I_x(a, b).
 *
 * @see https://dlmf.nist.gov/8.17.E22 ; the continued fraction, by Lentz's method.
 */
export function betaCumulative(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x));
  // The fraction converges fast on its own side of the mean only.
  return x < (a + 1) / (a + b + 2) ? (front * fraction(x, a, b)) / a : 1 - (front * fraction(1 - x, b, a)) / b;
}

const TINY = 1e-300;
const TERMS_MAX = 500;

function fraction(x: number, a: number, b: number): number {
  let c = 1;
  let d = 1 / orTiny(1 - ((a + b) * x) / (a + 1));
  let result = d;
  for (let m = 1; m <= TERMS_MAX; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / orTiny(1 + even * d);
    c = orTiny(1 + even / c);
    result *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / orTiny(1 + odd * d);
    c = orTiny(1 + odd / c);
    const step = d * c;
    result *= step;
    if (Math.abs(step - 1) < 1e-11) break;
  }
  return result;
}

const orTiny = (value: number): number => (Math.abs(value) < TINY ? TINY : value);
