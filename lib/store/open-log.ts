/** A log that is open for reading, and how it is known again. @module */
import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { FileRefused, systemCode } from "../errors.js";

/** Where a reader is in which file. */
export interface TailCheckpoint {
  readonly inode: number;
  readonly birth_ms: number;
  readonly offset: number;
  /** `<bytes>:<hash>` of the first bytes, at most 1 KiB of those that were read. */
  readonly head_hash: string;
}

/** What a file is known by, whatever its name is by now. */
export type LogFile = Pick<TailCheckpoint, "inode" | "birth_ms">;

export interface OpenLog {
  readonly descriptor: number;
  readonly inode: number;
  readonly device: number;
  readonly birthMs: number;
  /** Behind the last delivered line. */
  offset: number;
  /** Bytes behind the offset that were looked through and hold no newline. */
  scanned: number;
  /** As in the checkpoint; empty while nothing was read. */
  head: string;
  /** The bytes of which `head` is the hash; null while that is not known of this process. */
  headBytes: Buffer | null;
}

const HEAD_BYTES = 1024;
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Opens a log; null if there is none. @throws {FileRefused} If it is a link or no regular file. */
export function openLog(path: string): OpenLog | null {
  let descriptor: number;
  try {
    descriptor = openSync(path, OPEN_FLAGS);
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT") return null;
    if (code === "ELOOP") throw new FileRefused("symlink", path, "a symbolic link", { cause: error });
    throw error;
  }
  const stat = fstatSync(descriptor);
  if (!stat.isFile()) {
    closeSync(descriptor);
    throw new FileRefused("not_a_file", path, "not a regular file");
  }
  const { ino, dev, birthtimeMs } = stat;
  return {
    descriptor,
    inode: ino,
    device: dev,
    birthMs: birthtimeMs,
    offset: 0,
    scanned: 0,
    head: "",
    headBytes: null,
  };
}

export function closeLog(log: OpenLog): void {
  closeSync(log.descriptor);
}

export function sizeOf(log: OpenLog): number {
  return fstatSync(log.descriptor).size;
}

/** Hashes the first bytes anew while what was read is shorter than what the head may cover. */
export function refreshHead(log: OpenLog): void {
  const length = Math.min(HEAD_BYTES, log.offset);
  if (log.head.startsWith(`${length}:`)) return;
  log.headBytes = firstBytes(log, length);
  log.head = hashOf(log.headBytes, length);
}

/** Whether an open file still begins as it did, and has a line's end at the offset: as `continues`, without a hash. */
export function isContinued(log: OpenLog): boolean {
  if (log.headBytes === null) {
    const { inode, birthMs, offset, head } = log;
    return continues(log, { inode, birth_ms: birthMs, offset, head_hash: head });
  }
  return firstBytes(log, log.headBytes.length).equals(log.headBytes) && hasLineEndAt(log, log.offset);
}

/** Whether a file begins as the one in which the checkpoint was made, and has a line's end where it says. */
export function continues(log: OpenLog, checkpoint: TailCheckpoint): boolean {
  if (sizeOf(log) < checkpoint.offset) return false;
  const length = Number.parseInt(checkpoint.head_hash, 10);
  if (!(length >= 0 && length <= HEAD_BYTES)) return false;
  if (hashOf(firstBytes(log, length), length) !== checkpoint.head_hash) return false;
  return hasLineEndAt(log, checkpoint.offset);
}

function hasLineEndAt(log: OpenLog, offset: number): boolean {
  if (offset === 0) return true;
  const last = Buffer.alloc(1);
  return readSync(log.descriptor, last, 0, 1, offset - 1) === 1 && last[0] === 0x0a;
}

/** The first bytes, or as many as there are. */
function firstBytes(log: OpenLog, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, length === 0 ? 0 : readSync(log.descriptor, bytes, 0, length, 0));
}

function hashOf(bytes: Buffer, length: number): string {
  return `${length}:${createHash("sha256").update(bytes).digest("hex").slice(0, 16)}`;
}
