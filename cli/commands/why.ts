/** `heald why`: the story of a worker, an incident or a decision, in order. @module */
import { NotFound } from "../../lib/errors.js";
import { EVENTS } from "../../lib/schema/catalogue.js";
import { isId } from "../../lib/schema/primitives.js";
import { DAEMONS } from "../../lib/schema/records.js";
import type { Layout } from "../../lib/store/layout.js";
import { SpecStore } from "../../lib/store/specs.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { readFleet } from "../fleet.js";
import { readHome } from "../home.js";
import { flagOption, numberOption } from "../options.js";
import { ALL_LOGS, byTime, type Json, type LogRecord, recordsOf, textIn } from "../records.js";
import { columns, paint, print, printJson, wrap } from "../screen.js";
import { localTime, span } from "../times.js";

const SHOWN = 40;
const WIDTH_MAX = 100;

export const command: CommandDefinition = {
  summary: "the story of a worker, an incident or a decision",
  description:
    "What was seen, what was decided, with each gate's value and threshold, and what was done. Takes the id of a worker, an incident, a decision or an event.",
  arguments: "<id>",
  options: [
    { flags: "--gates", description: "each gate on a line of its own, with what was wanted" },
    { flags: "-n, --lines <count>", description: `how many steps at most (default: ${SHOWN})` },
    JSON_OPTION,
  ],
  examples: ["heald why worker-scan-1", "heald why 0mwqzy0zq-9urmzgu3-00002 --json | jq '.[].gates'"],
  run: why,
};

function why(call: Call): undefined {
  const id = call.args[0] as string;
  const layout = readHome(call);
  const limit = numberOption(call.options, "lines", "--lines", { min: 1, max: 1e6, whole: true }) ?? SHOWN;
  const steps = stepsOf(layout, id);
  const isWorker = isId(id) && new SpecStore(layout).highestAttempt(id) > 0;
  if (steps.length === 0 && !isWorker)
    throw new NotFound(`Nothing is known of ${JSON.stringify(id)}: no worker, incident, decision or event has this id`);
  const shown = steps.slice(-limit);
  if (flagOption(call.options, "json")) {
    printJson(shown.map(({ log, record }) => ({ log, ...record })));
    return;
  }
  if (shown.length < steps.length)
    print(paint("dim", `${steps.length - shown.length} earlier steps: -n ${steps.length}`));
  tell(shown, flagOption(call.options, "gates"));
  if (isWorker) tellNow(layout, id);
}

/** Every record that is about the id; for a decision or an event, also those of its incident. */
function stepsOf(layout: Layout, id: string): LogRecord[] {
  const direct = search(layout, (record) => isAbout(record, id), [id]);
  const own = direct.filter(({ record }) => record.decision_id === id || record.event_id === id);
  const incidents = new Set(own.flatMap(({ record }) => textIn(record, "incident_id") ?? []));
  if (incidents.size === 0) return direct.sort(byTime);
  const around = search(layout, (record) => incidents.has(textIn(record, "incident_id") ?? ""), [...incidents]);
  const known = new Set(direct.map(({ record }) => idOf(record)));
  return [...direct, ...around.filter(({ record }) => !known.has(idOf(record)))].sort(byTime);
}

function search(layout: Layout, isWanted: (record: Json) => boolean, words: readonly string[]): LogRecord[] {
  const mayMatch = (line: string): boolean => words.some((word) => line.includes(word));
  const logs: [string, string][] = [
    ...ALL_LOGS.map((log): [string, string] => [log, layout.eventLog(log)]),
    ...DAEMONS.map((daemon): [string, string] => [`decision of ${daemon}`, layout.decisions(daemon)]),
    ["history", layout.history],
  ];
  return logs.flatMap(([log, path]) =>
    [...recordsOf(layout, log, path, { mayMatch })].filter(({ record }) => isWanted(record)),
  );
}

function isAbout(record: Json, id: string): boolean {
  const subject = textIn(record, "subject");
  return (
    [record.worker_id, record.incident_id, record.decision_id, record.event_id].includes(id) ||
    subject === id ||
    subject === `worker:${id}`
  );
}

function idOf(record: Json): string {
  return textIn(record, "decision_id") ?? textIn(record, "event_id") ?? JSON.stringify(record);
}

