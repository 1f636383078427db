/** worker-restart: wires its sources to its core and runs. @module */
import { isProgram } from "../../lib/platform/package.js";
import { type DaemonDefinition, runDaemon } from "../../lib/runtime/daemon.js";
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

export const definition: Definition = {
  name: "worker-restart",
  summary:
    "Brings dead workers back within policy: claims requests, asks the gates, starts attempts, and sees whether it helped.",
  policy: restartPolicy,
  core: restartCore,
  open: (context) => {
    const { claimedDir, doneDir, failedRequestsDir, rejectedDir, queueDir } = context.layout;
    const folders = { claimed: claimedDir, done: doneDir, failed: failedRequestsDir, rejected: rejectedDir };
    const mailbox = new Mailbox(queueDir, folders);
    const store = new BreakerStore(context.layout);
    const queue = new QueueSource(context, mailbox);
    const breakers = new BreakerSource(context, store);
    return {
      perform: new Performer(context, mailbox, queue, store, breakers).perform,
      // The breakers first: a request must meet them as the history has made them.
      sources: [breakers, new SteeringSource(context, queue), queue],
      figures: () => figuresOf(context, mailbox),
      policyChanged: () => {
        for (const [type] of [...context.partsWith<TypePart>("type:")])
          context.offer({ kind: "breaker-due", worker_type: type });
        queue.lookAtWaiting();
      },
    };
  },
};

if (isProgram(import.meta.url)) process.exitCode = await runDaemon(definition, process.argv.slice(2));
