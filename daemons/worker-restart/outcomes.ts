/** What follows from a start: its news, its probation, and the verdict that it helped. @module */
import { returnLease } from "../../lib/domain/breaker.js";
import { type Gate, makeEvent, type Stamp } from "../../lib/schema/events.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { changeBreaker } from "./breakers.js";
import { historyRecord } from "./deaths.js";
import { type Act, type StampedEvent, type Step, subjectOf } from "./messages.js";
import { leavePlace } from "./places.js";
import type { RestartSettings } from "./settings.js";
import type { Before, FleetPart, Run, Slice, Waiting, WorkerPart } from "./state.js";

/** Recoveries remembered for the metrics. */
const RECOVERIES_MAX = 64;
/** Longest time between two looks at an attempt that has not beaten yet. */
const LOOK_MS_MAX = 10_000;
/** After so many looks nothing more is expected of an attempt whose spec is gone. */
const GONE_LOOKS_MAX = 3;

/** How often a start is tried again for which there were no tokens. */
const TOKENS_AGAIN_MS = 30_000;
/** The shortest pause after a start that failed, for a request that spends no retry, and so has no delay. */
const FAILED_AGAIN_MS_MIN = 1000;

type WithWorker = Slice & { readonly worker: WorkerPart };

/** The launcher was started: the attempt is on probation from now on. */
export function onStarted(slice: WithWorker, event: StampedEvent<"started">, settings: RestartSettings): Step {
  const { worker } = slice;
  const { waiting } = worker;
  if (waiting === null || waiting.phase !== "starting") return { slice, effects: [] };
  const { stamp } = event;
  const run: Run = {
    attempt: event.attempt,
    claimed: event.claimed,
    incident_id: waiting.incident_id,
    requested_at_ms: waiting.filed_at_ms,
    started_at_ms: stamp.atMs,
    launched_at_ms: null,
    succeeded_at_ms: null,
    looks: 0,
  };
  const record = makeEvent(
    stamp,
    0,
    "worker-restart",
    "worker_restart_started",
    subjectOf(event, event.attempt, waiting.incident_id),
    {
      message: `Attempt ${event.attempt} of ${event.worker_id} is started`,
      data: {
        attempts: worker.attempts,
        lifetime: worker.lifetime,
        waited_ms: Math.max(0, Math.round(stamp.atMs - waiting.filed_at_ms)),
      },
    },
  );
  const typed = withoutLeaseOf(slice, event, isCutShort(worker.run, run) ? worker.run : null, settings);
  return {
    slice: {
      ...slice,
      type: typed.slice.type,
      worker: { ...worker, waiting: null, run, touched_at_ms: stamp.atMs },
      fleet: { ...slice.fleet, attempted: slice.fleet.attempted + 1 },
    },
    effects: [
      ...interrupted(worker.run, run, stamp),
      { kind: "report", record },
      { kind: "wake", key: `look:${event.worker_id}`, atMonoMs: null },
      probationWake(event.worker_id, run, settings, stamp),
      ...typed.effects,
    ],
  };
}

/** Whether an attempt had not proved itself when the next was started. */
function isCutShort(before: Run | null, run: Run): boolean {
  return before !== null && before.succeeded_at_ms === null && before.claimed !== run.claimed;
}

/** Gives a probe's lease back, from which the breaker has learnt nothing. */
function withoutLeaseOf(slice: Slice, event: StampedEvent<"started">, before: Run | null, settings: RestartSettings) {
  if (before === null) return { slice, effects: [] };
  const { worker_id, worker_type, stamp } = event;
  const breaker = returnLease(slice.type.breaker, { worker_id, attempt: before.attempt });
  return changeBreaker(slice, worker_type, slice.type, breaker, stamp, settings);
}

