/** `heald pause`: hold everything. @module */
import { NoRoom } from "../../lib/errors.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { addHold, holdAllWithoutWords, holdJson, holdSubject, readActs } from "../holding.js";
import { openForWriting } from "../home.js";
import { flagOption, secondsOption, textOption } from "../options.js";
import { note, print, printJson } from "../screen.js";
import { span } from "../times.js";

const HOUR_SECONDS = 3600;

export const command: CommandDefinition = {
  summary: "hold everything",
  description:
    "Nothing is killed, restarted or fixed until the time is over or you run heald resume. Watching goes on.",
  options: [
    { flags: "--for <duration>", description: "how long, at most 7d (default: 1h)" },
    { flags: "--why <text>", description: "shown to whoever looks" },
    JSON_OPTION,
  ],
  examples: ["heald pause --for 2h --why 'network maintenance'"],
  run: pause,
};

function pause(call: Call): undefined {
  const seconds = secondsOption(call.options, "for", "--for") ?? HOUR_SECONDS;
  const order = { seconds, acts: readActs(undefined), why: textOption(call.options, "why") };
  const layout = openForWriting(call, ({ holdsDir }) => [holdsDir]);
  const isJson = flagOption(call.options, "json");
  try {
    const record = addHold(layout, holdSubject("all"), order, Date.now());
    if (isJson) printJson({ file: "all", ...record });
    else print(`Everything is held for ${span(seconds * 1000)}; heald resume ends it.`);
  } catch (error) {
    if (!(error instanceof NoRoom)) throw error;
    const hold = holdAllWithoutWords(layout, error, Date.now());
    if (isJson) printJson({ file: "all", ...holdJson(hold) });
    else print("Everything is held for an hour; heald resume ends it.");
    note(`${error.message}; an empty file there, which says neither who nor why, holds everything for an hour`);
  }
}
