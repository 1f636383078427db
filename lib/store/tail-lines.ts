/** Takes complete lines out of an open log. @module */
import { readSync } from "node:fs";
import { type OpenLog, refreshHead, sizeOf } from "./open-log.js";

export interface TailLine {
  readonly text: string;
  /** Where the line begins in its file. */
  readonly offset: number;
}

/** A part of a log that was not delivered. */
export interface TailPart {
  readonly offset: number;
  readonly bytes: number;
}

export interface FoundLines {
  readonly lines: readonly TailLine[];
  /** Whether the limit ended the read, and not the end of the file. */
  readonly more: boolean;
  /** A last line without its newline: still being written, or left by a killed writer. */
  readonly torn?: TailPart;
  /** Lines that were longer than the limit and were passed over. */
  readonly tooLong?: readonly TailPart[];
}

const NEWLINE = 0x0a;
const STEP_BYTES = 1024 * 1024;

/** Reads the next complete lines and moves the offset behind them. Blank lines are no lines. */
export function readLines(log: OpenLog, maxBytes: number, maxLineBytes: number): FoundLines {
  const size = sizeOf(log);
  if (size <= log.offset) return { lines: [], more: false };
  const wanted = Math.min(size - log.offset, Math.max(maxBytes, maxLineBytes + 1));
  const buffer = Buffer.allocUnsafe(wanted);
  const bytes = buffer.subarray(0, readSync(log.descriptor, buffer, 0, wanted, log.offset));
  const isAtEnd = log.offset + bytes.length >= size;
  const end = bytes.lastIndexOf(NEWLINE) + 1;
  if (end === 0) {
    return isAtEnd ? { lines: [], more: false, torn: { offset: log.offset, bytes: bytes.length } } : passOver(log);
  }
  const found = split(bytes.subarray(0, end), log.offset, maxLineBytes);
  log.offset += end;
  log.scanned = 0;
  refreshHead(log);
  const rest = bytes.length - end;
  return { ...found, more: !isAtEnd, ...(isAtEnd && rest > 0 ? { torn: { offset: log.offset, bytes: rest } } : {}) };
}

function split(bytes: Buffer, base: number, maxLineBytes: number): Pick<FoundLines, "lines" | "tooLong"> {
  const lines: TailLine[] = [];
  const tooLong: TailPart[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(NEWLINE, start);
    if (end - start > maxLineBytes) {
      tooLong.push({ offset: base + start, bytes: end - start });
    } else {
      const text = bytes.toString("utf8", start, end).trim();
      if (text !== "") lines.push({ text, offset: base + start });
    }
    start = end + 1;
  }
  return tooLong.length > 0 ? { lines, tooLong } : { lines };
}

/** Looks for the end of a line that is longer than a whole read, and stays before it until the end is there. */
function passOver(log: OpenLog): FoundLines {
  const buffer = Buffer.allocUnsafe(STEP_BYTES);
  for (let position = log.offset + log.scanned; ; ) {
    const bytes = buffer.subarray(0, readSync(log.descriptor, buffer, 0, STEP_BYTES, position));
    if (bytes.length === 0) {
      log.scanned = position - log.offset;
      return { lines: [], more: false, torn: { offset: log.offset, bytes: log.scanned } };
    }
    const found = bytes.indexOf(NEWLINE);
    if (found >= 0) {
      const part = { offset: log.offset, bytes: position + found - log.offset };
      log.offset = position + found + 1;
      log.scanned = 0;
      refreshHead(log);
      return { lines: [], more: true, tooLong: [part] };
    }
    position += bytes.length;
  }
}
