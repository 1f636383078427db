/** Bulkheads: each kind of action has its own few places, so that one slow kind cannot take them all. The door to p-queue. @module */

import PQueue from "p-queue";
import { TaskTimedOut } from "../errors.js";

export interface Bulkhead {
  /**
   * Runs a task when a place is free.
   *
   * @param task Gets a signal that is aborted at the time-out. One that does not heed it goes on beside the next task.
   * @throws {TaskTimedOut} After the time-out, counted from the task's start.
   */
  run<T>(task: (signal: AbortSignal) => T | Promise<T>): Promise<T>;
  /** Tasks that wait for a place. */
  readonly size: number;
  /** Tasks that run. */
  readonly pending: number;
  /** Takes effect for the next task that starts. */
  setConcurrency(concurrency: number): void;
  /** Resolves when nothing runs and nothing waits. */
  onIdle(): Promise<void>;
}

/**
 * Builds a bulkhead with a number of places.
 *
 * @param timeoutMs For each task; without it a task may take for ever.
 */
export function bulkhead(concurrency: number, timeoutMs?: number): Bulkhead {
  const queue = new PQueue({ concurrency });
  return {
    run: (task) => queue.add(() => runWithin(task, timeoutMs)),
    get size() {
      return queue.size;
    },
    get pending() {
      return queue.pending;
    },
    setConcurrency: (next) => {
      queue.concurrency = next;
    },
    onIdle: () => queue.onIdle(),
  };
}

async function runWithin<T>(task: (signal: AbortSignal) => T | Promise<T>, timeoutMs: number | undefined): Promise<T> {
  const controller = new AbortController();
  if (timeoutMs === undefined) return await task(controller.signal);
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_done, fail) => {
    timer = setTimeout(() => {
      const error = new TaskTimedOut(timeoutMs);
      // Rejected first: a task that answers the signal with an error of its own has still timed out.
      fail(error);
      controller.abort(error);
    }, timeoutMs);
  });
  try {
    return await Promise.race([task(controller.signal), timeout]);
  } finally {
    clearTimeout(timer);
  }
}
