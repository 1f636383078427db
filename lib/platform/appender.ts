/**
 * Appends records to a log that others read, append to and rotate at the same time.
 *
 * One record, or several of one writer, is one write of one buffer to a descriptor opened for appending: on a local file
 * system the kernel never mixes two of them. A killed writer leaves a torn last line, and so does a full disk where there are
 * several writers; the next write closes it. An only writer takes back what a full disk has taken of its record.
 * @module
 */

import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  type Stats,
  statSync,
  writeSync,
} from "node:fs";
import { FileRefused, NoRoom, namingFile, RecordTooLarge, RecordTorn, systemCode } from "../errors.js";

/** The largest record, its newline included. */
export const RECORD_BYTES_MAX = 64 * 1024;

const NEWLINE = 0x0a;
const ONLY_WRITER_LOOKS_MS = 1000;
/** Milliseconds, and looks, that an unfinished last line is given. */
const TORN_LOOKS = 20;
const SLEEPER = new Int32Array(new SharedArrayBuffer(4));
const OPEN_FLAGS =
  constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** How a log is appended to. */
export interface AppendOptions {
  /** Permission bits before the umask when the file is created; 0640 unless said otherwise. */
  readonly mode?: number;
  /** The largest record, its newline included; 64 KiB unless said otherwise. More only where there is one writer. */
  readonly bytesMax?: number;
  /**
   * Nobody else appends to it or rotates it: whether it is still there is looked at once a second, not for each record, and a
   * record that did not fit is taken back.
   */
  readonly isOnlyWriter?: boolean;
}

/** Keeps a log open for appending, through rotation and removal by others. */
export class Appender {
  readonly path: string;
  readonly #mode: number;
  readonly #bytesMax: number;
  readonly #isOnlyWriter: boolean;
  #lookedAtMs = 0;
  readonly #lastByte = Buffer.alloc(1);
  #descriptor = -1;
  #device = 0;
  #inode = 0;
  /** The file's length after our own last write, which ended with a newline; -1 when unknown. */
  #cleanSize = -1;
  #size = 0;

  constructor(path: string, options: AppendOptions = {}) {
    this.path = path;
    this.#mode = options.mode ?? 0o640;
    this.#bytesMax = options.bytesMax ?? RECORD_BYTES_MAX;
    this.#isOnlyWriter = options.isOnlyWriter ?? false;
  }

  /** The file's length when it was last looked at, in bytes. */
  get size(): number {
    return this.#size;
  }

  /**
   * Appends one line; the newline is added here.
   *
   * @throws {RecordTooLarge} If it is longer than `bytesMax`. @throws {NoRoom} If the disk took nothing of it.
   * @throws {RecordTorn} If the disk took only a part, which stays.
   */
  append(line: string): void {
    this.#put(line, this.#bytesOf(line));
  }

  /**
   * Appends several lines with one write; none of them if one is refused.
   *
   * @throws As `append`; then some of the lines may have been written.
   */
  appendAll(lines: readonly string[]): void {
    let length = 0;
    for (const line of lines) length += this.#bytesOf(line);
    if (length > 0) this.#put(lines.join("\n"), length);
  }

  /** With its newline. */
  #bytesOf(line: string): number {
    if (line.includes("\n")) throw new RangeError(`A record for ${JSON.stringify(this.path)} must be one line`);
    const length = Buffer.byteLength(line) + 1;
    if (length > this.#bytesMax) throw new RecordTooLarge(this.path, length, this.#bytesMax);
    return length;
  }

  #put(text: string, length: number): void {
    namingFile(this.path, () => this.#putNow(text, length));
  }

  #putNow(text: string, length: number): void {
    this.#size = this.#settle();
    if (this.#endsTorn()) this.#write(`\n${text}\n`, length + 1);
    else this.#write(`${text}\n`, length);
  }

  /** Lets go of the file; the next record opens whatever has its name then. */
  reopen(): void {
    this.close();
  }

