/** How the demo tells a worker to fail: a file of its name, which the worker removes so that it fails once. @module */
import { rmSync } from "node:fs";
import { join } from "node:path";

/** Every worker of the demo ends by itself after this long, should nobody end it. */
export const LIFE_MS = 300_000;

/** Takes the order for this worker, if there is one. */
export function takeOrder(): boolean {
  const { DEMO_ORDERS: folder = "", HEALD_WORKER_ID: workerId = "" } = process.env;
  try {
    rmSync(join(folder, workerId));
    return true;
  } catch {
    // No order, as nearly always.
    return false;
  }
}
