/** Places among the starts that are under way, and who is looked at for those that are free. @module */
import { type Policy, settingsFor } from "../../lib/schema/policy.js";
import type { RestartSettings } from "./settings.js";
import type { FleetPart, WorkerPart } from "./state.js";

/**
 * Looks at requests that wait for a place: as many as there are places for their types, the oldest first.
 *
 * Looking at each of a hundred for every place that becomes free is most of what their return costs. One that was looked at
 * and does not take its place says so (`placeLeft`), and the next is looked at.
 *
 * @param nowMs Wall clock; a start that is under way for longer than it may be keeps no place.
 * @param look Looks at a request by its name; false if nothing will come of it for now, so that its place is the next one's.
 */
export function fillPlaces(
  parts: Iterable<WorkerPart>,
  fleet: FleetPart | null,
  policy: Policy<RestartSettings>,
  nowMs: number,
  look: (name: string) => boolean,
): void {
  let taken = fleet?.under_way.filter(({ until_ms }) => until_ms > nowMs).length ?? 0;
  const oldestFirst = [...parts].flatMap(({ worker_type, waiting }) =>
    waiting?.gate === "concurrency" && waiting.phase === "waiting" ? [{ worker_type, ...waiting }] : [],
  );
  oldestFirst.sort((one, other) => one.filed_at_ms - other.filed_at_ms);
  for (const { worker_type, name } of oldestFirst)
    if (taken < settingsFor(policy, worker_type).max_concurrent_restarts && look(name)) taken += 1;
}

/** Whether a type may have no more starts under way than there are: somebody may wait for the next place. */
export function areAllTaken(fleet: FleetPart | null, policy: Policy<RestartSettings>): boolean {
  const taken = fleet?.under_way.length ?? 0;
  return [policy.settings, ...Object.values(policy.overrides)].some((of) => taken >= of.max_concurrent_restarts);
}
