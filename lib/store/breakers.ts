/**
 * The circuit breakers as files that worker-restart writes and people overwrite or remove.
 *
 * The store remembers the text that it wrote last; whatever else stands there was written by a person.
 * @module
 */
import { replaceFile } from "../platform/files.js";
import { isId } from "../schema/primitives.js";
import { type BreakerRecord, breakerRecordSchema } from "../schema/records.js";
import { jsonNamesIn, lineOf } from "./entries.js";
import type { Layout } from "./layout.js";
import { MAX_BYTES, type Reading, readRecord } from "./records.js";

/** What a person did to a breaker's file. An empty or half-written file is `unfinished`: neither a reset nor an order. */
export type PersonsChange = "overwritten" | "removed" | "no" | "unfinished";

/** Typed reads and writes of `circuit-breakers/`. */
export class BreakerStore {
  readonly #layout: Layout;
  readonly #written = new Map<string, string>();

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  read(workerType: string, nowMs = Date.now()): Reading<BreakerRecord> {
    const options = { maxBytes: MAX_BYTES.breaker, nowMs, what: "circuit breaker", root: this.#layout.coordination };
    return readRecord(this.#layout.breaker(workerType), breakerRecordSchema, options);
  }

  /** Writes a breaker compactly on one line, and remembers the text. */
  write(record: BreakerRecord): void {
    const text = lineOf(record);
    replaceFile(this.#layout.breaker(record.worker_type), text);
    this.#written.set(record.worker_type, text);
  }

  /** Says whether a person changed a breaker since we last wrote or accepted it. */
  changedByPerson(workerType: string, nowMs = Date.now()): PersonsChange {
    const written = this.#written.get(workerType);
    const reading = this.read(workerType, nowMs);
    if (reading.kind === "absent") return written === undefined ? "no" : "removed";
    if (reading.kind !== "ok") return "unfinished";
    return reading.text === written ? "no" : "overwritten";
  }

  /** Takes the text that stands there, or stood there at the last checkpoint, as known. */
  remember(workerType: string, text: string): void {
    this.#written.set(workerType, text);
  }

  /** Forgets a breaker: a missing file is then no reset. */
  forget(workerType: string): void {
    this.#written.delete(workerType);
  }

  /** The texts known now, for a checkpoint. */
  remembered(): Record<string, string> {
    return Object.fromEntries(this.#written);
  }

  /** The worker types that have a breaker's file, sorted. */
  list(): string[] {
    return jsonNamesIn(this.#layout.breakersDir)
      .map((name) => name.slice(0, -".json".length))
      .filter(isId);
  }
}