/** A person wanted the next attempt before this one had proved itself: no death was told, and nothing is known of it any more. */
function interrupted(before: Run | null, run: Run, stamp: Stamp): Act[] {
  if (before === null || !isCutShort(before, run)) return [];
  const outcome = {
    verdict: "interrupted",
    attempt: before.attempt,
    reason: "requested",
    at: writeInstant(stamp.atMs),
  };
  return [{ kind: "settle", subject: null, name: "", claimed: before.claimed, folder: "done", outcome }];
}

/** Asks for a look when the attempt has lived for long enough; by the wall clock, since a run may span a reboot. */
export function probationWake(workerId: string, run: Run, settings: RestartSettings, stamp: Stamp): Act {
  const inMs = Math.max(0, run.started_at_ms + settings.success_after_seconds * 1000 - stamp.atMs);
  return { kind: "wake", key: `check:${workerId}`, atMonoMs: Math.ceil(stamp.monoMs + inMs) };
}

/** The start was not made. What it took is given back, except for a failure that is the host's or the spec's. */
export function onNotStarted(slice: WithWorker, event: StampedEvent<"not-started">, settings: RestartSettings): Step {
  const { worker } = slice;
  const { waiting } = worker;
  if (waiting === null || waiting.phase !== "starting") return { slice, effects: [] };
  const { stamp } = event;
  const breaker = returnLease(slice.type.breaker, event);
  const typed = changeBreaker(slice, event.worker_type, slice.type, breaker, stamp, settings);
  const failed = event.why === "failed";
  const left = { ...leavePlace(slice, event.worker_id), type: typed.slice.type };
  const base = failed ? { ...left, fleet: withFailure(left.fleet) } : refunded(left, waiting);
  const account = base.worker;
  if (event.why === "tokens" || (failed && !event.permanent)) {
    const pauseMs = Math.max(FAILED_AGAIN_MS_MIN, settings.retry_interval_seconds * 1000);
    const again: Waiting = {
      ...waiting,
      phase: "waiting",
      // It has passed the gate at which it waited before.
      gate: null,
      // What spends a retry waits for its delay.
      ...(failed && !waiting.spent ? { pause_until_ms: stamp.atMs + pauseMs } : {}),
      filed_at_ms: failed ? stamp.atMs : waiting.filed_at_ms,
      spent: false,
    };
    // What the budget has not now, its gate need not see: without a pause the two would ask each other in a circle.
    const asked: Act = failed
      ? {
          kind: "look",
          worker_id: event.worker_id,
          worker_type: event.worker_type,
          task_id: event.task_id,
          name: event.name,
        }
      : { kind: "wake", key: `look:${event.worker_id}`, atMonoMs: Math.ceil(stamp.monoMs + TOKENS_AGAIN_MS) };
    const deferred = {
      gate: failed ? "backoff" : "token_budget",
      reason: event.message.slice(0, 160),
      count: waiting.count,
    };
    return {
      slice: { ...base, worker: { ...account, waiting: again } },
      effects: [
        ...typed.effects,
        ...(failed ? failureOf(slice, event, waiting) : []),
        { kind: "defer", name: event.name, claimed: event.claimed, deferred },
        asked,
      ],
    };
  }
  const outcome = {
    verdict: event.why === "there" ? "duplicate" : failed ? "failed" : "withdrawn",
    message: event.message,
    at: writeInstant(stamp.atMs),
  };
  const look = {
    kind: "look",
    worker_id: event.worker_id,
    worker_type: event.worker_type,
    task_id: event.task_id,
    name: event.name,
  } as const;
  const settle: Act[] =
    event.claimed === null
      ? [look]
      : [
          {
            kind: "settle",
            subject: null,
            name: event.name,
            claimed: event.claimed,
            folder: failed ? "failed" : "done",
            outcome,
          },
        ];
  return {
    slice: { ...base, worker: { ...account, waiting: null } },
    effects: [...typed.effects, ...(failed ? failureOf(slice, event, waiting) : []), ...settle],
  };
}

