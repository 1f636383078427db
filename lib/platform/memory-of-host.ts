/** How much memory this host has, as the processes on it see it. @module */
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { systemCode } from "../errors.js";

const MIB = 1024 * 1024;
const LIMITS = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/** MiB of memory: the host's, or what a container is given of it. */
export function hostMemoryMb(): number {
  const given = LIMITS.map(limitIn).filter((bytes) => bytes !== null);
  return Math.min(totalmem(), ...given) / MIB;
}

function limitIn(path: string): number | null {
  try {
    const bytes = Number(readFileSync(path, "latin1").trim());
    // Without a limit the kernel says "max", or a number larger than any memory.
    return Number.isFinite(bytes) && bytes > 0 ? bytes : null;
  } catch (error) {
    if (systemCode(error) === null) throw error;
    return null;
  }
}