function tell(steps: readonly LogRecord[], isLong: boolean): void {
  let incident: string | null = null;
  let lastMs = 0;
  for (const step of steps) {
    const own = textIn(step.record, "incident_id");
    if (own !== null && own !== incident) {
      print(paint("bold", `incident ${own}`));
      incident = own;
    }
    const pause = lastMs > 0 && step.atMs - lastMs > 60_000 ? paint("dim", ` (${span(step.atMs - lastMs)} later)`) : "";
    lastMs = step.atMs;
    if ("decision_id" in step.record) tellDecision(step, pause, isLong);
    else if (step.log === "history") tellHistory(step, pause);
    else tellEvent(step, pause);
  }
}

function tellEvent({ atMs, record }: LogRecord, pause: string): void {
  const type = textIn(record, "event_type") ?? "?";
  const attempt = typeof record.attempt === "number" ? ` #${record.attempt}` : "";
  const message =
    textIn(record, "message") ?? (Object.hasOwn(EVENTS, type) ? EVENTS[type as keyof typeof EVENTS].sentence : "");
  say(`${clock(atMs)}  saw  ${type}${attempt}: ${message}${pause}`);
}

function tellHistory({ atMs, record }: LogRecord, pause: string): void {
  const reason = textIn(record, "reason");
  const attempt = typeof record.attempt === "number" ? ` of attempt ${record.attempt}` : "";
  say(
    `${clock(atMs)}  did  restart ${textIn(record, "result") ?? "?"}${attempt}${reason ? `: ${reason}` : ""}${pause}`,
  );
}

function tellDecision({ atMs, record }: LogRecord, pause: string, isLong: boolean): void {
  const daemon = textIn(record, "daemon") ?? "?";
  const mode = textIn(record, "mode");
  const dry = mode !== null && mode !== "live" ? ` [${mode}]` : "";
  const verdict = paint("bold", textIn(record, "verdict") ?? "?");
  say(
    `${clock(atMs)}  ${daemon}: ${verdict}${dry}, ${textIn(record, "message") ?? textIn(record, "reason") ?? ""}${pause}`,
  );
  const gates = (Array.isArray(record.gates) ? (record.gates as unknown[]) : []).filter(
    (gate): gate is Json => typeof gate === "object" && gate !== null,
  );
  const isPlain = (gate: Json): boolean => gate.passed === true && !isLong;
  const passed = gates.filter(isPlain).map((gate) => `${textIn(gate, "gate") ?? "?"} (${show(gate.value)})`);
  if (passed.length > 0) say(`          ${paint("green", "passed")} ${passed.join(", ")}`, "            ");
  for (const gate of gates) if (!isPlain(gate)) say(`          ${gateLine(gate)}`, "            ");
}

/** `failed circuit_breaker: open, wanted closed; passes at 21:10:00`. */
function gateLine(gate: Json): string {
  const mark = gate.passed === true ? paint("green", "passed") : paint("red", "failed");
  const wanted = gate.threshold === null || gate.threshold === undefined ? "" : `, wanted ${show(gate.threshold)}`;
  const later = typeof gate.passes_at === "string" ? `; passes at ${clock(Date.parse(gate.passes_at))}` : "";
  return `${mark} ${textIn(gate, "gate") ?? "?"}: ${show(gate.value)}${wanted}${later}`;
}

function show(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "-");
}

/** What is true now, after all that. */
function tellNow(layout: Layout, workerId: string): void {
  const nowMs = Date.now();
  const fleet = readFleet(layout, nowMs);
  const row = fleet.workers.find((each) => each.worker_id === workerId);
  const waits = fleet.restart_queue.find((each) => each.worker_id === workerId);
  print();
  if (row !== undefined)
    say(
      `now  ${row.state}${row.why ? `: ${row.why}` : ""} (attempt ${row.attempt}${row.pid === null ? "" : `, pid ${row.pid}`})`,
    );
  else say("now  not active");
  if (row?.desired) say(`     wanted: ${row.desired}`);
  if (waits !== undefined)
    say(
      `     a restart waits${waits.gate === null ? "" : ` for ${waits.gate}`}${waits.reason ? `: ${waits.reason}` : ""}`,
    );
  if (fleet.source === "files") say("     the heartbeat-monitor does not run: nothing is watched");
}

function clock(atMs: number): string {
  return Number.isNaN(atMs) ? "?" : localTime(atMs, Date.now());
}

function say(text: string, indent = "               "): void {
  print(wrap(text, Math.min(WIDTH_MAX, columns() ?? 80), indent));
}
