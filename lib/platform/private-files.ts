/**
 * What a process that we start is to know and nobody else may read, since its command line is open to every user of a host.
 * @module
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Files that only we may read, in a folder of their own. They are there for moments: what is left of an earlier life is removed. */
export class PrivateFiles {
  readonly #folder: string;
  #made = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Removes all of them, also those of an earlier life. @throws As `readdirSync` does, but not where there is no folder. */
  clear(): void {
    if (!existsSync(this.#folder)) return;
    for (const name of readdirSync(this.#folder)) this.remove(join(this.#folder, name));
  }

  /** Writes one whole. Returns its path. @throws As `writeFileSync` does. */
  write(text: string): string {
    mkdirSync(this.#folder, { mode: 0o750, recursive: true });
    const path = join(this.#folder, `${process.pid}-${++this.#made}`);
    writeFileSync(path, text, { mode: 0o600, flag: "wx" });
    return path;
  }

  /** @throws As `rmSync` does, but not where it is gone. */
  remove(path: string): void {
    rmSync(path, { force: true });
  }
}
