/**
 * Looks whether what the monitor says can be so. It may be unable to write down what it sees, and its last word was green.
 * @module
 */
import { isWorkerWell } from "../lib/domain/fleet-health.js";
import { isAlive, type Presence, presenceOf } from "../lib/platform/processes.js";
import type { Layout } from "../lib/store/layout.js";
import { attemptOf, SpecStore } from "../lib/store/specs.js";
import type { WorkerRow } from "./fleet.js";
import { knownIdentity } from "./identities.js";

export const DISK_FULL =
  "the disk that holds coordination/ is full: daemons cannot write down what they see, and restart nobody until there is room";

const NAMED_MAX = 20;
/** Of another host or pid namespace nothing can be said. */
const GONE: ReadonlySet<Presence> = new Set<Presence>(["gone", "reused", "unreaped", "other_boot"]);

/**
 * The workers as the monitor tells of them, and of those that it calls well and whose process is gone, as they are.
 *
 * Each pid is asked for; only of one that nobody has are the files read, which may tell of a later attempt. Where `isFull`
 * says that they cannot have been written lately, all are read: a pid may be another's by now.
 */
export function checked(
  layout: Layout,
  rows: readonly WorkerRow[],
  isFull: boolean,
  nowMs: number,
): { readonly rows: WorkerRow[]; readonly gone: string[] } {
  const specs = new SpecStore(layout);
  const gone: string[] = [];
  const found = rows.map((row) => {
    if (!isWorkerWell(row) || row.pid === null || (!isFull && isAlive(row.pid))) return row;
    if (!isGone(layout, specs, row, nowMs)) return row;
    gone.push(`worker ${row.worker_id} is gone (pid ${row.pid}), and status.json still says "${row.state}"`);
    return { ...row, state: "exited", why: "its process is gone" };
  });
  const more = gone.length - NAMED_MAX;
  return { rows: found, gone: more > 0 ? [...gone.slice(0, NAMED_MAX), `and ${more} more workers are gone`] : gone };
}

/** Whether the attempt that is told of is still the active one, and its process is not there any more. */
function isGone(layout: Layout, specs: SpecStore, row: WorkerRow, nowMs: number): boolean {
  const reading = specs.readActive(row.worker_id, nowMs, { refusesForbidden: true });
  if (reading.kind !== "ok" || attemptOf(reading.value) !== row.attempt) return false;
  const known = knownIdentity(layout, reading.value);
  if (known === null) return false;
  return GONE.has(presenceOf(known));
}
