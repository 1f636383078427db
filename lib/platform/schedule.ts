/** Runs a task by the wall clock: retention, compaction, the daily report. The door to node-cron. @module */

import { createTask, type TaskContext } from "node-cron";

export interface Schedule {
  stop(): void;
}

/** The finest expression names seconds; two starts closer than this are one. */
const SAME_TIME_MS = 500;

/**
 * Runs a task at each time that the expression names; never two runs of it at once.
 *
 * A time that passed while the process was stopped or busy is made up for once. It does not keep the process alive.
 *
 * @param cron Five fields, or six with seconds first.
 * @param timezone An IANA name; undefined for the host's own.
 * @param onError Told when the task fails; without it a failure ends the process, as any unhandled one does.
 * @throws {Error} If the expression or the time zone is not valid.
 */
export function every(
  cron: string,
  timezone: string | undefined,
  task: () => void | Promise<void>,
  onError: (error: unknown) => void = throwLater,
): Schedule {
  let running = false;
  let startedAtMs = Number.NEGATIVE_INFINITY;
  const run = async (): Promise<void> => {
    // Several missed times are reported in one go, and perhaps with one that is due now.
    if (running || performance.now() - startedAtMs < SAME_TIME_MS) return;
    running = true;
    startedAtMs = performance.now();
    try {
      await task();
    } catch (error) {
      onError(error);
    } finally {
      running = false;
    }
  };
  // Overlaps are kept out above: the library's own way of it prints to the console.
  const options = { suppressMissedWarning: true, unref: true };
  const scheduled = createTask(cron, run, timezone === undefined ? options : { ...options, timezone });
  scheduled.on("execution:missed", (_context: TaskContext) => run());
  void scheduled.start();
  return { stop: () => void scheduled.destroy() };
}

function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
