/** The ladder of a component: which policies were tried since its conditions began to hold, and the person at its end. @module */
import type { Of, Step } from "./messages.js";
import type { Slice } from "./state.js";
import { Telling } from "./telling.js";

/** The last rung. No policy can have this name: it has a mark that names may not have. */
const PERSON = "(person)";

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
  const { ladders } = slice.healer;
  const tried = Object.hasOwn(ladders, component) ? (ladders[component] ?? []) : [];
  if (tried.includes(PERSON)) return { slice, effects: [] };
  const message = `No policy that is known has helped ${component}: ${seen}`;
  const called = new Telling(event.stamp).event("escalation_opened", component, incidentOf(component), {
    message,
    reason: "person_needed",
    data: {
      title: `${component}: every policy was tried`,
      ...{ component, seen, tried, suggested: "look yourself", command: "heald fix ls" },
    },
  });
  return {
    slice: { ...slice, healer: { ...slice.healer, ladders: { ...ladders, [component]: [...tried, PERSON] } } },
    effects: [called],
    decision: { subject: component, verdict: "escalate", reason: "ladder", message: message.slice(0, 160), gates: [] },
  };
}
