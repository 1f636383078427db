/** What follows when a gate does not pass: the request waits for it, or has come to its end. @module */
import type { RestartGate } from "../../lib/schema/catalogue.js";
import { type DecisionDraft, type EventRecord, type Gate, makeEvent, type Stamp } from "../../lib/schema/events.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import type { FailedGate, Question } from "./gates.js";
import { type Act, plainSubject, type Step, subjectOf } from "./messages.js";
import type { EndingOld, Waiting } from "./state.js";

type Asked = Question & { readonly stamp: Stamp };

/** The word for a request that ends at a gate. */
const FINAL: Partial<Record<RestartGate, string>> = {
  when: "refused",
  expired: "expired",
  duplicate: "duplicate",
  running: "already_running",
  deadline: "abandoned",
};
/** A deferral is written anew only if its next look is further off than this: a file is not rewritten each second. */
const WRITE_AGAIN_MS = 2500;

/** Ends or defers the request at the gate that failed. */
export function conclude(
  question: Asked,
  gates: readonly Gate[],
  failed: FailedGate & { readonly superseded?: boolean },
  before: readonly Act[],
): Step {
  if (failed.superseded === true) return end(question, gates, failed, "superseded", before);
  const verdict = FINAL[failed.gate];
  const waitsForCleanup = failed.gate === "running" && question.facts.active?.alive === false;
  if (verdict !== undefined && !waitsForCleanup) return end(question, gates, failed, verdict, before);
  return defer(question, gates, failed, before);
}

function end(
  question: Asked,
  gates: readonly Gate[],
  failed: FailedGate,
  verdict: string,
  before: readonly Act[],
): Step {
  const { slice, event, stamp } = question;
  const { worker } = slice;
  const isOurs = worker.waiting?.name === event.name;
  // Kept until it is out of the queue: whoever reads the queue before that must not judge it a second time.
  const ending = worker.waiting === null ? null : { ...worker.waiting, phase: "ending" as const };
  const message = `The restart of ${event.worker_id} will not happen: ${failed.reason}`.slice(0, 160);
  const outcome = { verdict, reason: failed.gate, message: failed.reason, at: writeInstant(stamp.atMs) };
  const effects: Act[] = [...before];
  // A duplicate has had its outcome already, under the attempt that exists; a superseded one will have it.
  if (verdict !== "duplicate" && verdict !== "superseded")
    effects.push(
      report(question, "worker_restart_refused", message, verdict, { gate: failed.gate, request: event.name }),
    );
  if (verdict === "abandoned") effects.push(giveUp(question, failed.reason, { state: "stopped" }));
  const subject = isOurs ? plainSubject(event) : null;
  effects.push({ kind: "settle", subject, name: event.name, claimed: null, folder: "done", outcome });
  if (isOurs)
    effects.push({ kind: "wake", key: `look:${event.worker_id}`, atMonoMs: null }, ...placeLeft(worker.waiting));
  return {
    slice: { ...slice, worker: isOurs ? { ...worker, waiting: ending } : worker },
    effects,
    decision: draftOf(question, verdict, failed.gate, message, gates),
  };
}

function defer(question: Asked, gates: readonly Gate[], failed: FailedGate, before: readonly Act[]): Step {
  const { slice, event, facts, nowMs, stamp } = question;
  const waiting = slice.worker.waiting as Waiting;
  const { nextAtMs } = failed;
  const isNews = waiting.gate !== failed.gate;
  const isLater = nextAtMs !== waiting.next_at_ms && (nextAtMs === null || nextAtMs - nowMs > WRITE_AGAIN_MS);
  // A person who writes the request anew still wants to see what it waits for.
  const writes = isNews || isLater || question.request.bare === true;
  const put: Waiting = {
    ...waiting,
    phase: "waiting",
    gate: failed.gate,
    next_at_ms: nextAtMs,
    count: waiting.count + (writes ? 1 : 0),
    files: waiting.files ?? facts.files,
    // While the old attempt is ended, the hook's word holds; any other wait may last, and it is asked anew.
    hook_passed: failed.gate === "survivors" && facts.active?.untouchable === undefined && waiting.hook_passed,
    escalated: waiting.escalated || failed.gate === "no_template",
  };
  const spent = spentAt(question, failed);
  const effects: Act[] = [...before, ...spent.effects];
  if (isNews && !spent.isNews) effects.push(deferredNews(question, failed));
  if (writes)
    effects.push({ kind: "defer", name: event.name, claimed: null, deferred: deferredBlock(failed, put.count) });
  // After the file says so: the monitor must find there whose doing the end of the old attempt was.
  if (failed.gate === "survivors") effects.push(...endOld(question));
  const inMs = nextAtMs === null ? null : Math.max(0, nextAtMs - nowMs);
  effects.push({
    kind: "wake",
    key: `look:${event.worker_id}`,
    atMonoMs: inMs === null ? null : Math.ceil(stamp.monoMs + inMs),
  });
  if (failed.gate !== "concurrency") effects.push(...placeLeft(waiting));
  const ending = failed.gate === "survivors" ? endingOf(question) : slice.worker.ending;
  const message = `The restart of ${event.worker_id} waits: ${failed.reason}`.slice(0, 160);
  return {
    slice: { ...slice, worker: { ...slice.worker, ...spent.worker, waiting: put, ending, touched_at_ms: nowMs } },
    effects,
    decision: isNews ? draftOf(question, "defer", failed.gate, message, gates) : undefined,
  };
}

