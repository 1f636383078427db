/**
 * A folder into which requests are put, and the folders in which they spend the rest of their life.
 *
 * A request is a file; its state is the folder it is in. Claiming is one rename into a name that carries the claimer's
 * identity, so that a dead claimer's requests can be told from a live one's. A settled request keeps the claimed name:
 * where both exist, the claimer died between its two steps and only the second is done again.
 * @module
 */
import { lstatSync, readdirSync, renameSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { FileGone, FileRefused, systemCode } from "../errors.js";
import { bootId } from "../platform/clock.js";
import { createExclusive, moveExclusive, readSmall, replaceFile } from "../platform/files.js";
import { identityOf, isCorpse } from "../platform/identity.js";
import { readStat } from "../platform/proc-stat.js";
import { isDirectory, isOneFile, isThere, namesIn, textOf, unlinkIfThere } from "./entries.js";
import { MAX_BYTES } from "./records.js";

/** The folders of a request's later life. */
export interface MailboxFolders {
  readonly claimed: string;
  readonly done: string;
  readonly failed: string;
  readonly rejected: string;
}

/** A request whose claimer is dead. */
export interface Orphan {
  readonly path: string;
  /** The name under which it was filed. */
  readonly name: string;
}

const FILED_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.json$/;
const CLAIMED_NAME = /^(.+)\.(\d+)\.(\d+)-(\d+)-([0-9a-f]{8})\.json$/;
const SUFFIX_MAX = 10_000;

let claimCount = 0;
let claimerCache: string | null = null;

/** One mailbox. */
export class Mailbox {
  readonly #folder: string;
  readonly #folders: MailboxFolders;

  constructor(folder: string, folders: MailboxFolders) {
    this.#folder = folder;
    this.#folders = folders;
  }

  /** The names of all waiting requests, sorted. Names that begin with a dot are still being written. */
  list(): string[] {
    return readdirSync(this.#folder)
      .filter((name) => name.endsWith(".json") && !name.startsWith("."))
      .sort();
  }

  /** Where a waiting request is. */
  pathOf(name: string): string {
    return join(this.#folder, plain(name));
  }

  /** Files a request; false if one with its name waits already: that one stays. */
  file(name: string, record: object): boolean {
    if (!FILED_NAME.test(name)) throw new RangeError(`Cannot file a request as ${JSON.stringify(name)}`);
    return createExclusive(join(this.#folder, name), textOf(record), { draftFolder: dirname(this.#folder) });
  }

  /** Claims a request; null if another was faster or it was removed. */
  claim(name: string): string | null {
    const from = this.pathOf(name);
    const to = join(this.#folders.claimed, `${stem(name)}.${claimTime()}.${claimer()}.json`);
    return rename(from, to) ? to : null;
  }

  /**
   * Ends a request. May be done again after a crash.
   *
   * @param record What is kept of it; without one, its text as it was filed.
   */
  settle(claimedPath: string, outcome: "done" | "failed", record?: object): void {
    const to = join(this.#folders[outcome], basename(claimedPath));
    if (record === undefined) {
      rename(claimedPath, to);
      return;
    }
    createExclusive(to, textOf(record));
    unlinkIfThere(claimedPath);
  }

  /**
   * Refuses a request: it keeps its name and content, with one sentence beside it that says why.
   *
   * The sentence is written first, so that no refused file is ever without one.
   * @param request The name of a waiting request, or the path of a claimed one.
   */
  reject(request: string, why: string): void {
    const isPath = request.includes("/");
    const from = isPath ? request : this.pathOf(request);
    const name = isPath ? filedName(request) : request;
    for (let number = 1; number <= SUFFIX_MAX; number++) {
      const to = join(this.#folders.rejected, number === 1 ? name : numbered(name, number));
      if (isThere(to) && !isOneFile(from, to)) continue;
      replaceFile(`${to}.why`, `${why.replace(/\s*\n\s*/g, " ")}\n`);
      if (this.#moveRejected(from, to)) return;
    }
    throw new Error(`Cannot keep ${JSON.stringify(name)}: too many rejected requests have its name`);
  }

  /** False if the name was taken meanwhile. A request that is gone has been dealt with by somebody else. */
  #moveRejected(from: string, to: string): boolean {
    try {
      return moveExclusive(from, to);
    } catch (error) {
      if (error instanceof FileGone) {
        if (!isThere(to)) unlinkIfThere(`${to}.why`);
        return true;
      }
      // A folder put where a request should be cannot be linked.
      if (systemCode(error) !== "EPERM" || !isDirectory(from)) throw error;
      return rename(from, to);
    }
  }

  /**
   * Puts a claimed request back to wait, with what was learnt.
   *
   * @returns False if a newer request took its name meanwhile: that one counts, and the old one is done, superseded.
   */
  putBack(claimedPath: string, name: string, record: object): boolean {
    if (this.file(name, record)) {
      unlinkIfThere(claimedPath);
      return true;
    }
    this.settle(claimedPath, "done", { ...record, verdict: "superseded" });
    return false;
  }

  /**
   * Requests whose claimers are dead, oldest first.
   *
   * What a dead claimer had decided already is finished here: a claim whose settled twin exists is removed, and one
   * whose name waits again (put back, or filed anew) is superseded by it.
   */
  orphans(): Orphan[] {
    const found: (Orphan & { readonly time: number })[] = [];
    for (const entry of readdirSync(this.#folders.claimed)) {
      const match = CLAIMED_NAME.exec(entry);
      if (match === null || isClaimerAlive(Number(match[3]), Number(match[4]), match[5] as string)) continue;
      const path = join(this.#folders.claimed, entry);
      const name = `${match[1] as string}.json`;
      if (!this.#finish(path, entry, name)) found.push({ path, name, time: Number(match[2]) });
    }
    return found.sort((a, b) => a.time - b.time).map(({ path, name }) => ({ path, name }));
  }

  #finish(path: string, entry: string, name: string): boolean {
    const isSettled = isThere(join(this.#folders.done, entry)) || isThere(join(this.#folders.failed, entry));
    if (isSettled || this.#isRejected(path)) {
      unlinkIfThere(path);
      return true;
    }
    if (!isThere(join(this.#folder, name))) return false;
    const record = parsed(path);
    this.settle(path, "done", record === null ? undefined : { ...record, verdict: "superseded" });
    return true;
  }

  /** A claim that has a second name among the rejected was cut off between the two halves of its move. */
  #isRejected(path: string): boolean {
    if ((lstatSync(path, { throwIfNoEntry: false })?.nlink ?? 1) < 2) return false;
    return namesIn(this.#folders.rejected).some((name) => isOneFile(path, join(this.#folders.rejected, name)));
  }
}

/** The name under which a claimed request was filed. */
export function filedName(claimedPath: string): string {
  const entry = basename(claimedPath);
  const match = CLAIMED_NAME.exec(entry);
  return match === null ? entry : `${match[1] as string}.json`;
}

/** When and by whom a request was claimed, by the name it has since; null for a name that no claim gave. */
export function claimOf(path: string): { readonly atMs: number; readonly isAlive: boolean } | null {
  const match = CLAIMED_NAME.exec(basename(path));
  if (match === null) return null;
  // The last three digits are the claimer's counter.
  const atMs = Math.floor(Number(match[2]) / 1000);
  return { atMs, isAlive: isClaimerAlive(Number(match[3]), Number(match[4]), match[5] as string) };
}

function plain(name: string): string {
  if (name.includes("/") || name === "." || name === "..") {
    throw new RangeError(`Cannot look for a request named ${JSON.stringify(name)}`);
  }
  return name;
}

/** Cut so that the claimed name stays within the 255 bytes of a file name. */
function stem(name: string): string {
  const whole = name.slice(0, -".json".length);
  return Buffer.byteLength(whole) <= 180 ? whole : Buffer.from(whole).subarray(0, 180).toString("latin1");
}

function numbered(name: string, number: number): string {
  return name.endsWith(".json") ? `${name.slice(0, -".json".length)}.${number}.json` : `${name}.${number}`;
}

/** Milliseconds and a counter: one process may claim the same name twice within a millisecond. */
function claimTime(): string {
  claimCount = (claimCount + 1) % 1000;
  return `${Date.now()}${String(claimCount).padStart(3, "0")}`;
}

function claimer(): string {
  claimerCache ??= `${process.pid}-${identityOf(process.pid)?.start_time ?? 0}-${bootId().slice(0, 8)}`;
  return claimerCache;
}

function isClaimerAlive(pid: number, startTime: number, boot: string): boolean {
  if (boot !== bootId().slice(0, 8)) return false;
  const stat = readStat(pid);
  return stat !== null && stat.start_time === startTime && !isCorpse(stat);
}

function rename(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
}

/** What a request says, or null where it cannot be read: then it is kept as it is. */
function parsed(path: string): object | null {
  try {
    const json: unknown = JSON.parse(readSmall(path, { maxBytes: MAX_BYTES.request })?.text ?? "null");
    return typeof json === "object" && !Array.isArray(json) ? json : null;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof FileRefused) return null;
    throw error;
  }
}
