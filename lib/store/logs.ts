/**
 * Writes JSONL logs: one record a line, one append for each, rotated by renaming.
 *
 * Every log has one owner, which alone rotates it; others may append. Reading is {@link Tailer}'s.
 * @module
 */
import { renameSync, statSync } from "node:fs";
import { basename } from "node:path";
import { Appender, createExclusive, ensureDirectory, readTail } from "../platform/files.js";
import { newEventIdBase } from "../platform/ids.js";
import { makeEvent } from "../schema/events.js";
import { archiveName, archivesOf } from "./archives.js";

export { type TailCheckpoint, Tailer, type TailLine, type TailRead } from "./tailer.js";

export interface LogOptions {
  /** Size above which the owner rotates. */
  readonly maxBytes: number;
  readonly archiveDir: string;
  /** Whether this process is the log's owner. */
  readonly owner: boolean;
  /** Whether nobody else appends to it: then it is not looked at for each record whether it is still there and whole. */
  readonly isOnlyWriter?: boolean;
}

/** How far back a record is looked for after a crash. */
const LOOK_BACK_BYTES = 256 * 1024;

/** Appends to one log, and rotates it if this process owns it. */
export class EventLogWriter {
  readonly path: string;
  readonly #options: LogOptions;
  readonly #appender: Appender;

  constructor(path: string, options: LogOptions) {
    this.path = path;
    this.#options = options;
    this.#appender = new Appender(path, { isOnlyWriter: options.isOnlyWriter ?? false });
  }

  /** Appends one record. @throws {RecordTooLarge} If it is longer than 64 KiB. */
  append(record: object): void {
    this.appendLine(JSON.stringify(record));
  }

  /** Appends one record that is JSON already. @throws {RecordTooLarge} If it is longer than 64 KiB. */
  appendLine(line: string): void {
    this.#appender.append(line);
  }

  /** Appends several records with one write. @throws {RecordTooLarge} If one is longer than 64 KiB; then none is written. */
  appendAll(records: readonly object[]): void {
    this.#appender.appendAll(records.map((record) => JSON.stringify(record)));
  }

  /**
   * Appends a record unless it stands near the end of the log; for effects that a crash may have cut off.
   *
   * Looks through the last 256 KiB of the log, and of the one rotated last when the log itself is shorter than that.
   * @returns Whether it was appended.
   */
  appendOnce(record: object, idField: string): boolean {
    const id = (record as Record<string, unknown>)[idField];
    if (typeof id !== "string") throw new RangeError(`Cannot append once: ${idField} is not a text`);
    if (this.#stands(idField, id)) return false;
    this.append(record);
    return true;
  }

  #stands(idField: string, id: string): boolean {
    const tail = readTail(this.path, LOOK_BACK_BYTES);
    if (holds(tail, idField, id)) return true;
    const length = Buffer.byteLength(tail);
    const archived = length < LOOK_BACK_BYTES ? archivesOf(this.path, this.#options.archiveDir).at(-1) : undefined;
    return archived !== undefined && holds(readTail(archived, LOOK_BACK_BYTES - length), idField, id);
  }

  /**
   * Renames a log that has grown too large into the archive; its last line says so. Only the owner does.
   *
   * Killed after the line and before the rename, it is rotated at the next call, without a second line; killed after the
   * rename, the next append makes the fresh file.
   * @param source The daemon that is named in the last line.
   * @returns The archived file, or null if nothing was rotated.
   */
  rotateIfLarge(nowMs: number, source: string): string | null {
    if (!this.#options.owner) return null;
    const size = statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
    if (size <= this.#options.maxBytes) return null;
    ensureDirectory(this.#options.archiveDir);
    const target = archiveName(this.path, this.#options.archiveDir, nowMs);
    if (!/"event_type":"log_rotated"[^\n]*\n$/.test(readTail(this.path, 1024))) {
      const stamp = { id: newEventIdBase(nowMs), atMs: nowMs, monoMs: 0 };
      const message = `${basename(this.path)} goes on in a fresh file`;
      this.append(makeEvent(stamp, 0, source, "log_rotated", {}, { message, data: { archive: basename(target) } }));
    }
    renameSync(this.path, target);
    this.#appender.reopen();
    // Made at once, so that `tail -F` and readers find it; another appender may have been faster.
    createExclusive(this.path, "");
    return target;
  }

  /** Lets go of the file and opens it again at the next append. */
  reopen(): void {
    this.#appender.reopen();
  }

  close(): void {
    this.#appender.close();
  }
}

/** Whether one of the lines is a record with that id; an id quoted inside another record does not count. */
function holds(text: string, idField: string, id: string): boolean {
  const wanted = `"${idField}":${JSON.stringify(id)}`;
  return text.split("\n").some((line) => line.includes(wanted) && idOf(line, idField) === id);
}

function idOf(line: string, idField: string): unknown {
  try {
    return (JSON.parse(line) as Record<string, unknown>)[idField];
  } catch {
    // Torn, or cut at the front by the limit: it is not the record that is looked for.
    return undefined;
  }
}
