/**
 * Finds what logs say of one worker or one id, the newest first, without reading what lies before the answer.
 *
 * Rotated logs are looked up in their indexes. Where there is none, and in the log itself, the bytes are searched from the
 * end. An id that was made by heald says when: what carries it is found by that instant.
 *
 * @module
 */
import { filesOf, type LogFile } from "./archives.js";
import type { Layout } from "./layout.js";
import { LogFileReader, type LogJson, type LogLine, NEAR_BYTES, parsed, timeOf } from "./log-file.js";
import { type KeyField, mayName, offsetsOf } from "./log-index.js";

const NEWLINE = 0x0a;
/** A short story is at the end: the first pieces are small. */
const PIECE_BYTES_MIN = 256 * 1024;
const PIECE_BYTES_MAX = 4 * 1024 * 1024;
/** How far the wall clock may have been set back between two lines, and an id be older than its line. */
const SLACK_MS = 60_000;
const ID_SLACK_MS = 5000;

/** What is sought in a log: the lines whose field has this value. */
export interface Sought {
  readonly field: KeyField;
  readonly value: string;
}

/** Between which instants lines matter, wall-clock milliseconds. */
export interface Span {
  readonly fromMs: number;
  /** Infinity for up to now. A little more may be given. */
  readonly untilMs: number;
}

/** The records of a log, rotated files and all, in which a field has a value, newest first. */
export function* recordsBackward(layout: Layout, path: string, sought: Sought, span: Span): Generator<LogJson> {
  const { fromMs } = span;
  for (const file of filesWithin(layout, path, span)) {
    for (const text of linesBackward(file, sought, span)) {
      const record = parsed(text);
      if (record === null || record[sought.field] !== sought.value) continue;
      if ((timeOf(record) ?? 0) >= fromMs) yield record;
    }
  }
}

/** The files of a log that have lines of a span, the newest first: each begins where the one before it was rotated. */
function filesWithin(layout: Layout, path: string, { fromMs, untilMs }: Span): LogFile[] {
  const files = filesOf(path, layout.archiveDir);
  const beginsMs = (nth: number): number => files[nth - 1]?.rotatedAtMs ?? 0;
  return files
    .filter(
      ({ rotatedAtMs }, nth) => (rotatedAtMs ?? Infinity) >= fromMs - SLACK_MS && beginsMs(nth) <= untilMs + SLACK_MS,
    )
    .reverse();
}

function* linesBackward(file: LogFile, { field, value }: Sought, span: Span): Generator<string> {
  const { fromMs } = span;
  const offsets = offsetsOf(file, value);
  if (offsets?.length === 0) return;
  const reader = LogFileReader.open(file);
  if (reader === null) return;
  try {
    const end = endOf(reader, span.untilMs);
    if (offsets === null) {
      // heald writes decisions without a space; of events and history, people write some.
      const word = field === "subject" ? `"subject":${JSON.stringify(value)}` : JSON.stringify(value);
      for (const { text } of linesWith(reader, word, fromMs, end)) yield text;
      return;
    }
    for (const offset of offsets.filter((each) => each < end).reverse()) {
      const text = reader.lineAt(offset);
      if (text === null) continue;
      yield text;
      if ((timeOf(parsed(text)) ?? fromMs) < fromMs - SLACK_MS) return;
    }
  } finally {
    reader.close();
  }
}

/** Where all lines up to an instant are over, with room for whole lines behind it. */
function endOf(reader: LogFileReader, untilMs: number): number {
  if (untilMs === Infinity) return reader.size;
  return Math.min(reader.size, reader.positionAt(untilMs + SLACK_MS) + PIECE_BYTES_MIN);
}

/** One for all: what stands in it is done with before anybody else can read into it. */
let shared: Buffer | null = null;

/**
 * The complete lines that hold a word, newest first, until the pieces that are read are older than an instant.
 *
 * @param before Where to begin; the line that is cut there is not given.
 */
