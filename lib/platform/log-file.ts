/** The file behind a daemon's log: rotated by size, moved away by others at will, and silent while the disk is full. @module */

import { renameSync } from "node:fs";
import { systemCode } from "../errors.js";
import { Appender } from "./appender.js";
import { utc } from "./clock.js";

/** Limits of a log on disk. */
export interface LogLimits {
  /** Rotate before the file would become longer than this. */
  readonly maxBytes: number;
  /** How many rotated files to keep: `<file>.1` is the newest. */
  readonly keep: number;
}

/**
 * Takes finished lines. A log that cannot be written must not end the daemon that it describes: lines are counted
 * while that lasts, and the first line that gets through is preceded by one that says how many were lost, and why.
 */
export class LogFile {
  readonly #path: string;
  readonly #limits: LogLimits;
  readonly #appender: Appender;
  #rotateAtBytes: number;
  #lostLines = 0;
  #lostBecause = "";

  constructor(path: string, limits: LogLimits) {
    this.#path = path;
    this.#limits = limits;
    this.#rotateAtBytes = limits.maxBytes;
    this.#appender = new Appender(path, { bytesMax: Number.MAX_SAFE_INTEGER });
  }

  /** The length of the current file in bytes, as of the last line. */
  get bytes(): number {
    return this.#appender.size;
  }

  /** Appends one line of JSON, with or without its newline. */
  write(line: string): void {
    const text = line.endsWith("\n") ? line.slice(0, -1) : line;
    try {
      this.#confess();
      this.#appender.append(text);
    } catch (error) {
      this.#lostLines++;
      this.#lostBecause = systemCode(error) ?? String(error);
      return;
    }
    if (this.#appender.size >= this.#rotateAtBytes) this.#rotate();
  }

  /** Writes what is still owed: how many lines were lost. */
  flush(): void {
    try {
      this.#confess();
    } catch (error) {
      this.#lostBecause = systemCode(error) ?? String(error);
    }
  }

  /** Opens the path anew, for whoever rotates with `mv` and SIGHUP. */
  reopen(): void {
    this.#appender.reopen();
    this.#rotateAtBytes = this.#limits.maxBytes;
  }

  close(): void {
    this.flush();
    this.#appender.close();
  }

  #confess(): void {
    if (this.#lostLines === 0) return;
    const atMs = Date.now();
    const msg = `${this.#lostLines} log lines were lost (${this.#lostBecause})`;
    this.#appender.append(JSON.stringify({ level: "warn", time: utc(atMs), lost_lines: this.#lostLines, msg }));
    this.#lostLines = 0;
  }

  #rotate(): void {
    try {
      for (let number = this.#limits.keep - 1; number >= 1; number--) {
        renameIfThere(`${this.#path}.${number}`, `${this.#path}.${number + 1}`);
      }
      renameIfThere(this.#path, `${this.#path}.1`);
      this.reopen();
    } catch (error) {
      // Better a long file than none: go on in this one, and try again when it has grown by a tenth.
      this.#rotateAtBytes = this.#appender.size + this.#limits.maxBytes / 10;
      const msg = `Cannot rotate (${systemCode(error) ?? String(error)})`;
      this.write(JSON.stringify({ level: "warn", time: utc(Date.now()), msg }));
    }
  }
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
  }
}
