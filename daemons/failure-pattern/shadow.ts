/**
 * What a shadow pattern policy sees: every failure that was counted, in patterns of its own, which began as the live ones.
 *
 * @module
 */
import type { Shadowing } from "../../lib/runtime/core.js";
import type { Event } from "./messages.js";
import type { Slice } from "./state.js";

const HEARD: ReadonlySet<Event["kind"]> = new Set<Event["kind"]>([
  ...(["counted", "recovered", "pattern-due", "lag-known", "forget"] as const),
]);

export const shadowing: Shadowing<Slice, Event> = {
  hears: (event) => HEARD.has(event.kind),
  view: (live, own) => ({ slice: { pattern: own.pattern ?? live.pattern ?? null }, decides: true }),
  keeps: ["pattern"],
  questions: new Set(["ask-lag"]),
  wakes: true,
  greet: (key) =>
    key.startsWith("pattern:") ? { kind: "pattern-due", pattern_id: key.slice("pattern:".length) } : null,
};
