/** `heald status`: the whole fleet on one page. @module */

import { readInstant } from "../../lib/schema/primitives.js";
import type { Layout } from "../../lib/store/layout.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { asJson, printDaemons } from "../daemon-rows.js";
import { type Fleet, isGreen, readFleet } from "../fleet.js";
import { HOLD_HEADINGS, holdJson, holdRows } from "../holding.js";
import { NAMED_BY, readHome } from "../home.js";
import { flagOption } from "../options.js";
import { refusedPolicies } from "../policies.js";
import { paint, print, printJson, printTable } from "../screen.js";
import { age, localTime, until } from "../times.js";
import { HEADINGS, workerRow } from "./workers.js";

const SHOWN_MAX = 20;
const EXIT_NOT_GREEN = 1;
const EXIT_HELD = 4;

interface Refused {
  readonly refused_policies: readonly string[];
}

export const command: CommandDefinition = {
  summary: "what runs, what does not, and why",
  description:
    "Exits 0 when all is green, 1 when it is not, 4 while a hold is in force. What the heartbeat-monitor knows comes from coordination/status.json; while it does not run, this command looks at the files and at /proc itself and says so.",
  options: [JSON_OPTION],
  examples: ["heald status", "heald status --json | jq '.workers[] | select(.state != \"healthy\") | .why'"],
  run: status,
};

async function status(call: Call): Promise<number> {
  const layout = readHome(call);
  const nowMs = Date.now();
  const refused = await refusedPolicies(layout);
  const found = readFleet(layout, nowMs);
  // What a person changed last and believes in force is not: that is not all well.
  const fleet = { ...found, ok: found.ok && refused.length === 0, refused_policies: refused };
  if (flagOption(call.options, "json"))
    printJson({ ...fleet, daemons: fleet.daemons.map(asJson), holds: fleet.holds.map(holdJson) });
  else show(layout, fleet, nowMs);
  if (isHeld(fleet)) return EXIT_HELD;
  return fleet.ok ? 0 : EXIT_NOT_GREEN;
}

/** By a person's hold, or by the monitor's own caution: what is not green will not mend itself meanwhile. */
function isHeld(fleet: Fleet): boolean {
  return fleet.holds.length > 0 || fleet.fleet_held;
}

function show(layout: Layout, fleet: Fleet & Refused, nowMs: number): void {
  print(`home  ${layout.home.home}  (named by ${NAMED_BY[layout.home.namedBy]})`);
  const word = fleet.ok ? paint("green", "green") : paint("red", "not green");
  print(`${isHeld(fleet) ? paint("yellow", "held") : word}  ${fleet.summary}`);
  const atMs = readInstant(fleet.at) ?? nowMs;
  if (fleet.source === "monitor")
    print(paint("dim", `as of ${localTime(atMs, nowMs)}, the last change, ${age(fleet.at, nowMs)} ago`));
  else
    print(
      paint(
        "yellow",
        "the heartbeat-monitor does not run: nothing is watched; this is what the files and /proc say now",
      ),
    );
  for (const sentence of fleet.refused_policies) print(`${paint("red", sentence)}; the last good one is in force`);
  print();
  printDaemons(fleet.daemons, nowMs);
  showWorkers(fleet, nowMs);
  showWaiting(fleet, nowMs);
}

function showWorkers(fleet: Fleet, nowMs: number): void {
  const ill = fleet.workers.filter((row) => !isGreen(row));
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

function showWaiting(fleet: Fleet, nowMs: number): void {
  const open = fleet.breakers.filter(({ state }) => state !== "closed");
  section(
    "Restarts that wait",
    ["WORKER", "GATE", "NEXT", "TIMES", "REASON"],
    fleet.restart_queue.map((row) => [
      row.worker_id,
      row.gate ?? "-",
      until(row.next_at, nowMs),
      String(row.count),
      row.reason ?? "",
    ]),
  );
  section(
    "Circuit breakers",
    ["TYPE", "STATE", "FAILURES", "PROBE"],
    open.map((row) => [
      row.worker_type,
      paint("red", row.state),
      String(row.failure_count),
      until(row.next_probe_at, nowMs),
    ]),
  );
  section("Holds", HOLD_HEADINGS, holdRows(fleet.holds, nowMs));
  section(
    "Fixes that wait for a person (heald fix show)",
    ["FIX"],
    fleet.pending.map((name) => [name]),
  );
}

function section(title: string, headings: readonly string[], rows: readonly (readonly string[])[]): void {
  if (rows.length === 0) return;
  print();
  print(paint("bold", title));
  printTable(headings, rows.slice(0, SHOWN_MAX));
  if (rows.length > SHOWN_MAX) print(`and ${rows.length - SHOWN_MAX} more`);
}
