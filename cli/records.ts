/** Reads event, decision and history logs for people: whole lines, rotated files too, whatever cannot be read passed over. @module */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { systemCode } from "../lib/errors.js";
import { PACKED, readPacked } from "../lib/platform/compressing.js";
import { EVENT_LOGS, type EventLog } from "../lib/schema/catalogue.js";
import { readInstant } from "../lib/schema/primitives.js";
import { partsOf } from "../lib/store/archives.js";
import type { Layout } from "../lib/store/layout.js";

export type Json = Readonly<Record<string, unknown>>;

/** A record with what sorting and showing need. */
export interface LogRecord {
  readonly atMs: number;
  /** The log, the daemon of a decision, or `history`. */
  readonly log: string;
  readonly record: Json;
}

const STEP_BYTES = 1024 * 1024;

export const ALL_LOGS = Object.keys(EVENT_LOGS) as EventLog[];

/** The records of a log and its rotated files, oldest first, of which the text passes `mayMatch`. */
export function* recordsOf(
  layout: Layout,
  log: string,
  path: string,
  options: { readonly sinceMs?: number; readonly mayMatch?: (line: string) => boolean } = {},
): Generator<LogRecord> {
  for (const file of [...partsOf(path, layout.archiveDir), path]) {
    for (const line of linesOf(file)) {
      if (options.mayMatch?.(line) === false) continue;
      const found = readLine(line, log);
      if (found !== null && (options.sinceMs === undefined || found.atMs >= options.sinceMs)) yield found;
    }
  }
}

/** One line as a record; null if it is torn or no object. */
export function readLine(line: string, log: string): LogRecord | null {
  try {
    const record: unknown = JSON.parse(line);
    if (typeof record !== "object" || record === null || Array.isArray(record)) return null;
    const json = record as Json;
    const atMs = typeof json.at_ms === "number" ? json.at_ms : readInstant(json.timestamp);
    return { atMs: atMs ?? 0, log, record: json };
  } catch {
    return null; // The daemons report such lines; here they would only be in the way.
  }
}

/** The complete lines of a file, a piece at a time: logs may be larger than memory should hold. */
function* linesOf(path: string): Generator<string> {
  if (path.endsWith(PACKED)) {
    yield* readPacked(path)
      .split("\n")
      .filter((line) => line !== "");
    return;
  }
  const descriptor = openForReading(path);
  if (descriptor === null) return;
  try {
    if (!fstatSync(descriptor).isFile()) return;
    const buffer = Buffer.allocUnsafe(STEP_BYTES);
    let rest = Buffer.alloc(0);
    for (let length = readSync(descriptor, buffer); length > 0; length = readSync(descriptor, buffer)) {
      const bytes = Buffer.concat([rest, buffer.subarray(0, length)]);
      const end = bytes.lastIndexOf(0x0a) + 1;
      if (end > 0)
        yield* bytes
          .toString("utf8", 0, end)
          .split("\n")
          .filter((line) => line !== "");
      rest = bytes.subarray(end);
    }
  } finally {
    closeSync(descriptor);
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

export function byTime(a: LogRecord, b: LogRecord): number {
  if (a.atMs !== b.atMs) return a.atMs - b.atMs;
  return String(a.record.event_id ?? "") < String(b.record.event_id ?? "") ? -1 : 1;
}

export function textIn(record: Json, field: string): string | null {
  const value = record[field];
  return typeof value === "string" ? value : null;
}
