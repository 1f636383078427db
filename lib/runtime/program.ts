/**
 * Starts the program of a daemon. What it is made of is loaded only when it is to run: `--help` answers at once.
 *
 * @module
 */
import { HealdError } from "../errors.js";
import { weatherCode } from "../platform/files.js";
import { collectAlone } from "../platform/heap.js";
import { type About, type Flags, readFlags } from "./flags.js";

/** Runs a daemon until it is told to stop. Returns its exit code. */
export async function runProgram(
  about: About,
  argv: readonly string[],
  run: (flags: Flags) => Promise<number>,
): Promise<number> {
  try {
    const flags = readFlags(about, argv);
    if (flags === null) return 0;
    collectAlone();
    return await run(flags);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const weather = weatherCode(error);
    if (weather !== null) {
      // The host's fault and nobody's error: whoever supervises the daemon starts it again.
      const code = message.includes(weather) ? "" : ` (${weather})`;
      process.stderr.write(`${about.name}: Cannot start${code}: ${message}\n`);
      return 1;
    }
    process.stderr.write(`${about.name}: ${message}\n`);
    if (error instanceof HealdError) return error.exitCode;
    throw error;
  }
}
