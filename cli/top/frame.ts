/** Composes one screen of `heald top` from what is known of the fleet. Reads no file and no clock. @module */
import { isWorkerWell } from "../../lib/domain/fleet-health.js";
import { HEADINGS, workerRow } from "../commands/workers.js";
import { daemonLines } from "../daemon-rows.js";
import type { Fleet, WorkerRow } from "../fleet.js";
import { type Overview, UNWATCHED, verdictLine, waitingLines, warningLines } from "../overview.js";
import { cutToWidth, paint, tableLines } from "../screen.js";
import { localTime } from "../times.js";

/** Rows of each table of what waits: the workers come first. */
const WAITING_MAX = 5;
/** Of workers, however little room there is. */
const WORKERS_MIN = 3;

export interface Screen {
  /** Lines that it has. */
  readonly rows: number;
  /** What stands at the right of the first line, such as how to leave. */
  readonly hint: string;
}

/** The lines, for `print`, never more than the screen has: workers that are well are the first to be left out. */
export function frame(fleet: Overview, { rows, hint }: Screen, nowMs: number): string[] {
  const head = [
    `${paint("bold", "heald")}  ${fleet.home}  ${localTime(nowMs, nowMs)}${hint === "" ? "" : `  ${paint("dim", hint)}`}`,
    verdictLine(fleet),
    countsLine(fleet),
    ...(fleet.source === "files" ? [paint("yellow", UNWATCHED)] : []),
    ...warningLines(fleet),
    "",
    ...daemonLines(fleet.daemons, nowMs),
    "",
  ];
  const waiting = waitingLines(fleet, nowMs, WAITING_MAX);
  const left = rows - head.length - waiting.length;
  const lines = [...head, ...workerLines(fleet, Math.max(WORKERS_MIN + 2, left), nowMs), ...waiting];
  return lines.slice(0, rows).map(cutToWidth);
}

/** `workers 12: 1 hung, 1 late, 10 healthy   daemons 4 of 4   queue 1   open breakers 0   holds 0   fixes 0`. */
function countsLine(fleet: Fleet): string {
  const states = new Map<string, number>();
  for (const { state } of inOrder(fleet.workers)) states.set(state, (states.get(state) ?? 0) + 1);
  const open = fleet.breakers.filter(({ state }) => state !== "closed").length;
  const running = fleet.daemons.filter(({ running, stopped }) => running && !stopped).length;
  const counts = [...states].map(([state, count]) => `${count} ${state}`).join(", ");
  return [
    `workers ${fleet.workers.length}${counts === "" ? "" : `: ${counts}`}`,
    `daemons ${running} of ${fleet.daemons.length}`,
    `queue ${fleet.restart_queue.length}`,
    `open breakers ${open}`,
    `holds ${fleet.holds.length}`,
    `fixes to approve ${fleet.pending.length}`,
  ].join("   ");
}

/** As many workers as fit under their headings, and how many do not. */
function workerLines(fleet: Fleet, linesMax: number, nowMs: number): string[] {
  const all = inOrder(fleet.workers);
  if (all.length === 0) return ["No workers."];
  const room = all.length + 1 <= linesMax ? all.length : linesMax - 2;
  const table = tableLines(
    HEADINGS,
    all.slice(0, room).map((row) => workerRow(row, nowMs)),
  );
  if (room === all.length) return table;
  const ill = all.slice(room).filter((row) => !isWorkerWell(row)).length;
  return [...table, `and ${all.length - room} more${ill === 0 ? ", all well" : `, ${ill} of them in trouble`}`];
}

/** Those in trouble first, then those that are late or only start; within that by their ids. */
function inOrder(workers: readonly WorkerRow[]): WorkerRow[] {
  return [...workers].sort((a, b) => rank(a) - rank(b) || a.worker_id.localeCompare(b.worker_id));
}

function rank(row: WorkerRow): number {
  if (!isWorkerWell(row)) return 0;
  return row.state === "healthy" ? 2 : 1;
}
