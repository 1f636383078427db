/** What worker-restart works with: what reads its folders, and what performs. @module */
import type { LauncherStarter } from "../../lib/platform/launcher-host.js";
import type { DeathNotes } from "../../lib/platform/rush.js";
import type { Perform } from "../../lib/runtime/core.js";
import { HostSource } from "../../lib/runtime/host-source.js";
import { BreakerStore } from "../../lib/store/breakers.js";
import { Mailbox } from "../../lib/store/mailbox.js";
import { BreakerSource } from "./breaker-source.js";
import type { Effect, Event } from "./messages.js";
import { Performer } from "./perform.js";
import { type Context, QueueSource } from "./queue-source.js";

export interface Equipment {
  readonly mailbox: Mailbox;
  readonly goingDown: HostSource;
  readonly breakers: BreakerSource;
  readonly queue: QueueSource;
  readonly perform: Perform<Event, Effect>;
}

/** @param deaths Told of each death; otherwise it is its own matter what a rush of them changes. */
export function equip(context: Context, starter: LauncherStarter, deaths?: DeathNotes): Equipment {
  const { claimedDir, doneDir, failedRequestsDir, rejectedDir, queueDir } = context.layout;
  const folders = { claimed: claimedDir, done: doneDir, failed: failedRequestsDir, rejected: rejectedDir };
  const mailbox = new Mailbox(queueDir, folders);
  const store = new BreakerStore(context.layout);
  const goingDown = new HostSource(() => queue.lookAtWaiting());
  const queue = new QueueSource(context, mailbox, () => goingDown.state, deaths);
  const breakers = new BreakerSource(context, store);
  const { perform } = new Performer(context, mailbox, queue, store, breakers, starter);
  return { mailbox, goingDown, breakers, queue, perform };
}
