/**
 * Says where in a rotated log the lines of each worker are, so that a story over weeks is told without reading weeks.
 *
 * An index is derived: it may be removed at any time, and is made again by the daemon that owns the log. One that does not
 * fit its log is as good as none. It lies beside the log, as `<log>.index`: a line of JSON about itself, then one line for
 * each key, with the offsets of its lines in base 36, each as the distance from the one before; at last a line that rules
 * names out (log-names.ts), of which four characters are read and not all.
 *
 * @module
 */
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { basename, join } from "node:path";
import { PACKED } from "../platform/compressing.js";
import { replaceFile } from "../platform/files.js";
import { EVENT_LOGS, type EventLog } from "../schema/catalogue.js";
import type { DaemonName } from "../schema/records.js";
import { filesOf, type LogFile } from "./archives.js";
import { namesIn } from "./entries.js";
import type { Layout } from "./layout.js";
import { LogFileReader } from "./log-file.js";
import { mayHold, NamesMaker } from "./log-names.js";

const FORMAT = 1;
/** Bytes of a log that are taken in between two pauses: a few milliseconds' worth. */
const STEP_BYTES = 64 * 1024;
const SUFFIX = ".index";
const HEAD_BYTES_MAX = 256;
const NEWLINE = 0x0a;

/** What the lines of a log are sought by: events by their worker, decisions by their subject. */
export type KeyField = "worker_id" | "subject";

const PATTERNS: Readonly<Record<KeyField, RegExp>> = {
  worker_id: /"worker_id"\s*:\s*"([^"\\\s]{1,128})"/g,
  subject: /"subject":"([^"\\]{1,256})"/,
};

interface Head {
  readonly format: number;
  /** Length of the log that it is of, unpacked. */
  readonly bytes: number;
  /** Length of the last line, which rules names out; none where it is missing. */
  readonly names?: number;
}

/** Where the index of a rotated log is. The log keeps it when it is compressed. */
export function indexPath(archive: string): string {
  const base = archive.endsWith(PACKED) ? archive.slice(0, -PACKED.length) : archive;
  return `${base}${SUFFIX}`;
}

/** The logs of a daemon that are indexed, with what their lines are sought by. */
export function indexedLogs(layout: Layout, daemon: DaemonName): readonly (readonly [string, KeyField])[] {
  const own: Readonly<Record<DaemonName, readonly EventLog[]>> = {
    "heartbeat-monitor": ["heartbeat", "zombie-cleanup", "daemon"],
    "worker-restart": ["worker-restart"],
    "failure-pattern": ["failure-pattern"],
    "auto-fix": ["auto-fix"],
  };
  const events = own[daemon].map((log) => [join(layout.eventsDir, EVENT_LOGS[log]), "worker_id"] as const);
  const history = daemon === "worker-restart" ? [[layout.history, "worker_id"] as const] : [];
  return [...events, ...history, [layout.decisions(daemon), "subject"]];
}

/** Makes the index of a rotated log, 64 KiB at each step. */
export function* makeIndex(file: LogFile, field: KeyField): Generator<undefined, void> {
  const reader = LogFileReader.open(file);
  if (reader === null) return;
  try {
    const offsets = new Map<string, number[]>();
    const names = new NamesMaker(reader.size);
    let pauseAt = STEP_BYTES;
    for (const { text, offset } of reader.lines()) {
      names.add(text);
      for (const key of keysIn(text, field)) {
        const known = offsets.get(key);
        if (known === undefined) offsets.set(key, [offset]);
        else if (known.at(-1) !== offset) known.push(offset);
      }
      if (offset < pauseAt) continue;
      pauseAt = offset + STEP_BYTES;
      yield;
    }
    const excluding = names.toText();
    const head: Head = { format: FORMAT, bytes: reader.size, names: excluding.length };
    const lines = [...offsets].map(([key, found]) => `${encodeURIComponent(key)} ${packed(found)}\n`);
    replaceFile(indexPath(file.path), `${JSON.stringify(head)}\n${lines.join("")}${excluding}\n`);
  } finally {
    reader.close();
  }
}

