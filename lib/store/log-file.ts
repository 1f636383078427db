/**
 * Reads one file of a log by position: forwards by lines, and by time, since lines are appended in the order of time.
 *
 * What is appended after it was opened is not read. Lines that cannot be read are passed over: the daemons report them.
 *
 * @module
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import { FileRefused, systemCode } from "../errors.js";
import { PACKED, readPacked } from "../platform/compressing.js";
import { readInstant } from "../schema/primitives.js";
import type { LogFile } from "./archives.js";

const NEWLINE = 0x0a;
const STEP_BYTES = 1024 * 1024;
/** No record is longer, and so no search needs to be finer. */
const LINE_BYTES_MAX = 64 * 1024;
/** What is read at once where only a few lines are wanted. */
export const NEAR_BYTES = 16 * 1024;

export type LogJson = Readonly<Record<string, unknown>>;

export interface LogLine {
  readonly text: string;
  /** Where it begins in its file. */
  readonly offset: number;
}

/** Positions in a file of a log that does not change any more, or only grows. */
export class LogFileReader {
  readonly size: number;
  readonly #descriptor: number | null;
  readonly #unpacked: Buffer | null;

  private constructor(descriptor: number | null, unpacked: Buffer | null, size: number) {
    this.#descriptor = descriptor;
    this.#unpacked = unpacked;
    this.size = size;
  }

  /** Null if it is gone, no regular file, or compressed and damaged. */
  static open(file: LogFile): LogFileReader | null {
    const descriptor = openForReading(file.path);
    if (descriptor === null) return null;
    const stat = fstatSync(descriptor);
    if (stat.isFile() && !file.path.endsWith(PACKED)) return new LogFileReader(descriptor, null, stat.size);
    closeSync(descriptor);
    if (!stat.isFile()) return null;
    const unpacked = unpack(file.path);
    return unpacked === null ? null : new LogFileReader(null, unpacked, unpacked.length);
  }

  /** The length of a file that is not compressed; -1 if it is gone. */
  static sizeOf(file: LogFile): number {
    return statSync(file.path, { throwIfNoEntry: false })?.size ?? -1;
  }

  close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
  }

  /** Bytes from a position on, as many as there are. With a buffer, they stand in it until it is used again. */
  bytes(offset: number, length: number, into?: Buffer): Buffer {
    const wanted = Math.max(0, Math.min(length, this.size - offset));
    if (this.#descriptor === null) return (this.#unpacked as Buffer).subarray(offset, offset + wanted);
    const buffer = into !== undefined && into.length >= wanted ? into : Buffer.allocUnsafe(wanted);
    let got = 0;
    while (got < wanted) {
      const read = readSync(this.#descriptor, buffer, got, wanted - got, offset + got);
      if (read === 0) break;
      got += read;
    }
    return buffer.subarray(0, got);
  }

  /** The complete lines from a position on, which must be where a line begins. Holds a piece of the file at a time. */
  *lines(from = 0, stepBytes = STEP_BYTES): Generator<LogLine> {
    let step = stepBytes;
    for (let position = from; position < this.size; ) {
      const piece = this.bytes(position, step);
      const end = piece.lastIndexOf(NEWLINE) + 1;
      if (end === 0) {
        if (position + piece.length >= this.size) return; // A torn last line.
        step *= 2;
        continue;
      }
      for (let start = 0; start < end; ) {
        const stop = piece.indexOf(NEWLINE, start);
        if (stop > start) yield { text: piece.toString("utf8", start, stop), offset: position + start };
        start = stop + 1;
      }
      position += end;
      step = stepBytes;
    }
  }

  /** The line that begins at a position; null if it is not complete. */
  lineAt(offset: number): string | null {
    for (let length = LINE_BYTES_MAX / 8; ; length *= 4) {
      const piece = this.bytes(offset, length);
      const end = piece.indexOf(NEWLINE);
      if (end >= 0) return piece.toString("utf8", 0, end);
      if (offset + length >= this.size) return null;
    }
  }

  /** Where a line begins before which all are older than an instant; the first that is not follows within 64 KiB. */
  positionAt(atMs: number): number {
    let low = 0;
    let high = this.size;
    while (high - low > LINE_BYTES_MAX) {
      const middle = low + Math.floor((high - low) / 2);
      const found = this.#timedAfter(middle, high);
      if (found === null || found.atMs >= atMs) high = middle;
      else low = found.offset;
    }
    return low;
  }

  /** The first line after a position that says when it was written. */
  #timedAfter(position: number, before: number): { readonly offset: number; readonly atMs: number } | null {
    const cut = this.bytes(position, LINE_BYTES_MAX + 1).indexOf(NEWLINE);
    if (cut < 0) return null;
    for (const { text, offset } of this.lines(position + cut + 1, NEAR_BYTES)) {
      if (offset >= before) return null;
      const atMs = timeOf(parsed(text));
      if (atMs !== null) return { offset, atMs };
    }
    return null;
  }
}

/** A line as an object; null if it is torn or something else. */
export function parsed(text: string): LogJson | null {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === "object" && json !== null && !Array.isArray(json) ? (json as LogJson) : null;
  } catch {
    return null; // The daemons report such lines; here they would only be in the way.
  }
}

/** When a record was written, milliseconds; null if it does not say. */
export function timeOf(record: LogJson | null): number | null {
  if (record === null) return null;
  return typeof record.at_ms === "number" ? record.at_ms : readInstant(record.timestamp);
}

function unpack(path: string): Buffer | null {
  try {
    return readPacked(path);
  } catch (error) {
    const code = systemCode(error);
    if (error instanceof FileRefused || code?.startsWith("Z_") || code === "ERR_BUFFER_TOO_LARGE") return null;
    throw error;
  }
}

function openForReading(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT" || code === "ELOOP") return null;
    throw error;
  }
}
