/**
 * The circuit breakers: what the history, a person's hand and the time make of them, and what is said about it.
 *
 * Outcomes reach a breaker only as lines of the history, whoever wrote them, each counted once by its place in the file.
 *
 * @module
 */
import { breakerAt, recordOutcome, resetByHand, setByHand } from "../../lib/domain/breaker.js";
import type { BreakerState } from "../../lib/domain/breaker-state.js";
import { makeEvent, type Stamp } from "../../lib/schema/events.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import type { BreakerRecord } from "../../lib/schema/records.js";
import type { Act, StampedEvent, Step } from "./messages.js";
import type { RestartSettings } from "./settings.js";
import type { ReadTo, Slice, TypePart } from "./state.js";

/** Counts one line of the history. */
export function onHistory(slice: Slice, event: StampedEvent<"history">, settings: RestartSettings): Step {
  const read_to = afterLine(slice.type.read_to, event);
  if (read_to === null) return { slice, effects: [] };
  const breaker = recordOutcome(slice.type.breaker, event.outcome, settings, event.stamp.atMs);
  return changeBreaker(slice, event.worker_type, { ...slice.type, read_to }, breaker, event.stamp, settings);
}

/** Goes past a line of the history, once for all. */
export function onPassedOver(slice: Slice, event: StampedEvent<"history-passed-over">): Step {
  const read_to = afterLine(slice.type.read_to, event);
  if (read_to === null) return { slice, effects: [] };
  return { slice: { ...slice, type: { ...slice.type, read_to } }, effects: [{ kind: "keep-place" }] };
}

/** How far a type was read after a line; null where it was read further before. */
function afterLine(known: ReadTo | null, line: StampedEvent<"history" | "history-passed-over">): ReadTo | null {
  if (known !== null && known.file === line.read_to.file)
    return line.read_to.offset <= known.offset ? null : line.read_to;
  // After a restart the next file is read from its start: what was counted of it must be known still.
  return known !== null && line.is_late === true ? known : line.read_to;
}

/** Obeys a person who wrote or removed a breaker's file. */
export function onHand(slice: Slice, event: StampedEvent<"breaker-by-hand">, settings: RestartSettings): Step {
  const { atMs } = event.stamp;
  const { breaker } = slice.type;
  const next = event.removed
    ? resetByHand(breaker, atMs)
    : setByHand(breaker, event.wanted, atMs, settings, event.next_probe_at_ms);
  const type = { ...slice.type, read_to: laterOf(slice.type.read_to, event.read_to), has_file: true };
  const step = changeBreaker(slice, event.worker_type, type, next, event.stamp, settings);
  const of = `the circuit breaker of ${event.worker_type}`;
  const message = event.removed ? `A person removed the file of ${of}` : `A person set ${of} to ${event.wanted}`;
  const said = makeEvent(
    event.stamp,
    9,
    "worker-restart",
    "person_changed_file",
    { worker_type: event.worker_type },
    {
      message,
      data: { state: step.slice.type.breaker.state },
    },
  );
  return {
    slice: step.slice,
    // Written even if nothing changed: a removed file comes back, and a person's text gets all its fields.
    effects: [{ kind: "report", record: said }, ...ensureWrite(step.effects as readonly Act[], event.worker_type)],
    decision: {
      subject: event.worker_type,
      verdict: step.slice.type.breaker.state,
      reason: "by_hand",
      message: message.slice(0, 160),
      gates: [],
    },
  };
}

/** Moves a breaker to the present. */
export function onDue(slice: Slice, event: StampedEvent<"breaker-due">, settings: RestartSettings): Step {
  return changeBreaker(slice, event.worker_type, slice.type, slice.type.breaker, event.stamp, settings);
}

/**
 * Puts a breaker's new state in force: its file, its event if it opened, half-opened or closed, its next wake, and a
 * look at the requests that wait for it.
 */
