/** Which kinds of failure follow each other more often than chance would have it. @module */
import { benjaminiHochberg, poissonTail } from "./poisson.js";

/** Plain JSON; bounded in both its lists. */
export interface PairsState {
  readonly kinds: Readonly<Record<string, KindSeen>>;
  /** By the two kinds, separated by `>`. */
  readonly pairs: Readonly<Record<string, PairSeen>>;
}

interface KindSeen {
  readonly first_ms: number;
  readonly last_ms: number;
  /** The last one with a quiet window before it, and how many there were. */
  readonly onset_ms: number;
  readonly onsets: number;
}

interface PairSeen {
  readonly count: number;
  readonly lag_ms: number;
}

export interface PairFound {
  readonly first: string;
  readonly second: string;
  readonly count: number;
  readonly expected: number;
  readonly p_value: number;
  readonly lagMs: number;
}

export const NO_PAIRS: PairsState = { kinds: {}, pairs: {} };
const KINDS_MAX = 60;
const PAIRS_MAX = 600;
/** So much more is let grow before it is cut, so that not every failure pays for it. */
const SLACK = 1.25;
/** A kind that was seen once follows nothing yet: a storm of failures that are all different makes no pairs. */
const ONSETS_MIN = 2;
/** At most this share of the pairs told is chance, at each time one looks; and one looks often. */
const FALSE_SHARE = 0.002;

/** Pairs that are being written: many failures come at once, and what is kept is copied once for all of them. */
export interface PairsBook {
  /** The kind that failed last is the last one. */
  readonly kinds: Map<string, KindSeen>;
  readonly pairs: Map<string, PairSeen>;
}

export function openPairs(state: PairsState): PairsBook {
  return { kinds: new Map(Object.entries(state.kinds)), pairs: new Map(Object.entries(state.pairs)) };
}

export function closePairs(book: PairsBook): PairsState {
  return { kinds: Object.fromEntries(book.kinds), pairs: Object.fromEntries(book.pairs) };
}

/** Takes one failure in; see {@link enterPair}. */
export function addToPairs(before: PairsState, kind: string, atMs: number, windowMs: number): PairsState {
  const book = openPairs(before);
  enterPair(book, kind, atMs, windowMs);
  return closePairs(book);
}

/**
 * Writes a failure into the book. Counted are onsets, failures with a quiet window of their own kind before them: what crashes
 * a hundred times in a minute has begun once.
 */
export function enterPair(book: PairsBook, kind: string, atMs: number, windowMs: number): void {
  const known = book.kinds.get(kind);
  const isOnset = known === undefined || atMs - known.last_ms > windowMs;
  const seen: KindSeen = {
    first_ms: known?.first_ms ?? atMs,
    last_ms: Math.max(known?.last_ms ?? atMs, atMs),
    onset_ms: isOnset ? atMs : known.onset_ms,
    onsets: (known?.onsets ?? 0) + (isOnset ? 1 : 0),
  };
  if (isOnset && seen.onsets >= ONSETS_MIN) enterOnset(book, kind, atMs, windowMs);
  book.kinds.delete(kind);
  book.kinds.set(kind, seen);
  if (book.kinds.size > KINDS_MAX * SLACK || book.pairs.size > PAIRS_MAX * SLACK) cut(book);
}

function enterOnset(book: PairsBook, kind: string, atMs: number, windowMs: number): void {
  for (const [other, seen] of book.kinds) {
    const lagMs = atMs - seen.onset_ms;
    if (other === kind || seen.onsets < ONSETS_MIN || lagMs <= 0 || lagMs > windowMs) continue;
    const key = `${other}>${kind}`;
    const known = book.pairs.get(key);
    book.pairs.set(key, { count: (known?.count ?? 0) + 1, lag_ms: (known?.lag_ms ?? 0) + lagMs });
  }
}

/** The kind that was quiet for longest goes first, and its pairs with it. */
function cut({ kinds, pairs }: PairsBook): void {
  for (const kind of kinds.keys()) {
    if (kinds.size <= KINDS_MAX) break;
    kinds.delete(kind);
  }
  for (const key of pairs.keys()) if (!key.split(">").every((kind) => kinds.has(kind))) pairs.delete(key);
  for (const key of pairs.keys()) {
    if (pairs.size <= PAIRS_MAX) break;
    pairs.delete(key);
  }
}

/**
 * The pairs that are no chance: with n onsets of the second kind, n(1 − e^(−λw)) are expected to have one of the first within
 * the window w before them. The Poisson tail of what was counted is held against Benjamini and Hochberg's bound over all pairs
 * that there could be.
 *
 * "Twice as often as expected" is no test: most of such pairs expect less than one.
 */
export function pairsIn(state: PairsState, nowMs: number, windowMs: number, countMin: number): readonly PairFound[] {
  const all = Object.entries(state.pairs).flatMap(([key, { count, lag_ms }]): PairFound[] => {
    const [first = "", second = ""] = key.split(">");
    const a = state.kinds[first];
    const b = state.kinds[second];
    if (a === undefined || b === undefined || count < countMin) return [];
    const watchedMs = Math.max(windowMs, nowMs - Math.min(a.first_ms, b.first_ms));
    const expected = b.onsets * (1 - Math.exp((-a.onsets * windowMs) / watchedMs));
    const p_value = poissonTail(count, expected);
    return [{ first, second, count, expected, p_value, lagMs: lag_ms / count }];
  });
  const kinds = Object.keys(state.kinds).length;
  const believed = benjaminiHochberg(
    all.map((pair) => pair.p_value),
    FALSE_SHARE,
    Math.max(1, kinds * (kinds - 1)),
  );
  return all.filter((_, index) => believed[index]);
}
