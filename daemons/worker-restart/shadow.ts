/**
 * What a shadow restart policy sees: the live requests and what became of real attempts, with starts, rate limits and
 * breakers of its own.
 *
 * Retries are those that were really made. It decides when a request is looked at, not at instants of its own.
 *
 * @module
 */
import type { Shadowing } from "../../lib/runtime/core.js";
import type { Event } from "./messages.js";
import type { Slice, WorkerPart } from "./state.js";

const HEARD: ReadonlySet<Event["kind"]> = new Set<Event["kind"]>([
  ...(["request", "history", "history-passed-over", "breaker-by-hand", "breaker-due", "sweep"] as const),
]);

export const shadowing: Shadowing<Slice, Event> = {
  hears: (event) => HEARD.has(event.kind),
  view: (live, own) => ({ slice: view(live, own), decides: true }),
  keeps: ["worker", "type", "fleet"],
  questions: new Set(),
  // Breakers turn half-open by time alone; looks and checks that it is woken for are not heard.
  wakes: true,
};

function view(live: Slice, own: Partial<Slice>): Slice {
  const { breaker, read_to, starts } = own.type ?? live.type;
  const fleet = own.fleet ?? live.fleet;
  return {
    worker: live.worker === null ? null : workerOf(live.worker, own.worker ?? null),
    type: { ...live.type, breaker, read_to, starts },
    task: live.task,
    fleet: { ...live.fleet, starts: fleet.starts, under_way: fleet.under_way },
  };
}

function workerOf(live: WorkerPart, mine: WorkerPart | null): WorkerPart {
  // The place is one among the starts of whoever started it, and those are its own here.
  const { place_until_ms: _, ...seen } = live;
  if (mine === null) return seen;
  const { starts, place_until_ms } = mine;
  const isSameRequest = live.waiting !== null && mine.waiting?.name === live.waiting.name;
  const exhausted = isSameRequest ? mine.exhausted : live.exhausted;
  return { ...seen, starts, exhausted, ...(place_until_ms === undefined ? {} : { place_until_ms }) };
}
