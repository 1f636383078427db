/**
 * Reads one record that somebody else wrote, and says in one sentence what is wrong with it.
 *
 * What a person writes may be seen half-written: unparseable and younger than two seconds means "not finished". Errors
 * of the host (no descriptors, no permission, a failing disk) say nothing about the record and are thrown; that one file
 * may not be opened is refused like a bad record, where that is asked for.
 * @module
 */
import { lstatSync } from "node:fs";
import { relative } from "node:path";
import { FileRefused, systemCode } from "../errors.js";
import { readSmall, type SmallFile } from "../platform/files.js";
import { type Problem, readAs, sentenceOf } from "../schema/problems.js";
import { firstFault } from "./json-position.js";

/** A schema of lib/schema that gives a `T`. */
export type SchemaOf<T> = Parameters<typeof readAs<T>>[0];

/** For how long a file that does not parse may still be in the making. */
export const UNFINISHED_MS = 2000;

/** Sizes above which a record is refused unread. */
export const MAX_BYTES = {
  beat: 64 * 1024,
  spec: 1024 * 1024,
  request: 64 * 1024,
  hold: 64 * 1024,
  breaker: 64 * 1024,
  policy: 1024 * 1024,
  budget: 8 * 1024 * 1024,
  metrics: 1024 * 1024,
} as const;

/** What was found under a path. */
export type Reading<T> =
  | { readonly kind: "absent" }
  | { readonly kind: "unfinished" }
  | Bad
  | {
      readonly kind: "ok";
      readonly value: T;
      /** The very text that was read. */
      readonly text: string;
      readonly mtimeMs: number;
      readonly ino: number;
      readonly size: number;
    };

/** A record that is refused: by name, line and field. */
export interface Bad {
  readonly kind: "bad";
  readonly sentence: string;
  readonly problems: readonly Problem[];
  /** `symlink`, `too_large`, `not_a_file`, `not_utf8`, `not_json` or `wrong_field`; the system's for a forbidden one. */
  readonly code: string;
  /** Identify this version of the file, when it could be opened. */
  readonly mtimeMs?: number;
  readonly ino?: number;
}

export interface ReadOptions {
  readonly maxBytes: number;
  /** Wall clock, to be compared with the file's time. */
  readonly nowMs: number;
  /** Whether a person may be writing it right now; true unless said otherwise. */
  readonly mayBeUnfinished?: boolean;
  /** Whether each text is mostly read once, like a beat's, so that it is not worth remembering. */
  readonly isFleeting?: boolean;
  /** Whether it was seen a moment ago, or nearly always is there: then it need not be looked for first. */
  readonly isThere?: boolean;
  /** What it is called in sentences; "record" unless said otherwise. */
  readonly what?: string;
  /** The folder to which the path is shown relative. */
  readonly root?: string;
  /** Whether bytes that are no UTF-8 are replaced, and do not make the record bad. */
  readonly replacesBroken?: boolean;
  /** Whether a file that we may not open is bad, and not the host's fault: for those who read many files of many owners. */
  readonly refusesForbidden?: boolean;
}

/** How a reader of many files takes one that it may not open. */
export type Forbidden = Pick<ReadOptions, "refusesForbidden">;

/**
 * Reads and validates one record.
 *
 * @throws The system's error for anything that is the host's fault and not the record's.
 */
export function readRecord<T>(path: string, schema: SchemaOf<T>, options: ReadOptions): Reading<T> {
  let file: SmallFile | null;
  try {
    file = readSmall(path, options);
  } catch (error) {
    if (isForbidden(error) && options.refusesForbidden === true) return refuseForbidden(path, options, error);
    if (!(error instanceof FileRefused)) throw error;
    return refuse(path, options, error.code, [{ field: "", message: detailOf(error) }]);
  }
  if (file === null) return { kind: "absent" };
  return readText(path, file, schema, options);
}

