/** `heald replay`: recomputes every recorded decision from its own record. @module */
import { UsageError } from "../../lib/errors.js";
import { DAEMONS, type DaemonName } from "../../lib/schema/records.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { readHome } from "../home.js";
import { flagOption, textOption } from "../options.js";
import { type Replay, replayDaemon } from "../replaying.js";
import { print, printJson, printTable } from "../screen.js";
import { readSince } from "../times.js";

/** Findings that are printed of one daemon. */
const SHOWN = 20;

export const command: CommandDefinition = {
  summary: "recompute recorded decisions from their records",
  description:
    "Each decision is computed again from the slice, the event and the policy text in its record, and the first difference is shown. If a decision comes out differently, it used something that is not recorded, another version made it, or its record was changed. Exit code 1 if any differs or cannot be read.",
  options: [
    { flags: "--since <time>", description: "only those since a time, or of the last so long, such as 90m or 7d" },
    { flags: "--daemon <name>", description: "only those of one daemon" },
    JSON_OPTION,
  ],
  examples: [
    "heald replay",
    "heald replay --since 1h --daemon worker-restart",
    "heald replay --json | jq '.differences[].field'",
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const layout = readHome(call);
  const only = textOption(call.options, "daemon");
  if (only !== undefined && !(DAEMONS as readonly string[]).includes(only))
    throw new UsageError(`--daemon must be one of ${DAEMONS.join(", ")}, got ${JSON.stringify(only)}`);
  const since = textOption(call.options, "since");
  const sinceMs = since === undefined ? 0 : readSince(since, "--since", Date.now());
  const outcomes: Replay[] = [];
  for (const daemon of DAEMONS)
    if (only === undefined || only === daemon) outcomes.push(await replayDaemon(layout, daemon as DaemonName, sinceMs));
  const isSame = outcomes.every(({ differing, unreadable }) => differing === 0 && unreadable === 0);
  if (flagOption(call.options, "json"))
    printJson({ ok: isSame, daemons: outcomes, differences: outcomes.flatMap((outcome) => outcome.differences) });
  else show(outcomes);
  return isSame ? 0 : 1;
}

function show(outcomes: readonly Replay[]): void {
  printTable(
    ["DAEMON", "DECISIONS", "DIFFERENCES", "UNREADABLE"],
    outcomes.map(({ daemon, decisions, differing, unreadable }) => [
      daemon,
      String(decisions),
      String(differing),
      String(unreadable),
    ]),
  );
  for (const { daemon, differing, differences, unreadable, unreadable_lines } of outcomes) {
    for (const { decision_id, subject, field, recorded, recomputed } of differences.slice(0, SHOWN))
      print(`${daemon} ${decision_id} (${subject}): ${field} was ${recorded}, comes out as ${recomputed}`);
    if (differing > SHOWN) print(`${daemon}: ${differing - SHOWN} more differ (--json shows the first thousand)`);
    for (const line of unreadable_lines.slice(0, SHOWN)) print(`${daemon}: ${line}`);
    if (unreadable > SHOWN) print(`${daemon}: ${unreadable - SHOWN} more cannot be read`);
  }
}
