/** Walks the home without following a link, and says what is there. @module */
import { lstatSync, type Stats } from "node:fs";
import { basename, join, relative } from "node:path";
import { systemCode } from "../../lib/errors.js";
import { isAlive } from "../../lib/platform/identity.js";
import { namesIn } from "../../lib/store/entries.js";
import type { Layout } from "../../lib/store/layout.js";
import type { Entry } from "./facts.js";

/** The folder in which `--repair` keeps what it moved away; nothing in it is looked at. */
export const ASIDE = "aside";

/** How the platform names a file that is being written; the number is the writer's pid. */
export const TEMPORARY = /^\..+\.(\d+)\.(?:\d+|merge)\.tmp$/;

/** Deeper than anything of ours is; a folder that nests further is a stray. */
const DEPTH_MAX = 8;

/** Every file, folder, link and oddity below `coordination/` and the logs, folders first. */
export function entriesOf(layout: Layout, isOurs: boolean): Entry[] {
  const found: Entry[] = [];
  walk(layout, layout.coordination, 0, found);
  if (!layout.logs.startsWith(`${layout.coordination}/`)) walk(layout, layout.logs, 0, found);
  if (!isOurs) return found;
  return found.map((entry) => {
    const writer = TEMPORARY.exec(basename(entry.path))?.[1];
    return writer === undefined ? entry : { ...entry, isWriterAlive: isAlive(Number(writer)) };
  });
}

/** How a path is named to people. */
export function shownIn(layout: Layout, path: string): string {
  const below = relative(layout.coordination, path);
  return below.startsWith("..") ? path : below;
}

function walk(layout: Layout, path: string, depth: number, found: Entry[]): void {
  const stat = statOf(path);
  if (stat === null) return;
  found.push({
    path,
    shown: shownIn(layout, path) || "coordination",
    kind: kindOf(stat),
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    inode: stat.ino,
    links: stat.nlink,
    size: stat.size,
    mtimeMs: stat.mtimeMs,
  });
  if (!stat.isDirectory() || depth >= DEPTH_MAX || path === join(layout.coordination, ASIDE)) return;
  for (const name of readable(path).sort()) walk(layout, join(path, name), depth + 1, found);
}

/** Null for what is gone by now, or hidden from us. */
function statOf(path: string): Stats | null {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) ?? null;
  } catch (error) {
    if (systemCode(error) === null) throw error;
    return null;
  }
}

/** A folder that this user may not read has no names for us; that it is so, its mode says. */
function readable(path: string): string[] {
  try {
    return namesIn(path);
  } catch (error) {
    if (systemCode(error) === null) throw error;
    return [];
  }
}

function kindOf(stat: Stats): Entry["kind"] {
  if (stat.isSymbolicLink()) return "link";
  if (stat.isDirectory()) return "folder";
  return stat.isFile() ? "file" : "other";
}
