/**
 * Decides of what other daemons write when a person is called, and when they are told that it is over.
 *
 * A subject has one call at a time, and a call belongs to one incident: however often it is said, and in however many
 * ways, a person is told of it once, and of its end once. It begins and ends no fix, so that a dry run tells as well.
 *
 * @module
 */
import { takeOver } from "../../lib/domain/followed-log.js";
import type { Stamp } from "../../lib/schema/events.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import type { Act, Of, Step } from "./messages.js";
import { CALLS, endsCall, isTrouble, type Sign, type Trouble } from "./signs.js";
import { CALLS_NEW, type CallPart, type CallsPart, type ReadPart, type Slice } from "./state.js";
import { Telling } from "./telling.js";

/** What daemons that start together have said before this one read for the first time. Older than that is history. */
const LOOK_BACK_MS = 600_000;
/** Read so much later than it was written, an event may be read after one that followed it in another log. */
const LATE_MS = 5000;
/** For as long as the notifier remembers an open incident. */
export const KEPT_MS = 30 * 86_400_000;
/** Open calls. The oldest gives way: whoever did not end in weeks is known, and what is new is not. */
export const CALLS_MAX = 300;
/** Ends that were read late, of calls that may still be to come. */
const ENDED_MAX = 200;

/** The first start of all: from here on it is told, and from a moment before. */
export function onCallsBegin(slice: Slice, event: Of<"calls-begin">): Step {
  if (slice.calls != null) return { slice, effects: [] };
  return { slice: { ...slice, calls: { ...CALLS_NEW, since_ms: event.stamp.atMs - LOOK_BACK_MS } }, effects: [] };
}

/** Moves the place in a log, and has each sign decided upon by itself, in its order, before the next lines are read. */
export function onLines(slice: Slice, event: Of<"lines-read">): Step {
  const { stamp } = event;
  // failure-pattern reads the same logs, and says what of them cannot be read.
  const log = takeOver(slice.log ?? null, event);
  const before = slice.calls ?? CALLS_NEW;
  const fresh = unread(slice.log ?? null, event, before.since_ms);
  const { signs, calls } = wanted(fresh.signs, before, stamp);
  return {
    slice: { ...slice, log: { ...log, ...fresh.place }, calls: calls === before ? (slice.calls ?? null) : calls },
    effects: [...signs.map((sign) => ({ kind: "take-sign", sign }) as const), { kind: "read-on", log: event.log }],
  };
}

/** A log that was cut or replaced comes again from its start: what is not newer than the newest line was there before. */
function unread(
  before: ReadPart | null,
  event: Of<"lines-read">,
  sinceMs: number,
): { readonly signs: readonly Sign[]; readonly place: Pick<ReadPart, "newest_ms" | "again_until_ms"> } {
  const { picked = [], stamp } = event;
  const newestMs = before?.newest_ms ?? 0;
  const againUntilMs = event.gap === undefined ? (before?.again_until_ms ?? null) : newestMs;
  // A clock that was set back does not make what is said now older than the beginning.
  const fromMs = Math.max(Math.min(sinceMs, stamp.atMs - LOOK_BACK_MS), againUntilMs ?? 0);
  const isNew = ({ at_ms }: Sign): boolean => at_ms >= fromMs && (againUntilMs === null || at_ms > againUntilMs);
  const lastMs = Math.max(newestMs, ...picked.map((sign) => Math.min(sign.at_ms, stamp.atMs)));
  const isPast = againUntilMs !== null && lastMs > againUntilMs;
  return {
    signs: picked.filter(isNew),
    place: { newest_ms: lastMs, again_until_ms: isPast ? null : againUntilMs },
  };
}

/**
 * Of the signs, those that can change something: most ends are of what nobody was called for.
 *
 * A subject counts as open from here on, and not from its own decision: after a crash the next lines are read before what
 * was in hand is resumed. Of ends that are read late it is kept that they were: after a pause logs are read in any order.
 */
