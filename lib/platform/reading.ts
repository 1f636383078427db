/** Reads files that others wrote, and says which of them must not be trusted. @module */

import { isUtf8 } from "node:buffer";
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import { FileRefused, systemCode } from "../errors.js";

/** The part of a file's status that readers compare and report. */
export interface SmallStat {
  readonly dev: number;
  readonly ino: number;
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly mtimeMs: number;
  readonly birthtimeMs: number;
}

/** A file's text, with the status of the very file that was read. */
export interface SmallFile {
  readonly text: string;
  readonly stat: SmallStat;
}

// A pipe put in a record's place must not stop the reader, and a link must not lead it elsewhere.
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export interface ReadSmallOptions {
  readonly maxBytes: number;
  /** It was seen a moment ago, or nearly always is there: it is not looked for before it is opened. */
  readonly isThere?: boolean | undefined;
  /** Whether bytes that are no UTF-8 are replaced, and do not refuse the file. */
  readonly replacesBroken?: boolean | undefined;
}

/**
 * Reads a whole small file; null when there is none.
 *
 * @throws {FileRefused} If it is a link, no regular file, longer than `maxBytes`, or not UTF-8 (unless that is mended).
 */
export function readSmall(path: string, options: ReadSmallOptions): SmallFile | null {
  const descriptor = openRegular(path, options.isThere);
  if (descriptor === null) return null;
  try {
    const stat = fstatSync(descriptor);
    refuseOthers(path, stat);
    const bytes = readUpTo(descriptor, Math.min(stat.size, options.maxBytes) + 1, options.maxBytes + 1, 0);
    if (stat.size > options.maxBytes || bytes.length > options.maxBytes) {
      const found = Math.max(stat.size, bytes.length);
      throw new FileRefused("too_large", path, `${found} bytes, at most ${options.maxBytes}`);
    }
    if (options.replacesBroken !== true && !isUtf8(bytes)) throw new FileRefused("not_utf8", path, "not UTF-8 text");
    const text = bytes.toString();
    return { text: text.startsWith("\uFEFF") ? text.slice(1) : text, stat };
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Reads the last bytes of a log for a person: broken characters are replaced, control characters made harmless.
 *
 * A line that was cut at the front stays cut. Empty when there is no file.
 * @throws {FileRefused} If it is a link or no regular file.
 */
export function readTail(path: string, maxBytes: number): string {
  const descriptor = openRegular(path);
  if (descriptor === null) return "";
  try {
    refuseOthers(path, fstatSync(descriptor));
    return readTailOf(descriptor, maxBytes);
  } finally {
    closeSync(descriptor);
  }
}

/** As `readTail`, of a file that is open; it is left open. */
export function readTailOf(descriptor: number, maxBytes: number): string {
  const { size } = fstatSync(descriptor);
  const from = Math.max(0, size - maxBytes);
  const bytes = readUpTo(descriptor, Math.min(size, maxBytes), maxBytes, from);
  return harmless(bytes.toString("utf8", from > 0 ? continuationLength(bytes) : 0));
}

function openRegular(path: string, isThere = false): number | null {
  // Most files that are looked for are not there, and an error costs ten times what this look does.
  if (!isThere && lstatSync(path, { throwIfNoEntry: false }) === undefined) return null;
  try {
    return openSync(path, READ_FLAGS);
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT") return null;
    if (code === "ELOOP") throw new FileRefused("symlink", path, "a symbolic link", { cause: error });
    if (code === "ENXIO") throw new FileRefused("not_a_file", path, "not a regular file", { cause: error });
    throw error;
  }
}

function refuseOthers(path: string, stat: Stats): void {
  if (!stat.isFile()) throw new FileRefused("not_a_file", path, "not a regular file");
}

/** Reads to the end or to the limit, from a file that may grow meanwhile. */
function readUpTo(descriptor: number, expected: number, limit: number, from: number): Buffer {
  let bytes = Buffer.allocUnsafe(Math.max(1, expected));
  let length = 0;
  while (length < limit) {
    if (length === bytes.length) bytes = Buffer.concat([bytes], Math.min(bytes.length * 2, limit));
    const wanted = bytes.length - length;
    const read = readSync(descriptor, bytes, length, wanted, from + length);
    length += read;
    // A regular file gives less than was asked for only at its end.
    if (read < wanted) break;
  }
  return bytes.subarray(0, length);
}

/** How many bytes at the front are the rest of a character that was cut. */
function continuationLength(bytes: Buffer): number {
  let length = 0;
  while (length < 3 && length < bytes.length && ((bytes[length] as number) & 0xc0) === 0x80) length++;
  return length;
}

// Escape sequences of terminals, then whatever else moves a cursor or turns the direction of text.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
const ESCAPE_SEQUENCE = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]{0,4096}(?:\u0007|\u001b\\)|[@-Z\\-_])/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
const CONTROL_CHARACTER = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

function harmless(text: string): string {
  return text.replace(/\r\n/g, "\n").replace(ESCAPE_SEQUENCE, "").replace(CONTROL_CHARACTER, "\uFFFD");
}

const WRITABLE_BY_GROUP = 0o020;
const WRITABLE_BY_OTHERS = 0o002;
const STICKY = 0o1000;

/**
 * Says why a policy, template, approval or hook must be refused, as part of a sentence; null when it is safe.
 *
 * Whoever can write such a file can make heald run programs. Writable by the group is accepted only for a person's own
 * private group (the group's number is the owner's), which is how a shell with umask 002 leaves files.
 *
 * @throws The system's error if the file or its folder is not there.
 */
export function safetyOf(path: string): string | null {
  const file = lstatSync(path);
  if (file.isSymbolicLink()) return "it is a symbolic link";
  return whyStranger("it", file) ?? whyWritable("it", file) ?? whyFolderUnsafe(statSync(dirname(path)));
}

function whyFolderUnsafe(folder: Stats): string | null {
  const stranger = whyStranger("its folder", folder);
  if (stranger !== null) return stranger;
  const open = (folder.mode & WRITABLE_BY_OTHERS) !== 0 && (folder.mode & STICKY) === 0;
  return open ? `its folder is writable by others (mode ${octal(folder.mode)})` : null;
}

function whyStranger(subject: string, stat: Stats): string | null {
  const trusted = stat.uid === 0 || stat.uid === process.geteuid?.();
  return trusted ? null : `${subject} belongs to user ${stat.uid}, not to root or to the user of this process`;
}

function whyWritable(subject: string, stat: Stats): string | null {
  if ((stat.mode & WRITABLE_BY_OTHERS) !== 0) return `${subject} is writable by others (mode ${octal(stat.mode)})`;
  const privateGroup = stat.gid === stat.uid && stat.uid !== 0;
  if ((stat.mode & WRITABLE_BY_GROUP) !== 0 && !privateGroup) {
    return `${subject} is writable by its group (mode ${octal(stat.mode)})`;
  }
  return null;
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}
