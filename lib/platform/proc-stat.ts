/**
 * Reads /proc/PID files with as little work as possible: one open, one read, no string but the names.
 *
 * Every worker is looked at once a second, so this is the hottest code of the monitor.
 * @module
 */

import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { systemCode } from "../errors.js";

/** The fields of /proc/PID/stat that somebody here needs. */
export interface ProcStat {
  readonly pid: number;
  readonly comm: string;
  /** One letter: R S D T t Z X I. */
  readonly state: string;
  readonly ppid: number;
  readonly pgrp: number;
  readonly session: number;
  readonly utime_ticks: number;
  readonly stime_ticks: number;
  /** CPU of children that were waited for. */
  readonly cutime_ticks: number;
  readonly cstime_ticks: number;
  readonly threads: number;
  /** Ticks after boot at which it started: with the pid, its identity. */
  readonly start_time: number;
  readonly rss_pages: number;
}

const CLOSING_PARENTHESIS = 0x29;
const OPENING_PARENTHESIS = 0x28;
const SPACE = 0x20;
const MINUS = 0x2d;
const ZERO = 0x30;

let shared = Buffer.allocUnsafe(16 * 1024);
const fields = new Float64Array(25);

/**
 * Reads a file of /proc into the shared buffer, which the next call overwrites.
 *
 * @param whole Read to the end: needed for lists (children, environ) that the kernel hands out in pieces.
 * @returns The bytes, or null when the process is gone.
 * @throws The system's error for anything else: out of descriptors must never look like a death.
 */
export function readProc(path: string, whole = false): Buffer | null {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (error) {
    return nullIfGone(error);
  }
  try {
    let length = readSync(descriptor, shared, 0, shared.length, null);
    while (whole && length > 0) {
      if (length === shared.length) shared = Buffer.concat([shared], shared.length * 2);
      const more = readSync(descriptor, shared, length, shared.length - length, null);
      if (more === 0) break;
      length += more;
    }
    return shared.subarray(0, length);
  } catch (error) {
    return nullIfGone(error);
  } finally {
    closeSync(descriptor);
  }
}

function nullIfGone(error: unknown): null {
  const code = systemCode(error);
  if (code === "ENOENT" || code === "ESRCH") return null;
  throw error;
}

/** Reads what the kernel says about a process, or null when there is none with that pid. */
export function readStat(pid: number): ProcStat | null {
  const bytes = readProc(`/proc/${pid}/stat`);
  return bytes === null || bytes.length === 0 ? null : parseStat(pid, bytes);
}

function parseStat(pid: number, bytes: Buffer): ProcStat {
  // A program chooses its own name, with spaces and parentheses in it: only the last ")" is the kernel's.
  const nameEnd = bytes.lastIndexOf(CLOSING_PARENTHESIS);
  const nameStart = bytes.indexOf(OPENING_PARENTHESIS) + 1;
  parseFields(bytes, nameEnd + 4);
  return {
    pid,
    comm: bytes.toString("utf8", nameStart, nameEnd),
    state: String.fromCharCode(bytes[nameEnd + 2] as number),
    ppid: field(4),
    pgrp: field(5),
    session: field(6),
    utime_ticks: field(14),
    stime_ticks: field(15),
    cutime_ticks: field(16),
    cstime_ticks: field(17),
    threads: field(20),
    start_time: field(22),
    rss_pages: field(24),
  };
}

/** Field numbers as in proc(5). */
function field(number: number): number {
  return fields[number] as number;
}

function parseFields(bytes: Buffer, start: number): void {
  let position = start;
  for (let number = 4; number < fields.length; number++) {
    let value = 0;
    let sign = 1;
    for (; position < bytes.length; position++) {
      const byte = bytes[position] as number;
      if (byte === SPACE) break;
      if (byte === MINUS) sign = -1;
      else value = value * 10 + (byte - ZERO);
    }
    position++;
    fields[number] = sign * value;
  }
}

const AUXILIARY_PAGE_SIZE = 6n;
const AUXILIARY_CLOCK_TICKS = 17n;

let auxiliaryCache: { pageBytes: number; ticksPerSecond: number } | null = null;

/** The kernel's constants as it gave them to this process at its start. */
function auxiliary(): { pageBytes: number; ticksPerSecond: number } {
  if (auxiliaryCache !== null) return auxiliaryCache;
  const found = { pageBytes: 4096, ticksPerSecond: 100 };
  const vector = readFileSync("/proc/self/auxv");
  for (let offset = 0; offset + 16 <= vector.length; offset += 16) {
    const key = vector.readBigUInt64LE(offset);
    const value = Number(vector.readBigUInt64LE(offset + 8));
    if (key === AUXILIARY_PAGE_SIZE) found.pageBytes = value;
    if (key === AUXILIARY_CLOCK_TICKS) found.ticksPerSecond = value;
  }
  auxiliaryCache = found;
  return found;
}

/** Bytes of one page of memory. */
export function pageBytes(): number {
  return auxiliary().pageBytes;
}

/** Converts the kernel's ticks to milliseconds. */
export function ticksToMs(ticks: number): number {
  return (ticks * 1000) / auxiliary().ticksPerSecond;
}
