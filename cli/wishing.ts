/** Writes what a person wants of workers; `stop` and `drain` are this with different words. @module */
import { utc } from "../lib/platform/clock.js";
import type { DesiredState } from "../lib/schema/records.js";
import type { WorkerSpecRecord } from "../lib/schema/worker-spec.js";
import { writeDesired } from "../lib/store/desired.js";
import { heldBy, readHolds } from "../lib/store/holds.js";
import type { Layout } from "../lib/store/layout.js";
import { confirmMany } from "./ask.js";
import { type Call, type CommandDefinition, JSON_OPTION, YES_OPTION } from "./command.js";
import { openForWriting } from "./home.js";
import { flagOption, textOption } from "./options.js";
import { person } from "./person.js";
import { queuedRequest } from "./queued.js";
import { daemonState } from "./running.js";
import { note, print, printJson } from "./screen.js";
import { CHOICE_WITH_WAITING_OPTIONS, chooseWorkers, type Worker } from "./subjects.js";
import { remedyOf, runsAs, untouchableRemark, unwatchedOf } from "./unwatched.js";

export const WISH_OPTIONS = [
  ...CHOICE_WITH_WAITING_OPTIONS,
  { flags: "--why <text>", description: "kept with the desired state" },
  YES_OPTION,
  JSON_OPTION,
];

/** Makes the action of a command that wants workers in a state. */
export function wish(state: DesiredState, deed: string, done: string): NonNullable<CommandDefinition["run"]> {
  return async (call: Call): Promise<undefined> => {
    const layout = openForWriting(call, ({ desiredDir }) => [desiredDir]);
    const workers = chooseWorkers(layout, call, true);
    await confirmMany(workers.length, deed, flagOption(call.options, "yes"));
    const why = textOption(call.options, "why");
    const desired = { state, by: person(), ...(why === undefined ? {} : { why }), at: utc(Date.now()) };
    for (const { workerId } of workers) writeDesired(layout, workerId, desired);
    if (flagOption(call.options, "json"))
      printJson(workers.map(({ workerId }) => ({ worker_id: workerId, ...desired })));
    else for (const worker of workers) print(`${worker.workerId}  ${done}${remarkOf(layout, worker)}`);
    if (workers.length === 0) print("No active workers, and none that waits for a restart.");
    if (!daemonState(layout, "heartbeat-monitor").running)
      note("heartbeat-monitor does not run: nothing happens until heald daemons start");
  };
}

/** Holds keep the daemons from ending a worker, and no person: who passes one should know of it. */
function passedRemark(layout: Layout, { worker_id, worker_type, task_id }: WorkerSpecRecord): string {
  const nowMs = Date.now();
  const subject = { worker_id, worker_type: worker_type ?? undefined, task_id: task_id ?? undefined };
  const hold = heldBy(readHolds(layout, nowMs), "kill", subject, nowMs);
  return hold === null ? "" : ` (the hold "${hold.name}" on kills is passed)`;
}

/** What keeps the wish from being all that follows. */
function remarkOf(layout: Layout, { workerId, isActive, spec }: Worker): string {
  if (isActive) return untouchableRemark(spec) || passedRemark(layout, spec);
  if (queuedRequest(layout, workerId, Date.now()) !== null) return " (it waits for a restart, which is put off)";
  const unwatched = unwatchedOf(layout, workerId, Date.now());
  if (unwatched === null || unwatched.pids.length === 0) return " (it is not active)";
  return ` (nobody watches it, and it ${runsAs(unwatched)}: ${remedyOf(unwatched, workerId)})`;
}
