/**
 * Reads a log that grows, is rotated, truncated or replaced, and says where to go on after a restart.
 *
 * A line is delivered once it has its newline. The checkpoint is the log's inode, the offset behind the last delivered
 * line, and a hash of the first bytes: inodes are used again at once, and an offset alone proves nothing.
 * @module
 */
import { lstatSync } from "node:fs";
import { dirname, join } from "node:path";
import { archivesOf } from "./archives.js";
import {
  closeLog,
  continues,
  isContinued,
  type LogFile,
  type OpenLog,
  openLog,
  refreshHead,
  sizeOf,
  type TailCheckpoint,
} from "./open-log.js";
import { type FoundLines, readLines } from "./tail-lines.js";

export type { TailCheckpoint } from "./open-log.js";
export type { TailLine } from "./tail-lines.js";

/** What a read found. */
export interface TailRead extends FoundLines {
  /** Of which the lines are, and their offsets. At the end of a file that was rotated, the checkpoint is in the next one. */
  readonly file?: LogFile;
  /** Whether reading has gone on to the next file already, and a writer that had this one open wrote to it once more. */
  readonly isLate?: boolean;
  /** Whether there is more to read at once. */
  readonly more: boolean;
  /** Why lines may have been missed, or come again from the start of the file. */
  readonly gap?: Gap;
}

export interface Gap {
  /** `lost`: the file in which the checkpoint was made is nowhere any more. */
  readonly reason: "truncated" | "replaced" | "lost";
  /** Where reading would have gone on. */
  readonly offset: number;
}

export interface TailOptions {
  readonly maxLineBytes: number;
  /** Where rotated files of this log are; `events/archive` beside the log's own folder unless said otherwise. */
  readonly archiveDir?: string;
}

const READ_BYTES = 1024 * 1024;
/** For how long a file that was rotated away is still asked for lines of a writer that had it open. */
const LATE_LINES_MS = 5000;
const NOTHING: TailRead = { lines: [], more: false };

/** Reads one log from a checkpoint on. */
export class Tailer {
  readonly #path: string;
  readonly #maxLineBytes: number;
  readonly #archiveDir: string;
  /** Where to begin; used until the first file is open. */
  #start: TailCheckpoint | null;
  #current: OpenLog | null = null;
  #late: { readonly log: OpenLog; readonly untilMs: number } | null = null;

  constructor(path: string, checkpoint: TailCheckpoint | null, options: TailOptions) {
    this.#path = path;
    this.#start = checkpoint;
    this.#maxLineBytes = options.maxLineBytes;
    this.#archiveDir = options.archiveDir ?? join(dirname(dirname(path)), "events", "archive");
  }

