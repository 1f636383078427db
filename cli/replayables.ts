/** Each daemon's core and policy, for commands that compute decisions again; loaded when they are wanted. @module */
import type { Core } from "../lib/runtime/core.js";
import type { Replayable } from "../lib/runtime/replay.js";
import type { Policy, PolicyDefinition } from "../lib/schema/policy.js";
import type { DaemonName } from "../lib/schema/records.js";

/** Whatever a daemon's own types are: what goes in comes from its records, and what a person wrote is for its policy alone to take. */
export type AnyReplayable = Replayable<unknown, never>;

type Loader = () => Promise<AnyReplayable>;

const LOADERS: Readonly<Record<DaemonName, Loader>> = {
  "heartbeat-monitor": async () => {
    const [{ core }, { heartbeatPolicy }] = await Promise.all([
      import("../daemons/heartbeat-monitor/decide.js"),
      import("../daemons/heartbeat-monitor/policy.js"),
    ]);
    return untyped(core, heartbeatPolicy);
  },
  "worker-restart": async () => {
    const [{ restartCore }, { restartPolicy }] = await Promise.all([
      import("../daemons/worker-restart/decide.js"),
      import("../daemons/worker-restart/policy.js"),
    ]);
    return untyped(restartCore, restartPolicy);
  },
  "failure-pattern": async () => {
    const [{ failurePatternCore }, { failurePatternPolicy }] = await Promise.all([
      import("../daemons/failure-pattern/decide.js"),
      import("../daemons/failure-pattern/policy.js"),
    ]);
    return untyped(failurePatternCore, failurePatternPolicy);
  },
  "auto-fix": async () => {
    const [{ autoFixCore }, { autoFixPolicy }] = await Promise.all([
      import("../daemons/auto-fix/decide.js"),
      import("../daemons/auto-fix/policy.js"),
    ]);
    return untyped(autoFixCore, autoFixPolicy);
  },
};

/** A core is asked with what its own records hold, and with its own policy: nobody who asks needs its types. */
function untyped<Slice extends object, Event extends { kind: string }, Effect extends { kind: string }, Settings>(
  core: Core<Slice, Event, Effect, Policy<Settings>>,
  policy: PolicyDefinition<Settings, never>,
): AnyReplayable {
  return { core: core as unknown as AnyReplayable["core"], policy };
}

export function loadReplayable(daemon: DaemonName): Promise<AnyReplayable> {
  return LOADERS[daemon]();
}
