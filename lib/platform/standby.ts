/**
 * Launchers that were made before they are needed, so that a worker's return does not wait for three programs to start.
 *
 * From the decision to a program's first instruction, a launcher costs the start of a shell, the start of `setsid`, and a
 * shell's reading of its script: half of a recovery (docs/decisions/standby-launchers.md). One that stands by has all of
 * that behind it: its child waits, in a session of its own, for a line in a named pipe. It claims the attempt, leaves a line in the pipe
 * for the launcher, which reads it when the program has ended, and becomes the program.
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
import { errorMessage, systemCode } from "../errors.js";
import { bootId } from "./clock.js";
import type { HostedStart, LauncherHost, LauncherStarter, StartDescription } from "./launcher-host.js";
import { findSetsid, ownUmask } from "./launching.js";
import {
  type Form,
  Forms,
  LINE_FIELD_END,
  lineFilledIn,
  lineOfForm,
  lineWithWords,
  MARK,
  type Shorten,
  shortener,
  textOf,
} from "./standby-lines.js";

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
  /** Where the exit records of all starts are. */
  readonly exits: string;
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

/** One that stands by. */
interface Standing {
  /** The descriptor of its pipe. */
  readonly pipe: number;
  /** The forms that its session was told, in that order. */
  readonly forms: readonly Form[];
}

export class StandbyLaunchers implements LauncherStarter {
  readonly #options: StandbyOptions;
  /** Those that stand by, the one that is used next first. */
  readonly #standing: Standing[] = [];
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
  readonly #forms = new Forms();
  /** Of starts that nobody is told of: real launchers need not know them. */
  readonly #practised = new Forms();

  constructor(options: StandbyOptions) {
    this.#options = options;
    this.#shorten = shortener(options.words);
  }

  /** How many stand by. */
  get size(): number {
    return this.#standing.length;
  }

  /** Makes as many as are wanted. */
  open(): void {
    if (this.#clear()) this.refill();
  }

  /** Makes as many as are wanted, one after another, while nothing else is to be done; ends those that are too many. */
  refill(): void {
    for (const { pipe } of this.#standing.splice(this.#options.count())) closeSync(pipe);
    if (this.#closed || this.#timer !== null || this.#standing.length >= this.#options.count()) return;
    this.#later(Math.max(1, this.#notBeforeMs - performance.now()), () => this.#make());
  }

  /** Whoever is made from now on knows what a start as this has in common with others. */
  learn(start: StartDescription): void {
    const text = textOf(start);
    if (text !== null) this.#forms.learn(text, start.blanks);
  }

  /** Makes the line for a start, and tells nobody. */
  practise(start: StartDescription): void {
    const text = textOf(start);
    if (text === null) return;
    if (this.#practised.find(text, start.blanks) === null) this.#practised.learn(text, start.blanks);
    lineFilledIn(this.#options.words.length + 1, start.blanks);
  }

  start(start: HostedStart): boolean {
    this.#notBeforeMs = Math.max(this.#notBeforeMs, performance.now() + REST_MS);
    const isTold = this.#standing.length > 0 && this.#tell(start);
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
    for (const { pipe } of this.#standing.splice(0)) closeSync(pipe);
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
      onTrouble(`No launchers stand by: ${errorMessage(error)}`);
      return false;
    }
  }

  #tell(start: HostedStart): boolean {
    const text = start.exits === this.#options.exits ? textOf(start) : null;
    if (text === null) return false;
    const { blanks } = start;
    const form = this.#forms.find(text, blanks);
    // Its worker does not wait for what only the next one gains by.
    if (form === null) setImmediate(() => this.#forms.learn(text, blanks));
    for (;;) {
      // Whoever knows the form has less to read.
      const knowing = form === null ? -1 : this.#standing.findIndex(({ forms }) => forms.includes(form));
      const standing = this.#standing[Math.max(0, knowing)];
      if (standing === undefined) return false;
      const nth = this.#options.words.length + standing.forms.indexOf(form as Form) + 1;
      const line = knowing === -1 ? lineWithWords(text, this.#shorten) : lineFilledIn(nth, blanks);
      if (line === null) return false;
      this.#standing.splice(this.#standing.indexOf(standing), 1);
      if (told(standing.pipe, line)) return true;
    }
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
    const { exits, words, host } = this.#options;
    const known = ["standby", path, exits, LINE_FIELD_END, MARK, ownUmask(), bootId(), setsid, ...words];
    if (!host.ask(["pipe", path])) return this.#pause();
    this.#await(path, () => {
      this.#held = openEnd(path);
      if (this.#held === null) return false;
      // Whoever opens the pipe reads from it for as long as this process has it open.
      if (host.ask(known)) this.#await(path, () => this.#connect(path));
      else this.#giveUp(path);
      return true;
    });
  }

  /** A second end can be opened only while somebody reads: then a launcher stands by. */
  #connect(path: string): boolean {
    const pipe = openForReader(path);
    if (pipe === null) return false;
    this.#standing.push({ pipe, forms: tellForms(pipe, this.#forms.known) });
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
      this.#options.onTrouble(`Cannot remove "${path}": ${errorMessage(error)}`);
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
      this.#options.onTrouble(errorMessage(error));
    }
  }
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

/** Tells a session of forms while it waits. Returns those that it was told. */
function tellForms(pipe: number, forms: readonly Form[]): readonly Form[] {
  return forms.filter((form) => {
    const line = lineOfForm(form);
    return line !== null && written(pipe, line);
  });
}

/** False if whoever stood by is gone. */
function told(pipe: number, line: string): boolean {
  const isWritten = written(pipe, line);
  closeSync(pipe);
  return isWritten;
}

/** A line is written whole or not at all. */
function written(pipe: number, line: string): boolean {
  try {
    writeSync(pipe, line);
    return true;
  } catch (error) {
    if (systemCode(error) === null) throw error;
    return false;
  }
}
