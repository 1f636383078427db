/** Many failures within minutes where few are usual. @module */
import { poissonTail, poissonTerm } from "./poisson.js";

export interface Burst {
  readonly occurrences: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly p_value: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** What lasts longer is a change of the rate. */
const BURST_MS_MAX = HOUR_MS;
const OCCURRENCES_MIN = 5;
/**
 * How unlikely it must be. Every failure and up to 60 windows behind it are looked at, some ten thousand in four weeks, of
 * which most overlap: one burst in a hundred such streams without any.
 */
const P_MAX = 1e-6;

/**
 * Whether the last failures are a burst: the scan of all windows that end with the latest one.
 *
 * After its first failure a window of length t is expected to hold λt more. λ is taken from what came before the window, with
 * one failure and at least a day added: of a pattern that begins with a burst nothing else is known.
 *
 * @param recent Instants in order, the latest last.
 * @param total All failures since `firstMs`.
 * @see Naus, Journal of the American Statistical Association 60 (1965), 532-538, for the scan statistic
 */
export function burstAtEnd(recent: readonly number[], total: number, firstMs: number): Burst | null {
  const toMs = recent.at(-1);
  if (toMs === undefined) return null;
  let best: Burst | null = null;
  for (let index = recent.length - OCCURRENCES_MIN; index >= 0; index--) {
    const fromMs = recent[index] as number;
    if (toMs - fromMs > BURST_MS_MAX) break;
    const occurrences = recent.length - index;
    const before = Math.max(0, total - occurrences);
    const rate = (before + 1) / Math.max(DAY_MS, fromMs - firstMs);
    const expected = rate * Math.max(1000, toMs - fromMs);
    // The tail is more than its first term, and most windows need no more than that.
    if (poissonTerm(occurrences - 1, expected) > (best?.p_value ?? P_MAX)) continue;
    const p = poissonTail(occurrences - 1, expected);
    if (p < P_MAX && (best === null || p <= best.p_value)) best = { occurrences, fromMs, toMs, p_value: p };
  }
  return best;
}