/** One that waited for a place was looked at for one, and has not taken it: that place is another's. */
export function placeLeft(waiting: Waiting | null): Act[] {
  return waiting?.gate === "concurrency" ? [{ kind: "look-waiting", gate: "concurrency" }] : [];
}

function deferredBlock(
  failed: FailedGate,
  count: number,
): { gate: string; reason: string; next_at?: string; count: number } {
  const next = failed.nextAtMs === null ? {} : { next_at: writeInstant(failed.nextAtMs) };
  return { gate: failed.gate, reason: failed.reason.slice(0, 160), ...next, count };
}

/** A worker that cannot be started at all needs a person; a hold or a delay is no more than news. */
function deferredNews(question: Asked, failed: FailedGate): Act {
  const nextAt = failed.nextAtMs === null ? null : writeInstant(failed.nextAtMs);
  const isFar = isFarAhead(question, failed);
  const until = isFar ? `; not_before is ${nextAt}, more than 30 days ahead` : "";
  const message = `The restart of ${question.event.worker_id} waits: ${failed.reason}${until}`.slice(0, 160);
  const data = { gate: failed.gate, next_at: nextAt };
  const escalates = failed.gate === "no_template" && question.slice.worker.waiting?.escalated !== true;
  const severity = escalates ? "critical" : CALM.has(failed.gate) && !isFar ? "info" : "warning";
  return report(question, "worker_restart_deferred", message, failed.gate, data, severity);
}

/** Nobody means a worker to stay dead for a month: most likely the year is wrong, or seconds were written as milliseconds. */
function isFarAhead({ nowMs }: Asked, { gate, nextAtMs }: FailedGate): boolean {
  return gate === "not_before" && nextAtMs !== null && nextAtMs - nowMs > FAR_AHEAD_MS;
}

const FAR_AHEAD_MS = 30 * 86_400_000;
const CALM: ReadonlySet<RestartGate> = new Set<RestartGate>([
  ...(["host", "backoff", "rate_limits", "concurrency", "not_before"] as const),
]);

/** Retries or a budget are spent: said once, with a record of what was given up, until a stable run or a start. */
function spentAt(question: Asked, failed: FailedGate): { effects: Act[]; isNews: boolean; worker: object } {
  const { worker } = question.slice;
  const isRetries = failed.gate === "retries" && worker.exhausted === null;
  const isBudget = failed.gate === "budgets" && !worker.told_budget;
  if (!isRetries && !isBudget) return { effects: [], isNews: false, worker: {} };
  const nextAt = failed.nextAtMs === null ? null : writeInstant(failed.nextAtMs);
  const message =
    `${question.event.worker_id} is given up for now: ${failed.reason}; next try ${nextAt ?? "when the policy changes"}`.slice(
      0,
      160,
    );
  const data = { gate: failed.gate, attempts: worker.attempts, lifetime: worker.lifetime, next_at: nextAt };
  const effects = [
    report(question, "worker_restart_exhausted", message, failed.gate, data),
    giveUp(question, failed.reason, {
      state: "exhausted",
      attempts: worker.attempts,
      lifetime: worker.lifetime,
      next_at: nextAt,
    }),
  ];
  const state = isRetries ? { exhausted: { at_ms: question.nowMs, probes: 0 } } : { told_budget: true };
  return { effects, isNews: true, worker: state };
}

function giveUp(question: Asked, why: string, restart: Readonly<Record<string, unknown>>): Act {
  return { kind: "give-up", ...plainSubject(question.event), attempt: question.next - 1, restart, why };
}

/** A person asked with force: the old attempt is ended by us, and nobody learns from its death. */
function endOld(question: Asked): Act[] {
  const ending = endingOf(question);
  if (ending === null || question.facts.active?.alive !== true) return [];
  const { attempt, since_ms, since_mono_ms = question.stamp.monoMs } = ending;
  const waited_ms = Math.max(0, Math.round(question.stamp.monoMs - since_mono_ms));
  return [{ kind: "end-old", ...plainSubject(question.event), attempt, since_ms, waited_ms }];
}

function endingOf(question: Asked): EndingOld | null {
  const { active } = question.facts;
  const { ending } = question.slice.worker;
  if (!question.request.force || active === null) return ending;
  if (ending?.attempt === active.attempt && ending.since_mono_ms !== undefined) return ending;
  return { attempt: active.attempt, since_ms: question.nowMs, since_mono_ms: question.stamp.monoMs };
}

function report(
  question: Asked,
  type: "worker_restart_refused" | "worker_restart_deferred" | "worker_restart_exhausted",
  message: string,
  reason: string,
  data: Readonly<Record<string, unknown>>,
  severity?: "info" | "warning" | "critical",
): Act {
  const { event, request, slice, stamp } = question;
  const about = subjectOf(
    event,
    request.attempt ?? undefined,
    request.incident_id ?? slice.worker.waiting?.incident_id,
  );
  const record: EventRecord = makeEvent(stamp, 3, "worker-restart", type, about, {
    message,
    reason,
    data,
    ...(severity ? { severity } : {}),
  });
  return { kind: "report", record };
}

function draftOf(
  question: Asked,
  verdict: string,
  reason: string,
  message: string,
  gates: readonly Gate[],
): DecisionDraft {
  const incident_id = question.request.incident_id ?? question.slice.worker.waiting?.incident_id;
  return { subject: question.event.worker_id, verdict, reason, message, gates, incident_id };
}
