/**
 * Watches folders and files. A notification is a hint to look again, never a fact; whoever watches also scans.
 *
 * The door to chokidar (single files, such as policies). A folder with many files is watched by one plain watch.
 * @module
 */

import { type FSWatcher, type Stats, statSync, watch } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { watch as watchWithChokidar } from "chokidar";
import { systemCode } from "../errors.js";

export interface Watch {
  close(): void;
}

const CHECK_EVERY_MS = 1000;

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
  const folder = new FolderWatch(path, onHint, onError);
  return { close: () => folder.close() };
}

class FolderWatch {
  readonly #path: string;
  readonly #ownName: string;
  readonly #onHint: (name: string | null) => void;
  readonly #onError: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  #watcher: FSWatcher | null = null;
  #armedOn: Stats | null = null;
  #trouble: string | null = null;
  #closed = false;

  constructor(path: string, onHint: (name: string | null) => void, onError: (error: unknown) => void) {
    this.#path = path;
    this.#ownName = basename(path);
    this.#onHint = onHint;
    this.#onError = onError;
    this.#arm();
    this.#timer = setInterval(() => this.#check(false), CHECK_EVERY_MS);
    this.#timer.unref();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#disarm();
  }

  /** @returns Whether the watch stands. */
  #arm(): boolean {
    try {
      const found = statSync(this.#path);
      const watcher = watch(this.#path, (_event, name) => this.#noticed(name));
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

  #noticed(name: string | null): void {
    if (this.#closed) return;
    // The kernel reports the end of the folder itself under the folder's own name.
    if (name === this.#ownName) this.#check(true);
    else if (name === null || !name.startsWith(".")) this.#onHint(name);
  }

  #check(suspect: boolean): void {
    const found = statSync(this.#path, { throwIfNoEntry: false });
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
 * Their folders are watched rather than the files: a watch on a file stays with the old one when it is replaced.
 */
export function watchFew(
  paths: readonly string[],
  onHint: (path: string) => void,
  onError: (error: unknown) => void,
): Watch {
  const asGiven = new Map(paths.map((path) => [resolve(path), path]));
  const folders = new Set([...asGiven.keys()].map((path) => dirname(path)));
  const watcher = watchWithChokidar([...folders], {
    ignoreInitial: true,
    usePolling: false,
    followSymlinks: false,
    depth: 0,
    atomic: false,
    ignored: (path) => !folders.has(path) && !asGiven.has(path),
  });
  watcher.on("all", (_event, path) => {
    const given = asGiven.get(resolve(path));
    if (given !== undefined) onHint(given);
  });
  watcher.on("error", onError);
  return {
    close: () => {
      watcher.close().catch(onError);
    },
  };
}
