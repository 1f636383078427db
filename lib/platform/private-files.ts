/**
 * What a process that we start is to know and nobody else may read, since its command line is open to every user of a host.
 * @module
 */
import { lstatSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemCode } from "../errors.js";

/** The names in a folder; none if there is no such folder. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}

/** Files that only we may read, in a folder of their own. They are there for moments: what is left of an earlier life is removed. */
export class PrivateFiles {
  readonly #folder: string;
  #made = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Removes those that have been there for so long; they are of an earlier life. @throws As `readdirSync` does, but not where there is no folder. */
  clear(olderThanMs: number): void {
    for (const name of namesIn(this.#folder)) {
      const path = join(this.#folder, name);
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (stat !== undefined && Date.now() - stat.mtimeMs >= olderThanMs)
        rmSync(path, { recursive: true, force: true });
    }
  }

  /** Writes one whole, or leaves none. Returns its path. @throws As `writeFileSync` does. */
  write(text: string): string {
    mkdirSync(this.#folder, { mode: 0o750, recursive: true });
    const path = join(this.#folder, `${process.pid}-${Date.now()}-${++this.#made}`);
    try {
      writeFileSync(path, text, { mode: 0o600, flag: "wx" });
    } catch (error) {
      if (systemCode(error) !== "EEXIST") this.remove(path);
      throw error;
    }
    return path;
  }

  /** @throws As `rmSync` does, but not where it is gone. */
  remove(path: string): void {
    rmSync(path, { force: true });
  }
}
