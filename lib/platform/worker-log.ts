/**
 * Keeps what workers print within its limits, without the workers' help.
 *
 * A worker holds its log open (O_APPEND) for as long as it lives, so the file cannot be renamed away. Instead the newest
 * part is copied to `attempt-<n>.log.1` and the log is emptied. What a worker writes between the last look at the
 * file's end and the emptying is lost: microseconds, and only in a log that has just grown past its limit.
 * @module
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";

const CHUNK_BYTES = 1 << 20;
/** Kept when the disk has no room for more: enough for a stack trace and what led to it. */
const LAST_WORDS_BYTES = 65_536;
const NO_ROOM = new Set(["ENOSPC", "EDQUOT"]);
const ATTEMPT_FILE = /^(?:attempt-(\d+)\.log(?:\.1)?|\.attempt-(\d+)\.log\.1\.tmp)$/;

/**
 * Empties a log that has outgrown its half of the limit, and keeps its newest part, from the start of a line, beside it.
 *
 * The log and `<log>.1` together stay within `bytesMax`, as far as a worker does not write more than half of it
 * between two calls. Blocks for about 10 ms for each 25 MB.
 *
 * @returns "fits" if there was nothing to do, or the file is not a plain one; "cut"; or "cut_short" if the disk
 *   was full, so that only the last 64 KiB, or not even these, could be kept.
 * @throws If the file cannot be read or emptied (EACCES, EIO, …). A missing file fits.
 */
export function limitLog(path: string, bytesMax: number): "fits" | "cut" | "cut_short" {
  const halfBytes = Math.max(1, Math.floor(bytesMax / 2));
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile() || stat.size <= halfBytes) return "fits";
  const log = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    return cut(log, `${path}.1`, halfBytes);
  } finally {
    closeSync(log);
  }
}

function cut(log: number, older: string, keepBytes: number): "cut" | "cut_short" {
  const temporary = temporaryFor(older);
  try {
    copyTail(log, temporary, older, keepBytes);
    return "cut";
  } catch (error) {
    rmSync(temporary, { force: true });
    if (!(error instanceof Error && "code" in error && NO_ROOM.has(String(error.code)))) throw error;
    return keepLastWords(log, older);
  }
}

/**
 * Copies up to the file's end, which may move meanwhile. The copy has its name before the log is emptied, so that a
 * crash between the two leaves lines twice rather than nowhere; what came in during the naming is copied after it.
 */
function copyTail(log: number, temporary: string, older: string, keepBytes: number): void {
  const copy = openSync(temporary, "wx", 0o640);
  try {
    const from = afterLineBreak(log, Math.max(0, fstatSync(log).size - keepBytes));
    const to = drain(log, copy, from);
    renameSync(temporary, older);
    drain(log, copy, to);
    ftruncateSync(log, 0);
  } finally {
    closeSync(copy);
  }
}

/** Copies from a position to the end, and answers where that was. */
function drain(log: number, copy: number, from: number): number {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let position = from; ; ) {
    const bytes = readSync(log, chunk, 0, CHUNK_BYTES, position);
    if (bytes === 0) return position;
    writeAll(copy, chunk.subarray(0, bytes));
    position += bytes;
  }
}

/** The full disk is most likely the log's own doing: emptying it comes first, and what was read before is written then. */
function keepLastWords(log: number, older: string): "cut_short" {
  const position = afterLineBreak(log, Math.max(0, fstatSync(log).size - LAST_WORDS_BYTES));
  const words = Buffer.allocUnsafe(LAST_WORDS_BYTES);
  const bytes = readSync(log, words, 0, LAST_WORDS_BYTES, position);
  ftruncateSync(log, 0);
  const temporary = temporaryFor(older);
  try {
    const copy = openSync(temporary, "wx", 0o640);
    try {
      writeAll(copy, words.subarray(0, bytes));
    } finally {
      closeSync(copy);
    }
    renameSync(temporary, older);
  } catch {
    // Still no room, because another writer took it: the log is emptied all the same, and the answer says "short".
    rmSync(temporary, { force: true });
  }
  return "cut_short";
}

/** A copy that a crash left half-made is made anew; {@link pruningLogs} counts it to its attempt. */
function temporaryFor(older: string): string {
  const temporary = join(dirname(older), `.${basename(older)}.tmp`);
  rmSync(temporary, { force: true });
  return temporary;
}