function wanted(signs: readonly Sign[], before: CallsPart, stamp: Stamp) {
  let calls = before;
  const kept = signs.filter((sign) => {
    const isOpen = calls.open.includes(sign.subject);
    if (isTrouble(sign)) {
      if (!isOpen) calls = { ...calls, open: [...calls.open, sign.subject].slice(-CALLS_MAX) };
      return true;
    }
    if (!isOpen && isLate(sign, stamp)) calls = withEnd(calls, sign);
    return isOpen;
  });
  return { signs: kept, calls };
}

function withEnd(calls: CallsPart, { subject, event_type: by, at_ms }: Sign): CallsPart {
  const { [subject]: _old, ...rest } = calls.ended;
  return {
    ...calls,
    ended: Object.fromEntries([...Object.entries(rest).slice(1 - ENDED_MAX), [subject, { by, at_ms }]]),
  };
}

const isLate = (sign: Sign, stamp: Stamp): boolean => stamp.atMs - sign.at_ms > LATE_MS;

/** Decides of one sign. The same again changes nothing. */
export function onSign(slice: Slice, event: Of<"sign-seen">): Step {
  const { sign, stamp } = event;
  const call = slice.call ?? null;
  if (isTrouble(sign)) return onTrouble(slice, call, sign, stamp);
  if (call !== null) return onEnd(slice, call, sign, stamp);
  // What it ends was read, and is decided upon after it.
  const { calls } = slice;
  const isAhead = calls?.open.includes(sign.subject) === true;
  return { slice: isAhead ? { ...slice, calls: withEnd(calls, sign) } : slice, effects: [] };
}

function onTrouble(slice: Slice, call: CallPart | null, sign: Trouble, stamp: Stamp): Step {
  if (isOver(slice.calls ?? CALLS_NEW, sign, stamp))
    return { slice: call === null ? closed(slice, sign.subject) : slice, effects: [] };
  if (call === null || (sign.incident_id !== null && sign.incident_id !== call.incident_id))
    return open(slice, call, sign, stamp);
  if (call.troubles.includes(sign.event_type)) return { slice, effects: [] };
  // Told already: but it is over only when this is over too.
  return { slice: { ...slice, call: { ...call, troubles: [...call.troubles, sign.event_type] } }, effects: [] };
}

/** Whether its end was read before it. One from the future is of a clock that was set back since. */
function isOver({ ended }: CallsPart, sign: Trouble, stamp: Stamp): boolean {
  const end = Object.hasOwn(ended, sign.subject) ? ended[sign.subject] : undefined;
  return end !== undefined && end.at_ms >= sign.at_ms && end.at_ms <= stamp.atMs && endsCall(sign.event_type, end.by);
}

/** Calls a person. What they were called for before, if anything, has given way to this. */
function open(slice: Slice, before: CallPart | null, sign: Trouble, stamp: Stamp): Step {
  const { subject, event_type: type } = sign;
  const name = nameOf(subject);
  const words = CALLS[type];
  const title = `${wordsOf(subject)} ${words.title}`;
  const call: CallPart = {
    subject,
    incident_id: sign.incident_id ?? `inc-${stamp.id}-${subject.split(":", 1)[0]}`,
    worker_id: sign.worker_id,
    worker_type: sign.worker_type,
    title,
    troubles: [type],
    at_ms: sign.at_ms,
    opened_ms: stamp.atMs,
  };
  const calls = slice.calls ?? CALLS_NEW;
  const telling = new Telling(stamp);
  const command = words.command.replace("{name}", name);
  const effects: Act[] = [];
  if (before !== null)
    effects.push(resolved(telling, before, "superseded", `${before.title}: something newer is told`));
  effects.push(
    telling.about("escalation_opened", subjectOfCall(call, sign.task_id), {
      message: `A person is called: ${title}`,
      reason: "person_needed",
      data: {
        ...{ title, component: componentOf(call), seen: sign.message || title, tried: triedOf(sign) },
        ...{ suggested: words.suggested, command, about: subject, cause: type, since: writeInstant(sign.at_ms) },
      },
    }),
  );
  return {
    slice: { ...slice, call, calls: { ...calls, open: [...others(calls, subject), subject].slice(-CALLS_MAX) } },
    effects,
    decision: {
      subject: name,
      verdict: "escalate",
      reason: type,
      message: `A person is called: ${title}`.slice(0, 160),
      gates: [],
      incident_id: call.incident_id,
    },
  };
}

