/**
 * One request, from the first look to its start, its deferral or its end.
 *
 * @module
 */
import { allow, takeLease } from "../../lib/domain/breaker.js";
import { longestWindowMs } from "../../lib/domain/budgets.js";
import { spend } from "../../lib/domain/limits.js";
import { type DecisionDraft, type EventRecord, type Gate, makeEvent, type Stamp } from "../../lib/schema/events.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { changeBreaker } from "./breakers.js";
import { countDeath, liftQuarantine } from "./deaths.js";
import { conclude, placeLeft } from "./deferrals.js";
import { askGates, delayMs, type Question, startsAfter } from "./gates.js";
import {
  type Act,
  plainSubject,
  type StampedEvent,
  type StartEffect,
  type Step,
  type Subject,
  subjectOf,
} from "./messages.js";
import { takePlace } from "./places.js";
import type { RestartSettings } from "./settings.js";
import { type Slice, type Waiting, type WorkerPart, workerNew } from "./state.js";

const HOOK_LATER_MS = 10_000;

type WithWorker = Slice & { readonly worker: WorkerPart };

/** A request was read, with everything that its gates need. */
export function onRequest(slice: Slice, event: StampedEvent<"request">, settings: RestartSettings): Step {
  const { stamp } = event;
  const known = slice.worker?.waiting ?? null;
  // A hook is being asked, or a launcher started: the answer is on its way, and looks again by itself.
  if (known !== null && known.phase !== "waiting") return { slice, effects: [] };
  const isOther = event.facts.other !== null && known !== null && known.name !== event.name;
  const other = isOther ? known : null;
  const taken = takeUp(slice, event, known, other);
  const counted = countDeath(taken, event, stamp, settings);
  const news: Act[] =
    taken.worker.waiting?.gate === null && known?.name !== event.name ? [report(queuedNews(event, counted.slice))] : [];
  if (counted.hasOutcome) {
    const again = { kind: "look", ...plainSubject(event), name: event.name } as const;
    return { slice: counted.slice, effects: [...news, ...counted.effects, { kind: "read-history" }, again] };
  }
  const ready = liftQuarantine(counted.slice, event, stamp.atMs) as WithWorker;
  const question = questionOf(ready, event, settings);
  const { gates, failed } = askGates(question);
  const mustAskHook = event.facts.hook && question.slice.worker.waiting?.hook_passed !== true;
  if (failed !== null) {
    const before = [...news, ...counted.effects];
    // What is running goes down only once the hook lets the next attempt come.
    const { active } = event.facts;
    const endsOld =
      failed.gate === "survivors" && event.request.force && active?.alive === true && active.untouchable === undefined;
    if (endsOld && mustAskHook)
      return askHook(question, [...before, ...(other === null ? [] : [supersede(other, event)])], settings);
    // Of two requests for one worker the one that waits already stays, unless a person wants it whatever is in the way.
    if (other !== null && event.request.force)
      return conclude(question, gates, failed, [...before, supersede(other, event)]);
    if (isOther)
      return conclude(
        { ...question, slice: { ...ready, worker: { ...ready.worker, waiting: known } } },
        gates,
        { ...failed, superseded: true },
        before,
      );
    return conclude(question, gates, failed, before);
  }
  // This one is carried out: what the other asked for is done with it, and nobody would look at it again.
  const replaced = other === null ? [] : [supersede(other, event)];
  if (mustAskHook) return askHook(question, [...news, ...counted.effects, ...replaced], settings);
  return start(question, gates, [...counted.effects], [...news, ...replaced]);
}

function supersede(other: Waiting, { name, stamp }: StampedEvent<"request">): Act {
  const outcome = { verdict: "superseded", message: `${name} takes its place`, at: writeInstant(stamp.atMs) };
  return { kind: "settle", subject: null, name: other.name, claimed: null, folder: "done", outcome };
}

