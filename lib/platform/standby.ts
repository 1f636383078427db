/**
 * Launchers that were made before they are needed, so that a worker's return does not wait for three programs to start.
 *
 * From the decision to a program's first instruction, a launcher costs the start of a shell, the start of `setsid`, and a
 * shell's reading of its script: half of a recovery (docs/decisions/standby-launchers.md). One that stands by has all of
 * that behind it: its child waits, in a session of its own, for a line in a named pipe. Two lines are written: the child
 * reads the first, claims the attempt and becomes the program; the launcher reads the second when the program has ended.
 *
 * Those that stand by end when the daemon ends, since it has the pipe's other end. What cannot be told in a line (a line
 * break in an argument), and what comes when none is left (many deaths at once), is left to whoever starts launchers
 * otherwise. What was told and is not claimed soon is started otherwise too, which is harmless: an attempt is claimed once.
 * @module
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { systemCode } from "../errors.js";
import { bootId } from "./clock.js";
import { fieldsOf, type HostedStart, joined, type LauncherHost, type LauncherStarter } from "./launcher-host.js";
import { findSetsid, ownUmask } from "./launching.js";

/** Comes before each letter that stands for a word, since every byte of a line costs a microsecond. */
const MARK = "\u001d";
/** Letters that stand for words; launcher.sh knows as many. */
const LETTERS = "abcdefghijklmnopqrstuv";
/** What a line begins with; no letter of a word. */
const BEGINNING = "0";
/** So many bytes are written to a pipe whole or not at all (PIPE_BUF). */
const LINES_BYTES_MAX = 4096;
/** After a start none is made for so long: what follows a recovery comes first. */
const REST_MS = 10;
/** A pipe that is made, or a launcher that opens it, is looked for after this long, then after twice as long, up to the longest. */
const FIRST_LOOK_MS = 4;
const LONGEST_LOOK_MS = 128;
/** One that is not there after this long is given up. */
const GIVEN_UP_MS = 10_000;
/** For so long none is made after one could not be, or was given up. */
const PAUSE_MS = 10_000;
/** A start that is not claimed after this long is made otherwise. */
const CLAIMED_WITHIN_MS = 1000;

export interface StandbyOptions {
  /** Made if it is not there: pipes are in it while their launchers are made. */
  readonly folder: string;
  /** Words that stand in most starts; the longest that fits is written as a letter. */
  readonly words: readonly string[];
  /** How many stand by. Asked each time. */
  readonly count: () => number;
  /** Makes them. */
  readonly host: Pick<LauncherHost, "ask">;
  /** For so long none is made after one could not be; ten seconds unless said otherwise. */
  readonly pauseMs?: number;
  /** Told in one sentence what goes wrong. */
  readonly onTrouble: (sentence: string) => void;
}

export class StandbyLaunchers implements LauncherStarter {
  readonly #options: StandbyOptions;
  /** The pipes of those that stand by. */
  readonly #pipes: number[] = [];
  /** The pipe of the one that is being made. */
  #held: number | null = null;
  /** Starts that were told a moment ago. */
  readonly #told = new Set<HostedStart>();
  #made = 0;
  /** One is being made, or is to be made. */
  #timer: NodeJS.Timeout | null = null;
  #notBeforeMs = 0;
  #closed = false;

  readonly #shorten: Shorten;

  constructor(options: StandbyOptions) {
    this.#options = options;
    this.#shorten = shortener(options.words);
  }

  /** How many stand by. */
  get size(): number {
    return this.#pipes.length;
  }

  /** Makes as many as are wanted. */
  open(): void {
    if (this.#clear()) this.refill();
  }

  /** Makes as many as are wanted, one after another, while nothing else is to be done; ends those that are too many. */
  refill(): void {
    for (const pipe of this.#pipes.splice(this.#options.count())) closeSync(pipe);
    if (this.#closed || this.#timer !== null || this.#pipes.length >= this.#options.count()) return;
    this.#later(Math.max(1, this.#notBeforeMs - performance.now()), () => this.#make());
  }

  start(start: HostedStart): boolean {
    this.#notBeforeMs = Math.max(this.#notBeforeMs, performance.now() + REST_MS);
    const lines = this.#pipes.length === 0 ? null : linesOf(start, this.#shorten);
    const isTold = lines !== null && this.#tell(lines);
    if (isTold) {
      this.#told.add(start);
      setTimeout(() => this.#see(start), CLAIMED_WITHIN_MS).unref();
    }
    this.refill();
    return isTold;
  }

  /** Ends those that stand by; what they have started goes on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const pipe of this.#pipes.splice(0)) closeSync(pipe);
    this.#letGo();
    this.#clear();
    for (const start of this.#told) this.#see(start);
  }

  /** Removes the pipes that are no more needed. A launcher that comes too late for its own ends. */
  #clear(): boolean {
    const { folder, onTrouble } = this.#options;
    try {
      // At the end the home may be gone already, and is not made again.
      if (!this.#closed) mkdirSync(folder, { mode: 0o750, recursive: true });
      else if (!existsSync(folder)) return false;
      for (const name of readdirSync(folder)) rmSync(join(folder, name), { force: true });
      return true;
    } catch (error) {
      onTrouble(`No launchers stand by: ${messageOf(error)}`);
      return false;
    }
  }

  #tell(lines: string): boolean {
    for (let pipe = this.#pipes.shift(); pipe !== undefined; pipe = this.#pipes.shift())
      if (told(pipe, lines)) return true;
    return false;
  }

  #later(ms: number, action: () => void): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      action();
    }, ms).unref();
  }

  #make(): void {
    if (performance.now() < this.#notBeforeMs) return this.refill();
    const setsid = findSetsid();
    if (setsid === null) return this.#pause();
    const path = join(this.#options.folder, `${process.pid}-${++this.#made}`);
    const words = ["standby", path, MARK, ownUmask(), bootId(), setsid, ...this.#options.words];
    if (!this.#options.host.ask(["pipe", path])) return this.#pause();
    this.#await(path, () => {
      this.#held = openEnd(path);
      if (this.#held === null) return false;
      // Whoever opens the pipe reads from it for as long as this process has it open.
      if (this.#options.host.ask(words)) this.#await(path, () => this.#connect(path));
      else this.#giveUp(path);
      return true;
    });
  }

  /** A second end can be opened only while somebody reads: then a launcher stands by. */
  #connect(path: string): boolean {
    const pipe = openForReader(path);
    if (pipe === null) return false;
    this.#pipes.push(pipe);
    this.#remove(path);
    this.refill();
    return true;
  }

  #giveUp(path: string): void {
    this.#remove(path);
    this.#pause();
  }

  /** The host cannot make launchers for a while, or they do not come. */
  #pause(): void {
    this.#notBeforeMs = performance.now() + (this.#options.pauseMs ?? PAUSE_MS);
    this.refill();
  }

  #remove(path: string): void {
    this.#letGo();
    try {
      rmSync(path, { force: true });
    } catch (error) {
      // It is removed at the next start.
      this.#options.onTrouble(`Cannot remove "${path}": ${messageOf(error)}`);
    }
  }

