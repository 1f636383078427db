/**
 * Watches folders and files. A notification is a hint to look again, never a fact; whoever watches also scans.
 *
 * Single files are watched through their folders too, with the system's own watch. chokidar 5 was measured for them
 * and not taken: of two replacements by `mv` less than 50 ms apart it did not report the second (47 of 60 through the
 * folder, 59 of 60 through the file; the plain watch missed none), and it leaves a folder that was replaced.
 * @module
 */

import { type FSWatcher, type Stats, statSync, watch } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { systemCode } from "../errors.js";
import { everySeconds } from "./seconds.js";

export interface Watch {
  close(): void;
}

const CHECK_EVERY_SECONDS = 1;

/**
 * Watches one folder, not those below it.
 *
 * The folder may be missing, removed, or replaced by another: the watch arms itself again within a second and then
 * hints `null`, "scan all". Names that begin with a dot are temporary by contract and give no hint.
 *
 * @param onError Told once for each kind of trouble (no watches left, folder missing) until it is over.
 */
export function watchDirectory(
  path: string,
  onHint: (name: string | null) => void,
  onError: (error: unknown) => void,
): Watch {
  return new FolderWatch(path, (name) => !name.startsWith("."), onHint, onError);
}

/** The same, with hints only of what is written into files, and none when they are created, renamed or removed. */
export function watchContents(
  path: string,
  onHint: (name: string | null) => void,
  onError: (error: unknown) => void,
): Watch {
  const isWanted = (name: string, event: string): boolean => event === "change" && !name.startsWith(".");
  return new FolderWatch(path, isWanted, onHint, onError);
}

class FolderWatch implements Watch {
  readonly #path: string;
  readonly #ownName: string;
  readonly #isWanted: (name: string, event: string) => boolean;
  readonly #onHint: (name: string | null) => void;
  readonly #onError: (error: unknown) => void;
  readonly #stopChecks: () => void;
  #watcher: FSWatcher | null = null;
  #armedOn: Stats | null = null;
  #trouble: string | null = null;
  #closed = false;

  constructor(
    path: string,
    isWanted: (name: string, event: string) => boolean,
    onHint: (name: string | null) => void,
    onError: (error: unknown) => void,
  ) {
    this.#path = path;
    this.#ownName = basename(path);
    this.#isWanted = isWanted;
    this.#onHint = onHint;
    this.#onError = onError;
    this.#arm();
    this.#stopChecks = everySeconds(CHECK_EVERY_SECONDS, () => this.#check(false));
  }

  close(): void {
    this.#closed = true;
    this.#stopChecks();
    this.#disarm();
  }

  /** @returns Whether the watch stands. */
  #arm(): boolean {
    try {
      const found = statSync(this.#path);
      const watcher = watch(this.#path, (event, name) => this.#noticed(name, event));
      watcher.on("error", (error) => this.#failed(error));
      this.#watcher = watcher;
      this.#armedOn = found;
      this.#trouble = null;
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  #disarm(): void {
    this.#watcher?.close();
    this.#watcher = null;
    this.#armedOn = null;
  }

  #failed(error: unknown): void {
    this.#disarm();
    const code = systemCode(error) ?? String(error);
    if (code === this.#trouble) return;
    this.#trouble = code;
    this.#onError(error);
  }

  #noticed(name: string | null, event: string): void {
    if (this.#closed) return;
    // The kernel reports the end of the folder itself under the folder's own name.
    if (name === this.#ownName) this.#check(true);
    else if (name === null || this.#isWanted(name, event)) this.#onHint(name);
  }

  #check(suspect: boolean): void {
    let found: Stats | undefined;
    try {
      found = statSync(this.#path, { throwIfNoEntry: false });
    } catch (error) {
      // A folder above was closed, or the disk fails: it is looked at again in a second.
      return this.#failed(error);
    }
    if (!suspect && found !== undefined && this.#armedOn !== null && isSameFolder(found, this.#armedOn)) return;
    this.#disarm();
    if (this.#arm()) this.#onHint(null);
  }
}

/** Inode numbers are given away again at once; the time of birth is not. */
function isSameFolder(found: Stats, known: Stats): boolean {
  return found.ino === known.ino && found.dev === known.dev && found.birthtimeMs === known.birthtimeMs;
}

/**
 * Watches a few single files, which may be missing, replaced by `mv`, or removed and written again.
 *
 * Their folders are watched rather than the files: a watch on a file stays with the old one when it is replaced. When
 * a folder was removed or replaced, each of its files is hinted at.
 */
export function watchFew(
  paths: readonly string[],
  onHint: (path: string) => void,
  onError: (error: unknown) => void,
): Watch {
  const folders = new Map<string, Map<string, string>>();
  for (const path of paths) {
    const folder = dirname(resolve(path));
    const names = folders.get(folder) ?? new Map<string, string>();
    folders.set(folder, names.set(basename(path), path));
  }
  const watches = [...folders].map(([folder, names]) => {
    const hint = (name: string | null): void => {
      const path = name === null ? undefined : names.get(name);
      for (const hinted of path === undefined ? names.values() : [path]) onHint(hinted);
    };
    return new FolderWatch(folder, (name) => names.has(name), hint, onError);
  });
  return {
    close: () => {
      for (const watch of watches) watch.close();
    },
  };
}