/** The offsets of a key's lines, in their order; null where there is no index that fits. */
export function offsetsOf(file: LogFile, key: string): readonly number[] | null {
  const path = indexPath(file.path);
  if (file.rotatedAtMs === null || !existsSync(path)) return null;
  const bytes = readFileSync(path);
  const end = bytes.indexOf(NEWLINE);
  if (headOf(bytes.toString("latin1", 0, Math.max(0, end)), file) === null) return null;
  const start = bytes.indexOf(`\n${encodeURIComponent(key)} `, end);
  if (start < 0) return [];
  const line = bytes.toString("latin1", start + 1, bytes.indexOf(NEWLINE, start + 1));
  return unpacked(line.slice(line.indexOf(" ") + 1));
}

/** Whether a name may stand in a log, in one of the fields that log-names.ts has. Only an index that fits rules it out. */
export function mayName(file: LogFile, name: string): boolean {
  const path = indexPath(file.path);
  if (file.rotatedAtMs === null || !existsSync(path)) return true;
  const descriptor = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(HEAD_BYTES_MAX);
    const text = bytes.toString("latin1", 0, readSync(descriptor, bytes, 0, HEAD_BYTES_MAX, 0));
    const length = headOf(text.slice(0, Math.max(0, text.indexOf("\n"))), file)?.names;
    const size = fstatSync(descriptor).size;
    if (length === undefined || !(length > 0 && length < size - 2)) return true;
    const byteAt = (at: number): number => (readSync(descriptor, bytes, 0, 1, at) === 1 ? (bytes[0] as number) : 0);
    const start = size - 1 - length;
    // Cut off in the middle, its last line is not where it should be.
    if (byteAt(start - 1) !== NEWLINE || byteAt(size - 1) !== NEWLINE) return true;
    return mayHold(name, length, (at) => byteAt(start + at));
  } finally {
    closeSync(descriptor);
  }
}

/** Rotated logs of a daemon that have no index yet, with what they are sought by. One that was compressed is left as it is. */
export function withoutIndex(
  layout: Layout,
  daemon: DaemonName,
): { readonly file: LogFile; readonly field: KeyField }[] {
  const indexed = new Set(namesIn(layout.archiveDir).filter((name) => name.endsWith(SUFFIX)));
  return indexedLogs(layout, daemon).flatMap(([path, field]) =>
    filesOf(path, layout.archiveDir)
      .filter(
        (file) =>
          file.rotatedAtMs !== null && !file.path.endsWith(PACKED) && !indexed.has(basename(indexPath(file.path))),
      )
      .map((file) => ({ file, field })),
  );
}

/** Indexes whose log is gone. */
export function orphanedIndexes(archiveDir: string): string[] {
  const names = new Set(namesIn(archiveDir));
  return [...names]
    .filter((name) => name.endsWith(SUFFIX))
    .filter((name) => {
      const log = name.slice(0, -SUFFIX.length);
      return !names.has(log) && !names.has(`${log}${PACKED}`);
    })
    .map((name) => join(archiveDir, name));
}

function keysIn(text: string, field: KeyField): string[] {
  if (field === "subject") {
    // The subject stands before the slice, in which others may be named.
    const found = PATTERNS.subject.exec(text);
    return found === null ? [] : [found[1] as string];
  }
  return [...text.matchAll(PATTERNS.worker_id)].map((match) => match[1] as string);
}

/** Null if the index does not fit its log. */
function headOf(text: string, file: LogFile): Head | null {
  try {
    const head = JSON.parse(text) as Head;
    if (head.format !== FORMAT) return null;
    // A compressed log is not unpacked only to be measured: it was rotated, and does not change.
    return file.path.endsWith(PACKED) || head.bytes === LogFileReader.sizeOf(file) ? head : null;
  } catch {
    return null;
  }
}

function packed(offsets: readonly number[]): string {
  return offsets.map((offset, nth) => (offset - (nth === 0 ? 0 : (offsets[nth - 1] as number))).toString(36)).join(" ");
}

function unpacked(text: string): number[] {
  let offset = 0;
  return text.split(" ").map((distance) => {
    offset += Number.parseInt(distance, 36);
    return offset;
  });
}
