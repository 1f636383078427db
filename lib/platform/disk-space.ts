/** Tells how much may still be written where a folder is. @module */
import { readFileSync, statfsSync, statSync } from "node:fs";

/** Less than this is full: one record of a log may need all of it. */
const FULL_BYTES = 64 * 1024;

/**
 * Bytes that the owner of a folder may still write to the file system that holds it.
 *
 * The owner counts and not whoever asks: a home's daemons run as its owner, and `sudo heald status` must say what they find.
 * A daemon of root in a home of another user is taken for that user.
 */
export function freeBytes(folder: string): number {
  const { bavail, bfree, bsize } = statfsSync(folder);
  // ext4 keeps 5 % back, and root may write into that.
  return (isOfHostsRoot(folder) ? bfree : bavail) * bsize;
}

/** Whether hardly anything can be written any more in a folder. A file system that does not count its space is never full. */
export function isDiskFull(folder: string): boolean {
  return statfsSync(folder).blocks > 0 && freeBytes(folder) < FULL_BYTES;
}

const isOfHostsRoot = (folder: string): boolean => statSync(folder).uid === 0 && isHostsRoot();

let isKnownHostsRoot: boolean | undefined;

/** Whether root is root of the host here: in a user namespace it is a user like any other to a file system. */
function isHostsRoot(): boolean {
  isKnownHostsRoot ??= /^\s*0\s+0\s/m.test(uidMap());
  return isKnownHostsRoot;
}

function uidMap(): string {
  try {
    return readFileSync("/proc/self/uid_map", "utf8");
  } catch {
    return ""; // What cannot be asked is taken for less room.
  }
}
