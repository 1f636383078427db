/**
 * The error classes, and the table of every code.
 *
 * An operating error is expected somewhere, has a stable `code` that scripts and docs can name, and is handled once.
 * A broken invariant is no member of this family: it is a plain error, and it ends the process.
 * @module
 */

/** Every code, with the sentence that docs and `--help` show for it. */
export const ERROR_CODES = {
  usage: "The command line is wrong: an unknown option, a missing value, or a value out of range.",
  not_found: "Nothing has the id or the name that was given.",
  refused:
    "The request was understood and refused: a hold, a gate, a safety rule or a missing confirmation forbids it.",
  already_running: "Another live process holds the single-instance lock of this daemon.",
  configuration: "A policy, a template, the home directory or its format cannot be used as it is.",
  symlink: "The file is a symbolic link, and links are not followed here.",
  too_large: "The file is larger than the limit for its kind.",
  not_a_file: "The path is a folder, a pipe, a socket or a device, not a regular file.",
  not_utf8: "The file holds bytes that are not UTF-8 text.",
  record_too_large: "One record of a log would be longer than 64 KiB, so it could not be appended in one piece.",
  record_torn:
    "A record was written only in part, because the disk or a quota was full; its line is closed by the next write.",
  lock_lost: "A lock that was held is gone: its files were removed or taken over. Whoever held it must stop writing.",
  lock_busy: "A short lock on a shared record was not free within its time limit.",
  task_timed_out: "A task took longer than its kind is given; it was told to stop.",
  ENOENT: "The file is gone: another process or a person moved or removed it first.",
} as const;

/** What an error may carry besides its message. */
export interface ErrorOptions {
  readonly cause?: unknown;
}

/** The base of all operating errors. */
export class HealdError extends Error {
  /** Stable name of the kind of error; messages may change, codes do not. */
  readonly code: string;
  /** What the `heald` command exits with when this error ends it. */
  readonly exitCode: number;

  constructor(code: string, message: string, exitCode = 1, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.exitCode = exitCode;
  }
}

/** The command line is wrong. Exit code 2. */
export class UsageError extends HealdError {
  constructor(message: string, options: ErrorOptions = {}) {
    super("usage", message, 2, options);
  }
}

/** Nothing has that name. Exit code 3. */
export class NotFound extends HealdError {
  constructor(message: string, options: ErrorOptions = {}) {
    super("not_found", message, 3, options);
  }
}

/** Understood, and refused by a rule. Exit code 4. */
export class Refused extends HealdError {
  constructor(message: string, options: ErrorOptions = {}) {
    super("refused", message, 4, options);
  }
}

/** Another live process holds the lock. Exit code 75, which service managers read as "try later". */
export class AlreadyRunning extends HealdError {
  constructor(message: string, options: ErrorOptions = {}) {
    super("already_running", message, 75, options);
  }
}

/** A policy, template or home that cannot be used. Exit code 78: starting again without a change is of no use. */
export class ConfigurationError extends HealdError {
  constructor(message: string, options: ErrorOptions = {}) {
    super("configuration", message, 78, options);
  }
}

/** Why a file was not read. */
export type FileRefusal = "symlink" | "too_large" | "not_a_file" | "not_utf8";

/** A file that is there and must not be, or cannot be, read as a record; or, where `deed` says so, written to. */
export class FileRefused extends HealdError {
  readonly path: string;

  constructor(
    code: FileRefusal,
    path: string,
    detail: string,
    options: ErrorOptions & { readonly deed?: "read" | "write" } = {},
  ) {
    super(code, `Cannot ${options.deed ?? "read"} ${JSON.stringify(path)}: ${detail}`, 1, options);
    this.path = path;
  }
}

/** A file that somebody else moved or removed first. Its code is the system's, so that both ways to ask for it work. */
export class FileGone extends HealdError {
  readonly path: string;

  constructor(path: string, options: ErrorOptions = {}) {
    super("ENOENT", `Cannot move ${JSON.stringify(path)}: it is gone`, 1, options);
    this.path = path;
  }
}

/** A record that could not be appended in one piece. */
export class RecordTooLarge extends HealdError {
  constructor(path: string, bytes: number, bytesMax: number) {
    super(
      "record_too_large",
      `Cannot append to ${JSON.stringify(path)}: record of ${bytes} bytes, at most ${bytesMax}`,
    );
  }
}

/** A record of which only a part reached the file. */
export class RecordTorn extends HealdError {
  constructor(path: string, written: number, wanted: number, options: ErrorOptions = {}) {
    super("record_torn", `Cannot append to ${JSON.stringify(path)}: ${written} of ${wanted} bytes written`, 1, options);
  }
}

/** A lock is no longer ours. Stop writing, now. */
export class LockLost extends HealdError {
  constructor(path: string, options: ErrorOptions = {}) {
    super("lock_lost", `Lost the lock ${JSON.stringify(path)}`, 1, options);
  }
}

/** A short lock was not free in time. */
export class LockBusy extends HealdError {
  constructor(path: string, waitedMs: number, holder: string) {
    super("lock_busy", `Cannot lock ${JSON.stringify(path)} within ${waitedMs} ms: held by ${holder}`);
  }
}

/** A task did not end in its time. */
export class TaskTimedOut extends HealdError {
  constructor(timeoutMs: number) {
    super("task_timed_out", `Task not done within ${timeoutMs} ms`);
  }
}

const NO_ROOM: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the quota of its owner is used up",
  EROFS: "its file system is read-only",
};

/**
 * What a file system that takes nothing more has answered, with the file that it was about, which its own words do not name.
 *
 * No `HealdError`: its code stays the system's, and whoever waits for better weather knows it by that.
 */
export class NoRoom extends Error {
  readonly code: string;
  readonly syscall: string;
  readonly path: string;

  constructor(path: string, code: string, cause: unknown) {
    super(`Cannot write ${JSON.stringify(path)}: ${NO_ROOM[code] ?? "no room"} (${code})`, { cause });
    this.name = "NoRoom";
    this.code = code;
    this.syscall = String((cause as { readonly syscall?: unknown } | null)?.syscall ?? "write");
    this.path = path;
  }
}

/** Writes something; where there is no room for it, the error names the file. @throws {NoRoom} And whatever else it throws. */
export function namingFile<T>(path: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    const code = systemCode(error);
    throw code !== null && code in NO_ROOM && !(error instanceof NoRoom) ? new NoRoom(path, code, error) : error;
  }
}

/** What an error says; whatever else was thrown, as text. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The system's code of an error (`ENOENT`, …), or null for anything else. */
export function systemCode(error: unknown): string | null {
  if (typeof error !== "object" || error === null || !("code" in error)) return null;
  return typeof error.code === "string" ? error.code : null;
}
