/**
 * Thinks a restart through when a worker has just died, while the monitor still looks into its death.
 *
 * Code and data that were not used for a while take three times as long once, and a worker waits for that. What is thought here is
 * forgotten: nothing is decided, written or done, and the request that comes is read and judged like any other.
 * @module
 */
import { weatherCode } from "../../lib/platform/files.js";
import { type Watch, watchContents } from "../../lib/platform/watching.js";
import type { Source } from "../../lib/runtime/daemon.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { readAttemptName } from "../../lib/schema/worker-spec.js";
import type { FactReader } from "./facts.js";
import type { Context } from "./queue-source.js";
import { requestOf } from "./request-file.js";

/** Deaths that follow each other more closely find it awake. */
const APART_MS = 50;

export class Rehearsal implements Source {
  readonly name = "rehearsal";
  readonly #context: Context;
  readonly #reader: FactReader;
  #watch: Watch | null = null;
  #lastMs = Number.NEGATIVE_INFINITY;

  /** @param reader The one that reads the facts of requests: what it keeps in memory is what is to be at hand. */
  constructor(context: Context, reader: FactReader) {
    this.#context = context;
    this.#reader = reader;
  }

  start(): void {
    // Not when an exit record is created: its launcher has still to write it, and needs the processor for that.
    this.#watch = watchContents(
      this.#context.layout.exitsDir,
      (name) => this.#hint(name),
      // The scan that others have is not needed here, nor is a word: without it all is as well, and a little later.
      () => undefined,
    );
  }

  stop(): void {
    this.#watch?.close();
  }

  #hint(name: string | null): void {
    const nowMs = performance.now();
    const died = name === null ? null : readAttemptName(name);
    if (died === null) return;
    const sinceMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    if (sinceMs < APART_MS) return;
    try {
      this.#rehearse(died.workerId, died.attempt);
    } catch (error) {
      // Whoever decides in earnest says what is wrong with the files.
      if (weatherCode(error) === null)
        this.#context.log.warn({ worker_id: died.workerId, error: String(error) }, "A restart could not be rehearsed");
    }
  }

  #rehearse(workerId: string, attempt: number): void {
    const nowMs = Date.now();
    const found = this.#reader.find({ worker_id: workerId, worker_type: "unknown", task_id: null }, attempt, nowMs);
    // What a worker requires may have to be asked of others, which is no thought.
    if ((found.resolved?.requires ?? []).length > 0) return;
    const ended = { class: "signal", exit_code: 137, signal: "SIGKILL", ran_ms: 60_000, by_itself: true };
    const request = requestOf(
      {
        worker_id: workerId,
        worker_type: found.subject.worker_type,
        attempt,
        reason: "killed",
        created_at: writeInstant(nowMs),
        requested_by: "heartbeat-monitor",
        incident_id: "inc-rehearsed",
        ended: { ...ended, spends_retry: true },
      },
      nowMs,
    );
    const facts = this.#reader.read(found, request, null, nowMs);
    if (facts instanceof Promise) return;
    const name = `${workerId}-restart.json`;
    // By then the old attempt's spec will be gone.
    const foreseen = { ...facts, active: null, survivors: [] };
    this.#context.rehearse({ kind: "request", ...found.subject, name, request, facts: foreseen });
  }
}
