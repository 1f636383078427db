/**
 * Watches files anywhere on disk, of which the list changes: a worker's program, its script, its configuration.
 *
 * The door to chokidar. It may miss the second of two replacements that come within milliseconds of each other, so whoever
 * uses it also looks by itself; what it gives is a quick answer for the usual single change, whatever the file system.
 *
 * @module
 */
import type { FSWatcher } from "chokidar";

/** A change is told once the file has been still for so long: an editor's save is several events. */
const STILL_MS = 30;

export class FileWatch {
  readonly #onHint: (path: string) => void;
  readonly #onError: (error: unknown) => void;
  #wanted = new Set<string>();
  #watcher: FSWatcher | null = null;
  #opening = false;
  #closed = false;

  constructor(onHint: (path: string) => void, onError: (error: unknown) => void) {
    this.#onHint = onHint;
    this.#onError = onError;
  }

  /** Replaces the list of files. Nothing is loaded or watched until there is one. */
  set(paths: readonly string[]): void {
    const wanted = new Set(paths);
    const added = paths.filter((path) => !this.#wanted.has(path));
    const removed = [...this.#wanted].filter((path) => !wanted.has(path));
    this.#wanted = wanted;
    if (removed.length > 0) this.#watcher?.unwatch(removed);
    if (added.length === 0) return;
    if (this.#watcher !== null) this.#watcher.add(added);
    else if (!this.#opening) void this.#open();
  }

  close(): void {
    this.#closed = true;
    void this.#watcher?.close();
  }

  async #open(): Promise<void> {
    this.#opening = true;
    const { watch } = await import("chokidar");
    if (this.#closed) return;
    this.#watcher = watch([...this.#wanted], {
      ignoreInitial: true,
      depth: 0,
      awaitWriteFinish: { stabilityThreshold: STILL_MS, pollInterval: STILL_MS / 3 },
    });
    this.#watcher.on("all", (_event, path) => this.#onHint(path));
    this.#watcher.on("error", this.#onError);
  }
}
