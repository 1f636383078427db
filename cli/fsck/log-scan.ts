/**
 * Reads a log and its rotated files line by line, whatever their size, and notes what is wrong with the lines.
 *
 * Nothing is followed out of the home: a link in a log's place is refused by the store's reader. @module
 */
import { lstatSync } from "node:fs";
import { relative } from "node:path";
import { HealdError, systemCode } from "../../lib/errors.js";
import { archivesOf } from "../../lib/store/archives.js";
import { firstFault } from "../../lib/store/json-position.js";
import type { Layout } from "../../lib/store/layout.js";
import { closeLog, type OpenLog, openLog, sizeOf } from "../../lib/store/open-log.js";
import { readLines } from "../../lib/store/tail-lines.js";

export type LogKind = "event" | "decision" | "history" | "fix-history" | "sample" | "pattern";

export type Json = Readonly<Record<string, unknown>>;

export interface BadLine {
  readonly offset: number;
  readonly problem: string;
  /** The start of a record that a killed writer left; the next writer closed it. */
  readonly cutOff: boolean;
}

/** One file of a log, as far as it was read. */
export interface LogFacts {
  readonly path: string;
  readonly shown: string;
  readonly kind: LogKind;
  /** For event logs: the name in the catalogue; else the file's stem. */
  readonly log: string;
  readonly isRotated: boolean;
  readonly inode: number;
  readonly birthMs: number;
  size: number;
  mtimeMs: number;
  lines: number;
  /** Why the file cannot be read at all. */
  problem: string | null;
  /** The last line, if it has no newline. */
  torn: { readonly offset: number; readonly bytes: number } | null;
  /** The first few; `badCount` counts all but those that were cut off. */
  readonly bad: BadLine[];
  badCount: number;
  cutOffCount: number;
  /** The first line that is much older than one before it, or from the future. */
  misplaced: { readonly offset: number; readonly problem: string } | null;
  /** The first event that belongs into another log. */
  stranger: { readonly offset: number; readonly event_type: string } | null;
}

export interface LogLine {
  readonly json: Json;
  readonly atMs: number;
  readonly file: LogFacts;
  readonly offset: number;
}

/** Says why a line is no record of its log; null if it is one. `atMs` is its time. */
export type Judge = (json: Json) => { readonly problem: string } | { readonly problem: null; readonly atMs: number };

const READ_BYTES = 1024 * 1024;
const LINE_BYTES_MAX = 64 * 1024;
const BAD_SHOWN = 5;

/** The files of a log, the open one last, each with what was found in it; filled while the lines are taken. */
export class LogScan {
  readonly files: LogFacts[] = [];
  readonly #layout: Layout;
  readonly #path: string;
  readonly #kind: LogKind;
  readonly #log: string;
  readonly #judge: Judge;

  constructor(layout: Layout, of: { path: string; kind: LogKind; log: string; judge: Judge }) {
    this.#layout = layout;
    this.#path = of.path;
    this.#kind = of.kind;
    this.#log = of.log;
    this.#judge = of.judge;
  }

  /** Every good line, oldest file first. Take all of them, or the facts are not complete. */
  *lines(): Generator<LogLine> {
    // Opened before the archive is listed: a rotation in between shows as the same file, and is read once.
    const current = this.#open(this.#path, false);
    for (const path of archivesOf(this.#path, this.#layout.archiveDir)) {
      if (lstatSync(path, { throwIfNoEntry: false })?.ino === current?.log?.inode) continue;
      const rotated = this.#open(path, true);
      if (rotated !== null) yield* this.#linesOf(rotated);
    }
    if (current !== null) {
      this.files.splice(this.files.indexOf(current.facts), 1);
      this.files.push(current.facts);
      yield* this.#linesOf(current);
    }
  }

  #open(path: string, isRotated: boolean): { readonly log: OpenLog | null; readonly facts: LogFacts } | null {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return null;
    const facts = blank(relative(this.#layout.coordination, path), path, isRotated, {
      kind: this.#kind,
      log: this.#log,
    });
    this.files.push(facts);
    try {
      const log = openLog(path);
      if (log === null) return null;
      Object.assign(facts, { inode: log.inode, birthMs: log.birthMs, size: sizeOf(log), mtimeMs: stat.mtimeMs });
      return { log, facts };
    } catch (error) {
      facts.problem = problemOf(error);
      return { log: null, facts };
    }
  }

  *#linesOf({ log, facts }: { readonly log: OpenLog | null; readonly facts: LogFacts }): Generator<LogLine> {
    if (log === null) return;
    try {
      for (let more = true; more; ) {
        const found = readLines(log, READ_BYTES, LINE_BYTES_MAX);
        for (const { offset, bytes } of found.tooLong ?? [])
          noteBad(facts, { offset, problem: `${bytes} bytes long, at most ${LINE_BYTES_MAX}`, cutOff: false });
        for (const { text, offset } of found.lines) {
          const line = this.#lineOf(text, offset, facts);
          if (line !== null) yield line;
        }
        facts.torn = found.torn ?? null;
        more = found.more;
      }
      facts.size = sizeOf(log);
    } catch (error) {
      facts.problem = problemOf(error);
    } finally {
      closeLog(log);
    }
  }

  #lineOf(text: string, offset: number, file: LogFacts): LogLine | null {
    file.lines++;
    const json = objectIn(text);
    if (json === null) {
      const cutOff = isCutOff(text);
      noteBad(file, { offset, problem: cutOff ? "it was cut off" : "it is no JSON object", cutOff });
      return null;
    }
    // The last line of every rotated log is an event about the file.
    if (json.event_type === "log_rotated" && this.#kind !== "event") return null;
    const judged = this.#judge(json);
    if (judged.problem === null) return { json, atMs: judged.atMs, file, offset };
    noteBad(file, { offset, problem: judged.problem, cutOff: false });
    return null;
  }
}

function blank(shown: string, path: string, isRotated: boolean, of: Pick<LogFacts, "kind" | "log">): LogFacts {
  return {
    ...of,
    path,
    shown,
    isRotated,
    inode: 0,
    birthMs: 0,
    size: 0,
    mtimeMs: 0,
    lines: 0,
    problem: null,
    torn: null,
    bad: [],
    badCount: 0,
    cutOffCount: 0,
    misplaced: null,
    stranger: null,
  };
}

function noteBad(facts: LogFacts, line: BadLine): void {
  if (line.cutOff) facts.cutOffCount++;
  else facts.badCount++;
  if (facts.bad.length < BAD_SHOWN || (!line.cutOff && facts.bad.every((each) => each.cutOff))) facts.bad.push(line);
}

export function objectIn(text: string): Json | null {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === "object" && json !== null && !Array.isArray(json) ? (json as Json) : null;
  } catch {
    return null; // Counted by the caller.
  }
}

/** Whether a line is the start of a record and nothing else is wrong with it. */
function isCutOff(text: string): boolean {
  return text.startsWith("{") && firstFault(text).column > text.length;
}

/** An error of one file, which must not end the look at all others. @throws Whatever is no operating error. */
export function problemOf(error: unknown): string {
  if (error instanceof HealdError) return error.message;
  const code = systemCode(error);
  if (code === null) throw error;
  return `it cannot be read: ${code}`;
}
