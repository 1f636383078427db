/** Places among the starts that are under way, and who is looked at for those that are free. @module */
import type { RestartSettings } from "./settings.js";
import type { FleetPart, Waiting, WorkerPart } from "./state.js";

/**
 * The requests that are looked at for the free places: as many as there are, the oldest first.
 *
 * Looking at each of a hundred for every place that becomes free is most of what their return costs. One that was looked at
 * and does not take its place says so (`placeLeft`), and the next is looked at.
 *
 * @param nowMs Wall clock; a start that is under way for longer than it may be keeps no place.
 * @returns Their names.
 */
export function nextForPlaces(
  parts: Iterable<WorkerPart>,
  fleet: FleetPart | null,
  { max_concurrent_restarts }: Pick<RestartSettings, "max_concurrent_restarts">,
  nowMs: number,
): string[] {
  const taken = fleet?.under_way.filter(({ until_ms }) => until_ms > nowMs).length ?? 0;
  const waiting: Waiting[] = [];
  for (const part of parts)
    if (part.waiting?.gate === "concurrency" && part.waiting.phase === "waiting") waiting.push(part.waiting);
  waiting.sort((one, other) => one.filed_at_ms - other.filed_at_ms);
  return waiting.slice(0, Math.max(0, max_concurrent_restarts - taken)).map(({ name }) => name);
}
