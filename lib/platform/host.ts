/** How pressed the host is, and the limits that it sets. @module */

import { readFileSync } from "node:fs";
import { systemCode } from "../errors.js";

/** Limits that decide how many workers one daemon can watch; null where unlimited or not known. */
export interface Limits {
  readonly openFiles: { readonly soft: number | null; readonly hard: number | null };
  readonly inotify: { readonly max_user_watches: number | null; readonly max_user_instances: number | null };
}

/** Reads the limits of this process and its user. */
export function limits(): Limits {
  const found = /^Max open files\s+(\S+)\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "latin1"));
  return {
    openFiles: { soft: numberOrNull(found?.[1]), hard: numberOrNull(found?.[2]) },
    inotify: {
      max_user_watches: numberOrNull(readOptional("/proc/sys/fs/inotify/max_user_watches")?.trim()),
      max_user_instances: numberOrNull(readOptional("/proc/sys/fs/inotify/max_user_instances")?.trim()),
    },
  };
}

const OPEN_FILES_MIN = 1024;
/** All daemons of one user together need about so many; other programs of the user need theirs. */
const INOTIFY_INSTANCES_MIN = 32;
const INOTIFY_WATCHES_MIN = 512;

/** What a daemon will run into, a sentence each. It keeps one descriptor and one watch for each folder, whatever the number of workers. */
export function tightLimits({ openFiles, inotify }: Limits): string[] {
  const sentences: string[] = [];
  const say = (found: number | null, min: number, what: string, setting: string): void => {
    if (found !== null && found < min)
      sentences.push(`only ${found} ${what} are allowed; raise ${setting} to ${min} or more`);
  };
  say(openFiles.soft, OPEN_FILES_MIN, "open files", "LimitNOFILE (ulimit -n)");
  say(inotify.max_user_instances, INOTIFY_INSTANCES_MIN, "inotify instances", "fs.inotify.max_user_instances");
  say(inotify.max_user_watches, INOTIFY_WATCHES_MIN, "inotify watches", "fs.inotify.max_user_watches");
  return sentences;
}

/** The share of the last ten seconds in which some task waited for a CPU, 0 to 100; null where the kernel does not tell. */
export function cpuPressure(): number | null {
  const found = /^some avg10=([\d.]+)/m.exec(readOptional("/proc/pressure/cpu") ?? "");
  return numberOrNull(found?.[1]);
}

function numberOrNull(text: string | undefined): number | null {
  const number = text === undefined || text === "" ? Number.NaN : Number(text);
  return Number.isFinite(number) ? number : null;
}

/** Null where the kernel was built or started without it. */
function readOptional(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT" || code === "EOPNOTSUPP" || code === "EACCES") return null;
    throw error;
  }
}
