/** Opens a file that another program is to write its output to. @module */
import { closeSync, constants, fstatSync, ftruncateSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { FileRefused, namingFile, systemCode } from "../errors.js";
import { isDiskFull } from "./disk-space.js";

// A link must not lead to a file that somebody else chose, and a pipe that nobody reads must not stop us.
const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Opens a file for writing and empties it; creates it if it is not there. The caller closes the descriptor.
 *
 * @throws {FileRefused} If it is a link or no regular file; nothing was changed then.
 */
export function openOutput(path: string, mode = 0o640): number {
  const descriptor = openPlainly(path, mode);
  try {
    if (!fstatSync(descriptor).isFile()) throw new FileRefused("not_a_file", path, "not a regular file", WRITING);
    ftruncateSync(descriptor, 0);
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

const SHARED_MEMORY = "/dev/shm";

/**
 * Opens an empty file without a name, in memory and not on a disk that may be full; null where there is no such place, or
 * no room in it.
 */
export function openNameless(memory = SHARED_MEMORY): number | null {
  let folder: string | null = null;
  try {
    if (isDiskFull(memory)) return null;
    folder = mkdtempSync(join(memory, "heald-"));
    return openSync(join(folder, "output"), "wx+", 0o600);
  } catch (error) {
    if (systemCode(error) === null) throw error;
    return null;
  } finally {
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
  }
}

const WRITING = { deed: "write" } as const;

function openPlainly(path: string, mode: number): number {
  try {
    return namingFile(path, () => openSync(path, FLAGS, mode));
  } catch (error) {
    const code = systemCode(error);
    if (code === "ELOOP") throw new FileRefused("symlink", path, "a symbolic link", { ...WRITING, cause: error });
    if (code === "ENXIO") throw new FileRefused("not_a_file", path, "not a regular file", { ...WRITING, cause: error });
    throw error;
  }
}
