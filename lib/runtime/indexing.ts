/** Makes the indexes of a daemon's rotated logs, 64 KiB at a time, so that its loop is not kept waiting. @module */
import { weatherCode } from "../platform/files.js";
import type { Log } from "../platform/log.js";
import type { DaemonName } from "../schema/records.js";
import type { Layout } from "../store/layout.js";
import { makeIndex, withoutIndex } from "../store/log-index.js";

/** Between two pieces, of which each takes a few milliseconds. */
const PAUSE_MS = 20;

export class Indexing {
  readonly #layout: Layout;
  readonly #daemon: DaemonName;
  readonly #log: Log;
  #timer: NodeJS.Timeout | null = null;
  #isPutOff = false;
  #steps: Iterator<undefined, void> | null = null;

  constructor(layout: Layout, daemon: DaemonName, log: Log) {
    this.#layout = layout;
    this.#daemon = daemon;
    this.#log = log;
  }

  /** Begins with a rotated log that has no index, unless one is in hand. A kill loses the one in hand, and no more. */
  look(): void {
    if (this.#steps !== null) return;
    const [next] = withoutIndex(this.#layout, this.#daemon);
    if (next === undefined) return;
    this.#steps = makeIndex(next.file, next.field);
    this.#go();
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#steps?.return?.();
    this.#steps = null;
  }

  #go(): void {
    this.#timer = setTimeout(() => this.#step(), PAUSE_MS).unref();
  }

  #step(): void {
    try {
      if (this.#steps?.next().done === false) return this.#go();
    } catch (error) {
      const code = weatherCode(error);
      if (code === null) throw error;
      // Without an index its log is searched byte by byte; it is tried again when the weather is better.
      if (!this.#isPutOff) this.#log.warn({ code }, "the index of a rotated log is put off");
      this.#isPutOff = true;
      this.#steps = null;
      return;
    }
    this.#isPutOff = false;
    this.#steps = null;
  }
}
