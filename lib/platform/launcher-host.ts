/**
 * A small process that starts launchers for a daemon, so that the daemon need not fork.
 *
 * Node starts a process by forking itself: with 100 MiB of memory to copy the page tables of, that takes 2 ms, in which the
 * daemon does nothing else. To tell xargs takes 0.05 ms (docs/decisions/launcher-host.md), and it does just what is wanted: it reads items
 * that end with NUL, and runs a command for each, with the item as an argument, through no shell.
 *
 * A host may fail at any time (its daemon's limit of processes, a launcher that was killed, which xargs takes as a
 * reason to stop). It says so on its error output, or ends; what it was given and nobody has claimed is then started
 * without it. Starting twice is harmless, because a launcher claims its attempt exclusively.
 *
 * An argument is open to every user of the host, so the variables that a worker is given by its spec stand in a file that only
 * we may read; the launcher takes them from there before it claims the attempt.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { Socket } from "node:net";
import { errorMessage, systemCode } from "../errors.js";
import { type LaunchFields, launcherScript } from "./launching.js";
import { PrivateFiles } from "./private-files.js";
import { inheritedVariables, OWN_VARIABLES } from "./worker-environment.js";

/** What is to be started. */
export interface StartDescription extends LaunchFields {
  readonly variables: Readonly<Record<string, string>>;
  /** The program and its arguments. */
  readonly program: readonly string[];
  /** The folder of the exit records. */
  readonly exits: string;
  /** What differs from start to start of workers of one type, as it stands in the fields; empty for none. */
  readonly blanks: readonly string[];
}

/** One start. */
export interface HostedStart extends StartDescription {
  /** Makes ready for a launcher that is new, and returns the fields that it needs besides. @throws {LaunchFailed} */
  readonly ofHost: () => readonly string[];
  /** The file that tells that a launcher has it. */
  readonly claim: string;
  /** Starts it without the host. Returns the launcher's pid. */
  readonly itself: () => number;
}

/** Ends each field; one that holds it cannot be sent. */
const FIELD_END = "\u001f";
/** Where xargs puts the item. In no path, since it is no character that anybody types. */
const ITEM = "\u001e";
/** xargs takes items up to 128 KiB, the longest argument that Linux allows; larger starts do without it. */
const ITEM_BYTES_MAX = 64 * 1024;
/** Names that mean something to the shell which exports them; a shell that is started with them knows better. */
const OF_THE_SHELL: ReadonlySet<string> = new Set([
  "IFS",
  "PWD",
  "OLDPWD",
  "PPID",
  "UID",
  "EUID",
  "OPTIND",
  "OPTARG",
  "LINENO",
]);
/** What the launcher's own variables begin with. */
const OF_THE_LAUNCHER = "heald_l_";
const OWN: ReadonlySet<string> = new Set(OWN_VARIABLES);
/** For so long a start that was handed over and not claimed is remembered; a launcher takes a few milliseconds to claim it. */
const REMEMBERED_MS = 60_000;
/** After a failure starts do without a host for so long. */
const PAUSE_MS = 10_000;
/** xargs notices that launchers have ended when it starts the next. */
const REAP_EVERY_MS = 10_000;

export interface HostOptions {
  /** For the variables of starts; made if it is not there. */
  readonly folder: string;
  /** Told in one sentence when the host failed; starts go on without it. */
  readonly onTrouble: (sentence: string) => void;
  /** For so long at most a launcher that has ended waits to be reaped. */
  readonly reapEveryMs?: number;
}

/** A start that was handed over. */
interface Recent {
  readonly start: HostedStart;
  /** With the variables that nobody else may read. */
  readonly file: string | null;
  readonly atMs: number;
}

/** Starts launchers in place of the daemon. */
export interface LauncherStarter {
  /** Hands a start over. False if it cannot take it: then it is to be started otherwise. */
  start(start: HostedStart): boolean;
}

