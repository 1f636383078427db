/** `heald doctor`: what is wrong, or will be. @module */
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { examine, type Finding } from "../examination.js";
import { findHome } from "../home.js";
import { flagOption } from "../options.js";
import { type Colour, paint, print, printJson } from "../screen.js";

export const command: CommandDefinition = {
  summary: "look for what is wrong with this installation",
  description:
    "Changes nothing. Exits 1 if something is wrong; warnings alone exit 0. To check what the daemons have written, use heald fsck.",
  options: [JSON_OPTION],
  examples: ["heald doctor", "heald doctor --json | jq '.[] | select(.level == \"wrong\")'"],
  run: doctor,
};

const COLOURS: Readonly<Record<Finding["level"], Colour>> = { good: "green", warning: "yellow", wrong: "red" };

async function doctor(call: Call): Promise<number> {
  const findings = await examine(findHome(call));
  if (flagOption(call.options, "json")) printJson(findings);
  else
    for (const { level, about, message } of findings)
      print(`${paint(COLOURS[level], level.padEnd(7))}  ${about}: ${message}`);
  return findings.some(({ level }) => level === "wrong") ? 1 : 0;
}
