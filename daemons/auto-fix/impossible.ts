/** Why an action cannot be done as things stand: known before it is tried, and said in its decision. @module */
import { type AllowedCommands, whyNotAllowed } from "../../lib/schema/allowed-commands.js";
import type { FixAction } from "../../lib/schema/fix-actions.js";
import type { PatternRecord } from "../../lib/schema/pattern.js";
import type { WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import { BreakerStore } from "../../lib/store/breakers.js";
import { type Hold, heldBy } from "../../lib/store/holds.js";
import type { Layout } from "../../lib/store/layout.js";

export interface Situation {
  readonly layout: Layout;
  readonly allowed: AllowedCommands;
  /** A valid id. */
  readonly scope: string;
  readonly pattern: PatternRecord | null;
  /** Workers of the scope that should be alive. */
  readonly workers: readonly WorkerSpecRecord[];
  readonly holds: readonly Hold[];
  /** The arguments of a command, filled in. */
  readonly args: readonly string[];
  readonly nowMs: number;
}

/** Null if it can be done. */
export function whyImpossible(action: FixAction, seen: Situation): string | null {
  const running = seen.workers.length;
  switch (action.type) {
    case "run-command":
      return whyNotAllowed(seen.allowed, action.command, [...seen.args]);
    case "quarantine":
      return whyNoQuarantine(seen);
    case "clean-state":
      return (seen.pattern?.workers?.length ?? 0) > 0 ? null : "no worker is known";
    case "scale-up":
      return action.max_workers === undefined || running < action.max_workers
        ? null
        : `${running} workers run, at most ${action.max_workers} may`;
    case "scale-down":
      return running > (action.min_workers ?? 0)
        ? null
        : `${running} workers run, at least ${action.min_workers ?? 0} must stay`;
    case "enable-circuit-breaker":
      return action.state === "half-open" ? whyNotOpen(seen) : null;
    default:
      return null;
  }
}

function whyNoQuarantine({ pattern, holds, nowMs }: Situation): string | null {
  const [task, ...more] = pattern?.tasks ?? [];
  if (task === undefined || more.length > 0) return "no single task is known";
  const ofTask = holds.filter((hold) => hold.scope === "target" || hold.scope === "named");
  const hold = heldBy(ofTask, "restart", { task_id: task }, nowMs);
  return hold === null ? null : `the task is held already, by the hold "${hold.name}"`;
}

/** Half-open lets one restart through; where nothing is closed there is nothing to let through. */
function whyNotOpen({ layout, scope, nowMs }: Situation): string | null {
  const reading = new BreakerStore(layout).read(scope, nowMs);
  const state = reading.kind === "ok" ? reading.value.state : "closed";
  return state === "open" ? null : `the circuit breaker is ${state}, not open`;
}