export function* linesWith(
  reader: LogFileReader,
  word: string,
  fromMs: number,
  before = reader.size,
): Generator<LogLine> {
  const needle = Buffer.from(word);
  shared ??= Buffer.allocUnsafe(PIECE_BYTES_MAX);
  let length = PIECE_BYTES_MIN;
  for (let end = before; end > 0; ) {
    const start = Math.max(0, end - length);
    const piece = reader.bytes(start, end - start, shared);
    // The piece begins within a line, which belongs to the piece before it.
    const first = start === 0 ? 0 : piece.indexOf(NEWLINE) + 1;
    // No line begins in it, or only at its end: it lies within one, which is asked for again with more before it.
    if (start > 0 && (first === 0 || first === piece.length)) {
      // A line of megabytes is none of ours. What is left of it has no end, and is not given.
      if (length >= PIECE_BYTES_MAX) end = start;
      length = Math.min(PIECE_BYTES_MAX, length * 2);
      continue;
    }
    const isLast = fromMs > 0 && (oldestIn(piece, first) ?? fromMs) < fromMs - SLACK_MS;
    yield* [...linesIn(piece, first, needle, start)].reverse();
    if (isLast) return;
    end = start + first;
    if (start === 0) return;
    length = Math.min(PIECE_BYTES_MAX, length * 2);
  }
}

function* linesIn(piece: Buffer, from: number, needle: Buffer, base: number): Generator<LogLine> {
  for (let at = piece.indexOf(needle, from); at >= 0; ) {
    const start = piece.lastIndexOf(NEWLINE, at) + 1;
    const end = piece.indexOf(NEWLINE, at);
    if (end < 0) return; // Torn, or still being written.
    yield { text: piece.toString("utf8", start, end), offset: base + start };
    at = piece.indexOf(needle, end);
  }
}

function oldestIn(piece: Buffer, from: number): number | null {
  const end = piece.indexOf(NEWLINE, from);
  return end < 0 ? null : timeOf(parsed(piece.toString("utf8", from, end)));
}

/** When an id was made: `inc-0mx14tr44-…` and `run-0mx14tr44-…` say so, and the ids of events and decisions. */
export function timeOfId(id: string): number | null {
  const match = /^(?:[a-z]+-)?(0[0-9a-z]{8})-[0-9a-z]+-[0-9a-z]/.exec(id);
  return match === null ? null : Number.parseInt(match[1] as string, 36);
}

/** The record of a log that has an id in a field, where the id says when it was made; null if it is not there. */
export function recordWithId(layout: Layout, path: string, fields: readonly string[], id: string): LogJson | null {
  const atMs = timeOfId(id);
  if (atMs === null) return null;
  for (const file of filesOf(path, layout.archiveDir)) {
    if (file.rotatedAtMs !== null && file.rotatedAtMs < atMs) continue;
    const reader = LogFileReader.open(file);
    if (reader === null) continue;
    try {
      const found = recordNear(reader, fields, id, atMs);
      if (found !== null) return found;
    } finally {
      reader.close();
    }
    // A file that was rotated well after that instant has it, or none has.
    if ((file.rotatedAtMs ?? 0) > atMs + SLACK_MS) return null;
  }
  return null;
}

function recordNear(reader: LogFileReader, fields: readonly string[], id: string, atMs: number): LogJson | null {
  for (const { text } of reader.lines(reader.positionAt(atMs - ID_SLACK_MS), NEAR_BYTES * 8)) {
    const record = text.includes(id) ? parsed(text) : null;
    if (record !== null && fields.some((field) => record[field] === id)) return record;
    const at = /"at_ms":(\d+)/.exec(text);
    if (at !== null && Number(at[1]) > atMs + ID_SLACK_MS) return null;
  }
  return null;
}

/** Every record of a log, rotated files and all, in which a name stands under one of the fields of log-names.ts, newest first, back to an instant. */
export function* recordsNaming(layout: Layout, path: string, name: string, fromMs = 0): Generator<LogJson> {
  for (const file of filesWithin(layout, path, { fromMs, untilMs: Infinity })) {
    const reader = mayName(file, name) ? LogFileReader.open(file) : null;
    if (reader === null) continue;
    try {
      for (const { text } of linesWith(reader, JSON.stringify(name), fromMs)) {
        const record = parsed(text);
        if (record !== null) yield record;
      }
    } finally {
      reader.close();
    }
  }
}
