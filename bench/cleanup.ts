/** Ends what a benchmark has started, also when it is interrupted: its workers are in sessions of their own. @module */

import type { ChildProcess } from "node:child_process";
import { systemCode } from "../lib/errors.js";

export type Close = () => Promise<void>;

const open = new Set<Close>();

/** Remembers how something is closed. @returns Closes it, once, and forgets it. */
export function closedInTheEnd(close: Close): Close {
  const once = async (): Promise<void> => {
    if (open.delete(once)) await close();
  };
  open.add(once);
  return once;
}

/** Kills a child process in the end, at the latest. @returns Kills it, if it still runs. */
export function killedInTheEnd(child: ChildProcess): Close {
  return closedInTheEnd(async () => {
    child.kill("SIGKILL");
  });
}

/** Kills a process that may have ended. */
export function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (systemCode(error) !== "ESRCH") throw error;
  }
}

/** From now on, closes whatever is open when this process is told to end, the latest first. */
export function closeOnSignal(): void {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.once(signal, async () => {
      process.stderr.write(`${signal}: ending daemons and workers\n`);
      for (const close of [...open].reverse())
        await close().catch((error: unknown) =>
          process.stderr.write(`Not everything could be ended: ${String(error)}\n`),
        );
      process.exit(code);
    });
  }
}
