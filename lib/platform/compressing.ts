/** Packs a finished file with gzip, and reads a packed one. A file is at every instant there as one of the two. @module */
import {
  closeSync,
  constants,
  createReadStream,
  createWriteStream,
  fstatSync,
  openSync,
  readFileSync,
  rmSync,
  utimesSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip, gunzipSync } from "node:zlib";
import { FileRefused, systemCode } from "../errors.js";
import { moveExclusive } from "./files.js";

export const PACKED = ".gz";

/** A packed file is unpacked in memory, up to so many bytes. */
const UNPACKED_BYTES_MAX = 256 * 1024 * 1024;

/**
 * Replaces a file that nobody writes to any more by `<path>.gz`, of the same age and mode.
 *
 * Killed in between it leaves a temporary file, or both of the two: done again, it ends as if it had not been.
 *
 * @returns How many bytes that has freed; null if there is no such file, or if packing would not make it smaller.
 * @throws {FileRefused} If it is a link or no regular file. @throws The system's error, such as ENOSPC; the file is as it was.
 */
export async function packFile(path: string): Promise<number | null> {
  const descriptor = openForPacking(path);
  if (descriptor === null) return null;
  const temporary = join(dirname(path), `.${basename(path)}${PACKED}.tmp`);
  try {
    const before = fstatSync(descriptor);
    if (!before.isFile()) throw new FileRefused("not_a_file", path, "not a regular file");
    rmSync(temporary, { force: true });
    const packing = createWriteStream(temporary, { flags: "wx", mode: before.mode & 0o777 });
    await pipeline(createReadStream(path, { fd: descriptor, autoClose: false, start: 0 }), createGzip(), packing);
    const after = await synced(temporary);
    if (after >= before.size) return null;
    utimesSync(temporary, before.atime, before.mtime);
    // One that a kill has left beside its original is the same, or was not finished.
    rmSync(`${path}${PACKED}`, { force: true });
    moveExclusive(temporary, `${path}${PACKED}`);
    rmSync(path, { force: true });
    return before.size - after;
  } finally {
    closeSync(descriptor);
    rmSync(temporary, { force: true });
  }
}

/** The bytes of a packed file; none if it is not there. @throws If it is damaged, or larger than memory should hold. */
export function readPacked(path: string): Buffer {
  const descriptor = openForPacking(path);
  if (descriptor === null) return Buffer.alloc(0);
  try {
    return gunzipSync(readFileSync(descriptor), { maxOutputLength: UNPACKED_BYTES_MAX });
  } finally {
    closeSync(descriptor);
  }
}

function openForPacking(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT") return null;
    if (code === "ELOOP") throw new FileRefused("symlink", path, "a symbolic link", { cause: error });
    throw error;
  }
}

/** The original is gone for good afterwards, so the copy must outlive a power loss. */
async function synced(path: string): Promise<number> {
  const file = await open(path, "r");
  try {
    await file.sync();
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}
