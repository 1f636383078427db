/** Reads event, decision and history logs for people: whole lines, rotated files too, whatever cannot be read passed over. @module */
import { EVENT_LOGS, type EventLog } from "../lib/schema/catalogue.js";
import { filesOf } from "../lib/store/archives.js";
import type { Layout } from "../lib/store/layout.js";
import { LogFileReader, type LogJson, parsed, timeOf } from "../lib/store/log-file.js";

export type Json = LogJson;

/** A record with what sorting and showing need. */
export interface LogRecord {
  readonly atMs: number;
  /** The log, the daemon of a decision, or `history`. */
  readonly log: string;
  readonly record: Json;
}

export const ALL_LOGS = Object.keys(EVENT_LOGS) as EventLog[];

/** The records of a log and its rotated files, oldest first, of which the text passes `mayMatch`. */
export function* recordsOf(
  layout: Layout,
  log: string,
  path: string,
  options: { readonly sinceMs?: number; readonly mayMatch?: (line: string) => boolean } = {},
): Generator<LogRecord> {
  for (const file of filesOf(path, layout.archiveDir)) {
    const reader = LogFileReader.open(file);
    if (reader === null) continue;
    try {
      for (const { text } of reader.lines()) {
        if (options.mayMatch?.(text) === false) continue;
        const found = readLine(text, log);
        if (found !== null && (options.sinceMs === undefined || found.atMs >= options.sinceMs)) yield found;
      }
    } finally {
      reader.close();
    }
  }
}

/** One line as a record; null if it is torn or no object. */
export function readLine(line: string, log: string): LogRecord | null {
  const record = parsed(line);
  return record === null ? null : { atMs: timeOf(record) ?? 0, log, record };
}

export function byTime(a: LogRecord, b: LogRecord): number {
  if (a.atMs !== b.atMs) return a.atMs - b.atMs;
  return String(a.record.event_id ?? "") < String(b.record.event_id ?? "") ? -1 : 1;
}

export function textIn(record: Json, field: string): string | null {
  const value = record[field];
  return typeof value === "string" ? value : null;
}
