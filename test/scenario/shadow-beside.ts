/** A shadow policy beside a simulated daemon. @module */
import type { Answer, Core } from "../../lib/runtime/core.js";
import { Shadow } from "../../lib/runtime/shadow.js";
import type { DecisionRecord } from "../../lib/schema/events.js";
import { recordOf, type Simulation } from "./simulation.js";

export interface Beside {
  readonly recorded: readonly DecisionRecord[];
  readonly failures: readonly unknown[];
}

/** Runs a policy as a shadow from now on; what it would have decided is collected. */
export function runBeside<
  Slice extends object,
  Event extends { readonly kind: string },
  Effect extends { readonly kind: string },
  Policy,
>(
  simulation: Simulation<Slice, Event, Effect, Policy>,
  core: Core<Slice, Event, Effect, Policy>,
  policy: Policy,
  ask: (effect: Effect) => Answer<Event>,
): Beside {
  const recorded: DecisionRecord[] = [];
  const failures: unknown[] = [];
  let ids = 0;
  if (core.shadowing === undefined) throw new Error(`${core.name} has no shadows`);
  const shadow = new Shadow<Slice, Event, Effect, Policy>({
    core,
    shadowing: core.shadowing,
    policy,
    policyHash: "shadow",
    clock: simulation.clock,
    newId: () => `shadow-${String(++ids).padStart(6, "0")}`,
    sliceFor: (event) => simulation.sliceFor(event),
    ask,
    beforeWake: () => {},
    write: (decision, stamp) => {
      recorded.push(recordOf(decision, { ...stamp, id: `${stamp.id}-shadow` }));
    },
    failed: (error) => failures.push(error),
  });
  simulation.onDecided = (slice, event, hasDecision) => shadow.heard(slice, event, hasDecision);
  shadow.greet(simulation.keys());
  return { recorded, failures };
}
