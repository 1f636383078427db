/** Writes what a person wants of workers; `stop` and `drain` are this with different words. @module */
import { utc } from "../lib/platform/clock.js";
import type { DesiredState } from "../lib/schema/records.js";
import { writeDesired } from "../lib/store/desired.js";
import { confirmMany } from "./ask.js";
import { type Call, type CommandDefinition, JSON_OPTION, YES_OPTION } from "./command.js";
import { openForWriting } from "./home.js";
import { flagOption, textOption } from "./options.js";
import { person } from "./person.js";
import { daemonState } from "./running.js";
import { note, print, printJson } from "./screen.js";
import { CHOICE_OPTIONS, chooseWorkers } from "./subjects.js";

export const WISH_OPTIONS = [
  ...CHOICE_OPTIONS,
  { flags: "--why <text>", description: "kept with the desired state" },
  YES_OPTION,
  JSON_OPTION,
];

/** Makes the action of a command that wants workers in a state. */
export function wish(state: DesiredState, deed: string, done: string): NonNullable<CommandDefinition["run"]> {
  return async (call: Call): Promise<undefined> => {
    const layout = openForWriting(call);
    const workers = chooseWorkers(layout, call);
    await confirmMany(workers.length, deed, flagOption(call.options, "yes"));
    const why = textOption(call.options, "why");
    const desired = { state, by: person(), ...(why === undefined ? {} : { why }), at: utc(Date.now()) };
    for (const { workerId } of workers) writeDesired(layout, workerId, desired);
    if (flagOption(call.options, "json"))
      printJson(workers.map(({ workerId }) => ({ worker_id: workerId, ...desired })));
    else
      for (const { workerId, isActive } of workers)
        print(`${workerId}  ${isActive ? done : `${done} (it is not active)`}`);
    if (workers.length === 0) print("No active workers.");
    if (!daemonState(layout, "heartbeat-monitor").running)
      note("heartbeat-monitor does not run: nothing happens until heald daemons start");
  };
}
