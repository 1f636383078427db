/** How late a daemon's loop comes, measured by a timer that should fire at a fixed pace. @module */

/** Readers need not be told of less: a file is not rewritten for the jitter of a timer. */
const NOTED_MS = 50;

/**
 * Keeps the worst lag since it was asked last.
 *
 * The lag of one pulse alone would hide most stalls: figures are written at every fifth.
 */
export class LoopLag {
  readonly #paceMs: number;
  #dueMs = Number.POSITIVE_INFINITY;
  #worstMs = 0;
  #notedMs = 0;

  /** @param paceMs The time between two pulses. */
  constructor(paceMs: number) {
    this.#paceMs = paceMs;
  }

  /** What was noted last; 0 to begin with. */
  get notedMs(): number {
    return this.#notedMs;
  }

  /** The timer is set now. */
  begin(nowMs: number): void {
    this.#dueMs = nowMs + this.#paceMs;
  }

  /** The timer has fired. @param nowMs On a clock that does not step. */
  pulse(nowMs: number): void {
    this.#worstMs = Math.max(this.#worstMs, Math.round(nowMs - this.#dueMs));
    this.#dueMs = nowMs + this.#paceMs;
  }

  /** The worst of late, in milliseconds; the next answer is about what comes after this one. */
  take(): number {
    const worstMs = this.#worstMs;
    this.#worstMs = 0;
    return worstMs;
  }

  /** Whether a lag differs enough from the one that was noted last to be noted in its place. */
  isWorthNoting(lagMs: number): boolean {
    return Math.abs(lagMs - this.#notedMs) >= NOTED_MS;
  }

  noted(lagMs: number): void {
    this.#notedMs = lagMs;
  }
}
