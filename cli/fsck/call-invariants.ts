/** Invariants of calls: what other daemons find and do not mend is told to a person, and followed to its end. @module */
import { KEPT_MS } from "../../daemons/auto-fix/calling.js";
import type { CallPart, CallsPart } from "../../daemons/auto-fix/state.js";
import { callKey } from "../../daemons/auto-fix/state.js";
import type { Facts } from "./facts.js";
import type { Invariant } from "./finding.js";

export const CALL_INVARIANTS: readonly Invariant[] = [
  {
    name: "people-are-called",
    sentence: "While auto-fix runs, everything that needs a person was told to one, or is over.",
    severity: "wrong",
    repair: "",
    check: (facts) => {
      const calls = callsOf(facts);
      if (calls === null || !facts.running.has("auto-fix")) return [];
      const startedAtMs = facts.startedAtMs.get("auto-fix") ?? facts.nowMs;
      return [...facts.stories.untold.values()]
        .filter(({ atMs }) => atMs >= calls.since_ms && facts.nowMs - Math.max(atMs, startedAtMs) > facts.outcomeMs)
        .map(({ subject, eventType, incidentId }) => ({
          about: subject,
          message: `${eventType} (incident ${incidentId ?? "none"}) needs a person, and none was called`,
        }));
    },
  },
  {
    name: "calls-are-followed",
    sentence: "Whatever a person was called for is over, or auto-fix waits for its end.",
    severity: "wrong",
    repair: "",
    check: (facts) => {
      const calls = callsOf(facts);
      if (calls === null) return [];
      return [...facts.stories.told.values()]
        .filter(({ atMs }) => atMs >= calls.since_ms && facts.nowMs - atMs < KEPT_MS)
        .filter(({ subject, incidentId }) => callOf(facts, subject)?.incident_id !== incidentId)
        .filter(({ subject }) => !isInHand(facts, subject))
        .map(({ subject, incidentId }) => ({
          about: subject,
          message: `a person was called for it (incident ${incidentId ?? "none"}), and its end would be told to nobody`,
        }));
    },
  },
];

function callsOf(facts: Facts): CallsPart | null {
  return (facts.states.get("auto-fix")?.parts?.get("calls") as CallsPart | undefined) ?? null;
}

function callOf(facts: Facts, subject: string): CallPart | null {
  return (facts.states.get("auto-fix")?.parts?.get(callKey(subject)) as CallPart | undefined) ?? null;
}

/** A kill came between the decision and its line, which is written at the next start. */
function isInHand(facts: Facts, subject: string): boolean {
  const about = `"about":${JSON.stringify(subject)}`;
  const pending = facts.states.get("auto-fix")?.pending ?? [];
  return pending.some(({ effects }) => JSON.stringify(effects).includes(about));
}
