/**
 * Counts workers and suspects from the workers' own parts.
 *
 * The fleet's counts change with nearly every event and are journaled only when an effect goes with it; a monitor that
 * was killed would go on with old ones, and the mass guard would judge by them.
 *
 * @module
 */
import { under } from "../../lib/domain/counts.js";
import type { FleetPart, WorkerPart } from "./facts.js";

/** What the fleet's counts must be, given its workers. */
export function readyFacts(workers: Iterable<WorkerPart>): Pick<FleetPart, "monitored" | "suspects"> {
  const monitored: Record<string, number> = {};
  const suspects: Record<string, Record<string, number>> = {};
  for (const worker of workers) {
    // One whose end is being filed has been taken off already.
    if (worker.ending?.phase === "filing") continue;
    const type = worker.spec.worker_type;
    monitored[type] = (under(monitored, type) ?? 0) + 1;
    if (worker.suspect_bucket === null) continue;
    const buckets = under(suspects, type) ?? {};
    suspects[type] = { ...buckets, [worker.suspect_bucket]: (buckets[worker.suspect_bucket] ?? 0) + 1 };
  }
  return { monitored, suspects };
}
