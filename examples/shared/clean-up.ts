/** Ends every process that an example started, each by its identity, and nothing else. @module */
import { releaseMemoryLimit } from "../../lib/platform/memory-limit.js";
import { familyOf, identityOf, signalIdentity } from "../../lib/platform/processes.js";
import type { Daemons } from "./daemons.js";
import type { Fleet } from "./fleet.js";
import type { Stage } from "./stage.js";
import { waitFor } from "./waiting.js";

const END_MS = 5000;

export interface CleanedUp {
  /** Processes other than the daemons that were ended. */
  readonly ended: number;
  /** Daemons that did not stop when they were asked to. */
  readonly stubborn: readonly string[];
  /** What could not be ended: pids. */
  readonly left: readonly number[];
}

/** The daemons first, so that nobody starts what is being ended. */
export async function cleanUp(stage: Stage, daemons: Daemons, fleet: Fleet): Promise<CleanedUp> {
  fleet.close();
  const stubborn = await daemons.stop();
  const seen = new Set<number>();
  // Everything below this home carries its name in its environment: workers, their children, their launchers.
  const endAll = (): boolean => {
    const pids = familyOf({ name: "HEALD_HOME", value: stage.home });
    for (const pid of pids) {
      seen.add(pid);
      const identity = identityOf(pid);
      if (identity !== null) signalIdentity(identity, "SIGKILL", "main");
    }
    return pids.length === 0;
  };
  await waitFor(endAll, END_MS);
  for (const { memory_folder } of fleet.everyLaunch()) if (memory_folder) releaseMemoryLimit(memory_folder);
  const left = familyOf({ name: "HEALD_HOME", value: stage.home });
  return { ended: seen.size, stubborn, left };
}
