/** worker-restart: its sources, wired to its core. @module */
import { LauncherHost } from "../../lib/platform/launcher-host.js";
import { type DaemonDefinition, type Source, startDaemon } from "../../lib/runtime/daemon.js";
import type { Flags } from "../../lib/runtime/flags.js";
import { BreakerStore } from "../../lib/store/breakers.js";
import { Mailbox } from "../../lib/store/mailbox.js";
import { BreakerSource } from "./breaker-source.js";
import { restartCore } from "./decide.js";
import { figuresOf } from "./figures.js";
import type { Effect, Event } from "./messages.js";
import { Performer } from "./perform.js";
import { restartPolicy } from "./policy.js";
import { QueueSource } from "./queue-source.js";
import type { RestartSettings } from "./settings.js";
import type { Slice, TypePart } from "./state.js";
import { SteeringSource } from "./steering-source.js";

type Definition = DaemonDefinition<Slice, Event, Effect, RestartSettings, Parameters<typeof restartPolicy.complete>[0]>;

const definition: Definition = {
  name: "worker-restart",
  policy: restartPolicy,
  core: restartCore,
  open: (context) => {
    const { claimedDir, doneDir, failedRequestsDir, rejectedDir, queueDir } = context.layout;
    const folders = { claimed: claimedDir, done: doneDir, failed: failedRequestsDir, rejected: rejectedDir };
    const mailbox = new Mailbox(queueDir, folders);
    const store = new BreakerStore(context.layout);
    const queue = new QueueSource(context, mailbox);
    const breakers = new BreakerSource(context, store);
    const host = new LauncherHost((sentence) => context.log.warn({}, sentence));
    return {
      perform: new Performer(context, mailbox, queue, store, breakers, host).perform,
      // The breakers first: a request must meet them as the history has made them.
      sources: [hostSource(host), breakers, new SteeringSource(context, queue), queue],
      figures: () => figuresOf(context, mailbox),
      policyChanged: () => {
        for (const [type] of [...context.partsWith<TypePart>("type:")])
          context.offer({ kind: "breaker-due", worker_type: type });
        queue.lookAtWaiting();
      },
    };
  },
};

/** The host lives as long as the daemon, and is there before the first request. */
function hostSource(host: LauncherHost): Source {
  return { name: "launcher host", start: () => host.open(), stop: () => host.close() };
}

/** Runs until it is told to stop. Returns the exit code. */
export function run(flags: Flags): Promise<number> {
  return startDaemon(definition, flags);
}
