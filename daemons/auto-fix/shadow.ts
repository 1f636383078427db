/**
 * What a shadow fix policy sees: patterns, conditions and runs as they are, with limits that it spends itself.
 *
 * It judges whether a fix would be applied, not how one that was applied is verified. While a live run for the same
 * subject is open it has nothing to say, like the live policy.
 *
 * @module
 */
import type { Shadowing } from "../../lib/runtime/core.js";
import type { Event } from "./messages.js";
import type { Slice } from "./state.js";

export const shadowing: Shadowing<Slice, Event> = {
  // What a person approved was the live policy's proposal.
  hears: (event) => event.kind === "consider" && event.approved_by === null,
  view: (live, own) => ({ slice: view(live, own), decides: true }),
  keeps: ["match", "healer"],
  questions: new Set(),
  wakes: false,
};

function view(live: Slice, own: Partial<Slice>): Slice {
  const { gate, touched_ms, told_given_up } = own.match ?? live.match;
  const { applied, shadow } = own.healer ?? live.healer;
  return {
    ...live,
    match: { ...live.match, gate, touched_ms, told_given_up },
    healer: { ...live.healer, applied, shadow },
  };
}
