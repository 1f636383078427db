/** A line of the restart history as the event that a breaker hears. @module */
import { isId, readInstant } from "../../lib/schema/primitives.js";
import type { RestartHistory } from "../../lib/schema/records.js";
import type { Event } from "./messages.js";
import type { ReadTo } from "./state.js";

/** A line may be from so far in the future: clocks of those who write it by hand differ. */
const FUTURE_MS_MAX = 300_000;

/**
 * Whether a line says of itself that it is not true yet: it does not count.
 *
 * What worker-restart has written was true when it was written: it is from the future where the clock was set back since.
 */
export function isOfFuture(line: RestartHistory, atMs: number, nowMs: number): boolean {
  return line.history_id === undefined && atMs > nowMs + FUTURE_MS_MAX;
}

/** @param nowMs Stands for an instant that the line does not have. */
export function historyEvent(line: RestartHistory, readTo: ReadTo, nowMs: number): Extract<Event, { kind: "history" }> {
  const who = isId(line.worker_id)
    ? { worker_id: line.worker_id, ...(line.attempt == null ? {} : { attempt: line.attempt }) }
    : {};
  const result = line.result === "failure" && line.reason === "relapsed" ? "relapsed" : line.result;
  const atMs = line.at_ms ?? readInstant(line.timestamp) ?? nowMs;
  return { kind: "history", worker_type: line.worker_type, outcome: { result, atMs, ...who }, read_to: readTo };
}
