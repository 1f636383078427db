/** `heald why`: the story of a worker, an incident, a decision or a fix, in order and in words. @module */
import { NotFound } from "../../lib/errors.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { readHome } from "../home.js";
import { flagOption, numberOption } from "../options.js";
import { paint, print, printJson } from "../screen.js";
import { findStory } from "../story/found.js";
import { gatesOf } from "../story/gates.js";
import { type Standing, standingOf } from "../story/standing.js";
import { isThought, type Step, type Story } from "../story/steps.js";
import { tellStanding, tellStory } from "../story/telling.js";

const SHOWN = 40;

export const command: CommandDefinition = {
  summary: "the story of a worker, an incident, a decision or a fix",
  description:
    "What was seen, what was decided, with each gate's value and threshold, what was suppressed and until when, what would have to change for another outcome, and why nothing was done if nothing was. Takes the id of a worker, an incident, a decision, an event, a run, a pattern or a fix. Rotated logs are read too.",
  arguments: "<id>",
  options: [
    { flags: "--gates", description: "each gate on a line of its own, with its sentence" },
    { flags: "--live", description: "leave out what was only decided: dry runs and shadow policies" },
    { flags: "-n, --lines <count>", description: `how many steps at most, the newest (default: ${SHOWN})` },
    JSON_OPTION,
  ],
  examples: [
    "heald why worker-scan-1",
    "heald why worker-scan-1 -n 500 --live",
    "heald why 0mwqzy0zq-9urmzgu3-00002 --json | jq '.steps[].gates'",
  ],
  run: why,
};

function why(call: Call): undefined {
  const id = call.args[0] as string;
  const layout = readHome(call);
  const limit = numberOption(call.options, "lines", "--lines", { min: 1, max: 1e6, whole: true }) ?? SHOWN;
  const only_live = flagOption(call.options, "live");
  const story = findStory({ layout, id, limit, only_live });
  if (story === null)
    throw new NotFound(
      `Nothing is known of ${JSON.stringify(id)}: no worker, incident, decision, event, run, pattern or fix has this id`,
    );
  const nowMs = Date.now();
  const standing = story.worker_id === null ? null : standingOf(layout, story.worker_id, story.steps, nowMs);
  if (flagOption(call.options, "json")) {
    printJson(toJson(story, standing));
    return;
  }
  if (story.is_cut)
    print(paint("dim", `the last ${story.steps.length} steps; more with -n ${story.steps.length * 10}`));
  if (story.steps.length === 0) print("Nothing that happened to it is written.");
  tellStory(story, { nowMs, all_gates: flagOption(call.options, "gates") });
  if (standing === null) return;
  print();
  tellStanding(standing);
}

/** The stable shape, in UTC: docs/why.md. */
function toJson({ topic, id, worker_id, steps, is_cut }: Story, standing: Standing | null) {
  return {
    topic,
    id,
    worker_id,
    complete: !is_cut,
    steps: steps.map(stepToJson),
    now: standing === null ? null : nowToJson(standing),
  };
}

function stepToJson(step: Step) {
  const { kind, atMs, log, record } = step;
  const told = kind === "decision" ? { gates: gatesOf(step), only_thought: isThought(record) } : {};
  return { kind, log, at: writeInstant(atMs), ...record, ...told };
}

function nowToJson({ holds, ...rest }: Standing) {
  return { ...rest, holds: holds.map(({ until_ms, ...hold }) => ({ ...hold, until: writeInstant(until_ms) })) };
}