/** A start that failed was an attempt: the figures tell of as many failures as the history. */
function withFailure(fleet: FleetPart): FleetPart {
  return { ...fleet, attempted: fleet.attempted + 1, failed: fleet.failed + 1 };
}

function failureOf(slice: WithWorker, event: StampedEvent<"not-started">, waiting: Waiting): Act[] {
  const { stamp } = event;
  const run = { attempt: event.attempt, incident_id: waiting.incident_id };
  return [
    { kind: "append-history", record: historyRecord(event, run, stamp, "failure", "not_started", 0) },
    {
      kind: "report",
      record: makeEvent(
        stamp,
        0,
        "worker-restart",
        "worker_restart_failed",
        subjectOf(event, event.attempt, waiting.incident_id),
        {
          message: event.message,
          reason: "not_started",
          data: { attempts: slice.worker.attempts, permanent: event.permanent },
        },
      ),
    },
    { kind: "read-history" },
  ];
}

/** Gives back what a start took that never was: retries, budgets, and its share of the limits. */
function refunded(slice: WithWorker, { spent, start }: Waiting): WithWorker {
  const worker = spent ? uncharged(slice.worker, start?.before) : slice.worker;
  if (start?.before === undefined) return { ...slice, worker };
  const { at_ms, task_last_start_ms } = start.before;
  const { type, task, fleet } = slice;
  return {
    worker,
    type: { ...type, starts: withoutOne(type.starts, at_ms) },
    // Unless the task was started for another worker since.
    task: task.last_start_ms === at_ms ? { ...task, last_start_ms: task_last_start_ms } : task,
    fleet: { ...fleet, starts: withoutOne(fleet.starts, at_ms) },
  };
}

function uncharged(worker: WorkerPart, before: Before | undefined): WorkerPart {
  const { attempts, lifetime, starts } = worker;
  return {
    ...worker,
    attempts: Math.max(0, attempts - 1),
    lifetime: Math.max(0, lifetime - 1),
    starts: starts.slice(0, -1),
    ...(before === undefined ? {} : { exhausted: before.exhausted, last_delay_ms: before.last_delay_ms }),
  };
}

/** Those of a moment are all alike: one of them goes. */
function withoutOne(starts: readonly number[], atMs: number): readonly number[] {
  const index = starts.lastIndexOf(atMs);
  return index < 0 ? starts : starts.toSpliced(index, 1);
}

/** The launch record of the attempt has the program's identity: it runs. */
export function onLaunched(slice: WithWorker, event: StampedEvent<"launched">): Step {
  const { run } = slice.worker;
  if (run === null || run.attempt !== event.attempt || run.launched_at_ms !== null) return { slice, effects: [] };
  const launched = { ...run, launched_at_ms: event.at_ms };
  const recovery = Math.max(0, Math.round(event.at_ms - run.requested_at_ms));
  const { worker, fleet } = leavePlace(slice, event.worker_id);
  return {
    slice: {
      ...slice,
      worker: { ...worker, run: launched },
      fleet: { ...fleet, recoveries_ms: [...fleet.recoveries_ms, recovery].slice(-RECOVERIES_MAX) },
    },
    effects: [],
  };
}

/** The attempt was looked at after its time: a success, or another look later. */
export function onChecked(slice: WithWorker, event: StampedEvent<"checked">, settings: RestartSettings): Step {
  const { run } = slice.worker;
  if (run === null || run.attempt !== event.attempt || run.succeeded_at_ms !== null) return { slice, effects: [] };
  if (event.found === "stopped") return forgetRun(slice, event, run, settings);
  const due = event.stamp.atMs >= run.started_at_ms + settings.success_after_seconds * 1000 - 1;
  const proved = event.found === "completed" || (event.alive && due && (event.beaten || !event.must_beat));
  if (proved) return succeed(slice, event, run, settings);
  // The monitor has its evidence: its request tells of this death.
  if (event.found === "zombie" || event.found === "failed") return { slice, effects: [] };
  if (event.found === "gone" && run.looks >= GONE_LOOKS_MAX) return forgetRun(slice, event, run, settings);
  const looks = run.looks + 1;
  const inMs = Math.min(LOOK_MS_MAX, 500 * 2 ** Math.min(looks, 6));
  return {
    slice: { ...slice, worker: { ...slice.worker, run: { ...run, looks } } },
    effects: [{ kind: "wake", key: `check:${event.worker_id}`, atMonoMs: event.stamp.monoMs + inMs }],
  };
}

