/** What the host itself is doing, and the limits that it sets. @module */

import { existsSync, readFileSync } from "node:fs";
import { systemCode } from "../errors.js";
import { runProgram } from "./programs.js";

const STATE_TIMEOUT_MS = 2000;

export type HostState = "running" | "stopping" | "unknown";

/**
 * Knows whether the host is shutting down, as of the latest answer.
 *
 * Asking costs a program and several milliseconds, so it is asked seldom, and nobody waits for the answer.
 */
export class HostWatch {
  readonly #onChange: () => void;
  readonly #ask: () => Promise<HostState>;
  #state: HostState = "unknown";
  #askedMs = Number.NEGATIVE_INFINITY;
  #isAsking = false;
  #closed = false;

  constructor(onChange: () => void, ask: () => Promise<HostState> = askSystemd) {
    this.#onChange = onChange;
    this.#ask = ask;
  }

  /** `unknown` where no systemd runs, where it did not answer within 2 s, and before the first answer. */
  get state(): HostState {
    return this.#state;
  }

  /** Asks, unless it was asked within so many milliseconds. */
  ask(maxAgeMs: number): void {
    const nowMs = performance.now();
    if (this.#isAsking || this.#closed || nowMs - this.#askedMs < maxAgeMs) return;
    this.#askedMs = nowMs;
    this.#isAsking = true;
    void this.#ask().then((state) => {
      this.#isAsking = false;
      if (this.#closed || state === this.#state) return;
      this.#state = state;
      this.#onChange();
    });
  }

  close(): void {
    this.#closed = true;
  }
}

async function askSystemd(): Promise<HostState> {
  if (!existsSync("/run/systemd/system")) return "unknown";
  const { stdout } = await runProgram("systemctl", ["is-system-running"], { timeoutMs: STATE_TIMEOUT_MS });
  const answer = stdout.trim();
  if (answer === "stopping") return "stopping";
  return ["initializing", "starting", "running", "degraded", "maintenance"].includes(answer) ? "running" : "unknown";
}

/** Limits that decide how many workers one daemon can watch; null where unlimited or not known. */
export interface Limits {
  readonly openFiles: { readonly soft: number | null; readonly hard: number | null };
  readonly inotify: { readonly max_user_watches: number | null; readonly max_user_instances: number | null };
}

/** Reads the limits of this process and its user. */
export function limits(): Limits {
  const found = /^Max open files\s+(\S+)\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "latin1"));
  return {
    openFiles: { soft: numberOrNull(found?.[1]), hard: numberOrNull(found?.[2]) },
    inotify: {
      max_user_watches: numberOrNull(readOptional("/proc/sys/fs/inotify/max_user_watches")?.trim()),
      max_user_instances: numberOrNull(readOptional("/proc/sys/fs/inotify/max_user_instances")?.trim()),
    },
  };
}

const OPEN_FILES_MIN = 1024;
/** All daemons of one user together need about so many; other programs of the user need theirs. */
const INOTIFY_INSTANCES_MIN = 32;
const INOTIFY_WATCHES_MIN = 512;

/** What a daemon will run into, a sentence each. It keeps one descriptor and one watch for each folder, whatever the number of workers. */
export function tightLimits({ openFiles, inotify }: Limits): string[] {
  const sentences: string[] = [];
  const say = (found: number | null, min: number, what: string, setting: string): void => {
    if (found !== null && found < min)
      sentences.push(`only ${found} ${what} are allowed; raise ${setting} to ${min} or more`);
  };
  say(openFiles.soft, OPEN_FILES_MIN, "open files", "LimitNOFILE (ulimit -n)");
  say(inotify.max_user_instances, INOTIFY_INSTANCES_MIN, "inotify instances", "fs.inotify.max_user_instances");
  say(inotify.max_user_watches, INOTIFY_WATCHES_MIN, "inotify watches", "fs.inotify.max_user_watches");
  return sentences;
}

/** The share of the last ten seconds in which some task waited for a CPU, 0 to 100; null where the kernel does not tell. */
export function cpuPressure(): number | null {
  const found = /^some avg10=([\d.]+)/m.exec(readOptional("/proc/pressure/cpu") ?? "");
  return numberOrNull(found?.[1]);
}

function numberOrNull(text: string | undefined): number | null {
  const number = text === undefined || text === "" ? Number.NaN : Number(text);
  return Number.isFinite(number) ? number : null;
}

/** Null where the kernel was built or started without it. */
function readOptional(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT" || code === "EOPNOTSUPP" || code === "EACCES") return null;
    throw error;
  }
}