export class LauncherHost implements LauncherStarter {
  readonly #options: HostOptions;
  readonly #files: PrivateFiles;
  #child: ChildProcess | null = null;
  #recent: Recent[] = [];
  #pausedUntilMs = 0;
  #closed = false;
  #startedSince = false;
  #timer: NodeJS.Timeout | null = null;
  /** Why a file could not be removed, as it was said last. */
  #untidy: string | null = null;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#files = new PrivateFiles(options.folder);
  }

  /** Its process, while there is one. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Starts the host before it is needed. */
  open(): void {
    if (this.#closed || this.#child !== null || performance.now() < this.#pausedUntilMs) return;
    const args = ["-0", "-P", "0", "-I", ITEM, "/bin/sh", launcherScript(), "item", FIELD_END, ITEM];
    const child = spawn("xargs", args, {
      detached: true,
      stdio: ["pipe", "ignore", "pipe"],
      cwd: "/",
      env: inheritedVariables(process.env),
    });
    child.on("error", (error) => this.#failed(child, error.message));
    child.on("exit", (code, signal) => this.#failed(child, `xargs ended with ${code ?? signal}`));
    child.stdin?.on("error", (error) => this.#failed(child, error.message));
    child.stderr?.on("data", (data: Buffer) => this.#failed(child, data.toString("utf8").trim().slice(0, 200)));
    // Neither keeps a daemon from ending.
    child.unref();
    for (const stream of [child.stdin, child.stderr]) (stream as Socket | null)?.unref();
    this.#child = child;
    // Files of an earlier life are not removed at once: a launcher that it has asked for may be about to read its own.
    this.#timer ??= setInterval(() => this.#lookAround(), this.#options.reapEveryMs ?? REAP_EVERY_MS).unref();
  }

  start(start: HostedStart): boolean {
    const packed = pack(start);
    if (packed === null) return false;
    this.open();
    const { fields, secret } = packed;
    const file = secret === null ? null : this.#keep(secret);
    if (file === null && secret !== null) return false;
    const isTold = this.#run(itemOf(file === null ? ["start", ...fields] : ["start_with", file, ...fields]));
    const recent = { start, file, atMs: performance.now() };
    if (isTold) this.#recent.push(recent);
    else this.#forget(recent);
    return isTold;
  }

  /** Has a launcher do what the words say (see launcher.sh). False if it cannot be told. */
  ask(words: readonly string[]): boolean {
    return !words.some((word) => unsendable(word)) && this.#run(itemOf(words));
  }

  #run(item: string): boolean {
    this.open();
    const stdin = this.#child?.stdin;
    if (!stdin?.writable || this.#child?.pid === undefined) return false;
    this.#startedSince = true;
    stdin.write(item);
    return true;
  }

  /** Ends the host; what it has started goes on. */
  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    const child = this.#child;
    this.#child = null;
    this.#startUnclaimed();
    child?.kill("SIGKILL");
  }

  /** Null where it cannot be written, as on a full disk: then the daemon starts the launcher itself. */
  #keep(secret: string): string | null {
    try {
      return this.#files.write(secret);
    } catch (error) {
      if (systemCode(error) === null) throw error;
      return null;
    }
  }

  #forget({ file }: Recent): void {
    if (file !== null) this.#tidy(() => this.#files.remove(file));
  }

  /** What cannot be removed is tried again at each look around, and said once. */
  #tidy(remove: () => void): void {
    try {
      remove();
    } catch (error) {
      const code = systemCode(error);
      if (code === null) throw error;
      if (this.#untidy !== code)
        this.#options.onTrouble(`Cannot tidy "${this.#options.folder}": ${errorMessage(error)}`);
      this.#untidy = code;
    }
  }

  #lookAround(): void {
    const sinceMs = performance.now() - REMEMBERED_MS;
    const isPast = ({ start, atMs }: Recent): boolean => atMs < sinceMs || existsSync(start.claim);
    for (const each of this.#recent) if (isPast(each)) this.#forget(each);
    this.#recent = this.#recent.filter((each) => !isPast(each));
    this.#tidy(() => this.#files.clear(REMEMBERED_MS));
    this.#reap();
  }

  /** An item that starts nothing makes xargs wait for the launchers that have ended. */
  #reap(): void {
    if (!this.#startedSince) return;
    this.#startedSince = false;
    this.#child?.stdin?.write(itemOf(["nothing"]));
  }

  #failed(child: ChildProcess, why: string): void {
    if (this.#child !== child) return;
    this.#child = null;
    this.#pausedUntilMs = performance.now() + PAUSE_MS;
    child.kill("SIGKILL");
    this.#options.onTrouble(
      `The process that starts launchers failed (${why}); starting them without it for ${PAUSE_MS / 1000} s`,
    );
    this.#startUnclaimed();
  }

  #startUnclaimed(): void {
    const recent = this.#recent;
    this.#recent = [];
    for (const each of recent) {
      if (existsSync(each.start.claim)) this.#forget(each);
      else this.#startItself(each);
    }
  }

  #startItself(recent: Recent): void {
    try {
      recent.start.itself();
      this.#forget(recent);
    } catch (error) {
      // Its spec says "pending". A launcher that was started before may still claim it, and needs its file for that.
      this.#recent.push(recent);
      this.#options.onTrouble(errorMessage(error));
    }
  }
}

type Packable = Omit<HostedStart, "claim" | "itself" | "exits" | "blanks">;

/** What a launcher takes apart: fields for everybody to see, and variables that are none of anybody's business. */
export interface Packed {
  readonly fields: readonly string[];
  readonly secret: string | null;
}

/** What is to be told of a start; null if it cannot be. */
export function pack({ variables, ofLauncher, ofProgram, ofHost, program }: Packable): Packed | null {
  const own: Record<string, string> = {};
  const given: string[] = [];
  for (const [name, value] of Object.entries(variables))
    if (OWN.has(name)) own[name] = value;
    else if (isForShell(name) || unsendable(value)) return null;
    else given.push(`${name}=${value}`);
  const fields = fieldsOf(own, [...ofLauncher, ...ofProgram, ...ofHost()], program);
  // A launcher reads lines, and takes a line break that ends one for none of its own.
  const secret = given.length === 0 ? null : `${joined(given)}\n`;
  const bytes = Buffer.byteLength(joined(fields ?? [])) + Buffer.byteLength(secret ?? "");
  return fields === null || bytes > ITEM_BYTES_MAX ? null : { fields, secret };
}

/** What a launcher takes apart; null if it could not. */
export function fieldsOf(
  variables: HostedStart["variables"],
  own: readonly string[],
  program: readonly string[],
): readonly string[] | null {
  const names = Object.keys(variables);
  if (names.some(isForShell)) return null;
  const fields = [String(names.length), ...own, ...names.map((name) => `${name}=${variables[name]}`), ...program];
  return fields.some(unsendable) ? null : fields;
}

/** Fields as one text. */
export function joined(fields: readonly string[]): string {
  return `${fields.join(FIELD_END)}${FIELD_END}`;
}

function itemOf(fields: readonly string[]): string {
  return `${joined(fields)}\0`;
}

function isForShell(name: string): boolean {
  return OF_THE_SHELL.has(name) || name.startsWith(OF_THE_LAUNCHER);
}

function unsendable(field: string): boolean {
  return field.includes(FIELD_END) || field.includes("\0");
}
