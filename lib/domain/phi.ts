/**
 * The phi accrual failure detector: how surprising is a silence, given the gaps seen before it?
 *
 * The gaps are kept as a histogram of fixed size with their sums; old ones fade. The same histogram is what a
 * backtest of other thresholds needs.
 * @see Hayashibara, Défago, Yared, Katayama: The φ Accrual Failure Detector, SRDS 2004
 * @module
 */
import type { Thresholds } from "./thresholds.js";

/** Gaps between beats; plain JSON. */
export interface GapHistogram {
  /** Pairs of bucket and count, by bucket; see `gapBucketMs` for what a bucket holds. */
  readonly buckets: readonly (readonly [bucket: number, count: number])[];
  readonly count: number;
  readonly sum_ms: number;
  readonly sum_squares: number;
}

export const GAPS_NONE: GapHistogram = { buckets: [], count: 0, sum_ms: 0, sum_squares: 0 };

/** At this many gaps all weights are halved: what was learned long ago fades, and the state stays small. */
export const GAPS_MAX = 1_000;

/** Fewer gaps than this say nothing; the fixed time-out holds. */
export const GAPS_MIN = 20;

/** Suspicion at which a worker is critical: about one false alarm in 10^8 beats, were gaps normally distributed. */
export const PHI_MAX = 8;

/** Quarter octaves from 1 ms: neighbours differ by 19 %; bucket 106 begins at 26 hours. */
const BUCKETS_IN_OCTAVE = 4;
const BUCKET_MAX = 106;

/** Real gaps are never as regular as a short sample looks; the spread is taken as at least this share of the interval. */
const SPREAD_SHARE_MIN = 0.25;

/** The shortest gap that falls into a bucket. */
export function gapBucketMs(bucket: number): number {
  return 2 ** (bucket / BUCKETS_IN_OCTAVE);
}

/** The bucket into which a gap falls. */
export function gapBucketOf(gapMs: number): number {
  return Math.min(BUCKET_MAX, Math.max(0, Math.floor(Math.log2(gapMs) * BUCKETS_IN_OCTAVE)));
}

/** Adds one gap between two beats. Anything but a positive duration is left out. */
export function addGap(gaps: GapHistogram, gapMs: number): GapHistogram {
  if (!(gapMs > 0 && Number.isFinite(gapMs))) return gaps;
  const room = gaps.count >= GAPS_MAX ? faded(gaps) : gaps;
  const bucket = gapBucketOf(gapMs);
  const known = room.buckets.find(([each]) => each === bucket)?.[1] ?? 0;
  const others = room.buckets.filter(([each]) => each !== bucket);
  return {
    buckets: [...others, [bucket, known + 1] as const].sort(([a], [b]) => a - b),
    count: room.count + 1,
    sum_ms: room.sum_ms + gapMs,
    sum_squares: room.sum_squares + gapMs * gapMs,
  };
}

/**
 * Computes phi: minus the decimal logarithm of the chance that a beat is still to come after this silence.
 *
 * The normal tail is approximated by a logistic curve, good to 1.4e-4 and, unlike the tail itself, still a number
 * for long silences.
 *
 * @returns 0 or more; 0 while too few gaps are known.
 * @see https://doi.org/10.3926/jiem.2009.v2n1.p114-127 for 1.5976 y + 0.070566 y³ (Bowling et al., 2009)
 */
export function phi(gaps: GapHistogram, silentMs: number, intervalMs: number): number {
  if (gaps.count < GAPS_MIN) return 0;
  const mean = gaps.sum_ms / gaps.count;
  const variance = Math.max(0, gaps.sum_squares / gaps.count - mean * mean);
  const spread = Math.max(Math.sqrt(variance), SPREAD_SHARE_MIN * intervalMs);
  const y = (silentMs - mean) / spread;
  const logit = y * (1.5976 + 0.070566 * y * y);
  // log10(1 + e^logit), written so that neither a large nor a small exponent overflows.
  return logit > 0 ? (logit + Math.log1p(Math.exp(-logit))) / Math.LN10 : Math.log1p(Math.exp(logit)) / Math.LN10;
}

/**
 * Gives the silence at which phi reaches its limit: never less than half the time-out, however regular the beats;
 * never more than the zombie threshold, however irregular. With too few gaps, the fixed time-out.
 */
export function phiSuspectMs(gaps: GapHistogram, thresholds: Thresholds, phiMax: number = PHI_MAX): number {
  const { intervalMs, timeoutMs, zombieMs } = thresholds;
  if (gaps.count < GAPS_MIN) return timeoutMs;
  let low = timeoutMs / 2;
  let high = zombieMs;
  if (phi(gaps, low, intervalMs) >= phiMax) return low;
  if (phi(gaps, high, intervalMs) < phiMax) return high;
  // Phi only grows with silence, so halving finds the place; to the millisecond.
  while (high - low > 1) {
    const middle = (low + high) / 2;
    if (phi(gaps, middle, intervalMs) >= phiMax) high = middle;
    else low = middle;
  }
  return Math.min(zombieMs, Math.ceil(high));
}

function faded(gaps: GapHistogram): GapHistogram {
  return {
    buckets: gaps.buckets.map(([bucket, count]) => [bucket, count / 2] as const).filter(([, count]) => count >= 0.5),
    count: gaps.count / 2,
    sum_ms: gaps.sum_ms / 2,
    sum_squares: gaps.sum_squares / 2,
  };
}
