/**
 * Keeps the place up to which the logs that can lead to a fix have been read. Matches and applies no fix yet.
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
import type { AutoFixSettings } from "./policy.js";

export type Event = LinesRead;
export type Effect = ReportEffect | ReadOn;
export interface Slice {
  readonly log: FollowedLog | null;
}

/** Applies one event. Same inputs, same decision. */
export function decide(slice: Slice, event: Stamped<Event>): Decided<Slice, Effect> {
  const { log, effects } = takeOver(slice.log, event, "auto-fix");
  return { slice: { log }, effects };
}

export const autoFixCore: Core<Slice, Event, Effect, Policy<AutoFixSettings>> = {
  name: "auto-fix",
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
