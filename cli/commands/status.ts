/** `heald status`: the whole fleet on one page. @module */

import { isWorkerWell } from "../../lib/domain/fleet-health.js";
import { readInstant } from "../../lib/schema/primitives.js";
import type { Layout } from "../../lib/store/layout.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { printDaemons } from "../daemon-rows.js";
import type { Fleet } from "../fleet.js";
import { NAMED_BY, readHome } from "../home.js";
import { flagOption } from "../options.js";
import {
  isHeld,
  type Overview,
  overviewJson,
  readOverview,
  UNWATCHED,
  verdictLine,
  waitingLines,
  warningLines,
} from "../overview.js";
import { paint, print, printJson, printTable } from "../screen.js";
import { age, localTime } from "../times.js";
import { HEADINGS, workerRow } from "./workers.js";

const SHOWN_MAX = 20;
const EXIT_NOT_GREEN = 1;
const EXIT_HELD = 4;

export const command: CommandDefinition = {
  summary: "what runs, what does not, and why",
  description:
    "Exits 0 when all is green, 1 when it is not, 4 while a hold is in force. What the heartbeat-monitor knows comes from coordination/status.json; while it does not run, this command looks at the files and at /proc itself and says so. A worker whose process is gone is never called well, nor is a home on a full disk.",
  options: [JSON_OPTION],
  examples: ["heald status", "heald status --json | jq '.workers[] | select(.state != \"healthy\") | .why'"],
  run: status,
};

async function status(call: Call): Promise<number> {
  const layout = readHome(call);
  const nowMs = Date.now();
  const fleet = await readOverview(layout, nowMs);
  if (flagOption(call.options, "json")) printJson(overviewJson(fleet));
  else show(layout, fleet, nowMs);
  if (isHeld(fleet)) return EXIT_HELD;
  return fleet.ok ? 0 : EXIT_NOT_GREEN;
}

function show(layout: Layout, fleet: Overview, nowMs: number): void {
  print(`home  ${layout.home.home}  (named by ${NAMED_BY[layout.home.namedBy]})`);
  print(verdictLine(fleet));
  const atMs = readInstant(fleet.at) ?? nowMs;
  if (fleet.source === "monitor")
    print(paint("dim", `as of ${localTime(atMs, nowMs)}, the last change, ${age(fleet.at, nowMs)} ago`));
  else print(paint("yellow", UNWATCHED));
  for (const line of warningLines(fleet)) print(line);
  print();
  printDaemons(fleet.daemons, nowMs);
  showWorkers(fleet, nowMs);
  for (const line of waitingLines(fleet, nowMs, SHOWN_MAX)) print(line);
}

function showWorkers(fleet: Fleet, nowMs: number): void {
  const ill = fleet.workers.filter((row) => !isWorkerWell(row));
  const green = fleet.workers.length - ill.length;
  print();
  if (fleet.workers.length === 0) print("No workers. Start one: heald spawn --type test-worker --task-id try-1");
  if (green > 0) print(`${green} of ${fleet.workers.length} workers are well (heald workers lists them)`);
  if (ill.length > 0)
    printTable(
      HEADINGS,
      ill.slice(0, SHOWN_MAX).map((row) => workerRow(row, nowMs)),
    );
  if (ill.length > SHOWN_MAX) print(`and ${ill.length - SHOWN_MAX} more: heald workers`);
}
