/**
 * Starts programs that run beside us: given a text on their standard input, given a time, and left behind when we stop.
 *
 * `runProgram` is for programs whose answer is waited for; a program started here never keeps the process alive.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { systemCode } from "../errors.js";
import { signalGroup } from "./groups.js";
import { hasGroupMembers, type Identity, identityOf, isSame } from "./identity.js";

export interface BesideOptions {
  readonly cwd?: string;
  /** Added to our own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** After it the whole process group gets SIGTERM, and SIGKILL two seconds later. */
  readonly timeoutMs: number;
  /** false: its standard error goes nowhere, so that it may write there after we are gone. */
  readonly keepLastLine?: boolean;
}

export interface BesideEnd {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  /** It took too long and may not be signalled by us, as what runs through sudo: it was left running. */
  readonly isLeft?: true;
  /** The system's code, when it never ran. */
  readonly failedToStart?: string;
  /** Its last words on standard error, one line; empty if it had none. */
  readonly lastLine: string;
}

export interface Beside {
  readonly ended: Promise<BesideEnd>;
  /** Leaves it running without us: nothing of it keeps this process alive, and `ended` stays open. */
  letGo(): void;
}

const GRACE_MS = 2000;
const DRAIN_MS = 200;
const LAST_WORDS_BYTES = 4096;

/** Starts a program in a session and group of its own. Nothing is thrown: how it went is in `ended`. */
export function startBeside(file: string, args: readonly string[], input: string, options: BesideOptions): Beside {
  const program = new Running(file, args, input, options);
  return { ended: program.ended, letGo: () => program.letGo() };
}

class Running {
  readonly ended: Promise<BesideEnd>;
  readonly #child: ChildProcess | null;
  readonly #lastWords: () => string;
  readonly #timers: NodeJS.Timeout[] = [];
  #settle: (end: BesideEnd) => void = () => {};
  /** The number of its group; null once nobody is left in it, for then it is given to others. */
  #group: number | null = null;
  /** Who led the group, where that could be read. */
  #leader: Identity | null = null;
  #hasExited = false;
  #timedOut = false;
  #isLeft = false;

  constructor(file: string, args: readonly string[], input: string, options: BesideOptions) {
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
    const child = start(file, args, options);
    if (typeof child === "string") {
      this.#child = null;
      this.#lastWords = () => "";
      this.#finish({ exitCode: null, signal: null, failedToStart: child });
      return;
    }
    this.#child = child;
    this.#group = child.pid ?? null;
    // Now it cannot have been reaped yet, however short its life was.
    this.#leader = child.pid === undefined ? null : leaderOf(child.pid);
    this.#lastWords = lastWordsOf(child.stderr);
    child.once("error", (error) => {
      if (child.pid === undefined)
        this.#finish({ exitCode: null, signal: null, failedToStart: systemCode(error) ?? "unknown" });
    });
    child.once("exit", (exitCode, signal) => this.#drain(exitCode, signal));
    // A program that does not read its input is within its rights.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
    this.#later(options.timeoutMs, () => this.#hasten());
  }

  letGo(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#child?.stderr?.destroy();
    this.#child?.unref();
  }

  #hasten(): void {
    if (this.#group === null) return;
    this.#timedOut = true;
    this.#signal("SIGTERM");
    // Also when the program itself has ended by then: its children may have ignored the first signal.
    this.#later(GRACE_MS, () => {
      this.#signal("SIGKILL");
      if (!this.#isLeft) return;
      // Of what we may not end the end is not waited for.
      this.letGo();
      this.#finish({ exitCode: null, signal: null });
    });
  }

  #signal(signal: NodeJS.Signals): void {
    // Until its end is known to us its number is its own; afterwards only while somebody of the group lives on.
    if (this.#hasExited && isAnothers(this.#leader)) this.#group = null;
    if (this.#group !== null) this.#isLeft = signalGroup(this.#group, signal) === "forbidden";
  }

  /** What its children still write is waited for only a moment. */
  #drain(exitCode: number | null, signal: NodeJS.Signals | null): void {
    this.#hasExited = true;
    // While anybody is in the group, the kernel gives its number to nobody else.
    if (this.#group !== null && !hasGroupMembers(this.#group)) this.#group = null;
    const finish = (): void => this.#finish({ exitCode, signal });
    const { stderr } = this.#child ?? {};
    if (!stderr || stderr.closed) return finish();
    stderr.once("close", finish);
    this.#later(DRAIN_MS, finish);
  }

  #finish(end: Omit<BesideEnd, "timedOut" | "lastLine">): void {
    // A group that was told to end within its grace keeps that last signal, as long as anybody is in it.
    if (!this.#timedOut || this.#group === null) for (const timer of this.#timers) clearTimeout(timer);
    this.#child?.stderr?.destroy();
    const isLeft = this.#isLeft ? { isLeft: true as const } : {};
    this.#settle({ ...end, timedOut: this.#timedOut, ...isLeft, lastLine: this.#lastWords() });
  }

  #later(delayMs: number, act: () => void): void {
    this.#timers.push(setTimeout(act, delayMs));
  }
}

/** Null where it cannot be read just now: then the group gets no signal any more once its leader has ended. */
function leaderOf(pid: number): Identity | null {
  try {
    return identityOf(pid);
  } catch (error) {
    if (systemCode(error) === null) throw error;
    return null;
  }
}

/** Whether the leader's number is somebody else's by now; also where that cannot be told: rather too little is ended. */
function isAnothers(leader: Identity | null): boolean {
  try {
    return leader === null || isSame(leader) === "reused";
  } catch (error) {
    if (systemCode(error) === null) throw error;
    return true;
  }
}

/** The child, or the code of what kept it from starting. */
function start(file: string, args: readonly string[], options: BesideOptions): ChildProcess | string {
  try {
    return spawn(file, args, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, ...options.env },
      shell: false,
      detached: true,
      stdio: ["pipe", "ignore", options.keepLastLine === false ? "ignore" : "pipe"],
    });
  } catch (error) {
    return systemCode(error) ?? "unknown";
  }
}

function lastWordsOf(stream: Readable | null): () => string {
  let kept = Buffer.alloc(0);
  stream?.on("data", (chunk: Buffer) => {
    kept = Buffer.concat([kept, chunk]).subarray(-LAST_WORDS_BYTES);
  });
  stream?.on("error", () => {});
  return () => {
    const lines = kept.toString().trimEnd().split("\n");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed here
    return (lines.at(-1) ?? "").replace(/[\u0000-\u001f\u007f-\u009f]/g, "?").slice(0, 160);
  };
}