/** @param other Another request of the worker, which waits: this one is about the same incident. */
function takeUp(
  slice: Slice,
  event: StampedEvent<"request">,
  known: Waiting | null,
  other: Waiting | null,
): WithWorker {
  const { request, facts, stamp } = event;
  const fresh = (): WorkerPart => ({
    ...workerNew(event.worker_type, event.task_id, stamp.atMs),
    attempts: facts.attempts,
    lifetime: facts.lifetime,
  });
  const worker = slice.worker ?? fresh();
  const waiting: Waiting =
    known?.name === event.name
      ? // The monitor may have told of a death in it since, and with it of the incident.
        { ...known, incident_id: request.incident_id ?? known.incident_id }
      : {
          name: event.name,
          incident_id: request.incident_id ?? other?.incident_id ?? `incident-${stamp.id}`,
          filed_at_ms: Math.min(request.filed_at_ms, stamp.atMs),
          phase: "waiting",
          gate: null,
          next_at_ms: null,
          count: 0,
          files: null,
          hook_passed: false,
          escalated: false,
          start: null,
          spent: false,
        };
  const { worker_type, task_id } = event;
  return { ...slice, worker: { ...worker, worker_type, task_id, waiting, ending: endingFor(worker) } };
}

/** An attempt that has outlived a request which was taken back is asked to stop anew by the next one, with all its grace. */
function endingFor({ ending, waiting }: WorkerPart): WorkerPart["ending"] {
  return ending === null || waiting !== null ? ending : { attempt: ending.attempt, since_ms: ending.since_ms };
}

function questionOf(
  slice: WithWorker,
  event: StampedEvent<"request">,
  settings: RestartSettings,
): Question & { readonly stamp: Stamp } {
  const { request, facts, stamp } = event;
  const next = (request.attempt ?? facts.highest) + 1;
  return { slice, event, request, facts, settings, next, nowMs: stamp.atMs, stamp };
}

function queuedNews(event: StampedEvent<"request">, slice: WithWorker): EventRecord {
  const { request } = event;
  const by = request.requested_by ?? "a person";
  return makeEvent(
    event.stamp,
    0,
    "worker-restart",
    "worker_restart_queued",
    subjectOf(event, request.attempt ?? undefined, slice.worker.waiting?.incident_id),
    {
      message: `A restart of ${event.worker_id} is requested by ${by}: ${request.reason}`,
      reason: request.reason,
      data: { requested_by: by, request: event.name },
    },
  );
}

const report = (record: EventRecord): Act => ({ kind: "report", record });

/** All gates are passed: the account is charged, and the attempt is started. */
function start(
  question: Question & { readonly stamp: Stamp },
  gates: readonly Gate[],
  before: readonly Act[],
  news: readonly Act[],
): Step {
  const { slice, event, request, settings, next, nowMs, stamp } = question;
  const waiting = slice.worker.waiting as Waiting;
  const { spends } = request;
  // A person who passes the breaker by name proves nothing about it, and takes no probe's place.
  const isProbe = allow(slice.type.breaker, nowMs, settings).allowed;
  const attempt = { worker_id: event.worker_id, attempt: next };
  const breaker = isProbe ? takeLease(slice.type.breaker, attempt, nowMs, settings) : slice.type.breaker;
  const limits = settings.rate_limits;
  const starts = startsAfter(slice.type.starts, nowMs, limits.per_type_per_minute);
  const typed = changeBreaker(slice, event.worker_type, { ...slice.type, starts }, breaker, stamp, settings);
  const worker = charged(question, spends);
  const task = event.task_id === null ? slice.task : { ...slice.task, last_start_ms: nowMs };
  const starting: Waiting = {
    ...waiting,
    phase: "starting",
    spent: spends,
    start: {
      attempt: next,
      start_id: stamp.id,
      before: {
        at_ms: nowMs,
        exhausted: slice.worker.exhausted,
        last_delay_ms: slice.worker.last_delay_ms,
        task_last_start_ms: slice.task.last_start_ms,
      },
    },
  };
  const effect = startEffect(event, worker, starting, false);
  const fleet = { ...slice.fleet, starts: startsAfter(slice.fleet.starts, nowMs, limits.global_per_minute) };
  const started = { worker: { ...worker, waiting: starting }, type: typed.slice.type, task, fleet };
  return {
    slice: takePlace(started, event.worker_id, nowMs),
    effects: [...before, effect, ...news, ...typed.effects],
    decision: draft(question, "start", request.reason, `Attempt ${next} of ${event.worker_id} may start`, gates),
  };
}

