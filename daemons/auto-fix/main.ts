#!/usr/bin/env node
/** The auto-fix daemon: follows the logs that can lead to a fix. @module */
import { type DaemonDefinition, runDaemon } from "../../lib/runtime/daemon.js";
import { LogFollower } from "../../lib/runtime/following.js";
import type { EventLog } from "../../lib/schema/catalogue.js";
import { autoFixCore, type Effect, type Event, type Slice } from "./decide.js";
import { performer } from "./perform.js";
import { type AutoFixSettings, autoFixPolicy } from "./policy.js";

const LOGS: readonly EventLog[] = ["failure-pattern", "worker-restart", "heartbeat", "zombie-cleanup"];

const definition: DaemonDefinition<
  Slice,
  Event,
  Effect,
  AutoFixSettings,
  Parameters<typeof autoFixPolicy.complete>[0]
> = {
  name: "auto-fix",
  summary: "Follows the logs that can lead to a fix. This version matches and applies no fixes yet.",
  policy: autoFixPolicy,
  metricsName: "auto-fix-daemon",
  core: autoFixCore,
  open: (context) => {
    const follower = new LogFollower(context, LOGS);
    return {
      perform: performer(context, follower),
      sources: [follower],
      figures: () => ({
        ...follower.figures(),
        dry_run: context.policy().settings.dry_run,
        fixes_applied: 0,
        fixes_effective: 0,
        fixes_undone: 0,
        fixes_suppressed: 0,
      }),
    };
  },
};

process.exitCode = await runDaemon(definition, process.argv.slice(2));
