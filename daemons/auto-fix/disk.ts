/**
 * Frees disk space by what is heald's alone: logs of old attempts, rotated logs. Nothing else is touched, no link followed.
 *
 * What takes no space to do comes first, since a full disk has none to give.
 *
 * @module
 */
import { lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { systemCode } from "../../lib/errors.js";
import { PACKED, packFile } from "../../lib/platform/compressing.js";
import type { ActionOf } from "../../lib/schema/fix-actions.js";
import { isId } from "../../lib/schema/primitives.js";
import { DAEMONS } from "../../lib/schema/records.js";
import { archivesOf, partsOf } from "../../lib/store/archives.js";
import { isDirectory, namesIn, unlinkIfThere } from "../../lib/store/entries.js";
import type { Layout } from "../../lib/store/layout.js";
import { EventLogWriter } from "../../lib/store/logs.js";
import { logsOf } from "../../lib/store/retention.js";
import { SpecStore } from "../../lib/store/specs.js";
import { readAttemptLogName } from "./log-names.js";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const KEEP_ATTEMPTS = 3;
const ARCHIVE_DAYS = 7;
const FILES_MAX = 500;
/** A log of our own that is larger is rotated, so that the next time finds it. */
const ROTATE_BYTES = 1024 * 1024;

interface Freed {
  files: number;
  bytes: number;
}

/**
 * The answer says what was done. Twice is harmless: what is gone is gone.
 *
 * @param timeoutMs After it no more logs are compressed; what is done is done.
 */
export async function freeDisk(
  layout: Layout,
  action: ActionOf<"free-disk">,
  nowMs: number,
  timeoutMs: number,
): Promise<string> {
  const untilMs = performance.now() + timeoutMs;
  const attempts = removeOldAttempts(layout, action.keep_attempts ?? KEEP_ATTEMPTS);
  const logs = DAEMONS.flatMap((daemon) => logsOf(layout, daemon));
  const needed = inodesInUse(layout);
  const idle = new Map(logs.map((log) => [log, idleArchives(log, layout, needed)]));
  const expired = removeExpired(logs, layout, idle, nowMs - (action.archive_days ?? ARCHIVE_DAYS) * DAY_MS);
  const packed = await packArchives([...idle.values()].flat(), nowMs, untilMs);
  const rotated = rotateOwn(layout, nowMs);
  const bytes = attempts.bytes + expired.bytes + packed.bytes;
  const done = [
    `${attempts.files} logs of old attempts and ${expired.files} expired archives are removed`,
    `${packed.files} rotated logs are compressed`,
    `${rotated} rotated`,
  ];
  return `${(bytes / 1_000_000).toFixed(1)} MB are free again: ${done.join(", ")}`;
}

function removeOldAttempts(layout: Layout, keepAttempts: number): Freed {
  const specs = new SpecStore(layout);
  const freed: Freed = { files: 0, bytes: 0 };
  for (const worker of namesIn(layout.workerLogsDir)) {
    const folder = join(layout.workerLogsDir, worker);
    if (!isId(worker) || !isDirectory(folder)) continue;
    const attempts = namesIn(folder)
      .flatMap((name) => readAttemptLogName(name) ?? [])
      .sort((a, b) => b - a);
    const highest = specs.highestAttempt(worker);
    for (const attempt of attempts.slice(keepAttempts)) {
      if (attempt >= highest || freed.files >= FILES_MAX) continue;
      // The second is the older part of a log that had grown too large.
      for (const name of [`attempt-${attempt}.log`, `attempt-${attempt}.log.1`]) remove(join(folder, name), freed);
    }
  }
  return freed;
}

/** Rotated logs that no reader has to come back to: all but the one that a reader stands in, and those after it. */
function idleArchives(log: string, layout: Layout, needed: ReadonlySet<number>): string[] {
  const archives = archivesOf(log, layout.archiveDir);
  const first = archives.findIndex((path) => needed.has(lstatSync(path, { throwIfNoEntry: false })?.ino ?? -1));
  return first < 0 ? archives : archives.slice(0, first);
}

/** The files that readers stand in, by what every daemon has written down of itself. */
function inodesInUse(layout: Layout): Set<number> {
  const texts = DAEMONS.flatMap((daemon) => [layout.state(daemon), layout.journal(daemon)]).map(textOf);
  return new Set(texts.flatMap((text) => [...text.matchAll(/"inode":(\d+)/g)].map((match) => Number(match[1]))));
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return "";
    throw error;
  }
}

function removeExpired(
  logs: readonly string[],
  layout: Layout,
  idle: ReadonlyMap<string, readonly string[]>,
  beforeMs: number,
): Freed {
  const freed: Freed = { files: 0, bytes: 0 };
  for (const log of logs)
    for (const path of partsOf(log, layout.archiveDir)) {
      const isFree = path.endsWith(PACKED) || idle.get(log)?.includes(path) === true;
      const age = lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY;
      if (isFree && age < beforeMs && freed.files < FILES_MAX) remove(path, freed);
    }
  return freed;
}

/** Readers may still be in a log that was rotated within the hour. One that cannot be packed stays as it is. */
async function packArchives(paths: readonly string[], nowMs: number, untilMs: number): Promise<Freed> {
  const freed: Freed = { files: 0, bytes: 0 };
  const old = paths
    .map((path) => ({ path, stat: lstatSync(path, { throwIfNoEntry: false }) }))
    .flatMap(({ path, stat }) => (stat?.isFile() === true && stat.mtimeMs < nowMs - HOUR_MS ? [{ path, stat }] : []))
    // The smallest first: each makes room for the next.
    .sort((a, b) => a.stat.size - b.stat.size)
    .slice(0, FILES_MAX);
  for (const { path } of old) {
    if (performance.now() > untilMs) break;
    try {
      const bytes = await packFile(path);
      if (bytes === null) continue;
      freed.files += 1;
      freed.bytes += bytes;
    } catch (error) {
      if (systemCode(error) !== "ENOSPC" && systemCode(error) !== "EDQUOT") throw error;
      break;
    }
  }
  return freed;
}

/** A log is rotated by its owner alone: these are auto-fix's. */
function rotateOwn(layout: Layout, nowMs: number): number {
  const own = [layout.eventLog("auto-fix"), layout.decisions("auto-fix"), layout.fixHistory];
  return own.filter((path) => {
    const writer = new EventLogWriter(path, { maxBytes: ROTATE_BYTES, archiveDir: layout.archiveDir, owner: true });
    try {
      return writer.rotateIfLarge(nowMs, "auto-fix") !== null;
    } finally {
      writer.close();
    }
  }).length;
}

function remove(path: string, freed: Freed): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isFile() !== true || !unlinkIfThere(path)) return;
  freed.files += 1;
  freed.bytes += stat.nlink === 1 ? stat.size : 0;
}
