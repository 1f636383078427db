/**
 * Keeps the place up to which every event log has been read, and counts what was there. Names no pattern yet.
 *
 * Reads no clock, no file, no process.
 * @module
 */
import type { Core, Decided, Stamped } from "../../lib/runtime/core.js";
import {
  type FollowedLog,
  followedKey,
  type LinesRead,
  type ReadOn,
  takeOver,
} from "../../lib/runtime/followed-log.js";
import type { ReportEffect } from "../../lib/runtime/reporting.js";
import type { Policy } from "../../lib/schema/policy.js";
import type { FailurePatternSettings } from "./policy.js";

export type Event = LinesRead;
export type Effect = ReportEffect | ReadOn;
export interface Slice {
  readonly log: FollowedLog | null;
}

/** Applies one event. Same inputs, same decision. */
export function decide(slice: Slice, event: Stamped<Event>): Decided<Slice, Effect> {
  const { log, effects } = takeOver(slice.log, event, "failure-pattern");
  return { slice: { log }, effects };
}

export const failurePatternCore: Core<Slice, Event, Effect, Policy<FailurePatternSettings>> = {
  name: "failure-pattern",
  address: (event) => ({ log: followedKey(event.log) }),
  blank: () => null,
  decide,
  // It asks for no wake, and neither of its effects can fail but by the weather.
  wake: (key) => {
    throw new Error(`Nothing asked for a wake of ${key}`);
  },
  failed: () => null,
  coalesced: new Set(),
};