  /** Closes the file. A later append opens it again. */
  close(): void {
    if (this.#descriptor < 0) return;
    const descriptor = this.#descriptor;
    this.#descriptor = -1;
    this.#cleanSize = -1;
    closeSync(descriptor);
  }

  /** Makes sure that the open file is the one that has the name now, and returns its length. */
  #settle(): number {
    if (this.#descriptor >= 0) {
      if (this.#isOnlyWriter && this.#isSettled()) return this.#size;
      const found = statSync(this.path, { throwIfNoEntry: false });
      if (found !== undefined && found.ino === this.#inode && found.dev === this.#device) return found.size;
      this.close();
    }
    const found = this.#open();
    this.#device = found.dev;
    this.#inode = found.ino;
    return found.size;
  }

  /** Whether our own last write went well, and the look before it was a moment ago. */
  #isSettled(): boolean {
    const nowMs = performance.now();
    if (this.#cleanSize === this.#size && nowMs - this.#lookedAtMs < ONLY_WRITER_LOOKS_MS) return true;
    this.#lookedAtMs = nowMs;
    return false;
  }

  #open(): Stats {
    const descriptor = openForAppending(this.path, this.#mode);
    const found = fstatSync(descriptor);
    if (!found.isFile()) {
      closeSync(descriptor);
      throw new FileRefused("not_a_file", this.path, "not a regular file");
    }
    this.#descriptor = descriptor;
    return found;
  }

  /**
   * Whether the last line lacks its newline for good.
   *
   * The length of a file grows page by page while another process writes a long record, so a line without an end may
   * be one that is being written: it is given a moment. One that takes longer costs an empty line, which readers skip.
   */
  #endsTorn(): boolean {
    if (this.#size === this.#cleanSize) return false;
    for (let turn = 0; !this.#endsWithNewline(); turn++) {
      if (turn === TORN_LOOKS) return true;
      Atomics.wait(SLEEPER, 0, 0, 1);
      this.#size = fstatSync(this.#descriptor).size;
    }
    return false;
  }

  #endsWithNewline(): boolean {
    if (this.#size === 0) return true;
    const read = readSync(this.#descriptor, this.#lastByte, 0, 1, this.#size - 1);
    return read !== 1 || this.#lastByte[0] === NEWLINE;
  }

  /**
   * Makes the file as long as it was before a write that the disk took only a part of; false if it cannot be done.
   *
   * A part that stayed would be closed by the next record, as a line that says nothing; or, where its newline alone was
   * missing, as a record of what its writer believes not to have written.
   */
  #takeBack(before: number): boolean {
    try {
      // Longer, it would have another writer after all, whose record must stay.
      if (fstatSync(this.#descriptor).size !== this.#size) return false;
      ftruncateSync(this.#descriptor, before);
      this.#size = before;
      return true;
    } catch {
      return false; // The line is torn then, as a kill would have left it.
    }
  }

  /** One write of the whole text, which becomes bytes on the way to the kernel and not in a buffer of its own before. */
  #write(text: string, length: number): void {
    this.#cleanSize = -1;
    const before = this.#size;
    const written = writeSync(this.#descriptor, text);
    this.#size += written;
    if (written < length) {
      const cause = Object.assign(new Error("Short write"), { code: "ENOSPC" });
      if (this.#isOnlyWriter && this.#takeBack(before)) throw new NoRoom(this.path, cause.code, cause);
      throw new RecordTorn(this.path, written, length, { cause });
    }
    this.#cleanSize = this.#size;
  }
}

function openForAppending(path: string, mode: number): number {
  try {
    return openSync(path, OPEN_FLAGS, mode);
  } catch (error) {
    if (systemCode(error) === "ELOOP") {
      throw new FileRefused("symlink", path, "a symbolic link", { cause: error });
    }
    throw error;
  }
}

/** Appends one record to a log that is written seldom; a frequent writer keeps an `Appender`. */
export function appendRecord(path: string, line: string, options: AppendOptions = {}): void {
  const appender = new Appender(path, options);
  try {
    appender.append(line);
  } finally {
    appender.close();
  }
}