  #letGo(): void {
    if (this.#held !== null) closeSync(this.#held);
    this.#held = null;
  }

  #await(path: string, look: () => boolean, waitMs = FIRST_LOOK_MS, sinceMs = performance.now()): void {
    this.#later(waitMs, () => {
      if (look()) return;
      if (performance.now() - sinceMs < GIVEN_UP_MS)
        return this.#await(path, look, Math.min(waitMs * 2, LONGEST_LOOK_MS), sinceMs);
      this.#options.onTrouble(`A launcher that was to stand by is not there after ${GIVEN_UP_MS / 1000} s`);
      this.#giveUp(path);
    });
  }

  #see(start: HostedStart): void {
    if (!this.#told.delete(start) || existsSync(start.claim)) return;
    try {
      start.itself();
    } catch (error) {
      // Its spec says "pending" and nobody has claimed it: heartbeat-monitor starts it again.
      this.#options.onTrouble(messageOf(error));
    }
  }
}

export type Shorten = (text: string) => string;

/** Writes a letter for each word that a text has. @throws {RangeError} If there are more words than letters. */
export function shortener(words: readonly string[]): Shorten {
  if (words.length > LETTERS.length) throw new RangeError(`Only ${LETTERS.length} words have letters`);
  if (words.length === 0) return (text) => `${BEGINNING}${text}`;
  const letters = new Map(words.map((word, nth) => [word, `${MARK}${LETTERS[nth]}`]));
  const longestFirst = [...words].sort((a, b) => b.length - a.length).map((word) => word.replace(/\W/g, "\\$&"));
  const pattern = new RegExp(longestFirst.join("|"), "g");
  return (text) => `${BEGINNING}${text.replace(pattern, (word) => letters.get(word) as string)}`;
}

/** The two lines that tell of a start; null if it cannot be told in lines. The launcher needs less than the session. */
export function linesOf(
  { variables, ofLauncher, ofProgram, program }: Omit<HostedStart, "claim" | "itself" | "ofHost">,
  shorten: Shorten,
): string | null {
  const ofSession = fieldsOf(variables, [...ofLauncher, ...ofProgram], program);
  // A shell might take it for an option of its own.
  if (ofSession === null || program[0]?.startsWith("-")) return null;
  const fields = [joined(ofSession), joined(["0", ...ofLauncher])];
  if (fields.some((each) => each.includes("\n") || each.includes(MARK))) return null;
  const lines = fields.map((each) => `${shorten(each)}\n`).join("");
  return Buffer.byteLength(lines) > LINES_BYTES_MAX ? null : lines;
}

/** Opens a pipe for writing; null while it is not there. */
function openEnd(path: string): number | null {
  // Only while there is a reader can it be opened for writing alone, so this process is one for a moment.
  const both = open(path, constants.O_RDWR);
  if (both === null) return null;
  const end = fstatSync(both).isFIFO() ? open(path, constants.O_WRONLY) : null;
  closeSync(both);
  return end;
}

/** Opens a pipe that has a reader for writing; null while it has none. */
function openForReader(path: string): number | null {
  return open(path, constants.O_WRONLY);
}

function open(path: string, mode: number): number | null {
  try {
    return openSync(path, mode | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    // ENOENT: it is not made yet. ENXIO: nobody reads. Anything else is looked at again as well, and then given up.
    if (systemCode(error) === null) throw error;
    return null;
  }
}

/** False if whoever stood by is gone. */
function told(pipe: number, lines: string): boolean {
  try {
    writeSync(pipe, lines);
    return true;
  } catch (error) {
    if (systemCode(error) === null) throw error;
    return false;
  } finally {
    closeSync(pipe);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
