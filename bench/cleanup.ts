/**
 * Ends what a benchmark has started, also when it fails or is interrupted: workers are in sessions of their own, and would stay.
 *
 * While something is open, a signal to end closes it, the latest first. From then on nothing new can be opened, and whoever
 * closes something waits for the close that is under way.
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { systemCode } from "../lib/errors.js";
import { familyOf } from "../lib/platform/processes.js";

export type Close = () => Promise<void>;

const CODES: Readonly<Partial<Record<NodeJS.Signals, number>>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };
const SIGNALS = Object.keys(CODES) as NodeJS.Signals[];
const LOOK_AGAIN_MS = 20;
const ENDED_WITHIN_MS = 10_000;

const open = new Set<Close>();
let isInterrupted = false;

/** Remembers how something is closed. @returns Closes it once; whoever asks again waits for that. @throws {Error} Once interrupted. */
export function closedInTheEnd(close: Close): Close {
  mayBegin();
  let closing: Promise<void> | null = null;
  const once = (): Promise<void> => {
    closing ??= (async () => close())().finally(() => forget(once));
    return closing;
  };
  // While nothing is open a signal does what it always does: work that never lets the loop turn can be interrupted.
  if (open.size === 0) for (const signal of SIGNALS) process.on(signal, interrupt);
  open.add(once);
  return once;
}

/** Asked before anything is started. @throws {Error} Once interrupted. */
export function mayBegin(): void {
  if (isInterrupted) throw new Error("Interrupted: nothing new begins");
}

function forget(close: Close): void {
  open.delete(close);
  if (open.size === 0) for (const signal of SIGNALS) process.off(signal, interrupt);
}

async function interrupt(signal: NodeJS.Signals): Promise<void> {
  // Whoever asks twice does not want to wait.
  if (isInterrupted) process.exit(CODES[signal]);
  isInterrupted = true;
  process.stderr.write(`${signal}: ending daemons and workers\n`);
  await closeAll();
  process.exit(CODES[signal]);
}

/** Closes whatever is open, the latest first, and says what could not be closed. */
export async function closeAll(): Promise<void> {
  for (let close = [...open].at(-1); close !== undefined; close = [...open].at(-1)) {
    await close().catch((error: unknown) => process.stderr.write(`Not everything could be ended: ${String(error)}\n`));
    open.delete(close);
  }
}

/** Runs a benchmark to its end. One that was interrupted has none: the process ends first. @throws What it throws; all is closed then. */
export async function runToTheEnd<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } finally {
    if (isInterrupted) await new Promise(() => {});
    await closeAll();
  }
}

/** Starts a child process that is killed in the end, at the latest. @returns Kills it, if it still runs. @throws {Error} Once interrupted. */
export function killedInTheEnd(start: () => ChildProcess): Close {
  mayBegin();
  const child = start();
  return closedInTheEnd(async () => {
    child.kill("SIGKILL");
  });
}

/** Workers carry the home that they belong to; so do those of whoever heald is compared with. */
export function environmentIn(home: string): NodeJS.ProcessEnv {
  return { ...process.env, HEALD_HOME: home };
}

/** Kills every process that carries a home, until there is none, since those that were just being started come late. */
export async function killAllIn(home: string): Promise<void> {
  const end = performance.now() + ENDED_WITHIN_MS;
  for (;;) {
    const pids = familyOf({ name: "HEALD_HOME", value: home });
    if (pids.length === 0) return;
    if (performance.now() > end) throw new Error(`${pids.length} processes of ${home} do not end`);
    for (const pid of pids) killIfThere(pid);
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (systemCode(error) !== "ESRCH") throw error;
  }
}
