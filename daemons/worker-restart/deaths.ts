/**
 * What the death of an attempt means: for the restart that started it, for its worker's account, for its task.
 *
 * A death is told by the request that carries the attempt that ended, and counts once however often it is told.
 *
 * @module
 */

import { deathsOf, forgive, isPoisoned, recordDeath } from "../../lib/domain/poison.js";
import { makeEvent, type Stamp } from "../../lib/schema/events.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { DRILL_TYPES } from "../../lib/schema/worker-spec.js";
import type { Act, RequestEvent } from "./messages.js";
import { subjectOf } from "./messages.js";
import { leavePlace } from "./places.js";
import type { RestartSettings } from "./settings.js";
import type { Run, Slice, TaskPart, WorkerPart } from "./state.js";

interface Counted {
  readonly slice: Slice & { readonly worker: WorkerPart };
  readonly effects: readonly Act[];
  /** Whether the history got a line, which the breaker must have read before the gates are asked. */
  readonly hasOutcome: boolean;
}

/** A quarantine may be judged lifted only after its hold had time to be written. */
const HOLD_SETTLES_MS = 5000;
const QUARANTINE_MS = 7 * 86_400_000;

/** Counts the death that a request tells of, if it is a new one. */
export function countDeath(
  slice: Slice & { readonly worker: WorkerPart },
  event: RequestEvent,
  stamp: Stamp,
  settings: RestartSettings,
): Counted {
  const { attempt, by_person, tells_of } = event.request;
  const { worker } = slice;
  // What a person asks for costs nothing; the death of which it tells is one like any other.
  if (attempt === null || (by_person && tells_of === undefined) || attempt <= worker.died)
    return { slice, effects: [], hasOutcome: false };
  const run = worker.run?.attempt === attempt ? worker.run : null;
  // A death that is told late says nothing about the attempt that was started since.
  const later = worker.run !== null && worker.run.attempt > attempt ? worker.run : null;
  const ours = worker.ending?.attempt === attempt;
  const teaches = (event.request.spends || tells_of !== undefined) && !ours;
  const ranMs = event.request.ended?.ran_ms ?? (run === null ? null : Math.max(0, stamp.atMs - run.started_at_ms));
  const stable = ranMs !== null && ranMs >= settings.retry_reset_seconds * 1000;
  const account = stable ? { attempts: 0, exhausted: null, last_delay_ms: 0 } : {};
  const after = { ...worker, ...account, died: attempt, run: later, ending: null, touched_at_ms: stamp.atMs };
  const ending = run === null ? NOTHING : endRun(event, run, { stamp, teaches, stable, ranMs: ranMs ?? 0 });
  const task = teaches ? countForTask(slice.task, event, stamp, settings) : { part: slice.task, effects: [] };
  const counted = { ...slice, worker: after, task: task.part };
  return {
    slice: later === null ? leavePlace({ ...counted, fleet: ending.fleet(slice) }, event.worker_id) : counted,
    effects: [...ending.effects, ...task.effects],
    hasOutcome: ending.hasOutcome,
  };
}

const NOTHING = { fleet: (slice: Slice) => slice.fleet, effects: [] as Act[], hasOutcome: false };