/** The start of an attempt, as often as it is asked for: the launcher's claim makes one of them count. */
function startEffect(subject: Subject, worker: WorkerPart, waiting: Waiting, resumed: boolean): StartEffect {
  const { attempt, start_id } = waiting.start as NonNullable<Waiting["start"]>;
  const { attempts, lifetime } = worker;
  const { name, incident_id } = waiting;
  return { kind: "start", ...plainSubject(subject), name, attempt, incident_id, attempts, lifetime, start_id, resumed };
}

/**
 * Takes up what a request was in the middle of when the daemon ended.
 *
 * The answer of an effect may have been lost although the effect itself was made and is not in the journal any more. So
 * it is asked for again; a second answer finds the request in another phase and is passed over.
 */
export function resumeWaiting(worker: WorkerPart, workerId: string, settings: RestartSettings): Act[] {
  const { waiting } = worker;
  if (waiting === null) return [];
  const subject = { worker_id: workerId, worker_type: worker.worker_type, task_id: worker.task_id };
  const { name } = waiting;
  switch (waiting.phase) {
    case "waiting":
      return [{ kind: "look", ...subject, name }];
    case "hook":
      return [
        {
          kind: "ask-hook",
          name,
          attempt: waiting.start?.attempt ?? 0,
          subject,
          seconds: settings.hook_timeout_seconds,
        },
      ];
    case "starting":
      return waiting.start === null ? [] : [startEffect(subject, worker, waiting, true)];
    case "ending":
      return [{ kind: "confirm-settled", ...subject, name }];
  }
}

function charged(question: Question, spends: boolean): WorkerPart {
  const { slice, settings, nowMs } = question;
  const { worker } = slice;
  const untouched = { ...worker, touched_at_ms: nowMs, ending: null, told_budget: false };
  if (!spends) return untouched;
  const { exhausted } = worker;
  const spent = worker.attempts >= settings.max_retries;
  return {
    ...untouched,
    attempts: worker.attempts + 1,
    lifetime: worker.lifetime + 1,
    starts: spend(worker.starts, nowMs, longestWindowMs(settings.restart_budgets)),
    last_delay_ms: spent ? worker.last_delay_ms : delayMs(question),
    exhausted: spent ? { at_ms: nowMs, probes: (exhausted?.probes ?? 0) + 1 } : null,
  };
}

function askHook(question: Question, before: readonly Act[], settings: RestartSettings): Step {
  const { slice, event, next } = question;
  const waiting = slice.worker.waiting as Waiting;
  const ask = {
    kind: "ask-hook",
    name: event.name,
    attempt: next,
    subject: plainSubject(event),
    seconds: settings.hook_timeout_seconds,
  } as const;
  return {
    slice: { ...slice, worker: { ...slice.worker, waiting: { ...waiting, phase: "hook" } } },
    effects: [...before, ask],
  };
}

