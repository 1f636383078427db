/**
 * Decides what repeated failures are: reads each log once, names each death once, and gives each pattern its life.
 *
 * Reads no clock, no file, no process; ends nothing and starts nothing.
 * @module
 */

import { followedKey, type LinesRead, takeOver } from "../../lib/domain/followed-log.js";
import type { Core, Decided, Stamped } from "../../lib/runtime/core.js";
import type { Policy } from "../../lib/schema/policy.js";
import { onGathered } from "./gathered.js";
import { onPattern } from "./lifecycle.js";
import type { Effect, Event, Sighting } from "./messages.js";
import type { FailurePatternSettings } from "./policy.js";
import { shadowing } from "./shadow.js";
import { patternKey, type SeenPart, type Slice } from "./state.js";
import { reportsOf } from "./unreadable.js";

/** Applies one event. Same inputs, same decision. */
export function decide(
  slice: Slice,
  event: Stamped<Event>,
  policy: Policy<FailurePatternSettings>,
): Decided<Slice, Effect> {
  switch (event.kind) {
    case "lines-read":
      return onLines(slice, event);
    case "zombies-found": {
      const { sightings, through_ms } = event;
      return {
        slice: { zombies: { through_ms: Math.max(through_ms, slice.zombies?.through_ms ?? 0) } },
        effects: sightings.length === 0 ? [] : [{ kind: "gather", sightings }],
      };
    }
    case "gathered":
      return onGathered(slice, event, policy);
    default:
      return onPattern(slice, event, policy);
  }
}

/** Moves the place, and has what was picked looked at before the next lines are read. */
function onLines(slice: Slice, event: Stamped<LinesRead<Sighting>>): Decided<Slice, Effect> {
  const log = takeOver(slice.log ?? null, event);
  const { seen, sightings } = unseen(slice.seen ?? null, event);
  const gather: readonly Effect[] = sightings.length === 0 ? [] : [{ kind: "gather", sightings }];
  return { slice: { log, seen }, effects: [...reportsOf(event), ...gather, { kind: "read-on", log: event.log }] };
}

/** A log that was cut or replaced comes again from its start: what is not newer than the newest event was there before. */
function unseen(
  before: SeenPart | null,
  event: Stamped<LinesRead<Sighting>>,
): { readonly seen: SeenPart | null; readonly sightings: readonly Sighting[] } {
  const newestMs = before?.newest_ms ?? 0;
  const againUntilMs = event.gap === undefined ? (before?.again_until_ms ?? null) : newestMs;
  const picked = event.picked ?? [];
  const sightings = againUntilMs === null ? picked : picked.filter((each) => each.at_ms > againUntilMs);
  const last = Math.max(newestMs, ...picked.map((each) => Math.min(each.at_ms, event.stamp.atMs)));
  const isPast = againUntilMs !== null && last > againUntilMs;
  const seen: SeenPart = { newest_ms: last, again_until_ms: isPast ? null : againUntilMs };
  const isSame = before?.newest_ms === seen.newest_ms && before.again_until_ms === seen.again_until_ms;
  return { seen: isSame || last === 0 ? before : seen, sightings };
}

export const failurePatternCore: Core<Slice, Event, Effect, Policy<FailurePatternSettings>> = {
  name: "failure-pattern",
  address: addressOf,
  blank: () => null,
  decide,
  wake: (key) => ({ kind: "pattern-due", pattern_id: key.slice("pattern:".length) }),
  // No effect can fail but by the weather, which is waited out.
  failed: () => null,
  shadowing,
  coalesced: new Set(),
  transient: new Set(["ask-lag"]),
};

function addressOf(event: Event): { readonly [Part in keyof Slice]: string } {
  switch (event.kind) {
    case "lines-read":
      return { log: followedKey(event.log), seen: `seen:${event.log}` };
    case "zombies-found":
      return { zombies: "zombies" };
    case "gathered":
      return { ledger: "ledger", grouping: "grouping", kinds: "kinds" };
    default:
      return { pattern: patternKey(event.pattern_id) };
  }
}
