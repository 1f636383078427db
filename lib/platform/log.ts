/** The daemons' own log: JSON lines on disk, and one readable line each on a console. The door to pino. @module */

import { type Logger, pino, stdTimeFunctions } from "pino";
import { systemCode } from "../errors.js";
import { LogFile } from "./log-file.js";

/** What a line carries besides its message. An error goes under `err`, with its stack and cause. */
export type LogFields = Readonly<Record<string, unknown>>;

export type LogLevel = "debug" | "info" | "warn" | "error";

/** Where a daemon says what it does. Every line is written before the call returns. */
export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A log whose lines all carry these fields too. It shares the file: close the parent only. */
  child(fields: LogFields): Log;
  /** Opens the file anew, on SIGHUP. */
  reopen(): void;
  /** Writes what is owed from a time when the disk was full. */
  flush(): void;
  close(): void;
  /** Length of the current file; 0 without one. */
  readonly bytes: number;
}

export interface LogOptions {
  readonly name: string;
  /** What goes to standard output besides the file; nothing unless said otherwise. */
  readonly console?: "pretty" | "json" | "none";
  readonly level?: LogLevel;
  /** Length at which the file is rotated; 20 MB unless said otherwise. */
  readonly maxBytes?: number;
  /** Rotated files that are kept; 5 unless said otherwise. */
  readonly keep?: number;
}

const MAX_BYTES = 20_000_000;
const KEEP = 5;

/** Opens a log; without a file it goes to the console only. The file's folder must be there. */
export function openLog(file: string | null, options: LogOptions): Log {
  const limits = { maxBytes: options.maxBytes ?? MAX_BYTES, keep: options.keep ?? KEEP };
  const logFile = file === null ? null : new LogFile(file, limits);
  const printer = printerFor(options.console ?? "none");
  const sink = {
    write(line: string): void {
      logFile?.write(line);
      printer?.(line);
    },
  };
  const settings = {
    name: options.name,
    level: options.level ?? "info",
    timestamp: stdTimeFunctions.isoTime,
    base: { pid: process.pid },
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return wrap(pino(settings, sink), logFile);
}

function wrap(logger: Logger, file: LogFile | null): Log {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    child: (fields) => wrap(logger.child(fields), file),
    reopen: () => file?.reopen(),
    flush: () => file?.flush(),
    close: () => file?.close(),
    get bytes() {
      return file?.bytes ?? 0;
    },
  };
}

let consoleGone = false;
let consoleGuarded = false;

function printerFor(kind: "pretty" | "json" | "none"): ((line: string) => void) | null {
  if (kind === "none") return null;
  guardConsole();
  return (line) => {
    if (!consoleGone) process.stdout.write(kind === "json" ? line : pretty(line));
  };
}

/** A reader that went away (`heald up | head`) ends the output, not the daemon. */
function guardConsole(): void {
  if (consoleGuarded) return;
  consoleGuarded = true;
  process.stdout.on("error", (error) => {
    if (systemCode(error) !== "EPIPE") throw error;
    consoleGone = true;
  });
}

const HIDDEN_FIELDS: ReadonlySet<string> = new Set(["level", "time", "at_ms", "pid", "name", "msg"]);

/** One line for a person: local time, level, name, message, and the other fields as `name=value`. */
function pretty(line: string): string {
  const record = JSON.parse(line) as Record<string, unknown>;
  const time = new Date(String(record.time)).toTimeString().slice(0, 8);
  const level = String(record.level).toUpperCase().padEnd(5);
  const fields = Object.entries(record)
    .filter(([name]) => !HIDDEN_FIELDS.has(name))
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return `${[time, level, `${record.name}:`, record.msg, ...fields].join(" ").replace(/[\r\n]+\s*/g, " ")}\n`;
}