/** Ends the restart that had started this attempt: failed before it proved itself, relapsed soon after, or over. */
function endRun(
  event: RequestEvent,
  run: Run,
  how: { readonly stamp: Stamp; readonly teaches: boolean; readonly stable: boolean; readonly ranMs: number },
): typeof NOTHING {
  const { stamp, teaches, stable, ranMs } = how;
  const proved = run.succeeded_at_ms !== null;
  const endedBy = event.request.tells_of ?? event.request.reason;
  const effects: Act[] = [];
  if (!proved) {
    const verdict = teaches ? "failed" : "interrupted";
    const outcome = { verdict, attempt: run.attempt, reason: endedBy, at: writeInstant(stamp.atMs) };
    effects.push({ kind: "settle", subject: null, name: event.name, claimed: run.claimed, folder: "done", outcome });
  }
  if (!teaches || (proved && stable)) return { ...NOTHING, effects };
  const reason = proved ? "relapsed" : endedBy;
  const message = proved
    ? `Attempt ${run.attempt} of ${event.worker_id} relapsed after ${Math.round(ranMs / 1000)} s: ${endedBy}`
    : `Attempt ${run.attempt} of ${event.worker_id} ended after ${Math.round(ranMs / 1000)} s, before it proved itself: ${endedBy}`;
  effects.push(
    { kind: "append-history", record: historyRecord(event, run, stamp, "failure", reason, Math.round(ranMs)) },
    {
      kind: "report",
      record: makeEvent(
        stamp,
        1,
        "worker-restart",
        "worker_restart_failed",
        subjectOf(event, run.attempt, event.request.incident_id ?? run.incident_id),
        {
          message,
          reason,
          data: { ran_ms: Math.round(ranMs), ended_by: endedBy },
        },
      ),
    },
  );
  const counted = (of: Slice): Slice["fleet"] => ({
    ...of.fleet,
    failed: of.fleet.failed + 1,
    succeeded: of.fleet.succeeded - (proved ? 1 : 0),
  });
  return { fleet: counted, effects, hasOutcome: true };
}

/** One line of the restart history. */
export function historyRecord(
  of: { readonly worker_id: string; readonly worker_type: string; readonly task_id: string | null },
  run: Pick<Run, "attempt" | "incident_id">,
  stamp: Stamp,
  result: "success" | "failure",
  reason: string,
  durationMs: number,
): Record<string, unknown> {
  return {
    worker_type: of.worker_type,
    result,
    timestamp: writeInstant(stamp.atMs),
    at_ms: Math.round(stamp.atMs),
    worker_id: of.worker_id,
    attempt: run.attempt,
    ...(of.task_id === null ? {} : { task_id: of.task_id }),
    reason,
    duration_ms: durationMs,
    incident_id: run.incident_id,
    history_id: `${stamp.id}-h`,
  };
}

function countForTask(
  part: TaskPart,
  event: RequestEvent,
  stamp: Stamp,
  settings: RestartSettings,
): { part: TaskPart; effects: Act[] } {
  const { task_id, worker_id } = event;
  if (task_id === null || settings.poison_task.deaths === 0 || DRILL_TYPES.has(event.worker_type))
    return { part, effects: [] };
  const poison = recordDeath(part.poison, task_id, worker_id, stamp.atMs, settings.poison_task);
  if (part.quarantined_at_ms !== null || !isPoisoned(poison, task_id, stamp.atMs, settings.poison_task))
    return { part: { ...part, poison }, effects: [] };
  const deaths = deathsOf(poison, task_id, stamp.atMs, settings.poison_task);
  const why = `the task cost its workers ${deaths.length} times`;
  const record = makeEvent(
    stamp,
    2,
    "worker-restart",
    "task_quarantined",
    subjectOf(event, event.request.attempt ?? undefined, event.request.incident_id ?? undefined),
    {
      message: `Task "${task_id}" is held: it cost its workers ${deaths.length} times. Remove its hold to try again`,
      reason: "poison_task",
      data: { deaths: deaths.map((death) => ({ worker_id: death.worker_id, at: writeInstant(death.at_ms) })) },
    },
  );
  return {
    part: { ...part, poison, quarantined_at_ms: stamp.atMs },
    effects: [
      { kind: "hold-task", task_id, why, until_ms: stamp.atMs + QUARANTINE_MS },
      { kind: "report", record },
    ],
  };
}

/** A person who removes the hold of a quarantined task lifts the quarantine; so does its expiry. */
export function liftQuarantine(slice: Slice, event: RequestEvent, nowMs: number): Slice {
  const { quarantined_at_ms: since, poison } = slice.task;
  if (event.task_id === null || since === null || event.facts.task_held || nowMs < since + HOLD_SETTLES_MS)
    return slice;
  return { ...slice, task: { ...slice.task, poison: forgive(poison, event.task_id), quarantined_at_ms: null } };
}