export function changeBreaker(
  slice: Slice,
  workerType: string,
  type: TypePart,
  wanted: BreakerState,
  stamp: Stamp,
  settings: RestartSettings,
): Step {
  const before = slice.type.breaker;
  const breaker = breakerAt(wanted, stamp.atMs, settings);
  const shown = JSON.stringify(breakerRecord(workerType, breaker));
  const isNews = shown !== JSON.stringify(breakerRecord(workerType, before));
  if (!isNews && type === slice.type && breaker === before)
    return { slice, effects: [wakeOf(workerType, breaker, stamp)] };
  const hasFile = type.has_file || breaker.state !== "closed" || breaker.failure_count > 0;
  const effects: Act[] = [];
  if (isNews && hasFile) effects.push({ kind: "write-breaker", worker_type: workerType });
  if (breaker.state !== before.state || breaker.opened_at_ms !== before.opened_at_ms)
    effects.push(...newsOf(workerType, before, breaker, stamp));
  effects.push(wakeOf(workerType, breaker, stamp));
  if (breaker.state !== before.state || (breaker.state === "half-open" && breaker.leases.length < before.leases.length))
    effects.push({ kind: "look-waiting", worker_type: workerType });
  return { slice: { ...slice, type: { ...type, breaker, has_file: hasFile } }, effects };
}

function newsOf(workerType: string, before: BreakerState, breaker: BreakerState, stamp: Stamp): Act[] {
  const about = { worker_type: workerType };
  const { failure_count, reason, state } = breaker;
  const data = { state, failure_count, next_probe_at: instantOf(breaker.next_probe_at_ms), by: reason };
  if (state === "open") {
    const cause = reason === "by_hand" ? "was opened by hand" : `opened after ${failure_count} failures`;
    const message = `Circuit breaker of ${workerType} ${cause}; next probe at ${instantOf(breaker.next_probe_at_ms)}`;
    return [report(stamp, 5, "circuit_breaker_tripped", about, { message, reason, data })];
  }
  if (before.state === state) return [];
  if (state === "half-open") {
    const message = `Circuit breaker of ${workerType} lets a probe through`;
    return [report(stamp, 6, "circuit_breaker_half_open", about, { message, reason, data })];
  }
  const message = `Circuit breaker of ${workerType} closed`;
  return [report(stamp, 7, "circuit_breaker_reset", about, { message, reason, data })];
}

function report(
  ...of: readonly [
    Stamp,
    number,
    Parameters<typeof makeEvent>[3],
    { worker_type: string },
    Parameters<typeof makeEvent>[5],
  ]
): Act {
  const [stamp, nth, type, about, content] = of;
  return { kind: "report", record: makeEvent(stamp, nth, "worker-restart", type, about, content) };
}

/** The next instant at which time alone changes it: the end of the open time, or of the first lease. */
function wakeOf(workerType: string, breaker: BreakerState, stamp: Stamp): Act {
  const ends = breaker.state === "open" ? [breaker.next_probe_at_ms] : breaker.leases.map((lease) => lease.until_ms);
  const atMs = Math.min(...ends.filter((end) => end !== null));
  const inMs = Math.max(0, atMs - stamp.atMs);
  return {
    kind: "wake",
    key: `type:${workerType}`,
    atMonoMs: Number.isFinite(atMs) ? Math.ceil(stamp.monoMs + inMs) : null,
  };
}

function ensureWrite(effects: readonly Act[], workerType: string): Act[] {
  if (effects.some((effect) => effect.kind === "write-breaker")) return [...effects];
  return [{ kind: "write-breaker", worker_type: workerType }, ...effects];
}

function laterOf(known: ReadTo | null, end: ReadTo | null): ReadTo | null {
  if (end === null || (known !== null && known.file === end.file && known.offset > end.offset)) return known;
  return end;
}

const instantOf = (atMs: number | null): string | null => (atMs === null ? null : writeInstant(atMs));

/** A breaker as it stands in its file. */
export function breakerRecord(workerType: string, breaker: BreakerState): BreakerRecord {
  return {
    worker_type: workerType,
    state: breaker.state,
    failure_count: breaker.failure_count,
    last_failure: instantOf(breaker.last_failure_ms),
    opened_at: instantOf(breaker.opened_at_ms),
    next_probe_at: instantOf(breaker.next_probe_at_ms),
    last_reset: instantOf(breaker.last_reset_ms),
    manual_reset: breaker.manual_reset,
    test_requests: breaker.leases.length,
    reason: breaker.reason,
  };
}
