/** The files by which a running daemon is found: `run/<daemon>.pid`, `run/<daemon>.json`, and a pid file elsewhere if asked. @module */
import { lstatSync, readFileSync, unlinkSync } from "node:fs";
import { createExclusive, replaceFile } from "../platform/files.js";
import type { Log } from "../platform/log.js";
import { isCorpse, readStat } from "../platform/processes.js";
import { writeInstant } from "../schema/primitives.js";
import type { DaemonName, ProcessIdentity } from "../schema/records.js";
import type { Layout } from "../store/layout.js";

export interface RunFile extends ProcessIdentity {
  readonly version: string;
  /** Wall clock, milliseconds. */
  readonly started_at: number;
  readonly policy_hash: string;
  readonly loop_lag_ms: number;
}

/** Says who runs; readers compare identity before they believe it. */
export function writeRunFile(layout: Layout, daemon: DaemonName, file: RunFile): void {
  replaceFile(layout.runFile(daemon), `${JSON.stringify({ ...file, started_at: writeInstant(file.started_at) })}\n`);
}

/** What the last run of a daemon in this home left. */
export interface LastRun {
  readonly policy_hash: string | null;
  /** Null if its file does not say. */
  readonly process: { readonly pid: number; readonly start_time: number } | null;
}

/** Null if it never ran or the file is unreadable, which costs only the last policy hash and the knowledge of its pid. */
export function lastRunOf(layout: Layout, daemon: DaemonName): LastRun | null {
  try {
    const { policy_hash, pid, start_time } = JSON.parse(readFileSync(layout.runFile(daemon), "utf8")) as {
      readonly [key in "policy_hash" | "pid" | "start_time"]?: unknown;
    };
    return {
      policy_hash: typeof policy_hash === "string" ? policy_hash : null,
      process: typeof pid === "number" && typeof start_time === "number" ? { pid, start_time } : null,
    };
  } catch {
    return null;
  }
}

/**
 * What has no business in the home reads this one, as a monitoring of another user does; a pid is no secret, `ps` shows it.
 * The one in `run/` is like every file of the home: nobody else gets as far as its folder.
 */
const EXTRA_MODE = 0o644;

/** The pid file in `run/`, and a second one where the operator wants it, which the daemons of several homes may share. */
export class PidFile {
  readonly #own: string;
  readonly #extra: string | undefined;
  readonly #daemon: DaemonName;
  readonly #lastRun: LastRun | null;
  readonly #log: Log;

  /** `lastRun`: of this home, as it was found before this daemon wrote its own run file. */
  constructor(own: string, extra: string | undefined, daemon: DaemonName, lastRun: LastRun | null, log: Log) {
    this.#own = own;
    this.#extra = extra;
    this.#daemon = daemon;
    this.#lastRun = lastRun;
    this.#log = log;
  }

  write(): void {
    replaceFile(this.#own, `${process.pid}\n`);
    if (this.#extra === undefined) return;
    const found = this.#holderOf(this.#extra);
    if (found === "nobody") unlinkSync(this.#extra);
    if (createExclusive(this.#extra, `${process.pid}\n`, { mode: EXTRA_MODE })) return;
    const why =
      typeof found === "number"
        ? `names pid ${found}, the ${this.#daemon} of another home`
        : "is not a pid file of ours";
    this.#log.warn({ path: this.#extra }, `"${this.#extra}" ${why}; it is left alone, and ${this.#own} names this one`);
  }

  remove(): void {
    for (const path of [this.#own, this.#extra]) {
      if (path !== undefined && pidIn(path) === process.pid) unlinkSync(path);
    }
  }

  /**
   * Whose a pid file is: of nobody who runs, of the living daemon whose pid is answered, or unknown: it is no pid file, or not
   * our user's.
   *
   * The lock of this home is ours by now. So a living daemon of this name belongs to another home, and `kill $(cat …)` must go
   * on to mean it; except the last one of this home, which has lost the lock, is about to end, and cannot take its file away.
   */
  #holderOf(path: string): "nobody" | "unknown" | number {
    const pid = pidIn(path);
    if (pid === null) return "unknown";
    if (pid === process.pid) return "nobody";
    const stat = readStat(pid);
    if (stat === null || isCorpse(stat)) return "nobody";
    const last = this.#lastRun?.process;
    if (last?.pid === pid && last.start_time === stat.start_time) return "nobody";
    // A daemon's title is all of its command line; whatever else has the number got it after the daemon's end.
    return commandLine(pid).startsWith(`${this.#daemon}-daemon`) ? pid : "nobody";
  }
}

function pidIn(path: string): number | null {
  const file = lstatSync(path, { throwIfNoEntry: false });
  if (!file?.isFile() || file.uid !== process.geteuid?.() || file.size > 16) return null;
  const text = readFileSync(path, "utf8").trim();
  return /^\d{1,10}$/.test(text) ? Number(text) : null;
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return ""; // It ended while we looked.
  }
}
