/** Tail probabilities of counts, and how many of them may be believed at once. @module */

/**
 * The natural logarithm of Γ(x), for x > 0, good to 15 digits.
 *
 * @see https://dlmf.nist.gov/5.11 ; Lanczos' approximation with g = 7 and nine coefficients (Godfrey's table).
 */
export function logGamma(x: number): number {
  const shifted = x - 1;
  const base = shifted + 7.5;
  let sum = 0.99999999999980993;
  // By index: an iterator here was a third of all that a storm of failures allocated.
  for (let index = 0; index < LANCZOS.length; index++) sum += (LANCZOS[index] as number) / (shifted + index + 1);
  return 0.5 * Math.log(2 * Math.PI) + (shifted + 0.5) * Math.log(base) - base + Math.log(sum);
}

const LANCZOS = [
  676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
  -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** The chance of exactly `count` events where `mean` are expected. */
export function poissonTerm(count: number, mean: number): number {
  return Math.exp(count * Math.log(mean) - mean - logGamma(count + 1));
}

/** The chance of at least `count` events where `mean` are expected: P(X ≥ count), X Poisson. */
export function poissonTail(count: number, mean: number): number {
  if (count <= 0) return 1;
  if (mean <= 0) return 0;
  // The shorter side is summed, so that neither tail is lost in rounding.
  if (count <= mean) {
    let below = 0;
    for (let k = count - 1; k >= 0; k--) {
      const term = poissonTerm(k, mean);
      below += term;
      if (term < below * 1e-17) break;
    }
    return Math.max(0, 1 - below);
  }
  let term = poissonTerm(count, mean);
  let sum = term;
  for (let k = count + 1; term > sum * 1e-17 && term > 0; k++) {
    term *= mean / k;
    sum += term;
  }
  return Math.min(1, sum);
}

/**
 * The chance of at least `count` successes in `trials` of probability `share`: P(X ≥ count), X binomial.
 *
 * With the share of time it is the conditional test of two Poisson rates.
 * @see Przyborowski and Wilenski, Biometrika 31 (1940), 313-323
 */
export function binomialTail(count: number, trials: number, share: number): number {
  if (count <= 0) return 1;
  if (count > trials || share <= 0) return 0;
  if (share >= 1) return 1;
  const logTerm = (k: number): number =>
    logGamma(trials + 1) -
    logGamma(k + 1) -
    logGamma(trials - k + 1) +
    k * Math.log(share) +
    (trials - k) * Math.log1p(-share);
  if (count <= trials * share) {
    let below = 0;
    for (let k = 0; k < count; k++) below += Math.exp(logTerm(k));
    return Math.min(1, Math.max(0, 1 - below));
  }
  const odds = share / (1 - share);
  return Math.min(
    1,
    sumDown(Math.exp(logTerm(count)), (k) => ((trials - k + 1) / k) * odds, count),
  );
}

/** Sums terms from `first` on, each made of the one before by a ratio, until they no longer count. */
function sumDown(first: number, ratio: (k: number) => number, count: number): number {
  let term = first;
  let sum = first;
  for (let k = count + 1; term > sum * 1e-17 && term > 0; k++) {
    term *= ratio(k);
    sum += term;
  }
  return Math.min(1, sum);
}

/**
 * Which of many tests may be believed so that at most a share `level` of those believed is wrong.
 *
 * @param tests How many tests were made in all, if more than are given here.
 * @see Benjamini and Hochberg, Journal of the Royal Statistical Society B 57 (1995), 289-300
 */
export function benjaminiHochberg(
  pValues: readonly number[],
  level: number,
  tests: number = pValues.length,
): readonly boolean[] {
  const sorted = [...pValues].sort((a, b) => a - b);
  let bound = -1;
  for (const [index, p] of sorted.entries()) if (p <= ((index + 1) / tests) * level) bound = p;
  return pValues.map((p) => p <= bound);
}
