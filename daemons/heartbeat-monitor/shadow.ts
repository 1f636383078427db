/**
 * What a shadow heartbeat policy sees: each worker as it would stand under that policy, until the world goes another way.
 *
 * A worker is the shadow's own for one spell of silence: a beat, a new attempt or an ending by the live policy brings it
 * back to what is true. The mass guard, its suspects and the cleanups of the last minute are the shadow's own throughout.
 *
 * @module
 */
import type { Shadowing, Stamped } from "../../lib/runtime/core.js";
import type { Event, FleetPart, Slice, WorkerPart } from "./facts.js";
import { suspectsWith } from "./fleet.js";

export const shadowing: Shadowing<Slice, Event> = {
  hears: () => true,
  view,
  keeps: ["worker", "fleet"],
  questions: new Set(["look"]),
  wakes: true,
  greet: (key) => (key.startsWith("worker:") ? { kind: "woke", worker_id: key.slice("worker:".length) } : null),
};

function view(
  live: Slice,
  own: Partial<Slice>,
  event: Stamped<Event>,
): { readonly slice: Slice; readonly decides: boolean } {
  const mine = own.worker ?? null;
  const fleet = own.fleet === undefined ? live.fleet : withAccounts(live.fleet, own.fleet);
  if (live.worker === null) return { slice: { worker: null, fleet: withoutSuspect(fleet, mine) }, decides: true };
  if (live.worker.ending !== null)
    return {
      slice: { worker: { ...live.worker, suspect_bucket: null }, fleet: withoutSuspect(fleet, mine) },
      decides: false,
    };
  if (mine === null) return { slice: { worker: live.worker, fleet }, decides: true };
  if (!isSameSpell(mine, live.worker))
    return {
      slice: { worker: live.worker, fleet: withSuspect(withoutSuspect(fleet, mine), live.worker) },
      decides: true,
    };
  // It has said that it would end this worker: what is left of this silence is the live policy's alone.
  if (mine.ending !== null)
    return { slice: { worker: { ...mine, suspect_bucket: null }, fleet: withoutSuspect(fleet, mine) }, decides: false };
  const worker = event.kind === "looked" ? withoutTwin(mine, event.stamp.monoMs) : mine;
  return { slice: { worker: withLiveFacts(worker, live.worker), fleet }, decides: true };
}

/** Where both policies look at one instant there are two looks, and the two are one. */
function withoutTwin(worker: WorkerPart, monoMs: number): WorkerPart {
  const last = worker.looks.at(-1);
  return last === undefined || monoMs - last.atMs >= TWIN_MS ? worker : { ...worker, looks: worker.looks.slice(0, -1) };
}

const TWIN_MS = 100;

/** The live summary of the fleet, with the shadow's own guard and limits. */
function withAccounts(live: FleetPart, own: FleetPart): FleetPart {
  const { cleanups, guard, guard_incident, waiting, suspects } = own;
  return { ...live, cleanups, guard, guard_incident, waiting, suspects };
}

function isSameSpell(mine: WorkerPart, live: WorkerPart): boolean {
  return mine.spec.attempt === live.spec.attempt && mine.silent_from_mono_ms === live.silent_from_mono_ms;
}

/** What the live monitor wrote into the spec must not be taken for a beat; and an incident has one name. */
function withLiveFacts(mine: WorkerPart, live: WorkerPart): WorkerPart {
  const { block_key, block_written_mono_ms, incident_id } = live;
  return { ...mine, block_key, block_written_mono_ms, incident_id: incident_id ?? mine.incident_id };
}

function withoutSuspect(fleet: FleetPart, worker: WorkerPart | null): FleetPart {
  if (worker === null || worker.suspect_bucket === null) return fleet;
  return {
    ...fleet,
    suspects: suspectsWith(fleet.suspects, worker.spec.worker_type, worker.suspect_bucket, -1),
    waiting: fleet.waiting.filter((one) => one.worker_id !== worker.worker_id),
  };
}

function withSuspect(fleet: FleetPart, worker: WorkerPart): FleetPart {
  if (worker.suspect_bucket === null) return fleet;
  return { ...fleet, suspects: suspectsWith(fleet.suspects, worker.spec.worker_type, worker.suspect_bucket, 1) };
}