/** It is over when everything is over for which a person was called. */
function onEnd(slice: Slice, call: CallPart, sign: Sign, stamp: Stamp): Step {
  // Read late, it may be from before the call.
  if (isLate(sign, stamp) && sign.at_ms < call.at_ms) return { slice, effects: [] };
  const left = call.troubles.filter((trouble) => !endsCall(trouble, sign.event_type));
  if (left.length === call.troubles.length) return { slice, effects: [] };
  if (left.length > 0) return { slice: { ...slice, call: { ...call, troubles: left } }, effects: [] };
  return {
    slice: closed(slice, call.subject),
    effects: [resolved(new Telling(stamp), call, sign.event_type, sign.message)],
  };
}

/** What nobody has heard of for so long, and what had to give way, is followed no further. It is not said to be over. */
export function onCallOld(slice: Slice, event: Of<"call-old">): Step {
  const { call, calls } = slice;
  if (call == null) return { slice, effects: [] };
  const isKept = calls?.open.includes(call.subject) === true && event.stamp.atMs - call.opened_ms < KEPT_MS;
  return { slice: isKept ? slice : closed(slice, call.subject), effects: [] };
}

/** Whether the core would let go of a call. */
export const isOld = (call: CallPart, calls: CallsPart | null, nowMs: number): boolean =>
  nowMs - call.opened_ms >= KEPT_MS || calls?.open.includes(call.subject) !== true;

function closed(slice: Slice, subject: string): Slice {
  const calls = slice.calls ?? CALLS_NEW;
  return { ...slice, call: null, calls: { ...calls, open: others(calls, subject) } };
}

function resolved(telling: Telling, call: CallPart, reason: string, seen: string): Act {
  return telling.about("escalation_resolved", subjectOfCall(call, null), {
    message: `What a person was called for is over: ${call.title}`,
    reason,
    data: {
      ...{
        title: call.title,
        component: componentOf(call),
        seen: seen || "it is over",
        tried: [],
        suggested: "nothing is left to do",
      },
      ...{ command: `heald why ${call.incident_id}`, about: call.subject, cause: call.troubles[0] ?? "" },
    },
  });
}

const others = (calls: CallsPart, subject: string): string[] => calls.open.filter((each) => each !== subject);

const subjectOfCall = (call: CallPart, taskId: string | null) => ({
  worker_id: call.worker_id ?? undefined,
  worker_type: call.worker_type ?? undefined,
  task_id: taskId ?? undefined,
  incident_id: call.incident_id,
});

/** What routes and overrides of the notification policy go by. */
const componentOf = (call: CallPart): string => call.worker_type ?? nameOf(call.subject);

const nameOf = (subject: string): string => subject.slice(subject.indexOf(":") + 1);

/** `worker:scan-1` → `scan-1`; `type:scan-worker` → `scan-worker`; `hold:all` → `hold "all"`. */
function wordsOf(subject: string): string {
  if (subject === "fleet") return "fleet:";
  return subject.startsWith("hold:") ? `hold "${nameOf(subject)}"` : nameOf(subject);
}

function triedOf({ attempts }: Sign): string[] {
  if (attempts === null || attempts <= 0) return [];
  return [attempts === 1 ? "restarted it once" : `restarted it ${attempts} times`];
}
