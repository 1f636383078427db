/** Leaves a small host's processor to the process that a worker waits for. @module */
import { availableParallelism } from "node:os";

/** As long as worker-restart and a launcher take to bring a worker back on a host with two cores (docs/performance.md). */
const REST_MS = 4;
/** Of deaths that follow each other more closely, only the first is given way for: in a wave the next ones wait to be seen. */
const APART_MS = 50;
/** With more cores, there is one for whoever is needed. */
const CORES_MAX = 2;
const SLEEPER = new Int32Array(new SharedArrayBuffer(4));

export class GivingWay {
  readonly #isNeeded: boolean;
  readonly #now: () => number;
  #lastMs = Number.NEGATIVE_INFINITY;

  /** @param now The monotonic clock, milliseconds. */
  constructor(cores: number = availableParallelism(), now: () => number = () => performance.now()) {
    this.#isNeeded = cores <= CORES_MAX;
    this.#now = now;
  }

  /** Stands still for {@link REST_MS}, unless there are cores enough or it was asked to a moment ago. Returns whether it did. */
  rest(): boolean {
    const nowMs = this.#now();
    const sinceMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    if (!this.#isNeeded || sinceMs < APART_MS) return false;
    Atomics.wait(SLEEPER, 0, 0, REST_MS);
    return true;
  }
}
