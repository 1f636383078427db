/**
 * Decides whether a worker may come back, when, and whether it did. Reads no clock, no file, no process.
 *
 * A request is looked at (its file and everything the gates need, in one event), its death is counted, the gates are
 * asked in their order, and it is started, put off, or ended with a verdict. It never kills a worker that lives, except
 * the old attempt of one for which a person asked with `force`.
 *
 * @module
 */

import { longestWindowMs } from "../../lib/domain/budgets.js";
import type { Core, Stamped } from "../../lib/runtime/core.js";
import { type Policy, settingsFor } from "../../lib/schema/policy.js";
import { onDue, onHand, onHistory, onPassedOver } from "./breakers.js";
import type { Effect, Event, StampedEvent, Step } from "./messages.js";
import { onChecked, onLaunched, onNotStarted, onStarted, probationWake } from "./outcomes.js";
import { placesTaken } from "./places.js";
import { onGone, onHookAnswered, onRequest, onSettled, onUnreadable, resumeWaiting } from "./requests.js";
import type { RestartSettings } from "./settings.js";
import { shadowing } from "./shadow.js";
import { FLEET_NEW, type Slice, TASK_NEW, TYPE_NEW, type WorkerPart } from "./state.js";

/** Names of the events that concern a worker type and no worker. */
const OF_TYPE: ReadonlySet<string> = new Set(["history", "history-passed-over", "breaker-by-hand", "breaker-due"]);

type WithWorker = Slice & { readonly worker: WorkerPart };

function address(event: Event): { readonly [Part in keyof Slice]: string } {
  const of = event as { readonly worker_id?: string; readonly worker_type?: string; readonly task_id?: string | null };
  const worker = `worker:${of.worker_id ?? ""}`;
  const type = `type:${of.worker_type ?? ""}`;
  const task = `task:${of.task_id ?? ""}`;
  // The first part is the lane: what concerns a type must not wait for a worker's hook.
  return OF_TYPE.has(event.kind) ? { type, worker, task, fleet: "fleet" } : { worker, type, task, fleet: "fleet" };
}

function blank(part: keyof Slice): Slice[keyof Slice] {
  switch (part) {
    case "worker":
      return null;
    case "type":
      return TYPE_NEW;
    case "task":
      return TASK_NEW;
    case "fleet":
      return FLEET_NEW;
  }
}

/** Applies one event. Same inputs, same decision. */
export function decide(slice: Slice, event: Stamped<Event>, policy: Policy<RestartSettings>): Step {
  const step = decideUpon(slice, event, policy);
  // Whatever frees a place (a launch that was seen, a death before that, a start that was not made), another may wait for it.
  const isFreed = placesTaken(step.slice.fleet) < placesTaken(slice.fleet);
  return isFreed ? { ...step, effects: [...step.effects, { kind: "look-waiting", gate: "concurrency" }] } : step;
}

function decideUpon(slice: Slice, event: Stamped<Event>, policy: Policy<RestartSettings>): Step {
  const settings = settingsFor(policy, "worker_type" in event ? event.worker_type : (slice.worker?.worker_type ?? ""));
  switch (event.kind) {
    case "request":
      return onRequest(slice, event, settings);
    case "request-gone":
      return onGone(slice, event);
    case "settled":
      return onSettled(slice, event);
    case "request-unreadable":
      return onUnreadable(slice, event);
    case "history":
      return onHistory(slice, event, settings);
    case "history-passed-over":
      return onPassedOver(slice, event);
    case "breaker-by-hand":
      return onHand(slice, event, settings);
    case "breaker-due":
      return onDue(slice, event, settings);
    default:
      return slice.worker === null
        ? { slice, effects: [] }
        : ofWorker({ ...slice, worker: slice.worker }, event, settings);
  }
}

type WorkerEvent = Exclude<
  Stamped<Event>,
  {
    kind:
      | ("request" | "request-gone" | "settled" | "request-unreadable")
      | ("history" | "history-passed-over" | "breaker-by-hand" | "breaker-due");
  }
>;

function ofWorker(slice: WithWorker, event: WorkerEvent, settings: RestartSettings): Step {
  switch (event.kind) {
    case "started":
      return onStarted(slice, event, settings);
    case "not-started":
      return onNotStarted(slice, event, settings);
    case "hook-answered":
      return onHookAnswered(slice, event);
    case "launched":
      return onLaunched(slice, event);
    case "checked":
      return onChecked(slice, event, settings);
    case "look-due":
      return lookNow(slice, event.worker_id);
    case "check-due":
      return checkNow(slice, event.worker_id);
    case "resume":
      return resume(slice, event, settings);
    case "sweep":
      return sweep(slice, event.stamp.atMs, settings);
  }
}

function lookNow(slice: WithWorker, workerId: string): Step {
  const { waiting, worker_type, task_id } = slice.worker;
  if (waiting === null || waiting.phase !== "waiting") return { slice, effects: [] };
  return { slice, effects: [{ kind: "look", worker_id: workerId, worker_type, task_id, name: waiting.name }] };
}

function checkNow(slice: WithWorker, workerId: string): Step {
  const { run, worker_type, task_id } = slice.worker;
  if (run === null || run.succeeded_at_ms !== null) return { slice, effects: [] };
  return { slice, effects: [{ kind: "check", worker_id: workerId, worker_type, task_id, attempt: run.attempt }] };
}

/** After a start of the daemon: wakes are not kept, so what waits and what is on probation is taken up again. */
function resume(slice: WithWorker, event: StampedEvent<"resume">, settings: RestartSettings): Step {
  const { run } = slice.worker;
  const effects = resumeWaiting(slice.worker, event.worker_id, settings);
  const isOnProbation = run !== null && run.succeeded_at_ms === null;
  return {
    slice,
    effects: isOnProbation ? [...effects, probationWake(event.worker_id, run, settings, event.stamp)] : effects,
  };
}

/** Forgets a worker of which nothing is pending and nothing counts any more. */
function sweep(slice: WithWorker, nowMs: number, settings: RestartSettings): Step {
  const { waiting, run, touched_at_ms } = slice.worker;
  const keepMs = Math.max(longestWindowMs(settings.restart_budgets), settings.retry_reset_seconds * 1000) + 3_600_000;
  if (waiting !== null || (run !== null && run.succeeded_at_ms === null)) return { slice, effects: [] };
  return nowMs < touched_at_ms + keepMs ? { slice, effects: [] } : { slice: { ...slice, worker: null }, effects: [] };
}

export const restartCore: Core<Slice, Event, Effect, Policy<RestartSettings>> = {
  name: "worker-restart",
  address,
  blank,
  decide,
  wake: (key) => {
    const name = key.slice(key.indexOf(":") + 1);
    if (key.startsWith("look:")) return { kind: "look-due", worker_id: name };
    if (key.startsWith("check:")) return { kind: "check-due", worker_id: name };
    return { kind: "breaker-due", worker_type: name };
  },
  failed: (effect, message) => {
    if (effect.kind !== "start") return null;
    const { worker_id, worker_type, task_id, name, attempt } = effect;
    return {
      kind: "not-started",
      worker_id,
      worker_type,
      task_id,
      name,
      attempt,
      claimed: null,
      why: "failed",
      message: message.slice(0, 160),
      permanent: false,
    };
  },
  shadowing,
  coalesced: new Set(["breaker-due", "look-due", "check-due"]),
  urgent: new Set(["start"]),
};
