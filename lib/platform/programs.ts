/** Runs programs to their end, never through a shell, with limits on time and output. The door to execa. @module */

import type { Readable } from "node:stream";
import { execa } from "execa";
import { systemCode } from "../errors.js";
import { signalGroup } from "./groups.js";

export interface ProgramOptions {
  readonly cwd?: string;
  /** Added to our own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Written to its standard input, which is empty otherwise. */
  readonly input?: string;
  /** After it the whole process group gets SIGTERM, and SIGKILL two seconds later; 60 s unless said otherwise. */
  readonly timeoutMs?: number;
  /** Kept of each output stream, from its beginning; the rest is read and dropped. 256 KiB unless said otherwise. */
  readonly maxOutputBytes?: number;
}

export interface ProgramResult {
  /** Null when a signal ended it or it never started. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  /** It took too long and may not be signalled by us, as what runs through sudo: it was left running. */
  readonly isLeft?: true;
  readonly stdout: string;
  readonly stderr: string;
  /** The system's code, when it never ran: ENOENT, EACCES, E2BIG, … */
  readonly failedToStart?: string;
}

const TIMEOUT_MS = 60_000;
const OUTPUT_BYTES_MAX = 256 * 1024;
const GRACE_MS = 2000;
const DRAIN_MS = 500;

interface End {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/**
 * Runs a program in a session of its own and waits for its end. How it ended is in the result; nothing is thrown.
 *
 * Output that grandchildren write after its end is waited for half a second.
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  const program = execa(file, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.input === undefined ? { stdin: "ignore" as const } : { input: options.input }),
    shell: false,
    detached: true,
    cleanup: false,
    reject: false,
    buffer: false,
  });
  const bytesMax = options.maxOutputBytes ?? OUTPUT_BYTES_MAX;
  const stdout = collect(program.stdout, bytesMax);
  const stderr = collect(program.stderr, bytesMax);
  const exited = new Promise<End>((done) => {
    program.once("exit", (exitCode, signal) => done({ exitCode, signal }));
  });
  // Both streams at their end, or the program never started.
  const settled = program.then((result) => systemCode(result) ?? systemCode(result.cause));
  if (program.pid === undefined) return { ...NOT_STARTED, failedToStart: (await settled) ?? "unknown" };
  const { end, timedOut, isLeft } = await endWithin(program.pid, exited, options.timeoutMs ?? TIMEOUT_MS);
  await within(DRAIN_MS, settled);
  program.stdout?.destroy();
  program.stderr?.destroy();
  return { ...end, timedOut, ...(isLeft ? { isLeft } : {}), stdout: stdout(), stderr: stderr() };
}

const NOT_STARTED = { exitCode: null, signal: null, timedOut: false, stdout: "", stderr: "" };

/** Waits for the end of a program and hastens it at the time-out; a process that not even SIGKILL ends is left behind. */
async function endWithin(
  pid: number,
  exited: Promise<End>,
  timeoutMs: number,
): Promise<{ end: End; timedOut: boolean; isLeft: boolean }> {
  const inTime = await within(timeoutMs, exited);
  if (inTime !== null) return { end: inTime, timedOut: false, isLeft: false };
  signalGroup(pid, "SIGTERM");
  const graceful = await within(GRACE_MS, exited);
  // Also when the program itself has ended: its children may have ignored the first signal.
  const isLeft = signalGroup(pid, "SIGKILL") === "forbidden";
  const end = graceful ?? (await within(DRAIN_MS, exited)) ?? { exitCode: null, signal: null };
  return { end, timedOut: true, isLeft };
}

/** The value, or null when it takes longer. */
async function within<T>(limitMs: number, value: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((done) => {
    timer = setTimeout(() => done(null), limitMs);
  });
  try {
    return await Promise.race([value, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Keeps the first bytes of a stream and drops the rest, so that the writer is never held up. */
function collect(stream: Readable | null, bytesMax: number): () => string {
  const kept: Buffer[] = [];
  let length = 0;
  stream?.on("data", (chunk: Buffer) => {
    if (length >= bytesMax) return;
    kept.push(chunk.subarray(0, bytesMax - length));
    length += Math.min(chunk.length, bytesMax - length);
  });
  return () => Buffer.concat(kept).toString();
}
