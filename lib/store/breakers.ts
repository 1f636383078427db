/**
 * The circuit breakers as files that worker-restart writes and people overwrite or remove.
 *
 * The store remembers the text that it wrote last; whatever else stands there was written by a person. What a person has
 * added beside the fields of a breaker stays there, and is no order.
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

type Json = Readonly<Record<string, unknown>>;

const FIELDS = Object.keys(breakerRecordSchema.shape);

/** A breaker as a line, with the fields that somebody has added to it; without them where it would be too large to be read. */
export function breakerLine(record: BreakerRecord, added: Json): string {
  const line = lineOf({ ...record, ...added });
  return Buffer.byteLength(line) > MAX_BYTES.breaker ? lineOf(record) : line;
}

const addedTo = (record: Json): Json =>
  Object.fromEntries(Object.entries(record).filter(([key]) => !FIELDS.includes(key)));

const isSame = (a: Json, b: Json): boolean => FIELDS.every((key) => a[key] === b[key]);

/** Typed reads and writes of `circuit-breakers/`. */
export class BreakerStore {
  readonly #layout: Layout;
  readonly #written = new Map<string, string>();
  /** What was added to the texts that are known, read when it is first needed. */
  readonly #added = new Map<string, Json>();

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  read(workerType: string, nowMs = Date.now()): Reading<BreakerRecord> {
    const options = { maxBytes: MAX_BYTES.breaker, nowMs, what: "circuit breaker", root: this.#layout.coordination };
    return readRecord(this.#layout.breaker(workerType), breakerRecordSchema, options);
  }

  /** The fields that somebody has added to a breaker's file; none if it cannot be read. */
  added(workerType: string): Json {
    const reading = this.read(workerType);
    return reading.kind === "ok" && reading.value.worker_type === workerType ? addedTo(reading.value) : {};
  }

  /** Writes a breaker compactly on one line, with what was added to it, and remembers the text. */
  write(record: BreakerRecord): void {
    const added = this.#added.get(record.worker_type) ?? this.added(record.worker_type);
    const text = breakerLine(record, added);
    replaceFile(this.#layout.breaker(record.worker_type), text);
    this.#written.set(record.worker_type, text);
    this.#added.set(record.worker_type, added);
  }

  /** Says whether a person changed a breaker since we last wrote or accepted it. What is only added is accepted. */
  changedByPerson(workerType: string, nowMs = Date.now()): PersonsChange {
    const written = this.#written.get(workerType);
    const reading = this.read(workerType, nowMs);
    if (reading.kind === "absent") return written === undefined ? "no" : "removed";
    if (reading.kind !== "ok") return "unfinished";
    if (reading.text === written) return "no";
    if (written === undefined || !isSame(JSON.parse(written) as Json, reading.value)) return "overwritten";
    this.remember(workerType, reading.text);
    return "no";
  }

  /** Takes the text that stands there, or stood there at the last checkpoint, as known. */
  remember(workerType: string, text: string): void {
    this.#written.set(workerType, text);
    this.#added.delete(workerType);
  }

  /** Forgets a breaker: a missing file is then no reset. */
  forget(workerType: string): void {
    this.#written.delete(workerType);
    this.#added.delete(workerType);
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
