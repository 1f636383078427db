/**
 * Writes files so that a reader, or the next process after a crash, finds the old content or the new, never a half.
 * @module
 */

import {
  closeSync,
  fchownSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  type Stats,
  unlinkSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { FileGone, namingFile, systemCode } from "../errors.js";

export { Appender, type AppendOptions, appendRecord, RECORD_BYTES_MAX } from "./appender.js";
export { freeBytes, isDiskFull } from "./disk-space.js";
export { readSmall, readTail, readTailOf, type SmallFile, type SmallStat, safetyOf } from "./reading.js";

/** How a file is written. */
export interface WriteOptions {
  /** Permission bits before the umask; 0640 unless said otherwise. */
  readonly mode?: number;
  /** Whether it must outlive a power loss: the file and its folder are synced, which costs milliseconds. */
  readonly sync?: boolean;
  /**
   * Where the content is written before it gets its name, on the same file system; beside it unless said otherwise. Each change
   * in a watched folder wakes everybody who watches it, and a file in the making is four of them.
   */
  readonly draftFolder?: string;
  /** Whose it is from the beginning; the writer's own unless said otherwise. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** The mode of every file that heald writes, unless it says otherwise. */
export const FILE_MODE = 0o640;
const FOLDER_MODE = 0o750;

let temporaryCount = 0;

/** Replaces a file, or creates it, in one step for every reader. @throws {NoRoom} And the system's errors. */
export function replaceFile(path: string, text: string, options: WriteOptions = {}): void {
  replaceFileIf(path, text, () => true, options);
}

/** Replaces a file if a last look, right before the rename, still allows it; returns whether it did. @throws As `replaceFile`. */
export function replaceFileIf(
  path: string,
  text: string,
  mayStill: () => boolean,
  options: WriteOptions = {},
): boolean {
  return namingFile(path, () => replaceIf(path, text, mayStill, options));
}

function replaceIf(path: string, text: string, mayStill: () => boolean, options: WriteOptions): boolean {
  const temporary = writeTemporary(path, text, options);
  try {
    if (!mayStill()) {
      removeIfThere(temporary);
      return false;
    }
    renameSync(temporary, path);
  } catch (error) {
    removeIfThere(temporary);
    throw error;
  }
  if (options.sync === true) syncFolder(dirname(path));
  return true;
}

/** Creates a file that appears with its whole content, or returns false because something has its name already. */
export function createExclusive(path: string, text: string, options: WriteOptions = {}): boolean {
  return namingFile(path, () => create(path, text, options));
}

function create(path: string, text: string, options: WriteOptions): boolean {
  try {
    return linkDraft(path, text, options);
  } catch (error) {
    // The two folders are on two file systems, or the one for drafts is not ours to write to.
    if (options.draftFolder === undefined || !["EXDEV", "EACCES", "EPERM", "EROFS"].includes(systemCode(error) ?? ""))
      throw error;
    return linkDraft(path, text, { ...options, draftFolder: dirname(path) });
  }
}

function linkDraft(path: string, text: string, options: WriteOptions): boolean {
  const temporary = writeTemporary(path, text, options);
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  } finally {
    removeIfThere(temporary);
  }
  if (options.sync === true) syncFolder(dirname(path));
  return true;
}

/** Writes the content beside its final place or in the folder for drafts, under a name that begins with a dot and that no reader picks up. */
function writeTemporary(path: string, text: string, options: WriteOptions): string {
  const [temporary, descriptor] = openTemporary(path, options);
  try {
    // By the descriptor: whatever has the name by now is not ours to give away.
    if (options.owner !== undefined) fchownSync(descriptor, options.owner.uid, options.owner.gid);
    writeAll(descriptor, text);
    if (options.sync === true) fsyncSync(descriptor);
  } catch (error) {
    // After a failed sync nobody knows what is on the disk: the next try begins with a new file.
    removeIfThere(temporary);
    throw error;
  } finally {
    closeSync(descriptor);
  }
  return temporary;
}

function openTemporary(
  path: string,
  { mode = FILE_MODE, draftFolder = dirname(path) }: WriteOptions,
): [string, number] {
  for (;;) {
    temporaryCount++;
    const temporary = join(draftFolder, `.${basename(path)}.${process.pid}.${temporaryCount}.tmp`);
    try {
      return [temporary, openSync(temporary, "wx", mode)];
    } catch (error) {
      // Left by a dead process that had our pid.
      if (systemCode(error) !== "EEXIST") throw error;
    }
  }
}

function writeAll(descriptor: number, text: string): void {
  let offset = writeSync(descriptor, text);
  if (offset === Buffer.byteLength(text)) return;
  const bytes = Buffer.from(text);
  while (offset < bytes.length) offset += writeSync(descriptor, bytes, offset);
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
  }
}

function syncFolder(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Moves a file without ever overwriting another; false when `to` is somebody else's file.
 *
 * Of several that move one file at once, exactly one gets true: the one whose removal of the old name succeeds. A move
 * that a crash cut in two (both names, one file) is completed by the next try.
 *
 * @throws {FileGone} If another was faster, or the file was removed.
 */
export function moveExclusive(from: string, to: string): boolean {
  try {
    linkSync(from, to);
  } catch (error) {
    const code = systemCode(error);
    if (code !== "EEXIST" && code !== "ENOENT") throw error;
    const old = statIfThere(from);
    if (old === undefined) throw new FileGone(from, { cause: error });
    if (code === "ENOENT") throw error;
    if (!isSameFile(old, statIfThere(to))) return false;
  }
  removeOldName(from, to);
  return true;
}

function removeOldName(from: string, to: string): void {
  const ours = statIfThere(to);
  const old = statIfThere(from);
  // A person may have put a new file under the old name in between: that one stays.
  if (old !== undefined && ours !== undefined && !isSameFile(old, ours)) return;
  try {
    unlinkSync(from);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    // Another mover was faster. Where it has a name of its own for the file, ours would be a second copy.
    if ((statIfThere(to)?.nlink ?? 0) > 1) removeIfThere(to);
    throw new FileGone(from, { cause: error });
  }
}

function statIfThere(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

function isSameFile(one: Stats, other: Stats | undefined): boolean {
  return other !== undefined && one.ino === other.ino && one.dev === other.dev;
}

/** Creates a folder and those above it, as far as they are missing. */
export function ensureDirectory(path: string): void {
  namingFile(path, () => mkdirSync(path, { recursive: true, mode: FOLDER_MODE }));
}

/** Errors that say something about the host and nothing about the file or the worker: wait, and try again. */
export const WEATHER_CODES: ReadonlySet<string> = new Set([
  "ENOSPC",
  "EDQUOT",
  "EROFS",
  "EMFILE",
  "ENFILE",
  "EIO",
  "EACCES",
  "EPERM",
  "ENOMEM",
  // No process can be made: as many are there as may be.
  "EAGAIN",
]);

/** The code of whatever the system answered, bad weather or not; null for an error that is none of its answers. */
export function answerCode(error: unknown): string | null {
  const code = weatherCode(error);
  if (code !== null) return code;
  return typeof (error as { syscall?: unknown } | null)?.syscall === "string" ? systemCode(error) : null;
}

const CAUSES_MAX = 8;

/** The weather code of an error or of one of its causes, or null. */
export function weatherCode(error: unknown): string | null {
  let current = error;
  for (let depth = 0; depth < CAUSES_MAX && current !== null && current !== undefined; depth++) {
    const code = systemCode(current);
    if (code !== null && WEATHER_CODES.has(code)) return code;
    current = typeof current === "object" && "cause" in current ? current.cause : null;
  }
  return null;
}
