/**
 * Tells whether any thread was born or has died in the whole kernel.
 *
 * The kernel counts births (`processes` in /proc/stat, which only grows) and threads (/proc/loadavg). Where both are what
 * they were, nobody has died, and a thousand processes need not be asked whether they are still there. On a host where
 * something starts every second this never holds, and costs three reads.
 * @module
 */
import { readFileSync, statSync } from "node:fs";
import { systemCode } from "../errors.js";

type Counter = "threads" | "births";

const COUNTERS: Readonly<Record<Counter, { readonly path: string; readonly pattern: RegExp }>> = {
  threads: { path: "/proc/loadavg", pattern: /^\S+ \S+ \S+ \d+\/(\d+) / },
  births: { path: "/proc/stat", pattern: /^processes (\d+)$/m },
};

export class Stillness {
  readonly #read: (counter: Counter) => number | null;
  #known: { readonly threads: number; readonly births: number } | null = null;

  /** @param read Reads a counter; null where it cannot be had or believed. The kernel's own unless said otherwise. */
  constructor(read: (counter: Counter) => number | null = kernelReader()) {
    this.#read = read;
  }

  /** Whether nobody has died since an earlier look that said otherwise, or the first. */
  look(): boolean {
    // In this order: births that were counted after the threads cannot hide among them that somebody has died.
    const threads = this.#read("threads");
    const births = this.#read("births");
    if (threads === null || births === null) {
      this.#known = null;
      return false;
    }
    if (this.#known?.threads === threads && this.#known.births === births) return true;
    // What is remembered must have been counted the other way around, for the same reason.
    const after = this.#read("threads");
    this.#known = after === null ? null : { threads: after, births };
    return false;
  }
}

/** Containers may put files of their own making over the kernel's, which are seconds old. */
function kernelReader(): (counter: Counter) => number | null {
  const isKernels = isOfProc(COUNTERS.threads.path) && isOfProc(COUNTERS.births.path);
  return (counter) => (isKernels ? read(COUNTERS[counter].path, COUNTERS[counter].pattern) : null);
}

function isOfProc(path: string): boolean {
  try {
    return statSync(path).dev === statSync("/proc").dev;
  } catch (error) {
    if (systemCode(error) === null) throw error;
    return false;
  }
}

function read(path: string, pattern: RegExp): number | null {
  try {
    const found = Number(pattern.exec(readFileSync(path, "latin1"))?.[1]);
    return found > 0 ? found : null;
  } catch (error) {
    if (systemCode(error) === null) throw error;
    return null;
  }
}
