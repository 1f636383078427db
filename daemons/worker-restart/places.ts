/** Places among the starts that are under way, and who is looked at for those that are free. @module */
import { type Policy, settingsFor } from "../../lib/schema/policy.js";
import type { RestartSettings } from "./settings.js";
import type { FleetPart, Slice, UnderWay, WorkerPart } from "./state.js";

/** A start whose launch record does not come keeps its place for so long. */
const PLACE_MS = 10_000;
/** Places that end within the same second are counted together, so that what is kept of a wave is as short for a thousand workers as for ten. */
const GRAIN_MS = 1000;

type WithWorker = Slice & { readonly worker: WorkerPart };

const startsIn = ({ count }: UnderWay): number => count ?? 1;

/**
 * How many starts are under way.
 *
 * @param nowMs Wall clock; without it those count too whose time is over.
 */
export function placesTaken(fleet: FleetPart, nowMs = 0): number {
  return fleet.under_way.reduce((sum, each) => (each.until_ms > nowMs ? sum + startsIn(each) : sum), 0);
}

/** Gives a worker's start a place for as long as its program may take to be seen. */
export function takePlace(slice: WithWorker, workerId: string, nowMs: number): WithWorker {
  const { fleet, worker } = leavePlace(slice, workerId);
  const until_ms = Math.ceil((nowMs + PLACE_MS) / GRAIN_MS) * GRAIN_MS;
  const isSame = (each: UnderWay): boolean => each.worker_id === undefined && each.until_ms === until_ms;
  const left = fleet.under_way.filter((each) => each.until_ms > nowMs);
  const count = left.filter(isSame).reduce((sum, each) => sum + startsIn(each), 1);
  const under_way = [...left.filter((each) => !isSame(each)), { until_ms, count }];
  return { ...slice, worker: { ...worker, place_until_ms: until_ms }, fleet: { ...fleet, under_way } };
}

/** Gives a worker's place back, if it has one: its program runs, or never will. */
export function leavePlace(slice: WithWorker, workerId: string): WithWorker {
  const { fleet } = slice;
  const { place_until_ms, ...worker } = slice.worker;
  const isMine = (each: UnderWay): boolean =>
    each.worker_id === undefined ? each.until_ms === place_until_ms : each.worker_id === workerId;
  const mine = fleet.under_way.find(isMine);
  if (mine === undefined) return place_until_ms === undefined ? slice : { ...slice, worker };
  const under_way = fleet.under_way.flatMap((each) => {
    if (each !== mine) return [each];
    return startsIn(each) > 1 ? [{ ...each, count: startsIn(each) - 1 }] : [];
  });
  return { ...slice, worker, fleet: { ...fleet, under_way } };
}

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
  let taken = fleet === null ? 0 : placesTaken(fleet, nowMs);
  const oldestFirst = [...parts].flatMap(({ worker_type, waiting }) =>
    waiting?.gate === "concurrency" && waiting.phase === "waiting" ? [{ worker_type, ...waiting }] : [],
  );
  oldestFirst.sort((one, other) => one.filed_at_ms - other.filed_at_ms);
  for (const { worker_type, name } of oldestFirst)
    if (taken < settingsFor(policy, worker_type).max_concurrent_restarts && look(name)) taken += 1;
}

/** Whether a type may have no more starts under way than there are: somebody may wait for the next place. */
export function areAllTaken(fleet: FleetPart | null, policy: Policy<RestartSettings>): boolean {
  const taken = fleet === null ? 0 : placesTaken(fleet);
  return [policy.settings, ...Object.values(policy.overrides)].some((of) => taken >= of.max_concurrent_restarts);
}