function writeAll(file: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
}

/** Finds the first line that starts at or after a position; the position itself where lines are longer than 4 KiB. */
function afterLineBreak(log: number, position: number): number {
  if (position === 0) return 0;
  const look = Buffer.allocUnsafe(4096);
  const bytes = readSync(log, look, 0, look.length, position - 1);
  const found = look.subarray(0, bytes).indexOf("\n");
  return found === -1 ? position : position + found;
}

export interface LogLimits {
  /** Of each worker; the newest are kept. */
  readonly keepAttempts: number;
  /** Of all workers together. */
  readonly totalBytes: number;
}

export interface Pruned {
  readonly removed: readonly string[];
  readonly freedBytes: number;
  /** What all output has after that. */
  readonly leftBytes: number;
  /** What could not be removed, and why; it is tried again at the next call. */
  readonly failures: readonly { readonly path: string; readonly cause: unknown }[];
}

interface AttemptLog {
  readonly workerId: string;
  readonly attempt: number;
  readonly paths: readonly string[];
  readonly bytes: number;
  readonly mtimeMs: number;
}

/**
 * Removes logs of old attempts: those beyond each worker's newest, then the longest untouched until all fit together.
 * Never those of a running attempt, whatever they take; so the total can stay above its limit.
 *
 * Yields after each worker and each removal: a folder that was not looked at for long takes a tenth of a millisecond.
 *
 * @param workersFolder `agents/logs/workers`; a missing one is empty. Foreign files in it are left alone.
 */
export function* pruningLogs(
  workersFolder: string,
  limits: LogLimits,
  isRunning: (workerId: string, attempt: number) => boolean,
): Generator<undefined, Pruned> {
  const all: AttemptLog[] = [];
  const surplus = new Set<AttemptLog>();
  for (const workerId of subfolders(workersFolder)) {
    const own = attemptLogs(workersFolder, workerId);
    all.push(...own);
    for (const log of own.toSorted((a, b) => b.attempt - a.attempt).slice(limits.keepAttempts)) surplus.add(log);
    yield;
  }
  const spared = (log: AttemptLog) => isRunning(log.workerId, log.attempt);
  let bytes = all.reduce((sum, log) => (surplus.has(log) && !spared(log) ? sum : sum + log.bytes), 0);
  for (const log of all.toSorted((a, b) => a.mtimeMs - b.mtimeMs)) {
    if (bytes <= limits.totalBytes) break;
    if (surplus.has(log) || spared(log)) continue;
    surplus.add(log);
    bytes -= log.bytes;
  }
  const removed: string[] = [];
  const failures: { path: string; cause: unknown }[] = [];
  let freedBytes = 0;
  for (const log of surplus) {
    if (spared(log)) continue;
    for (const path of log.paths) {
      try {
        freedBytes += lstatSync(path).size;
        rmSync(path);
        removed.push(path);
      } catch (cause) {
        failures.push({ path, cause });
      }
    }
    removeIfEmpty(join(workersFolder, log.workerId));
    yield;
  }
  return { removed, freedBytes, leftBytes: bytes, failures };
}

function attemptLogs(workersFolder: string, workerId: string): AttemptLog[] {
  const byAttempt = new Map<number, AttemptLog>();
  for (const name of readdirSync(join(workersFolder, workerId))) {
    const found = ATTEMPT_FILE.exec(name);
    const attempt = Number(found?.[1] ?? found?.[2] ?? Number.NaN);
    const path = join(workersFolder, workerId, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (Number.isNaN(attempt) || !stat?.isFile()) continue;
    const known = byAttempt.get(attempt);
    byAttempt.set(attempt, {
      workerId,
      attempt,
      paths: [...(known?.paths ?? []), path],
      bytes: (known?.bytes ?? 0) + stat.size,
      mtimeMs: Math.max(known?.mtimeMs ?? 0, stat.mtimeMs),
    });
  }
  return [...byAttempt.values()];
}

function subfolders(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    // A file came in meanwhile, or something foreign lies there: then the folder has a reason to stay.
    if (
      !(
        error instanceof Error &&
        "code" in error &&
        ["ENOTEMPTY", "EEXIST", "ENOENT", "EACCES", "EBUSY"].includes(String(error.code))
      )
    )
      throw error;
  }
}
