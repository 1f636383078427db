/** The ladder of a component: which policies were tried since its conditions began to hold, and the person at its end. @module */
import type { Of, Step } from "./messages.js";
import type { AutoFixSettings } from "./policy.js";
import type { Slice } from "./state.js";
import { Telling } from "./telling.js";

/** The last rung. No policy can have this name: it has a mark that names may not have. */
export const PERSON = "(person)";

/** Names a trouble in the state; neither name can hold the mark between them. */
export const troubleOf = (policy: string, component: string): string => `${policy}@${component}`;

const incidentOf = (component: string): string => `ladder-${component}`;

/** Its conditions are over: the ladder begins at its foot the next time. */
export function onLadderCleared(slice: Slice, event: Of<"ladder-cleared">): Step {
  const { component } = event;
  const { ladders } = slice.healer;
  if (!Object.hasOwn(ladders, component)) return { slice, effects: [] };
  const { [component]: tried = [], ...others } = ladders;
  const healed = { ...slice, healer: { ...slice.healer, ladders: others } };
  if (!tried.includes(PERSON)) return { slice: healed, effects: [] };
  const resolved = new Telling(event.stamp).event("escalation_resolved", component, incidentOf(component), {
    message: `The conditions of ${component} do not hold any more`,
    reason: "cleared",
    data: { component },
  });
  return { slice: healed, effects: [resolved] };
}

/** Everything was tried and it is as bad as before. Said once. */
export function onLadderEnded(slice: Slice, event: Of<"ladder-ended">): Step {
  const { component, seen } = event;
  const title = `${component}: every policy was tried`;
  return callPerson(slice, event, { title, message: `No policy that is known has helped ${component}: ${seen}` });
}

/** A policy may name the time after which a person is called, whatever its ladder has come to. */
export function onTroubleSeen(slice: Slice, event: Of<"trouble-seen">, settings: AutoFixSettings): Step {
  const { component, policy, seen, person_after_seconds, stamp } = event;
  if (!settings.enabled) return { slice, effects: [] };
  const { healer } = slice;
  const { troubles = {} } = healer;
  const key = troubleOf(policy, component);
  const sinceMs = Object.hasOwn(troubles, key) ? troubles[key] : undefined;
  if (sinceMs === undefined)
    return { slice: { ...slice, healer: { ...healer, troubles: { ...troubles, [key]: stamp.atMs } } }, effects: [] };
  if (stamp.atMs < sinceMs + person_after_seconds * 1000) return { slice, effects: [] };
  const title = `${component}: ${policy} is not over`;
  const message = `${policy} of ${component} is not over after ${person_after_seconds} s: ${seen}`;
  return callPerson(slice, event, { title, message });
}

export function onTroubleOver(slice: Slice, event: Of<"trouble-over">): Step {
  const { [troubleOf(event.policy, event.component)]: _over, ...troubles } = slice.healer.troubles ?? {};
  return { slice: { ...slice, healer: { ...slice.healer, troubles } }, effects: [] };
}

/** Once for a ladder, whichever of the two reasons comes first. */
function callPerson(
  slice: Slice,
  event: Of<"ladder-ended" | "trouble-seen">,
  words: { readonly title: string; readonly message: string },
): Step {
  const { component, seen } = event;
  const { ladders } = slice.healer;
  const tried = Object.hasOwn(ladders, component) ? (ladders[component] ?? []) : [];
  if (tried.includes(PERSON)) return { slice, effects: [] };
  const { title, message } = words;
  const called = new Telling(event.stamp).event("escalation_opened", component, incidentOf(component), {
    message,
    reason: "person_needed",
    data: { title, component, seen, tried, suggested: "look yourself", command: "heald fix ls" },
  });
  return {
    slice: { ...slice, healer: { ...slice.healer, ladders: { ...ladders, [component]: [...tried, PERSON] } } },
    effects: [called],
    decision: { subject: component, verdict: "escalate", reason: "ladder", message: message.slice(0, 160), gates: [] },
  };
}