/** What an attempt had to prove. One that has finished its work need not live any longer. */
function probation(event: StampedEvent<"checked">, run: Run, settings: RestartSettings): Gate[] {
  if (event.found === "completed") return [{ gate: "alive", value: "completed", threshold: "completed", passed: true }];
  const seconds = Math.round((event.stamp.atMs - run.started_at_ms) / 100) / 10;
  return [
    { gate: "alive", value: seconds, threshold: settings.success_after_seconds, passed: true },
    { gate: "beaten", value: event.beaten, threshold: event.must_beat, passed: true },
  ];
}

function succeed(slice: WithWorker, event: StampedEvent<"checked">, run: Run, settings: RestartSettings): Step {
  const { stamp } = event;
  const recoveryMs = Math.max(0, Math.round((run.launched_at_ms ?? run.started_at_ms) - run.requested_at_ms));
  const record = makeEvent(
    stamp,
    0,
    "worker-restart",
    "worker_restarted",
    subjectOf(event, run.attempt, run.incident_id),
    {
      message: `Attempt ${run.attempt} of ${event.worker_id} has proved itself`,
      data: { recovery_ms: recoveryMs, attempts: slice.worker.attempts },
    },
  );
  const outcome = { verdict: "restarted", attempt: run.attempt, at: writeInstant(stamp.atMs) };
  const proved: Run = { ...run, succeeded_at_ms: stamp.atMs };
  const { worker, fleet } = leavePlace(slice, event.worker_id);
  return {
    slice: {
      ...slice,
      worker: { ...worker, run: proved, touched_at_ms: stamp.atMs },
      fleet: { ...fleet, succeeded: fleet.succeeded + 1 },
    },
    effects: [
      { kind: "append-history", record: historyRecord(event, run, stamp, "success", "restarted", recoveryMs) },
      { kind: "report", record },
      { kind: "settle", subject: null, name: "", claimed: run.claimed, folder: "done", outcome },
      { kind: "read-history" },
    ],
    decision: {
      subject: event.worker_id,
      verdict: "restarted",
      reason: event.found === "completed" ? "completed" : event.must_beat ? "beaten" : "alive",
      message: record.message,
      gates: probation(event, run, settings),
      incident_id: run.incident_id,
    },
  };
}

/**
 * A person had it stopped, or removed its spec: nothing can be said about this restart any more. A probe's lease is given
 * back, for the breaker has learnt nothing: kept until it runs out, it would count as a failure.
 */
function forgetRun(slice: WithWorker, event: StampedEvent<"checked">, run: Run, settings: RestartSettings): Step {
  const outcome = {
    verdict: "inconclusive",
    reason: event.found === "stopped" ? "stopped" : "unwatched",
    attempt: run.attempt,
    at: writeInstant(event.stamp.atMs),
  };
  const { worker_type, worker_id } = event;
  const breaker = returnLease(slice.type.breaker, { worker_id, attempt: run.attempt });
  const typed = changeBreaker(slice, worker_type, slice.type, breaker, event.stamp, settings);
  const forgotten = { ...slice, type: typed.slice.type, worker: { ...slice.worker, run: null } };
  return {
    slice: leavePlace(forgotten, worker_id),
    effects: [
      { kind: "settle", subject: null, name: "", claimed: run.claimed, folder: "done", outcome },
      ...typed.effects,
    ],
  };
}
