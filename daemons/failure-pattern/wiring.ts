/** The failure-pattern daemon: its sources, wired to its core. @module */
import { limitHeapGrowth } from "../../lib/platform/heap.js";
import { type DaemonDefinition, startDaemon } from "../../lib/runtime/daemon.js";
import type { Flags } from "../../lib/runtime/flags.js";
import { LogFollower } from "../../lib/runtime/following.js";
import type { EventLog } from "../../lib/schema/catalogue.js";
import { DailyReport } from "./daily-report.js";
import { failurePatternCore } from "./decide.js";
import { Gatherer } from "./gatherer.js";
import { Library } from "./library.js";
import { Likeness } from "./likeness.js";
import type { Effect, Event } from "./messages.js";
import { performer } from "./perform.js";
import { type FailurePatternSettings, failurePatternPolicy } from "./policy.js";
import { Rules } from "./rules.js";
import { sightingOf } from "./sightings.js";
import type { KindsPart, Slice } from "./state.js";
import { ZombieSource } from "./zombie-source.js";

/** Everything but its own log: what it writes there teaches it nothing. */
const LOGS: readonly EventLog[] = ["heartbeat", "zombie-cleanup", "worker-restart", "auto-fix", "daemon"];

/** A storm makes much that is thrown away at once; collecting it takes a hundredth of a core. */
const HEAP_GROWTH_PERCENT = 60;

type Definition = DaemonDefinition<
  Slice,
  Event,
  Effect,
  FailurePatternSettings,
  Parameters<typeof failurePatternPolicy.complete>[0]
>;

const definition: Definition = {
  name: "failure-pattern",
  policy: failurePatternPolicy,
  retention: (settings) => ({ logDays: settings.storage.event_retention_days }),
  core: failurePatternCore,
  open: (context) => {
    limitHeapGrowth(HEAP_GROWTH_PERCENT);
    const follower = new LogFollower(context, LOGS, sightingOf);
    const likeness = new Likeness(() => library.patterns());
    const gatherer = new Gatherer(context, new Rules(context.layout, context.log), likeness);
    const isCaughtUp = (): boolean => gatherer.isIdle && follower.figures().lag_bytes === 0;
    const library = new Library(context, isCaughtUp);
    const report = new DailyReport(context, library, () => follower.figures().lag_bytes);
    return {
      perform: performer(context, follower, gatherer, library, likeness),
      sources: [follower, library, new ZombieSource(context, gatherer, isCaughtUp), report],
      figures: () => ({
        ...follower.figures(),
        failures_learned: context.part<KindsPart>("kinds")?.failures ?? 0,
        failures_known_before: context.part<KindsPart>("kinds")?.ignored ?? 0,
        patterns: library.patterns().length,
        patterns_active: library.patterns().filter((each) => each.status === "active").length,
      }),
      reopen: () => library.reopen(),
      policyChanged: () => {
        report.policyChanged();
        library.policyChanged();
      },
    };
  },
};

/** Runs until it is told to stop. Returns the exit code. */
export function run(flags: Flags): Promise<number> {
  return startDaemon(definition, flags);
}
