/** Whether a fleet is well: one definition, for the monitor that writes it down and for the commands that look themselves. @module */

/** States of a worker that nobody needs to look at. */
const WELL: ReadonlySet<string> = new Set(["starting", "healthy", "late", "completed", "unwatched", "debugged"]);

/** Whether nothing is wrong with a worker. Whoever is down as a person wants it waits for nothing but that person. */
export function isWorkerWell(of: { readonly state: string; readonly desired: string | null }): boolean {
  const isWantedDown = of.desired !== null && of.desired !== "running";
  return WELL.has(of.state) || (isWantedDown && of.state === "exited");
}

/** How many there are of each, in the order in which they are told. */
export interface FleetCounts {
  readonly workers: number;
  readonly workersInTrouble: number;
  readonly breakersNotClosed: number;
  readonly daemonsDown: number;
  /** Fixes that wait for a person: nothing else will see to them. */
  readonly fixesPending: number;
  /** Nothing can be written down, so nothing is seen to. */
  readonly isDiskFull: boolean;
}

/**
 * Whether somebody should look, and why in one sentence.
 *
 * @param held Why the monitor ends nobody who is silent; null while it does not hold back.
 */
export function fleetHealth(
  counts: FleetCounts,
  held: string | null,
): { readonly ok: boolean; readonly summary: string } {
  const troubles = [
    ...part(counts.workersInTrouble, "in trouble", "in trouble"),
    ...part(counts.breakersNotClosed, "breaker not closed", "breakers not closed"),
    ...part(counts.daemonsDown, "daemon down", "daemons down"),
    ...part(counts.fixesPending, "fix waits for a person", "fixes wait for a person"),
    ...(counts.isDiskFull ? ["the disk is full"] : []),
  ];
  const ok = troubles.length === 0;
  const workers = `${counts.workers} ${counts.workers === 1 ? "worker" : "workers"}`;
  const summary = [workers, ...(ok ? ["all well"] : troubles)].join(", ");
  return { ok, summary: held === null ? summary : `${summary}; silent workers are held (${held})` };
}

function part(count: number, one: string, many: string): string[] {
  return count === 0 ? [] : [`${count} ${count === 1 ? one : many}`];
}
