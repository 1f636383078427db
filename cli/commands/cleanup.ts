/** `heald cleanup`: end what zombies left running. Safe to repeat. @module */
import { Refused } from "../../lib/errors.js";
import { isThere } from "../../lib/store/entries.js";
import { heldBy, readHolds } from "../../lib/store/holds.js";
import type { Layout } from "../../lib/store/layout.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { readFleet, type WorkerRow } from "../fleet.js";
import { refuseHeld } from "../holding.js";
import { openForProcesses } from "../home.js";
import { endLeftover, type Leftover, zombies } from "../leftovers.js";
import { checkedId, flagOption } from "../options.js";
import { note, print, printJson } from "../screen.js";
import { findWorker } from "../subjects.js";
import { refuseUnwatched, remedyOf, runsAs, unwatchedOf } from "../unwatched.js";

/** States of silence in which the monitor is on its way to end the worker. */
const SILENT = new Set(["late", "warning", "critical", "hung", "blocked", "busy", "stuck", "zombie", "exited"]);

export const command: CommandDefinition = {
  summary: "end what zombies left running",
  description:
    "Without an id: all zombies. Only processes of a zombie's own launch record are signalled, each after a check that it is still that process. A worker that is alive and well is refused (heald stop ends it); a silent one is the monitor's.",
  arguments: "[id...]",
  options: [
    { flags: "--dry-run", description: "say what would be ended, and end nothing" },
    { flags: "--override-hold", description: "pass the holds; logged" },
    JSON_OPTION,
  ],
  examples: ["heald cleanup --dry-run", "heald cleanup worker-scan-1"],
  run: cleanup,
};

interface Line {
  readonly worker_id: string;
  readonly attempt: number | null;
  readonly result: string;
  readonly message: string;
}

async function cleanup(call: Call): Promise<number> {
  const layout = openForProcesses(call, ({ eventsDir }) => [eventsDir]);
  const ids = [...new Set(call.args)].map((text) => checkedId(text, "A worker id"));
  const chosen = ids.length === 0 ? zombies(layout) : ids.flatMap((workerId) => zombiesOf(layout, workerId));
  const isDry = flagOption(call.options, "dryRun");
  const isOverridden = flagOption(call.options, "overrideHold");
  const lines: Line[] = ids.length === 0 ? silentOnes(layout) : ids.flatMap((workerId) => silentOnes(layout, workerId));
  for (const each of chosen) lines.push(await clean(layout, each, isDry, isOverridden));
  lines.push(...ids.flatMap((workerId) => unwatchedLine(layout, workerId)));
  if (flagOption(call.options, "json")) printJson(lines);
  else
    for (const { worker_id, attempt, message } of lines)
      print(`${worker_id}${attempt === null ? "" : `#${attempt}`}  ${message}`);
  if (lines.length === 0) note("no zombies and no silent workers");
  return lines.some(({ result }) => result === "failed") ? 1 : 0;
}

/** What runs on although a person had it forgotten is that person's to end. */
function unwatchedLine(layout: Layout, workerId: string): Line[] {
  const found = unwatchedOf(layout, workerId, Date.now());
  if (found === null || found.pids.length === 0) return [];
  const message = `${runsAs(found)} and is left alone, since its spec was removed; ${remedyOf(found, workerId)}`;
  return [{ worker_id: workerId, attempt: found.attempt, result: "unwatched", message }];
}

/** @throws {NotFound} If nothing is known of it. @throws {Refused} If it is alive and not silent. */
function zombiesOf(layout: Layout, workerId: string): Leftover[] {
  const found = zombies(layout, workerId);
  const row = activeRow(layout, workerId);
  if (row !== undefined && !SILENT.has(row.state) && found.length === 0)
    throw new Refused(
      `Refused to clean up ${workerId}: its state is ${row.state}; heald stop ${workerId} ends it and keeps it down`,
    );
  if (found.length === 0) refuseUnwatched(layout, workerId, "clean up");
  // Known by a spec that cannot be read, evidence, a launch or a request.
  if (row === undefined && found.length === 0 && !isThere(layout.activeSpec(workerId))) findWorker(layout, workerId);
  return found;
}

function activeRow(layout: Layout, workerId: string): WorkerRow | undefined {
  return readFleet(layout, Date.now()).workers.find((row) => row.worker_id === workerId);
}

function silentOnes(layout: Layout, workerId?: string): Line[] {
  return (
    readFleet(layout, Date.now())
      .workers.filter((row) => (workerId === undefined || row.worker_id === workerId) && SILENT.has(row.state))
      // One that waits for its restart is listed too, and has nothing left that is active.
      .filter((row) => isThere(layout.activeSpec(row.worker_id)))
      .map((row) => ({
        worker_id: row.worker_id,
        attempt: row.attempt,
        result: "waits",
        message: `is ${row.state}; the heartbeat-monitor ends it at its threshold`,
      }))
  );
}

async function clean(layout: Layout, zombie: Leftover, isDry: boolean, isOverridden: boolean): Promise<Line> {
  const { workerId, attempt, alive } = zombie;
  const line = { worker_id: workerId, attempt };
  if (alive.length === 0)
    return { ...line, result: "clean", message: "nothing of it runs; its evidence is in zombie/" };
  if (isDry)
    return { ...line, result: "would_end", message: `would end ${alive.length} processes: ${alive.join(", ")}` };
  const subject = {
    worker_id: workerId,
    worker_type: zombie.spec.worker_type ?? undefined,
    task_id: zombie.spec.task_id ?? undefined,
  };
  const hold = heldBy(readHolds(layout, Date.now()), "kill", subject, Date.now());
  if (!isOverridden) refuseHeld(hold, `end what is left of ${workerId}`);
  const ended = await endLeftover(layout, zombie, hold);
  if (ended.kind === "ended") return { ...line, result: "ended", message: `ended ${ended.processes} processes` };
  const why = ended.kind === "refused" ? ended.why : `still there: ${ended.pids.join(", ")}`;
  return { ...line, result: "failed", message: `could not be ended: ${why}` };
}
