/** The parts of the fleet on one page, as lines for `print`: what `heald status` prints once and `heald top` shows live. @module */

import { type ForeignOwner, foreignOwner } from "../lib/store/home.js";
import type { Layout } from "../lib/store/layout.js";
import { asJson } from "./daemon-rows.js";
import { type Fleet, readFleet } from "./fleet.js";
import { HOLD_HEADINGS, holdJson, holdRows } from "./holding.js";
import { refusedPolicies } from "./policies.js";
import { paint, tableLines } from "./screen.js";
import { until } from "./times.js";

/** The fleet, the policies that are not in force though somebody wrote them, and the host that has the home, if it is another. */
export interface Overview extends Fleet {
  readonly refused_policies: readonly string[];
  readonly foreign_owner: ForeignOwner | null;
}

/** Reads all of it. What a person changed last and believes in force, and is not, is not all well. */
export async function readOverview(layout: Layout, nowMs: number): Promise<Overview> {
  const refused = await refusedPolicies(layout);
  const found = readFleet(layout, nowMs);
  return {
    ...found,
    ok: found.ok && refused.length === 0,
    refused_policies: refused,
    foreign_owner: foreignOwner(layout),
  };
}

/** As `--json` prints it. */
export function overviewJson(fleet: Overview) {
  return { ...fleet, daemons: fleet.daemons.map(asJson), holds: fleet.holds.map(holdJson) };
}

/** By a person's hold, or by the monitor's own caution: what is not green will not mend itself meanwhile. */
export function isHeld(fleet: Fleet): boolean {
  return fleet.holds.length > 0 || fleet.fleet_held;
}

/** `green`, `not green` or `held`, and what the monitor says in a sentence. */
export function verdictLine(fleet: Overview): string {
  const word = fleet.ok ? paint("green", "green") : paint("red", "not green");
  return `${isHeld(fleet) ? paint("yellow", "held") : word}  ${fleet.summary}`;
}

export const UNWATCHED =
  "the heartbeat-monitor does not run: nothing is watched; this is what the files and /proc say now";

/** What is to be known before anything else: whose home it is, why what is told cannot be so, and which policies are not in force. */
export function warningLines(fleet: Overview): string[] {
  return [...ownerLines(fleet), ...fleet.doubts.map((sentence) => paint("red", sentence)), ...policyLines(fleet)];
}

/** Whose home it is, where what this host knows of processes says nothing. */
function ownerLines({ foreign_owner: owner }: Overview): string[] {
  if (owner === null) return [];
  const whose = `host ${JSON.stringify(owner.host)}, pid namespace ${owner.pid_ns}`;
  return [paint("red", `this home belongs to ${whose}: whether its daemons and workers run cannot be seen from here`)];
}

function policyLines(fleet: Overview): string[] {
  return fleet.refused_policies.map((sentence) => `${paint("red", sentence)}; the last good one is in force`);
}

/** What waits and what is open: requests, breakers, holds, fixes; each section begins with an empty line. */
export function waitingLines(fleet: Fleet, nowMs: number, rowsMax: number): string[] {
  const open = fleet.breakers.filter(({ state }) => state !== "closed");
  return [
    ...section(
      "Restarts that wait",
      ["WORKER", "GATE", "NEXT", "TIMES", "REASON"],
      fleet.restart_queue.map((row) => [
        row.worker_id,
        row.gate ?? "-",
        until(row.next_at, nowMs),
        String(row.count),
        row.reason ?? "",
      ]),
      rowsMax,
    ),
    ...section(
      "Circuit breakers",
      ["TYPE", "STATE", "FAILURES", "PROBE"],
      open.map((row) => [
        row.worker_type,
        paint("red", row.state),
        String(row.failure_count),
        until(row.next_probe_at, nowMs),
      ]),
      rowsMax,
    ),
    ...section("Holds", HOLD_HEADINGS, holdRows(fleet.holds, nowMs), rowsMax),
    ...section(
      "Fixes that wait for a person (heald fix show)",
      ["FIX"],
      fleet.pending.map((name) => [name]),
      rowsMax,
    ),
  ];
}

function section(
  title: string,
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  rowsMax: number,
): string[] {
  if (rows.length === 0) return [];
  const more = rows.length > rowsMax ? [`and ${rows.length - rowsMax} more`] : [];
  return ["", paint("bold", title), ...tableLines(headings, rows.slice(0, rowsMax)), ...more];
}
