/** A worker whose first start was begun by somebody who did not live to carry it out. Pure. @module */
import type { WorkerPart } from "./facts.js";

/** For so long after it was met, its launcher may still be on its way. */
export const ORPHANED_MS = 30_000;

/**
 * Whether nobody has started the first attempt of a worker that is to be started.
 *
 * Later attempts are worker-restart's, which finishes what it began; and one that runs already, started by others, is not `pending`.
 */
export function isOrphaned({ spec, process, last_beat }: WorkerPart): boolean {
  return spec.status === "pending" && spec.attempt === 1 && spec.has_launch && process === null && last_beat === null;
}
