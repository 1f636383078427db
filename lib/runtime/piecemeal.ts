/** Long work piece by piece: what falls due meanwhile is not kept waiting. @module */

/** Longest piece. A verdict is wanted within 10 ms, and a piece may be followed by another source's. */
const PIECE_MS = 2;

export interface Piecemeal<T> {
  readonly each: (item: T) => void;
  /** Called after the last, with the milliseconds that all pieces took together. */
  readonly done: (tookMs: number) => void;
  /** Does a piece; false if it came to nothing: then the rest is left, and `givenUp` is called. */
  readonly within: (piece: () => void) => boolean;
  readonly givenUp: () => void;
}

/**
 * Does something for each of many, a few milliseconds at a time; between two pieces the loop does what is due.
 *
 * What takes one piece is done when this returns. What was true of an item when this was called need not be true any more
 * when it comes to it.
 */
export function piecemeal<T>(items: readonly T[], { each, done, within, givenUp }: Piecemeal<T>): void {
  let next = 0;
  let tookMs = 0;
  const piece = (): void => {
    const begunMs = performance.now();
    let nowMs = begunMs;
    while (next < items.length && nowMs < begunMs + PIECE_MS) {
      each(items[next++] as T);
      nowMs = performance.now();
    }
    tookMs += nowMs - begunMs;
    if (next >= items.length) done(tookMs);
  };
  const proceed = (): void => {
    if (!within(piece)) givenUp();
    else if (next < items.length) setImmediate(proceed);
  };
  proceed();
}

/**
 * Does work that yields after each of its steps, a few milliseconds at a time; between two pieces the loop does what is due.
 *
 * @param isOver Asked between two pieces: the rest is left then.
 * @returns What the work returns; null if it was left.
 * @throws What a step throws.
 */
export async function inPieces<T>(work: Iterator<unknown, T>, isOver: () => boolean): Promise<T | null> {
  for (;;) {
    const endMs = performance.now() + PIECE_MS;
    do {
      const step = work.next();
      if (step.done === true) return step.value;
    } while (performance.now() < endMs);
    await new Promise((resolve) => setImmediate(resolve));
    if (isOver()) return null;
  }
}
