/** `heald resume`: end the hold on everything. @module */
import { NotFound } from "../../lib/errors.js";
import type { Call, CommandDefinition } from "../command.js";
import { removeHold } from "../holding.js";
import { openForWriting } from "../home.js";
import { print } from "../screen.js";

export const command: CommandDefinition = {
  summary: "end the hold on everything",
  description:
    "Holds on single workers, types or targets stay: heald hold ls. Daemons observe for one time-out before they act.",
  examples: ["heald resume"],
  run: resume,
};

function resume(call: Call): undefined {
  try {
    removeHold(openForWriting(call), "all");
    print("Resumed: the hold on everything is ended.");
  } catch (error) {
    if (!(error instanceof NotFound)) throw error;
    print("Nothing to resume: there is no hold on everything.");
  }
}
