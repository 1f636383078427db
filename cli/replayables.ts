/** Each daemon's core and policy, for commands that compute decisions again; loaded when they are wanted. @module */
import type { Replayable } from "../lib/runtime/replay.js";
import type { DaemonName } from "../lib/schema/records.js";

/** Whatever a daemon's own types are: what goes in comes from its records. */
export type AnyReplayable = Replayable<unknown, unknown>;

type Loader = () => Promise<AnyReplayable>;

const LOADERS: Readonly<Record<DaemonName, Loader>> = {
  "heartbeat-monitor": async () => {
    const [{ core }, { heartbeatPolicy }] = await Promise.all([
      import("../daemons/heartbeat-monitor/decide.js"),
      import("../daemons/heartbeat-monitor/policy.js"),
    ]);
    return { core, policy: heartbeatPolicy } as never;
  },
  "worker-restart": async () => {
    const [{ restartCore }, { restartPolicy }] = await Promise.all([
      import("../daemons/worker-restart/decide.js"),
      import("../daemons/worker-restart/policy.js"),
    ]);
    return { core: restartCore, policy: restartPolicy } as never;
  },
  "failure-pattern": async () => {
    const [{ failurePatternCore }, { failurePatternPolicy }] = await Promise.all([
      import("../daemons/failure-pattern/decide.js"),
      import("../daemons/failure-pattern/policy.js"),
    ]);
    return { core: failurePatternCore, policy: failurePatternPolicy } as never;
  },
  "auto-fix": async () => {
    const [{ autoFixCore }, { autoFixPolicy }] = await Promise.all([
      import("../daemons/auto-fix/decide.js"),
      import("../daemons/auto-fix/policy.js"),
    ]);
    return { core: autoFixCore, policy: autoFixPolicy } as never;
  },
};

export function loadReplayable(daemon: DaemonName): Promise<AnyReplayable> {
  return LOADERS[daemon]();
}
