/** A process that does one transaction of the store and is killed in the middle of it, for the sweep over crash windows. @module */
import { unlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { createExclusive } from "../../../lib/platform/files.js";
import type { Home } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";
import { EventLogWriter } from "../../../lib/store/logs.js";
import { Mailbox } from "../../../lib/store/mailbox.js";
import { SpecStore } from "../../../lib/store/specs.js";

const [transaction, folder] = process.argv.slice(2) as [string, string];
const home: Home = {
  home: folder,
  coordination: join(folder, "coordination"),
  logs: join(folder, "agents", "logs"),
  namedBy: "flag",
};
const layout = new Layout(home);
const mailbox = new Mailbox(layout.queueDir, {
  claimed: layout.claimedDir,
  done: layout.doneDir,
  failed: layout.failedRequestsDir,
  rejected: layout.rejectedDir,
});
const specs = new SpecStore(layout);
const NAME = "worker-1-restart.json";

function claim(): string {
  const path = mailbox.claim(NAME);
  if (path === null) throw new Error("nothing to claim");
  return path;
}

const transactions: Record<string, () => void> = {
  file: () => mailbox.file(NAME, { worker_id: "worker-1" }),
  settle: () => mailbox.settle(claim(), "done", { worker_id: "worker-1", verdict: "started" }),
  putBack: () => mailbox.putBack(claim(), NAME, { worker_id: "worker-1", deferred: { gate: "holds" } }),
  reject: () => mailbox.reject(claim(), "it is of no use"),
  merge: () => {
    specs.mergeActive("worker-1", 1, { status: "running", execution: { pid: 5 } });
  },
  bury: () => {
    specs.fileZombie({ worker_id: "worker-1", attempt: 1, status: "zombie" }, 1);
    mailbox.file(NAME, { worker_id: "worker-1" });
    specs.removeActive("worker-1", 1);
  },
  rotate: () => {
    const path = layout.eventLog("heartbeat");
    new EventLogWriter(path, { maxBytes: 1, archiveDir: layout.archiveDir, owner: true }).rotateIfLarge(
      Date.now(),
      "x",
    );
  },
  /** Wrong on purpose: removes before it writes. The sweep must find that. */
  brokenSettle: () => {
    const path = claim();
    unlinkSync(path);
    createExclusive(join(layout.doneDir, basename(path)), "{}");
  },
};

const chosen = transactions[transaction];
if (chosen === undefined) throw new Error(`no transaction ${transaction}`);
chosen();
