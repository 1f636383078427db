/** Tells a coordination directory of ours that has no VERSION yet from the `coordination/` of any other project. @module */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../platform/package.js";
import type { Layout } from "./layout.js";

/** What a person, or another system of the same layout, makes before the first daemon of ours has run. */
const SIGNS = [
  "worker-specs",
  "restart/queue",
  "heartbeats",
  "holds",
  "config/heartbeat-policy.json",
  "config/worker-restart-policy.json",
  "config/failure-pattern-policy.json",
  "config/auto-fix-policy.json",
];

/** Why a directory does not count as made. */
export const SIGNS_IN_WORDS =
  "it has no VERSION, worker-specs/, restart/queue/, heartbeats/, holds/ or policy of a daemon";

/**
 * Whether a coordination directory without VERSION was meant for heald.
 *
 * The one in a checkout of heald itself was: the daemons' scripts are there, to be started beside it.
 */
export function isMade({ coordination }: Layout): boolean {
  return (
    coordination === join(packageRoot(), "coordination") || SIGNS.some((path) => existsSync(join(coordination, path)))
  );
}
