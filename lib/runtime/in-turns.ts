/** Long work in short turns: what falls due meanwhile is not kept waiting. @module */

/** Longest turn. A verdict is wanted within 10 ms, and a turn may be followed by another source's. */
const TURN_MS = 2;

export interface Turns<T> {
  readonly each: (item: T) => void;
  /** Called after the last, with the milliseconds that all turns took together. */
  readonly done: (tookMs: number) => void;
  /** Runs a turn; false if it came to nothing: then the rest is left, and `givenUp` is called. */
  readonly within: (turn: () => void) => boolean;
  readonly givenUp: () => void;
}

/**
 * Does something for each of many, a few milliseconds at a time; between two turns the loop does what is due.
 *
 * What takes one turn is done when this returns. What was true of an item when this was called need not be true any more
 * when its turn comes.
 */
export function inTurns<T>(items: readonly T[], { each, done, within, givenUp }: Turns<T>): void {
  let next = 0;
  let tookMs = 0;
  const some = (): void => {
    const begunMs = performance.now();
    let nowMs = begunMs;
    while (next < items.length && nowMs < begunMs + TURN_MS) {
      each(items[next++] as T);
      nowMs = performance.now();
    }
    tookMs += nowMs - begunMs;
    if (next >= items.length) done(tookMs);
  };
  const turn = (): void => {
    if (!within(some)) givenUp();
    else if (next < items.length) setImmediate(turn);
  };
  turn();
}