/** The hook has spoken: later, or go on. */
export function onHookAnswered(slice: WithWorker, event: StampedEvent<"hook-answered">): Step {
  const { waiting } = slice.worker;
  if (waiting === null || waiting.phase !== "hook") return { slice, effects: [] };
  const { stamp } = event;
  if (!event.later) {
    const passed: Waiting = { ...waiting, phase: "waiting", hook_passed: true };
    return {
      slice: { ...slice, worker: { ...slice.worker, waiting: passed } },
      effects: [{ kind: "look", ...plainSubject(event), name: event.name }],
    };
  }
  const nextAtMs = stamp.atMs + HOOK_LATER_MS;
  const put: Waiting = {
    ...waiting,
    phase: "waiting",
    gate: "before_restart",
    next_at_ms: nextAtMs,
    count: waiting.count + 1,
  };
  const deferred = {
    gate: "before_restart",
    reason: event.note.slice(0, 160),
    next_at: writeInstant(nextAtMs),
    count: put.count,
  };
  const record = makeEvent(
    stamp,
    0,
    "worker-restart",
    "worker_restart_deferred",
    subjectOf(event, undefined, waiting.incident_id),
    {
      message: `The restart of ${event.worker_id} waits: hooks/before_restart says later`,
      reason: "before_restart",
      data: deferred,
    },
  );
  const isNews = waiting.gate !== "before_restart";
  const news: Act[] = isNews ? [report(record)] : [];
  return {
    decision: isNews ? laterDraft(event, waiting, record.message, deferred.next_at) : undefined,
    slice: { ...slice, worker: { ...slice.worker, waiting: put } },
    effects: [
      ...news,
      { kind: "defer", name: event.name, claimed: null, deferred },
      { kind: "wake", key: `look:${event.worker_id}`, atMonoMs: stamp.monoMs + HOOK_LATER_MS },
      ...placeLeft(waiting),
    ],
  };
}

function laterDraft(
  event: StampedEvent<"hook-answered">,
  waiting: Waiting,
  message: string,
  passes_at: string,
): DecisionDraft {
  return {
    subject: event.worker_id,
    verdict: "defer",
    reason: "before_restart",
    message,
    gates: [{ gate: "before_restart", value: 75, threshold: 0, passed: false, passes_at }],
    incident_id: waiting.incident_id,
  };
}

/** A request that has its verdict is out of the queue. */
export function onSettled(slice: Slice, event: StampedEvent<"settled">): Step {
  const waiting = slice.worker?.waiting ?? null;
  if (slice.worker === null || waiting?.phase !== "ending" || waiting.name !== event.name)
    return { slice, effects: [] };
  // The look makes this change durable: the answer that brought it does not come a second time.
  const look = { kind: "look", ...plainSubject(event), name: event.name } as const;
  return { slice: { ...slice, worker: { ...slice.worker, waiting: null } }, effects: [look] };
}

/** A request that waited is not in the queue any more: a person took it back. */
export function onGone(slice: Slice, event: StampedEvent<"request-gone">): Step {
  const waiting = slice.worker?.waiting ?? null;
  if (slice.worker === null || waiting === null || waiting.name !== event.name || waiting.phase !== "waiting")
    return { slice, effects: [] };
  const message = `The request to restart ${event.worker_id} was taken out of the queue`;
  const record = makeEvent(
    event.stamp,
    0,
    "worker-restart",
    "worker_restart_refused",
    subjectOf(event, undefined, waiting.incident_id),
    {
      message,
      reason: "withdrawn",
      data: { request: event.name },
    },
  );
  return {
    slice: { ...slice, worker: { ...slice.worker, waiting: null } },
    effects: [report(record), { kind: "wake", key: `look:${event.worker_id}`, atMonoMs: null }, ...placeLeft(waiting)],
    decision: {
      subject: event.worker_id,
      verdict: "withdrawn",
      reason: "withdrawn",
      message,
      gates: [],
      incident_id: waiting.incident_id,
    },
  };
}

/** A file in the queue is no request: it is kept, untouched, with the reason beside it. */
export function onUnreadable(slice: Slice, event: StampedEvent<"request-unreadable">): Step {
  const record = makeEvent(
    event.stamp,
    0,
    "worker-restart",
    "record_refused",
    {},
    {
      message: event.why,
      reason: "unreadable",
      data: { daemon: "worker-restart", file: `restart/queue/${event.name}`, problem: event.why.slice(0, 1000) },
    },
  );
  return { slice, effects: [report(record), { kind: "reject", name: event.name, why: event.why }] };
}

export function draft(
  question: Question,
  verdict: string,
  reason: string,
  message: string,
  gates: readonly Gate[],
): DecisionDraft {
  return {
    subject: question.event.worker_id,
    verdict,
    reason,
    message: message.slice(0, 160),
    gates,
    incident_id: question.slice.worker.waiting?.incident_id,
  };
}
