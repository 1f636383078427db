/**
 * Says where in a rotated log the lines of each worker are, so that a story over weeks is told without reading weeks.
 *
 * An index is derived: it may be removed at any time, and is made again by the daemon that owns the log. One that does not
 * fit its log is as good as none. It lies beside the log, as `<log>.index`: a line of JSON about itself, then one line for
 * each key, with the offsets of its lines in base 36, each as the distance from the one before.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { PACKED } from "../platform/compressing.js";
import { replaceFile } from "../platform/files.js";
import { EVENT_LOGS, type EventLog } from "../schema/catalogue.js";
import type { DaemonName } from "../schema/records.js";
import { filesOf, type LogFile } from "./archives.js";
import { namesIn } from "./entries.js";
import type { Layout } from "./layout.js";
import { LogFileReader } from "./log-file.js";

const FORMAT = 1;
/** Bytes of a log that are taken in between two pauses: a few milliseconds' worth. */
const STEP_BYTES = 256 * 1024;
const SUFFIX = ".index";

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

/** Makes the index of a rotated log, a quarter of a megabyte at each step. */
export function* makeIndex(file: LogFile, field: KeyField): Generator<undefined, void> {
  const reader = LogFileReader.open(file);
  if (reader === null) return;
  try {
    const offsets = new Map<string, number[]>();
    let pauseAt = STEP_BYTES;
    for (const { text, offset } of reader.lines()) {
      for (const key of keysIn(text, field)) {
        const known = offsets.get(key);
        if (known === undefined) offsets.set(key, [offset]);
        else if (known.at(-1) !== offset) known.push(offset);
      }
      if (offset < pauseAt) continue;
      pauseAt = offset + STEP_BYTES;
      yield;
    }
    const head: Head = { format: FORMAT, bytes: reader.size };
    const lines = [...offsets].map(([key, found]) => `${encodeURIComponent(key)} ${packed(found)}\n`);
    replaceFile(indexPath(file.path), `${JSON.stringify(head)}\n${lines.join("")}`);
  } finally {
    reader.close();
  }
}

/** The offsets of a key's lines, in their order; null where there is no index that fits. */
export function offsetsOf(file: LogFile, key: string): readonly number[] | null {
  const path = indexPath(file.path);
  if (file.rotatedAtMs === null || !existsSync(path)) return null;
  const bytes = readFileSync(path);
  const end = bytes.indexOf(0x0a);
  if (!fits(bytes.toString("latin1", 0, Math.max(0, end)), file)) return null;
  const start = bytes.indexOf(`\n${encodeURIComponent(key)} `, end);
  if (start < 0) return [];
  const line = bytes.toString("latin1", start + 1, bytes.indexOf(0x0a, start + 1));
  return unpacked(line.slice(line.indexOf(" ") + 1));
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

function fits(text: string, file: LogFile): boolean {
  try {
    const head = JSON.parse(text) as Head;
    if (head.format !== FORMAT) return false;
    // A compressed log is not unpacked only to be measured: it was rotated, and does not change.
    return file.path.endsWith(PACKED) || head.bytes === LogFileReader.sizeOf(file);
  } catch {
    return false;
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
