/** What forbids a drill: it would fail for a reason that is known, or do what somebody has asked not to do. @module */
import { Refused } from "../../lib/errors.js";
import { heldBy, readHolds } from "../../lib/store/holds.js";
import type { Layout } from "../../lib/store/layout.js";
import { readFleet } from "../fleet.js";
import { daemonState } from "../running.js";
import { span } from "../times.js";
import { DRILL_TYPE } from "./practice-worker.js";

/** Without these nothing is healed; the other two only learn from it. */
const NEEDED = ["heartbeat-monitor", "worker-restart"] as const;

/** @throws {Refused} Naming the daemon, the hold, the guard or the breaker, and what to do about it. */
export function refuseForbidden(layout: Layout, nowMs: number): void {
  const why = whyForbidden(layout, nowMs);
  if (why !== null) throw new Refused(`Refused to drill: ${why}`);
}

function whyForbidden(layout: Layout, nowMs: number): string | null {
  for (const name of NEEDED) {
    const { running, stopped } = daemonState(layout, name);
    if (!running) return `${name} does not run; start it with heald daemons start ${name}`;
    if (stopped) return `${name} is stopped by a signal (SIGSTOP); SIGCONT lets it go on`;
  }
  const holds = readHolds(layout, nowMs);
  for (const act of ["kill", "restart"] as const) {
    const hold = heldBy(holds, act, { worker_type: DRILL_TYPE }, nowMs);
    if (hold !== null)
      return `the hold ${JSON.stringify(hold.name)} forbids to ${act} for ${span(hold.expiresAtMs - nowMs)} more; heald hold rm ${hold.name}`;
  }
  const { fleet_held, breakers } = readFleet(layout, nowMs);
  if (fleet_held) return "the heartbeat-monitor holds the fleet, because many workers are silent at once; heald status";
  const breaker = breakers.find(({ worker_type, state }) => worker_type === DRILL_TYPE && state !== "closed");
  if (breaker === undefined) return null;
  return `the circuit breaker of ${DRILL_TYPE} is ${breaker.state}; heald breaker reset ${DRILL_TYPE}`;
}
