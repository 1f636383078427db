/** Whether the host is shutting down, as systemd says it. @module */

import { execFile } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { systemCode } from "../errors.js";
import { type Watch, watchDirectory } from "./watching.js";

export type HostState = "running" | "stopping" | "unknown";

/** Changes whenever a unit starts or stops, so also within a millisecond after systemd has begun to take the host down. */
const UNITS_PATH = "/run/systemd/units";
const ANSWER_WITHIN_MS = 2000;
/** How old an answer may become while nothing hints at a change unless said otherwise, and where there is nothing that could hint. */
const ASKED_SELDOM_MS = 10_000;
const ASKED_OFTEN_MS = 1000;
/** The time between two questions at least: for a few it is the shortest, then it doubles to the longest. */
const APART_MS_MIN = 50;
const APART_MS_MAX = 1000;
const CLOSE_QUESTIONS = 5;
/** When nothing was asked for so long, they begin anew. Shorter than the time between two questions of a quiet host. */
const QUIET_MS = 5000;

export interface HostWatchOptions {
  /** Called when another state was answered than before. */
  readonly onChange: () => void;
  /** systemd unless said otherwise. */
  readonly ask?: (signal: AbortSignal) => Promise<HostState>;
  /** How old an answer may become while nothing hints at a change, in milliseconds; 10 s unless said otherwise. */
  readonly seldomMs?: number;
  /** What differs when the state may be another; null if that cannot be had. */
  readonly hint?: () => number | null;
  /** Calls back when it may be. */
  readonly watch?: (onHint: () => void) => Watch;
}

/**
 * Knows whether the host is shutting down, as of the latest answer.
 *
 * Asking costs a program and several milliseconds, so it is asked when something hints at a change, else seldom, and nobody
 * waits for the answer but who asks first.
 */
export class HostWatch {
  readonly #options: Required<HostWatchOptions>;
  readonly #aborting = new AbortController();
  readonly #watch: Watch;
  #state: HostState = "unknown";
  #askedMs = Number.NEGATIVE_INFINITY;
  #askedHint: number | null = null;
  /** How many questions are to be asked. */
  #wanted = 0;
  /** How many were asked since it was quiet. */
  #asked = 0;
  #isAsking = false;
  #timer: NodeJS.Timeout | null = null;
  #answered: () => void = () => {};
  /** Resolves with the first answer, after two seconds at most. */
  readonly first: Promise<void> = new Promise((resolve) => {
    this.#answered = resolve;
  });

  constructor(options: HostWatchOptions) {
    this.#options = {
      ask: askSystemd,
      seldomMs: ASKED_SELDOM_MS,
      hint: unitsChangedMs,
      watch: watchUnits,
      ...options,
    };
    this.#watch = this.#options.watch(() => this.#hinted());
  }

  /** `unknown` where no systemd runs, where it did not answer within 2 s, and before the first answer. */
  get state(): HostState {
    return this.#state;
  }

  /** To be called each second: asks if something hints at a change, or the answer is old. */
  look(): void {
    const hint = this.#options.hint();
    const oldMs = hint === null ? ASKED_OFTEN_MS : this.#options.seldomMs;
    // A timer that is a moment early must not put it off for a second.
    const isOld = performance.now() - this.#askedMs >= oldMs - ASKED_OFTEN_MS / 2;
    if (isOld || hint !== this.#askedHint) this.want();
  }

  /** Wants an answer to a question that is asked from now on; it is asked within a second. */
  want(): void {
    this.#wanted = Math.max(this.#wanted, 1);
    this.#askIfDue();
  }

  /** The first unit stops some hundredths of a second before systemd says so itself, and soon nobody answers: asked twice. */
  #hinted(): void {
    this.#wanted = 2;
    this.#askIfDue();
  }

  /** Nobody is told of anything any more. */
  close(): void {
    this.#watch.close();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#aborting.abort();
    this.#answered();
  }

  #askIfDue(): void {
    if (this.#wanted === 0 || this.#isAsking || this.#timer !== null || this.#aborting.signal.aborted) return;
    const sinceMs = performance.now() - this.#askedMs;
    const apartMs = Math.min(APART_MS_MAX, APART_MS_MIN * 2 ** Math.max(0, this.#asked - CLOSE_QUESTIONS));
    if (sinceMs < apartMs) {
      this.#timer = setTimeout(() => {
        this.#timer = null;
        this.#askIfDue();
      }, apartMs - sinceMs);
      return;
    }
    this.#asked = sinceMs >= QUIET_MS ? 1 : this.#asked + 1;
    this.#wanted -= 1;
    this.#isAsking = true;
    this.#askedMs = performance.now();
    this.#askedHint = this.#options.hint();
    this.#options.ask(this.#aborting.signal).then(
      (state) => this.#told(state),
      () => this.#told("unknown"),
    );
  }

  #told(state: HostState): void {
    this.#isAsking = false;
    if (this.#aborting.signal.aborted) return;
    this.#answered();
    // Late in a shutdown nobody answers any more: only a word to the contrary takes it back.
    const isNews = state !== this.#state && !(this.#state === "stopping" && state === "unknown");
    if (isNews) {
      this.#state = state;
      this.#options.onChange();
    }
    this.#askIfDue();
  }
}

function unitsChangedMs(): number | null {
  try {
    return statSync(UNITS_PATH, { throwIfNoEntry: false })?.mtimeMs ?? null;
  } catch (error) {
    if (systemCode(error) === null) throw error;
    return null;
  }
}

function watchUnits(onHint: () => void): Watch {
  if (!hasSystemd()) return { close: () => undefined };
  // Where it cannot be watched, its time is looked at each second.
  return watchDirectory(UNITS_PATH, onHint, () => undefined);
}

/** Whether systemd runs this host. */
export function hasSystemd(): boolean {
  return existsSync("/run/systemd/system");
}

function askSystemd(signal: AbortSignal): Promise<HostState> {
  if (!hasSystemd()) return Promise.resolve("unknown");
  // From the root: the folder in which a daemon was started may be gone.
  const options = { timeout: ANSWER_WITHIN_MS, killSignal: "SIGKILL", cwd: "/", signal } as const;
  return new Promise((resolve) => {
    // It ends with an error for every state but one; what it says counts.
    execFile("systemctl", ["is-system-running"], options, (_error, stdout) => resolve(stateOf(stdout.trim())));
  });
}

function stateOf(answer: string): HostState {
  if (answer === "stopping") return "stopping";
  return ["initializing", "starting", "running", "degraded", "maintenance"].includes(answer) ? "running" : "unknown";
}