function readText<T>(path: string, file: SmallFile, schema: SchemaOf<T>, options: ReadOptions): Reading<T> {
  const { text, stat } = file;
  const version = { mtimeMs: stat.mtimeMs, ino: stat.ino };
  const known = options.isFleeting === true ? undefined : readBefore(schema, text);
  if (known !== undefined) return { kind: "ok", value: known, text, ...version, size: stat.size };
  const isUnfinished = (): boolean => options.mayBeUnfinished !== false && isYoung(stat.mtimeMs, options.nowMs);
  // A file that was created this moment; to let it fail to parse takes ten times as long.
  if (text === "" && isUnfinished()) return { kind: "unfinished" };
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    if (isUnfinished()) return { kind: "unfinished" };
    return { ...refuse(path, options, "not_json", [{ field: "", message: whyNotJson(text) }]), ...version };
  }
  const read = readAs(schema, parsed);
  if (!read.ok) return { ...refuse(path, options, "wrong_field", read.problems), ...version };
  if (options.isFleeting !== true) remember(schema, text, read.value);
  return { kind: "ok", value: read.value, text, ...version, size: stat.size };
}

const TEXTS_MAX = 32;
const TEXT_LENGTH_MAX = 8192;
/** What the latest texts meant. Launch records are read again and again within one recovery, templates for ever. */
const readTexts = new WeakMap<object, Map<string, unknown>>();

function readBefore<T>(schema: SchemaOf<T>, text: string): T | undefined {
  return readTexts.get(schema)?.get(text) as T | undefined;
}

/** Values are shared by whoever reads the same text: they are not to be changed, and a change throws. */
function remember<T>(schema: SchemaOf<T>, text: string, value: T): void {
  if (text.length > TEXT_LENGTH_MAX) return;
  const texts = readTexts.get(schema) ?? new Map<string, unknown>();
  readTexts.set(schema, texts);
  if (texts.size >= TEXTS_MAX) texts.delete(texts.keys().next().value as string);
  texts.set(text, frozen(value));
}

/** Freezes a value with all that is in it. */
export function frozen<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) frozen(inner);
  return Object.freeze(value);
}

/** A file from the future (a stepped clock, `touch -d`) is as old as any: it must not stay unfinished for ever. */
function isYoung(mtimeMs: number, nowMs: number): boolean {
  return Math.abs(nowMs - mtimeMs) < UNFINISHED_MS;
}

/** Says at which place a text is not JSON. */
export function whyNotJson(text: string): string {
  if (text.trim() === "") return "it is empty";
  const { line, column } = firstFault(text);
  return `line ${line}, column ${column}: not valid JSON`;
}

/** Makes the refusal of a record that was understood but cannot be right, such as an id that is not its file's. */
export function refuse(path: string, options: ReadOptions, code: string, problems: readonly Problem[]): Bad {
  const what = options.what ?? "record";
  const shown = options.root === undefined ? path : relative(options.root, path);
  return {
    kind: "bad",
    code,
    problems,
    sentence: `Cannot read ${what} ${JSON.stringify(shown)}: ${sentenceOf(problems)}`,
  };
}

/**
 * Whether an error says that this one file may not be opened. A folder that is closed fails before any file in it is
 * opened, and is the host's fault.
 */
export function isForbidden(error: unknown): boolean {
  const code = systemCode(error);
  return (code === "EACCES" || code === "EPERM") && (error as { syscall?: unknown }).syscall === "open";
}

function refuseForbidden(path: string, options: ReadOptions, error: unknown): Bad {
  const code = systemCode(error) ?? "EACCES";
  const bad = refuse(path, options, code, [{ field: "", message: `it may not be read (${code})` }]);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  // Permissions change the time of change alone: a file that was mended and closed again is another version.
  return stat === undefined ? bad : { ...bad, mtimeMs: stat.ctimeMs, ino: stat.ino };
}

/** The part of the error's message after the path. */
export function detailOf(error: FileRefused): string {
  const prefix = `Cannot read ${JSON.stringify(error.path)}: `;
  return error.message.startsWith(prefix) ? error.message.slice(prefix.length) : error.message;
}

const VERSIONS_MAX = 10_000;

/** Remembers which versions of bad files were reported, so that each is reported once and not at every scan. */
export class RefusalBook {
  readonly #seen = new Map<string, string>();

  /** Whether this version of the file was reported before; from now on it was. */
  seenBefore(path: string, mtimeMs: number, ino: number): boolean {
    const version = `${mtimeMs}:${ino}`;
    if (this.#seen.get(path) === version) return true;
    // The oldest go first: at worst a file is reported twice, and memory stays bounded.
    this.#seen.delete(path);
    if (this.#seen.size >= VERSIONS_MAX) this.#seen.delete(this.#seen.keys().next().value as string);
    this.#seen.set(path, version);
    return false;
  }

  /** Forgets a file that is gone or good again. */
  forget(path: string): void {
    this.#seen.delete(path);
  }
}
