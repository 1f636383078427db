/** Keeps the processor for those who wait, when many wait at once. @module */
import { compileInBackground } from "./heap.js";

/** Deaths that follow each other more closely are a rush. */
const APART_MS = 50;
/** For so long after the last death nothing is compiled. */
const CALM_MS = 100;
/** In a longer rush, what is compiled pays. */
const RUSH_MS_MAX = 500;

export interface RushOptions {
  /** The monotonic clock, milliseconds. */
  readonly now?: () => number;
  /** Called with false when a rush begins, and with true when it is over. */
  readonly compile?: (allowed: boolean) => void;
}

/** Whoever is told of deaths. */
export interface DeathNotes {
  /** Notes that a worker has died, or may have: a restart is asked for. */
  died(): void;
}

/**
 * Puts off V8's optimizing compiler while many workers die at once.
 *
 * It runs in threads beside the daemon, and takes the processor from workers that are being started: of a hundred
 * deaths, a twelfth of all that both daemons take, for code that is no more than begun when the last one is back (docs/decisions/rush.md).
 */
export class Rush implements DeathNotes {
  readonly #now: () => number;
  readonly #compile: (allowed: boolean) => void;
  #firstMs = Number.NEGATIVE_INFINITY;
  #lastMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;

  constructor({ now = () => performance.now(), compile = compileInBackground }: RushOptions = {}) {
    this.#now = now;
    this.#compile = compile;
  }

  died(): void {
    const nowMs = this.#now();
    if (nowMs - this.#lastMs > CALM_MS) this.#firstMs = nowMs;
    const isRush = nowMs - this.#lastMs < APART_MS && nowMs - this.#firstMs < RUSH_MS_MAX;
    this.#lastMs = nowMs;
    if (!isRush || this.#timer !== null) return;
    this.#compile(false);
    this.#await(CALM_MS);
  }

  #await(ms: number): void {
    this.#timer = setTimeout(() => this.#look(), ms).unref();
  }

  #look(): void {
    const nowMs = this.#now();
    const leftMs = Math.min(this.#lastMs + CALM_MS, this.#firstMs + RUSH_MS_MAX) - nowMs;
    if (leftMs > 0) return this.#await(Math.ceil(leftMs));
    this.#timer = null;
    this.#compile(true);
  }
}
