/** `heald ack`: takes an escalation, so that nobody else is called. @module */
import { join } from "node:path";
import { NotFound, Refused } from "../../lib/errors.js";
import { utc } from "../../lib/platform/clock.js";
import { createExclusive } from "../../lib/platform/files.js";
import { type IncidentState, notificationStateSchema } from "../../lib/schema/notification-records.js";
import { textOf } from "../../lib/store/entries.js";
import type { Layout } from "../../lib/store/layout.js";
import { readRecord } from "../../lib/store/records.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { openForWriting, readHome } from "../home.js";
import { flagOption, textOption } from "../options.js";
import { person } from "../person.js";
import { daemonState } from "../running.js";
import { note, print, printJson, printTable } from "../screen.js";
import { span } from "../times.js";

const STATE_BYTES_MAX = 64 * 1024 * 1024;

export const command: CommandDefinition = {
  summary: "take an escalation, so that nobody else is called",
  description:
    "Ends the escalation chain and its repeats; the incident stays open until its cause is gone. The beginning of an incident's name is enough. Without an incident the open escalations are listed.",
  arguments: "[incident]",
  options: [{ flags: "--why <text>", description: "shown to whoever looks" }, JSON_OPTION],
  examples: ["heald ack", "heald ack inc-m2x1-scan --why 'on it'"],
  run: (call) => (call.args[0] === undefined ? list(call) : acknowledge(call, call.args[0])),
};

type Open = readonly [id: string, incident: IncidentState];

function acknowledge(call: Call, text: string): undefined {
  const layout = openForWriting(call, ({ acknowledgementsDir }) => [acknowledgementsDir]);
  const [incident_id, incident] = find(openEscalations(layout), text);
  const why = textOption(call.options, "why");
  if (incident.acknowledged !== null) {
    if (flagOption(call.options, "json")) printJson({ incident_id, ...incident.acknowledged });
    else print(`${incident_id}  ${incident.acknowledged.by} has it already`);
    return;
  }
  const record = { incident_id, by: person(), at: utc(Date.now()), ...(why === undefined ? {} : { why }) };
  // Named by time and process: two people may take one, and the first counts.
  createExclusive(join(layout.acknowledgementsDir, `${Date.now()}-${process.pid}.json`), textOf(record));
  if (flagOption(call.options, "json")) printJson(record);
  else print(`${incident_id}  taken by ${record.by}`);
  if (!daemonState(layout, "auto-fix").running)
    note("auto-fix does not run: nobody is called, and this is taken up when it starts");
}

function list(call: Call): undefined {
  const all = openEscalations(readHome(call));
  const nowMs = Date.now();
  if (flagOption(call.options, "json"))
    printJson(
      all.map(([incident_id, { message, escalated_at_ms, acknowledged }]) => ({
        ...{ incident_id, severity: message.severity, component: message.component, title: message.title },
        ...{ escalated_at: utc(escalated_at_ms ?? 0), acknowledged_by: acknowledged?.by ?? null },
      })),
    );
  else if (all.length === 0) print("No escalations are open.");
  else
    printTable(
      ["INCIDENT", "FOR", "SINCE", "TAKEN BY", "WHAT"],
      all.map(([id, { message, escalated_at_ms, acknowledged }]) => [
        id,
        message.component,
        span(nowMs - (escalated_at_ms ?? nowMs)),
        acknowledged?.by ?? "-",
        message.title,
      ]),
    );
}

/** @throws {Refused} If auto-fix's record of whom it told what cannot be read. */
function openEscalations(layout: Layout): Open[] {
  const options = { maxBytes: STATE_BYTES_MAX, nowMs: Date.now(), mayBeUnfinished: false };
  const reading = readRecord(layout.notifyState, notificationStateSchema, options);
  if (reading.kind === "absent") return [];
  if (reading.kind !== "ok")
    throw new Refused(reading.kind === "bad" ? reading.sentence : "Cannot read the escalations");
  return Object.entries(reading.value.incidents)
    .filter(([, incident]) => incident.escalated_at_ms !== null && incident.resolved_at_ms === null)
    .sort(([, a], [, b]) => (a.escalated_at_ms ?? 0) - (b.escalated_at_ms ?? 0));
}

function find(all: readonly Open[], text: string): Open {
  const exact = all.find(([id]) => id === text);
  if (exact !== undefined) return exact;
  const [first, ...more] = all.filter(([id]) => id.startsWith(text));
  if (first === undefined) throw new NotFound(`No open escalation ${JSON.stringify(text)}: see heald ack`);
  if (more.length > 0)
    throw new Refused(`${JSON.stringify(text)} begins ${more.length + 1} incidents: give more of it`);
  return first;
}
