#!/usr/bin/env node
/** The failure-pattern daemon: follows every event log. @module */
import { type DaemonDefinition, runDaemon } from "../../lib/runtime/daemon.js";
import { LogFollower } from "../../lib/runtime/following.js";
import type { EventLog } from "../../lib/schema/catalogue.js";
import { type Effect, type Event, failurePatternCore, type Slice } from "./decide.js";
import { performer } from "./perform.js";
import { type FailurePatternSettings, failurePatternPolicy } from "./policy.js";

/** Everything but its own log: what it writes there teaches it nothing. */
const LOGS: readonly EventLog[] = ["heartbeat", "zombie-cleanup", "worker-restart", "auto-fix", "daemon"];

const definition: DaemonDefinition<
  Slice,
  Event,
  Effect,
  FailurePatternSettings,
  Parameters<typeof failurePatternPolicy.complete>[0]
> = {
  name: "failure-pattern",
  summary: "Follows every event log and counts what it reads. This version names no patterns yet.",
  policy: failurePatternPolicy,
  core: failurePatternCore,
  open: (context) => {
    const follower = new LogFollower(context, LOGS);
    return {
      perform: performer(context, follower),
      sources: [follower],
      figures: () => ({ ...follower.figures(), patterns_active: 0 }),
    };
  },
};

process.exitCode = await runDaemon(definition, process.argv.slice(2));
