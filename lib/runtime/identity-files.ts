/** The files by which a running daemon is found: `run/<daemon>.pid`, `run/<daemon>.json`, and a pid file elsewhere if asked. @module */
import { lstatSync, readFileSync, unlinkSync } from "node:fs";
import { createExclusive, replaceFile } from "../platform/files.js";
import type { Log } from "../platform/log.js";
import { readStat } from "../platform/processes.js";
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

/** What the last run of a daemon left; null if it never ran or the file is unreadable, which costs only the last policy hash. */
export function lastRunOf(layout: Layout, daemon: DaemonName): { readonly policy_hash: string | null } | null {
  try {
    const record = JSON.parse(readFileSync(layout.runFile(daemon), "utf8")) as { policy_hash?: unknown };
    return { policy_hash: typeof record.policy_hash === "string" ? record.policy_hash : null };
  } catch {
    return null;
  }
}

/** The pid file in `run/`, and a second one where the operator wants it. */
export class PidFile {
  readonly #own: string;
  readonly #extra: string | undefined;
  readonly #daemon: DaemonName;
  readonly #log: Log;

  constructor(own: string, extra: string | undefined, daemon: DaemonName, log: Log) {
    this.#own = own;
    this.#extra = extra;
    this.#daemon = daemon;
    this.#log = log;
  }

  write(): void {
    replaceFile(this.#own, `${process.pid}\n`, { mode: 0o644 });
    if (this.#extra === undefined) return;
    if (mayReplace(this.#extra, this.#daemon)) unlinkSync(this.#extra);
    if (!createExclusive(this.#extra, `${process.pid}\n`, { mode: 0o644 })) {
      this.#log.warn({ path: this.#extra }, `"${this.#extra}" is not a pid file of ours; it is left alone`);
    }
  }

  remove(): void {
    for (const path of [this.#own, this.#extra]) {
      if (path !== undefined && pidIn(path) === process.pid) unlinkSync(path);
    }
  }
}

/** A pid file is ours if it is a plain file of our user that holds one number, of no process or of an earlier run of this daemon. */
function mayReplace(path: string, daemon: DaemonName): boolean {
  const pid = pidIn(path);
  if (pid === null) return false;
  if (pid === process.pid) return true;
  const stat = readStat(pid);
  if (stat === null) return true;
  return commandLine(pid).includes(`${daemon}-daemon`);
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
