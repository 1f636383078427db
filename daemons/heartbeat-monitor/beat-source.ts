/** Beats: one file for each worker, read when it changes; the folder's readability is watched too. @module */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { systemCode } from "../../lib/errors.js";
import { type Watch, watchDirectory } from "../../lib/platform/watching.js";
import type { DaemonContext, Source } from "../../lib/runtime/daemon.js";
import { isId } from "../../lib/schema/primitives.js";
import type { Beat } from "../../lib/schema/records.js";
import { beatSchema } from "../../lib/schema/records.js";
import { MAX_BYTES, type Reading, RefusalBook, readRecord } from "../../lib/store/records.js";
import type { BeatFacts, Event } from "./facts.js";
import type { HeartbeatSettings } from "./policy.js";
import { beatFacts } from "./read-facts.js";

const SCAN_EVERY_SECONDS = 30;

export class BeatSource implements Source {
  readonly name = "heartbeats";
  readonly scanEverySeconds = SCAN_EVERY_SECONDS;
  readonly #context: DaemonContext<Event, HeartbeatSettings>;
  readonly #refused = new RefusalBook();
  /** What was last delivered of each worker: inode, time and size of its beat file. */
  readonly #seen = new Map<string, string>();
  #watch: Watch | null = null;
  #trouble = "";
  #started = false;
  received = 0;

  constructor(context: DaemonContext<Event, HeartbeatSettings>) {
    this.#context = context;
  }

  start(): void {
    this.#watch = watchDirectory(
      this.#context.layout.heartbeatsDir,
      (name) => (name === null ? this.scan() : this.#hint(name)),
      (error) => this.#inTrouble(systemCode(error) ?? "unknown"),
    );
    this.scan();
    this.#started = true;
  }

  stop(): void {
    this.#watch?.close();
  }

  /** Reads every beat that differs from what was delivered. */
  scan(): void {
    const names = this.#list();
    if (names === null) return;
    for (const name of names) this.#hint(name);
  }

  /** Whether the folder can be read at all; asked once a second, since silence may be ours. */
  check(): void {
    if (statSync(this.#context.layout.heartbeatsDir, { throwIfNoEntry: false }) === undefined)
      this.#inTrouble("ENOENT");
    else if (this.#trouble !== "") this.scan();
  }

  /** The worker's beat, if it is another than the one delivered last. */
  freshBeatOf(workerId: string): BeatFacts | null {
    const path = join(this.#context.layout.heartbeatsDir, `${workerId}.json`);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined || this.#seen.get(workerId) === keyOf(stat)) return null;
    const nowMs = Date.now();
    const reading = readRecord(path, beatSchema, { maxBytes: MAX_BYTES.beat, nowMs, what: "heartbeat" });
    if (reading.kind !== "ok") {
      this.#refuse(path, workerId, reading, stat.mtimeMs, stat.ino);
      return null;
    }
    if (reading.value.worker_id !== workerId) {
      this.#refuseText(
        path,
        stat,
        `Cannot read heartbeat "${path}": worker_id must be the file's name, got "${String(reading.value.worker_id).slice(0, 60)}"`,
      );
      return null;
    }
    const key = keyOf({ ino: reading.ino, mtimeMs: reading.mtimeMs, size: reading.size });
    this.#seen.set(workerId, key);
    this.received += 1;
    // A file seen changing arrives now, whatever its time says; only at the start is its age all that is known.
    return beatFacts(reading.value, key, this.#started ? 0 : Math.max(0, nowMs - reading.mtimeMs));
  }

  #hint(name: string): void {
    if (!name.endsWith(".json") || name.startsWith(".")) return;
    const workerId = name.slice(0, -".json".length);
    if (!isId(workerId)) return;
    try {
      const beat = this.freshBeatOf(workerId);
      if (this.#trouble !== "") this.#clear();
      if (beat !== null) this.#context.offer({ kind: "beat", worker_id: workerId, beat });
    } catch (error) {
      this.#inTrouble(systemCode(error) ?? "unknown");
    }
  }

  #list(): string[] | null {
    try {
      const names = readdirSync(this.#context.layout.heartbeatsDir);
      if (this.#trouble !== "") this.#clear();
      return names;
    } catch (error) {
      this.#inTrouble(systemCode(error) ?? "unknown");
      return null;
    }
  }

  #inTrouble(code: string): void {
    if (this.#trouble === code) return;
    this.#trouble = code;
    this.#context.offer({ kind: "unreadable", what: "heartbeats/", code });
  }

  #clear(): void {
    this.#trouble = "";
    this.#context.offer({ kind: "unreadable", what: "heartbeats/", code: "" });
  }

  #refuse(
    path: string,
    workerId: string,
    reading: Exclude<Reading<Beat>, { kind: "ok" }>,
    mtimeMs: number,
    ino: number,
  ): void {
    if (reading.kind === "unfinished") {
      setTimeout(() => this.#hint(`${workerId}.json`), 500).unref();
      return;
    }
    if (reading.kind === "bad" && !this.#refused.seenBefore(path, mtimeMs, ino)) {
      this.#context.reporter.news("record_refused", {
        message: reading.sentence,
        reason: reading.code,
        data: { path, problem: reading.sentence },
      });
    }
  }

  #refuseText(path: string, stat: { readonly mtimeMs: number; readonly ino: number }, sentence: string): void {
    if (this.#refused.seenBefore(path, stat.mtimeMs, stat.ino)) return;
    this.#context.reporter.news("record_refused", {
      message: sentence,
      reason: "field",
      data: { path, problem: sentence },
    });
  }
}

function keyOf(stat: { readonly ino: number; readonly mtimeMs: number; readonly size: number }): string {
  return `${stat.ino}:${stat.mtimeMs}:${stat.size}`;
}
