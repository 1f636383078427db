/** `heald workers`: one line for each worker that should be alive. @module */
import { isWorkerWell } from "../../lib/domain/fleet-health.js";
import { UsageError } from "../../lib/errors.js";
import { WORKER_STATES } from "../../lib/schema/catalogue.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { readFleet, type WorkerRow } from "../fleet.js";
import { readHome } from "../home.js";
import { flagOption, textOption } from "../options.js";
import { type Colour, note, paint, print, printJson, printTable } from "../screen.js";
import { age, until } from "../times.js";

export const command: CommandDefinition = {
  summary: "the workers that should be alive",
  description: `States: ${Object.keys(WORKER_STATES).join(", ")}.`,
  options: [
    { flags: "--state <state>", description: "only workers in this state" },
    { flags: "--type <type>", description: "only workers of this type" },
    JSON_OPTION,
  ],
  examples: ["heald workers", "heald workers --state critical --json | jq -r .[].worker_id"],
  run: workers,
};

export const HEADINGS = ["WORKER", "TYPE", "STATE", "HEALTH", "TRY", "PID", "BEAT", "NEXT", "WHY"];

function workers(call: Call): number {
  const state = textOption(call.options, "state");
  const type = textOption(call.options, "type");
  if (state !== undefined && !Object.hasOwn(WORKER_STATES, state))
    throw new UsageError(
      `--state must be one of ${Object.keys(WORKER_STATES).join(", ")}, got ${JSON.stringify(state)}`,
    );
  const nowMs = Date.now();
  const fleet = readFleet(readHome(call), nowMs);
  const rows = fleet.workers.filter(
    (row) => (state === undefined || row.state === state) && (type === undefined || row.worker_type === type),
  );
  if (flagOption(call.options, "json")) {
    printJson(rows);
    return 0;
  }
  if (fleet.source === "files") note("the heartbeat-monitor does not run; this is what the files and /proc say now");
  if (rows.length === 0) print("No workers.");
  else
    printTable(
      HEADINGS,
      rows.map((row) => workerRow(row, nowMs)),
    );
  return 0;
}

/** One row under HEADINGS. */
export function workerRow(row: WorkerRow, nowMs: number): string[] {
  const wish = row.desired !== null && row.desired !== "running" ? ` (wanted: ${row.desired})` : "";
  return [
    row.worker_id,
    row.worker_type,
    paint(colourOf(row), row.state) + wish,
    row.health_score === null ? "-" : String(Math.round(row.health_score)),
    row.attempt === null ? "-" : String(row.attempt),
    row.pid === null ? "-" : String(row.pid),
    age(row.last_seen, nowMs),
    until(row.next_at, nowMs),
    row.why,
  ];
}

function colourOf(row: WorkerRow): Colour {
  if (isWorkerWell(row)) return "green";
  return ["late", "warning", "busy", "paused", "unknown"].includes(row.state) ? "yellow" : "red";
}
