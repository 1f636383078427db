/** worker-restart: its sources, wired to its core. @module */
import { LauncherHost, type LauncherStarter, type StartDescription } from "../../lib/platform/launcher-host.js";
import { frequentWords } from "../../lib/platform/launching.js";
import { StandbyLaunchers } from "../../lib/platform/standby.js";
import { type DaemonDefinition, type Source, startDaemon } from "../../lib/runtime/daemon.js";
import type { Flags } from "../../lib/runtime/flags.js";
import { SpecStore } from "../../lib/store/specs.js";
import { foreseeAttempt } from "../../lib/targets/process.js";
import { restartCore } from "./decide.js";
import { equip } from "./equipment.js";
import { figuresOf } from "./figures.js";
import type { Effect, Event } from "./messages.js";
import { restartPolicy } from "./policy.js";
import type { Context } from "./queue-source.js";
import { Rehearsal } from "./rehearsal.js";
import type { RestartSettings } from "./settings.js";
import type { Slice, TypePart } from "./state.js";
import { SteeringSource } from "./steering-source.js";
import { warmUpOf } from "./warm-up.js";

/** Of so many workers the next start is looked at beforehand. */
const FORESEEN_MAX = 32;

type Definition = DaemonDefinition<Slice, Event, Effect, RestartSettings, Parameters<typeof restartPolicy.complete>[0]>;

const definition: Definition = {
  name: "worker-restart",
  policy: restartPolicy,
  core: restartCore,
  open: (context) => {
    const onTrouble = (sentence: string): void => context.log.warn({}, sentence);
    const host = new LauncherHost({ folder: context.layout.startsDir, onTrouble });
    const { home, coordination } = context.layout.home;
    const count = (): number => context.policy().settings.standby_launchers;
    const standby = new StandbyLaunchers({
      folder: context.layout.standbyDir,
      exits: context.layout.exitsDir,
      words: frequentWords(home, coordination),
      count,
      host,
      onTrouble,
    });
    const starter: LauncherStarter = { start: (start) => standby.start(start) || host.start(start) };
    const { goingDown, breakers, queue, mailbox, perform } = equip(context, starter);
    return {
      perform,
      // The breakers before the queue: a request must meet them as the history has made them.
      sources: [
        goingDown,
        launcherSource(context, host, standby),
        breakers,
        new SteeringSource(context, queue),
        queue,
        new Rehearsal(context, queue.reader),
        warmUpOf(context, standby),
      ],
      figures: () => figuresOf(context, mailbox),
      policyChanged: () => {
        for (const [type] of [...context.partsWith<TypePart>("type:")])
          context.offer({ kind: "breaker-due", worker_type: type });
        queue.lookAtWaiting();
        standby.refill();
      },
    };
  },
};

/** Those that start launchers live as long as the daemon, and are there before the first request. */
function launcherSource(context: Context, host: LauncherHost, standby: StandbyLaunchers): Source {
  return {
    name: "launchers",
    start: () => {
      host.open();
      try {
        for (const start of foreseen(context)) standby.learn(start);
      } catch (error) {
        // Starts are a little slower without; what is wrong is said by whoever needs the files.
        context.log.warn({ error: String(error) }, "What the next starts have in common is not known beforehand");
      }
      standby.open();
    },
    stop: () => {
      standby.close();
      host.close();
    },
  };
}

/** The next starts of some of the workers that are there, so that the first launchers know what they have in common. */
function* foreseen({ layout }: Context): Generator<StartDescription> {
  const specs = new SpecStore(layout);
  const ids = specs.listActive();
  const step = Math.max(1, Math.ceil(ids.length / FORESEEN_MAX));
  for (let nth = 0; nth < ids.length; nth += step) {
    const reading = specs.readActive(ids[nth] as string, Date.now());
    const start = reading.kind === "ok" ? foreseeAttempt(layout, reading.value) : null;
    if (start !== null) yield start;
  }
}

/** Runs until it is told to stop. Returns the exit code. */
export function run(flags: Flags): Promise<number> {
  return startDaemon(definition, flags);
}