  /** Reads complete lines, about `maxBytes` of them; call again while `more`. */
  read(maxBytes = READ_BYTES): TailRead {
    const late = this.#readLate(maxBytes);
    if (late !== null) return late;
    let gap: Gap | null = null;
    if (this.#current === null) gap = this.#openFirst();
    const log = this.#current;
    if (log === null) return NOTHING;
    const file = fileOf(log);
    gap ??= noticeTruncation(log);
    // Looked for before reading: what the file holds afterwards was all written before its successor took over.
    const successor = this.#successorOf(log);
    try {
      const found = readLines(log, maxBytes, this.#maxLineBytes);
      const isAtEnd = !found.more;
      if (isAtEnd && successor !== null) gap ??= this.#goOnWith(successor, log);
      const more = found.more || (isAtEnd && successor !== null);
      return { ...found, file, more, ...(gap === null ? {} : { gap }) };
    } finally {
      if (successor !== null && this.#current !== successor.log) closeLog(successor.log);
    }
  }

  /** Where to go on; null before anything was found. Keep it once the lines delivered so far are dealt with. */
  checkpoint(): TailCheckpoint | null {
    const log = this.#current;
    if (log === null) return this.#start;
    refreshHead(log);
    return { inode: log.inode, birth_ms: log.birthMs, offset: log.offset, head_hash: log.head };
  }

  /** Lets go of the files. Reading again goes on from the checkpoint. */
  close(): void {
    this.#start = this.checkpoint();
    if (this.#current !== null) closeLog(this.#current);
    if (this.#late !== null) closeLog(this.#late.log);
    this.#current = null;
    this.#late = null;
  }

  /** Opens the file in which the checkpoint was made, wherever it is now; else the log from its start. */
  #openFirst(): Gap | null {
    const start = this.#start;
    const log = openLog(this.#path);
    if (start === null || (log !== null && log.inode === start.inode && continues(log, start))) {
      this.#begin(log, start?.offset ?? 0);
      return null;
    }
    const rotated = this.#findRotated(start);
    if (rotated !== null) {
      if (log !== null) closeLog(log);
      this.#begin(rotated, start.offset);
      return null;
    }
    if (log === null) return null;
    // Rewritten by an editor, with the lines that were read still at its start.
    if (start.offset > 0 && continues(log, start)) {
      this.#begin(log, start.offset);
      return null;
    }
    this.#begin(log, 0);
    return { reason: log.inode === start.inode ? "truncated" : "lost", offset: start.offset };
  }

  #begin(log: OpenLog | null, offset: number): void {
    if (log !== null) log.offset = offset;
    this.#current = log;
  }

  #findRotated(start: TailCheckpoint): OpenLog | null {
    // Newest first: a reader was rarely away for long.
    for (const path of archivesOf(this.#path, this.#archiveDir).reverse()) {
      const log = openLog(path);
      if (log === null) continue;
      if (log.inode === start.inode && continues(log, start)) return log;
      closeLog(log);
    }
    return null;
  }

  /** The file that follows the open one: the next of the rotated ones, else the one that has the name now. */
  #successorOf(log: OpenLog): Successor | null {
    // What is open cannot lose its number to another file.
    const found = lstatSync(this.#path, { throwIfNoEntry: false });
    if (found !== undefined && found.ino === log.inode && found.dev === log.device) return null;
    // Opened before the archive is listed: a rotation in between shows in the list.
    const named = openLog(this.#path);
    if (named !== null && named.inode === log.inode && named.device === log.device) {
      closeLog(named);
      return null;
    }
    const archives = archivesOf(this.#path, this.#archiveDir);
    const index = archives.findIndex((path) => inodeOf(path) === log.inode);
    const next = index >= 0 ? archives[index + 1] : undefined;
    const rotated = next === undefined ? null : openLog(next);
    if (rotated !== null) {
      if (named !== null) closeLog(named);
      return { log: rotated, isRotation: true };
    }
    return named === null ? null : { log: named, isRotation: index >= 0 };
  }

  #goOnWith(successor: Successor, left: OpenLog): Gap | null {
    const next = successor.log;
    let gap: Gap | null = null;
    if (!successor.isRotation && left.offset > 0) {
      refreshHead(left);
      const place = { inode: left.inode, birth_ms: left.birthMs, offset: left.offset, head_hash: left.head };
      if (continues(next, place)) next.offset = left.offset;
      else gap = { reason: "replaced", offset: left.offset };
    }
    if (this.#late !== null) closeLog(this.#late.log);
    this.#late = { log: left, untilMs: performance.now() + LATE_LINES_MS };
    this.#current = next;
    return gap;
  }

  /** Lines of a writer that had the rotated file open still, when it wrote. */
  #readLate(maxBytes: number): TailRead | null {
    const late = this.#late;
    if (late === null) return null;
    const found = readLines(late.log, maxBytes, this.#maxLineBytes);
    if (found.lines.length > 0) return { ...found, file: fileOf(late.log), isLate: true, more: true };
    if (performance.now() > late.untilMs) {
      closeLog(late.log);
      this.#late = null;
    }
    return null;
  }
}

const fileOf = ({ inode, birthMs }: OpenLog): LogFile => ({ inode, birth_ms: birthMs });

interface Successor {
  readonly log: OpenLog;
  readonly isRotation: boolean;
}

/** A log cut to nothing may have grown again beyond the old offset: then its first bytes are others. */
function noticeTruncation(log: OpenLog): Gap | null {
  const size = sizeOf(log);
  if (size === log.offset) return null;
  if (size > log.offset && (log.head === "" || isContinued(log))) return null;
  const gap: Gap = { reason: "truncated", offset: log.offset };
  log.offset = 0;
  log.scanned = 0;
  log.head = "";
  log.headBytes = null;
  return gap;
}

function inodeOf(path: string): number | null {
  const log = openLog(path);
  if (log === null) return null;
  closeLog(log);
  return log.inode;
}
