/** Why an action has nothing to do as things stand: known before it is tried, and said in its decision. @module */
import type { PatternRecord } from "../../lib/schema/pattern.js";
import { BreakerStore } from "../../lib/store/breakers.js";
import { heldBy, readHolds } from "../../lib/store/holds.js";
import type { Layout } from "../../lib/store/layout.js";

/** Null if the pattern's task can be held. */
export function whyNoQuarantine(layout: Layout, pattern: PatternRecord | null, nowMs: number): string | null {
  const [task, ...more] = pattern?.tasks ?? [];
  if (task === undefined || more.length > 0) return "no single task is known";
  const ofTask = readHolds(layout, nowMs).filter((hold) => hold.scope === "target" || hold.scope === "named");
  const hold = heldBy(ofTask, "restart", { task_id: task }, nowMs);
  return hold === null ? null : `the task is held already, by the hold "${hold.name}"`;
}

/** Half-open lets one restart through; where nothing is closed there is nothing to let through. */
export function whyNotOpen(layout: Layout, workerType: string, nowMs: number): string | null {
  const reading = new BreakerStore(layout).read(workerType, nowMs);
  const state = reading.kind === "ok" ? reading.value.state : "closed";
  return state === "open" ? null : `the circuit breaker is ${state}, not open`;
}
