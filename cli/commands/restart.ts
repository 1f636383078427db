/** `heald restart`: end workers and start them again. @module */
import { confirmMany } from "../ask.js";
import { type Call, type CommandDefinition, JSON_OPTION, YES_OPTION } from "../command.js";
import { openForWriting } from "../home.js";
import { flagOption, textOption } from "../options.js";
import { fileRequest, HOLD_GATES } from "../requests.js";
import { daemonState } from "../running.js";
import { note, print, printJson } from "../screen.js";
import { CHOICE_OPTIONS, chooseWorkers } from "../subjects.js";
import { refuseUnwatched, untouchableRemark } from "../unwatched.js";

export const command: CommandDefinition = {
  summary: "end workers and start them again",
  description:
    "Files a request with force for each; worker-restart paces them. It spends no retry. One that waits already is no more for a later time, and keeps what else it says.",
  arguments: "[id...]",
  options: [
    ...CHOICE_OPTIONS,
    { flags: "--override-hold", description: "pass the holds, also that of a quarantined task; logged" },
    { flags: "--why <text>", description: "kept in the requests" },
    YES_OPTION,
    JSON_OPTION,
  ],
  examples: ["heald restart worker-scan-1", "heald restart --type scan-worker --yes --why 'new release'"],
  run: restart,
};

async function restart(call: Call): Promise<undefined> {
  const layout = openForWriting(call, ({ queueDir }) => [queueDir]);
  const workers = chooseWorkers(layout, call);
  for (const { workerId } of workers) refuseUnwatched(layout, workerId, "restart");
  await confirmMany(workers.length, "restart", flagOption(call.options, "yes"));
  const override = flagOption(call.options, "overrideHold") ? HOLD_GATES : [];
  const order = { reason: "requested", force: true, override, why: textOption(call.options, "why") } as const;
  const results = workers.map((worker) => ({
    worker_id: worker.workerId,
    filed: fileRequest(layout, worker, order, Date.now()),
  }));
  if (flagOption(call.options, "json")) printJson(results);
  else for (const { workerId, spec } of workers) print(`${workerId}  restart requested${untouchableRemark(spec)}`);
  if (results.length === 0) print("No active workers.");
  if (!daemonState(layout, "worker-restart").running)
    note("worker-restart does not run: the requests wait in the queue until heald daemons start");
}
