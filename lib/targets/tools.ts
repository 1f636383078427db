/**
 * The programs by which targets are asked: found by an absolute path that nobody else can write, run without a shell, with
 * a time-out and a bound on what they print.
 *
 * @module
 */
import { accessSync, constants, realpathSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { safetyOf } from "../platform/files.js";
import { type ProgramResult, runProgram } from "../platform/programs.js";

/** What a tool did. `why` is one sentence for people. */
export type ToolOutcome = { readonly ok: true; readonly note: string } | { readonly ok: false; readonly why: string };

export const failed = (why: string): ToolOutcome => ({ ok: false, why });

/** A daemon may be started with a bare PATH. */
const FOLDERS = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
const WORDS_MAX = 120;

export type FoundTool = { readonly path: string } | { readonly why: string };

/**
 * Finds the program that a name or an absolute path stands for.
 *
 * The first of the PATH counts, as in a shell; one that others could have written is refused and not passed over. Entries of
 * the PATH that are not absolute are not looked at.
 */
export function findTool(name: string, path = process.env.PATH ?? ""): FoundTool {
  const places = isAbsolute(name)
    ? [name]
    : [...path.split(":"), ...FOLDERS].filter(isAbsolute).map((folder) => join(folder, name));
  const found = places.find(isExecutable);
  if (found === undefined) return { why: `there is no ${name}` };
  const real = realpathSync(found);
  const unsafe = safetyOf(real);
  return unsafe === null ? { path: real } : { why: `${found} is not run: ${unsafe}` };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // Not there, or not for us: the next one is looked at.
  }
}

export interface ToolCall {
  /** The program's absolute path. */
  readonly path: string;
  readonly args: readonly string[];
  readonly timeoutMs: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly maxOutputBytes?: number;
}

/** Runs a tool to its end. What it printed is the caller's to use, and never to log. */
export function callTool({ path, args, ...options }: ToolCall): Promise<ProgramResult> {
  return runProgram(path, args, options);
}

/** Why a call did not end well; null if it did. Names the tool's last words only where `words` says that they are harmless. */
export function whyFailed(call: ToolCall, result: ProgramResult, words: boolean): string | null {
  const named = [call.path, ...call.args].join(" ").slice(0, WORDS_MAX);
  if (result.failedToStart !== undefined) return `${call.path} cannot be started: ${result.failedToStart}`;
  if (result.timedOut) return `${named} took longer than ${Math.ceil(call.timeoutMs / 1000)} s`;
  if (result.exitCode === 0) return null;
  const last = words ? (result.stderr.trim().split("\n").at(-1)?.slice(0, WORDS_MAX) ?? "") : "";
  return `${named} ended with ${result.exitCode ?? result.signal}${last === "" ? "" : `: ${last}`}`;
}

/** What a tool said before a restart, right after it, and when whatever fails at once has had the time to. */
export type Looks<Look> = readonly [before: Look, after: Look, later: Look];

/**
 * Makes the call of a restart and looks again, twice.
 *
 * @param ask What the tool knows now; a sentence where it could not say.
 * @param steadyMs For so long something that fails at once may look well.
 * @returns The looks, or why the restart was not made or not seen.
 */
export async function restartAndLook<Look>(
  before: Look,
  ask: () => Promise<Look | string>,
  restart: ToolCall,
  how: { readonly steadyMs: number; readonly words: boolean },
): Promise<Looks<Look> | string> {
  const why = whyFailed(restart, await callTool(restart), how.words);
  if (why !== null) return why;
  const after = await ask();
  await pause(how.steadyMs, undefined, { ref: false });
  const later = await ask();
  if (typeof after === "string") return after;
  return typeof later === "string" ? later : [before, after, later];
}
