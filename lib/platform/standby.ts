/**
 * Launchers that were made before they are needed, so that a worker's return does not wait for three programs to start.
 *
 * From the decision to a program's first instruction, a launcher costs the start of a shell, the start of `setsid`, and a
 * shell's reading of its script: half of a recovery (docs/decisions/standby-launchers.md). One that stands by has all of
 * that behind it: it waits, and its child waits in a session of its own, each for one line. Two lines are written, and
 * the child claims the attempt and becomes the program.
 *
 * Both end when the daemon ends, since each reads from it. What one that stands by cannot do (a line break in an argument,
 * none left after many deaths at once) is left to whoever starts launchers otherwise. One that ends without having claimed
 * what it was given has it started otherwise, which is harmless, because an attempt is claimed once.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { Socket } from "node:net";
import { bootId } from "./clock.js";
import { FIELD_END, type HostedStart, joinedFields, type LauncherStarter } from "./launcher-host.js";
import { findSetsid, launcherScript, ownUmask } from "./launching.js";
import { inheritedVariables } from "./worker-environment.js";

/** Stands for the home in a line, since every byte of it costs time. */
const HOME_MARK = "\u001d";
/** A launcher reads a line byte by byte; a longer one is sooner read as an argument. */
const LINE_BYTES_MAX = 4096;
/** For so long a start that was handed over is remembered; it takes a millisecond to claim it. */
const REMEMBERED_MS = 10_000;
/** After a start nothing is made for so long: what follows a recovery comes first. */
const REST_MS = 10;
/** After a launcher that ended while it stood by nothing is made for so long. */
const PAUSE_MS = 10_000;

interface Standing {
  readonly process: ChildProcess;
  /** What it was given. */
  given: HostedStart | null;
}

export interface StandbyOptions {
  /** All paths of starts that lie in it are written shorter. */
  readonly home: string;
  /** How many stand by. Asked each time. */
  readonly count: () => number;
  /** Told in one sentence when launchers end that stood by. */
  readonly onTrouble: (sentence: string) => void;
}

export class StandbyLaunchers implements LauncherStarter {
  readonly #options: StandbyOptions;
  readonly #standing: Standing[] = [];
  #timer: NodeJS.Timeout | null = null;
  #notBeforeMs = 0;
  #closed = false;

  constructor(options: StandbyOptions) {
    this.#options = options;
  }

  /** Pids of those that stand by. */
  get pids(): number[] {
    return this.#standing.flatMap(({ process: { pid } }) => pid ?? []);
  }

  /** Makes as many as are wanted, one after another, while nothing else is to be done. */
  open(): void {
    if (!this.#closed) this.#timer ??= setTimeout(() => this.#makeOne(), this.#restMs()).unref();
  }

  /** Hands a start over. False if none can take it: then it is to be started otherwise. */
  start(start: HostedStart): boolean {
    this.#rest();
    const lines = linesOf(start, this.#options.home);
    const standing = lines === null ? undefined : this.#standing.shift();
    if (lines === null || standing === undefined) return false;
    standing.given = start;
    setTimeout(() => {
      standing.given = null;
    }, REMEMBERED_MS).unref();
    const [launcher, session] = pipesOf(standing.process);
    // The launcher's line first: who becomes a program has somebody who waits for its end.
    launcher.end(lines.forLauncher);
    session.end(lines.forSession);
    return true;
  }

  /** Ends those that stand by; what they have started goes on. */
  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const { process: child } of this.#standing.splice(0)) for (const pipe of pipesOf(child)) pipe.destroy();
  }

  #rest(): void {
    this.#notBeforeMs = Math.max(this.#notBeforeMs, performance.now() + REST_MS);
    this.open();
  }

  #restMs(): number {
    return Math.max(1, this.#notBeforeMs - performance.now());
  }

  #makeOne(): void {
    this.#timer = null;
    const surplus = this.#standing.length - this.#options.count();
    if (surplus >= 0) return;
    if (this.#restMs() > 1) return this.open();
    const setsid = findSetsid();
    if (setsid === null) return;
    this.#make(setsid);
    this.open();
  }

  #make(setsid: string): void {
    const args = [launcherScript(), "standby", FIELD_END, HOME_MARK, this.#options.home, ownUmask(), bootId(), setsid];
    const child = spawn("/bin/sh", args, {
      detached: true,
      stdio: ["pipe", "ignore", "ignore", "pipe"],
      cwd: "/",
      env: inheritedVariables(process.env),
    });
    const standing: Standing = { process: child, given: null };
    child.on("error", (error) => this.#ended(standing, error.message));
    child.on("exit", (code, signal) => this.#ended(standing, `it ended with ${code ?? signal}`));
    child.unref();
    for (const pipe of pipesOf(child)) {
      pipe.on("error", () => undefined); // Its end is told by "exit".
      pipe.unref();
    }
    this.#standing.push(standing);
  }

  #ended(standing: Standing, why: string): void {
    const { given } = standing;
    standing.given = null;
    const at = this.#standing.indexOf(standing);
    if (at !== -1) {
      this.#standing.splice(at, 1);
      this.#notBeforeMs = performance.now() + PAUSE_MS;
      this.#options.onTrouble(`A launcher that stood by failed (${why}); the next are made in ${PAUSE_MS / 1000} s`);
      this.open();
    }
    if (given === null || existsSync(given.claim)) return;
    try {
      given.itself();
    } catch (error) {
      // Its spec says "pending" and nobody has claimed it: heartbeat-monitor starts it again.
      this.#options.onTrouble(error instanceof Error ? error.message : String(error));
    }
  }
}

/** The launcher's end of its line, and its session's. */
function pipesOf({ stdio }: ChildProcess): readonly [Socket, Socket] {
  return [stdio[0], stdio[3]] as unknown as [Socket, Socket];
}

/** The two lines that tell of a start; null if it cannot be told in lines. */
export function linesOf(
  { variables, ofLauncher, ofProgram, program }: Omit<HostedStart, "claim" | "itself" | "ofHost">,
  home: string,
): { readonly forLauncher: string; readonly forSession: string } | null {
  const forLauncher = joinedFields({}, ofLauncher, []);
  const forSession = joinedFields(variables, [...ofLauncher, ...ofProgram], program);
  if (forLauncher === null || forSession === null) return null;
  if (forSession.includes("\n") || forSession.includes(HOME_MARK)) return null;
  if (Buffer.byteLength(forSession) > LINE_BYTES_MAX) return null;
  const shorter = (fields: string): string => `${fields.replaceAll(home, HOME_MARK)}\n`;
  return { forLauncher: shorter(forLauncher), forSession: shorter(forSession) };
}
