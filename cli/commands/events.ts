/** `heald events`: the events of all logs, merged by time. @module */
import { UsageError } from "../../lib/errors.js";
import { EVENT_LOGS, type EventLog } from "../../lib/schema/catalogue.js";
import type { Layout } from "../../lib/store/layout.js";
import { Tailer } from "../../lib/store/logs.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { readHome } from "../home.js";
import { flagOption, numberOption, textOption } from "../options.js";
import { ALL_LOGS, byTime, type LogRecord, readLine, recordsOf, textIn } from "../records.js";
import { type Colour, paint, print, printJson } from "../screen.js";
import { localTime, readSince } from "../times.js";

const SHOWN = 50;
const POLL_MS = 200;
const SEVERITIES = ["info", "warning", "critical"];

export const command: CommandDefinition = {
  summary: "the events of all logs in order",
  description: `Logs: ${ALL_LOGS.join(", ")}.`,
  options: [
    { flags: "-f, --follow", description: "go on as events come" },
    { flags: "-n, --lines <count>", description: `how many at most (default: ${SHOWN}; with --since: all)` },
    { flags: "--since <time>", description: "a time, or an age such as 15m" },
    { flags: "--type <event type>", description: "only this type, or a part of it" },
    { flags: "--worker <id>", description: "only this worker" },
    { flags: "--severity <severity>", description: "this severity or a graver one: info, warning, critical" },
    { flags: "--log <log>", description: "only this log" },
    JSON_OPTION,
  ],
  examples: [
    "heald events -f --severity warning",
    "heald events --worker worker-scan-1 --since 1h",
    "heald events --json --type zombie | jq -r .message",
  ],
  run: events,
};

interface Filter {
  readonly logs: readonly EventLog[];
  readonly matches: (found: LogRecord) => boolean;
  readonly sinceMs: number | undefined;
}

async function events(call: Call): Promise<undefined> {
  const layout = readHome(call);
  const nowMs = Date.now();
  const filter = filterOf(call, nowMs);
  const json = flagOption(call.options, "json");
  const wanted = numberOption(call.options, "lines", "--lines", { min: 0, max: 1e7, whole: true });
  const limit = wanted ?? (filter.sinceMs === undefined ? SHOWN : Number.POSITIVE_INFINITY);
  // Tails are opened first, so that nothing falls between what was and what comes.
  const tails = flagOption(call.options, "follow") ? openTails(layout, filter.logs) : null;
  const found = filter.logs
    .flatMap((log) => lastOf(recordsOf(layout, log, layout.eventLog(log), sinceOf(filter)), filter.matches, limit))
    .sort(byTime);
  for (const each of limit === 0 ? [] : found.slice(-limit)) show(each, json);
  if (tails !== null) await follow(tails, filter, json);
}

function sinceOf({ sinceMs }: Filter): { readonly sinceMs?: number } {
  return sinceMs === undefined ? {} : { sinceMs };
}

/** The last that match, without keeping all: logs may be long. */
function lastOf(records: Iterable<LogRecord>, matches: (found: LogRecord) => boolean, limit: number): LogRecord[] {
  let kept: LogRecord[] = [];
  for (const each of records) {
    if (!matches(each)) continue;
    kept.push(each);
    if (kept.length > 2 * limit + 1000) kept = kept.slice(-limit);
  }
  return kept;
}

function filterOf({ options }: Call, nowMs: number): Filter {
  const log = textOption(options, "log");
  if (log !== undefined && !Object.hasOwn(EVENT_LOGS, log))
    throw new UsageError(`--log must be one of ${ALL_LOGS.join(", ")}, got ${JSON.stringify(log)}`);
  const severity = textOption(options, "severity");
  if (severity !== undefined && !SEVERITIES.includes(severity))
    throw new UsageError(`--severity must be one of ${SEVERITIES.join(", ")}, got ${JSON.stringify(severity)}`);
  const least = severity === undefined ? 0 : SEVERITIES.indexOf(severity);
  const [type, worker, since] = [
    textOption(options, "type"),
    textOption(options, "worker"),
    textOption(options, "since"),
  ];
  return {
    logs: log === undefined ? ALL_LOGS : [log as EventLog],
    sinceMs: since === undefined ? undefined : readSince(since, "--since", nowMs),
    matches: ({ record }) =>
      (type === undefined || (textIn(record, "event_type") ?? "").includes(type)) &&
      (worker === undefined || record.worker_id === worker) &&
      SEVERITIES.indexOf(textIn(record, "severity") ?? "info") >= least,
  };
}

function openTails(layout: Layout, logs: readonly EventLog[]): { readonly log: EventLog; readonly tail: Tailer }[] {
  return logs.map((log) => {
    const tail = new Tailer(layout.eventLog(log), null, { maxLineBytes: 65_536 });
    while (tail.read().more);
    return { log, tail };
  });
}

/** Prints what comes until the process is ended. */
async function follow(
  tails: readonly { readonly log: EventLog; readonly tail: Tailer }[],
  filter: Filter,
  json: boolean,
): Promise<void> {
  for (;;) {
    const found = tails.flatMap(({ log, tail }) => tail.read().lines.flatMap((line) => readLine(line.text, log) ?? []));
    for (const each of found.sort(byTime)) if (filter.matches(each)) show(each, json);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

const COLOURS: Readonly<Record<string, Colour>> = { warning: "yellow", critical: "red" };

function show(found: LogRecord, json: boolean): void {
  if (json) printJson(found.record, "line");
  else print(eventLine(found));
}

/** `21:08:04  zombie_detected  worker-scan-1#3  message`. */
export function eventLine({ atMs, record }: LogRecord): string {
  const severity = textIn(record, "severity") ?? "info";
  const type = textIn(record, "event_type") ?? "?";
  const worker = textIn(record, "worker_id");
  const attempt = typeof record.attempt === "number" ? `#${record.attempt}` : "";
  const subject = worker === null ? "" : `  ${worker}${attempt}`;
  const colour = COLOURS[severity];
  const time = paint("dim", atMs === 0 ? "no time " : localTime(atMs, Date.now()));
  return `${time}  ${colour === undefined ? type : paint(colour, type)}${subject}  ${textIn(record, "message") ?? ""}`;
}
