/** `heald hold`: leave something alone for a while. @module */
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import {
  addHold,
  allHolds,
  HOLD_HEADINGS,
  holdJson,
  holdRows,
  holdSubject,
  readActs,
  removeHold,
  unmetName,
} from "../holding.js";
import { openForWriting, readHome } from "../home.js";
import { flagOption, secondsOption, textOption } from "../options.js";
import { note, print, printJson, printTable } from "../screen.js";
import { span } from "../times.js";

const HOUR_SECONDS = 3600;

export const command: CommandDefinition = {
  summary: "leave something alone for a while",
  description:
    "A hold is a file in coordination/holds/; it ends by itself. Workers under a hold are watched, but nothing is done to them.",
  examples: ["heald hold add worker-scan-1 --for 30m --why debugging", "heald hold ls", "heald hold rm worker-scan-1"],
  verbs: {
    add: {
      summary: "hold a worker, a type, a target, or all",
      arguments: "<subject>",
      description:
        "Subject: <worker id>, type:<type>, target:<name> or all. It may be one that does not exist yet; that is said then.",
      options: [
        { flags: "--for <duration>", description: "how long, at most 7d (default: 1h)" },
        { flags: "--acts <list>", description: "what is forbidden: kill,restart,fix (default: all three)" },
        { flags: "--why <text>", description: "shown to whoever looks" },
        JSON_OPTION,
      ],
      examples: [
        "heald hold add type:scan-worker --for 2h --acts restart",
        "heald hold add worker-scan-1 --why debugging",
      ],
      run: add,
    },
    rm: {
      summary: "end a hold",
      arguments: "<name>",
      examples: ["heald hold rm worker-scan-1", "heald hold rm type:scan-worker"],
      run: remove,
    },
    ls: {
      summary: "list the holds",
      options: [JSON_OPTION],
      examples: ["heald hold ls", "heald hold ls --json | jq .[].name"],
      run: list,
    },
  },
};

function add(call: Call): undefined {
  const subject = holdSubject(call.args[0] as string);
  const seconds = secondsOption(call.options, "for", "--for") ?? HOUR_SECONDS;
  const order = { seconds, acts: readActs(textOption(call.options, "acts")), why: textOption(call.options, "why") };
  const layout = openForWriting(call, ({ holdsDir }) => [holdsDir]);
  const record = addHold(layout, subject, order, Date.now());
  if (flagOption(call.options, "json")) printJson({ file: subject.file, ...record });
  else print(`${subject.file}  no ${order.acts.join(", no ")} for ${span(seconds * 1000)}`);
  const unmet = unmetName(layout, subject, Date.now());
  if (unmet !== null) note(unmet);
}

function remove(call: Call): undefined {
  print(`${removeHold(openForWriting(call), call.args[0] as string)}  ended`);
}

function list(call: Call): undefined {
  const nowMs = Date.now();
  const holds = allHolds(readHome(call), nowMs);
  if (flagOption(call.options, "json")) printJson(holds.map(holdJson));
  else if (holds.length === 0) print("No holds.");
  else printTable(HOLD_HEADINGS, holdRows(holds, nowMs));
}
