/** `heald patterns`: what fails again and again, in a sentence each, and one of them in full. @module */
import { patternSentence, sparkline } from "../../lib/domain/pattern-words.js";
import { NotFound, UsageError } from "../../lib/errors.js";
import type { PatternRecord, PatternSeverity } from "../../lib/schema/pattern.js";
import { readInstant } from "../../lib/schema/primitives.js";
import { readPatterns } from "../../lib/store/patterns.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { readHome } from "../home.js";
import { flagOption, textOption } from "../options.js";
import { type Colour, columns, paint, print, printJson, printTable, wrap } from "../screen.js";
import { age, localTime } from "../times.js";

export const command: CommandDefinition = {
  summary: "what fails again and again, and why",
  description:
    "Shows the patterns that are active now; with --all also those that are over. The confidence says how sure the classification is; the frequency says how often the failure happens.",
  arguments: "[pattern]",
  options: [
    { flags: "--all", description: "also the patterns that are over" },
    { flags: "--type <type>", description: "only patterns of this worker type" },
    JSON_OPTION,
  ],
  examples: [
    "heald patterns",
    "heald patterns --all --type scan-worker",
    "heald patterns pattern-1f3a90c2d4e5b607",
    "heald patterns --json | jq '.[] | {type, confidence}'",
  ],
  run: patterns,
};

const WIDTH = 100;
const SEVERITY_COLOURS: Readonly<Record<PatternSeverity, Colour>> = {
  low: "dim",
  medium: "yellow",
  high: "red",
  critical: "red",
};
const SEVERITIES: readonly PatternSeverity[] = ["critical", "high", "medium", "low"];

function patterns(call: Call): undefined {
  const all = readPatterns(readHome(call));
  const [wanted] = call.args;
  if (wanted !== undefined) return one(call, all, wanted);
  const type = textOption(call.options, "type");
  const shown = all
    .filter((each) => flagOption(call.options, "all") || each.status === "active")
    .filter((each) => type === undefined || each.worker_type === type)
    .sort(worstFirst);
  if (flagOption(call.options, "json")) printJson(shown);
  else if (shown.length === 0) print(nothing(all, flagOption(call.options, "all"), type));
  else list(shown);
  return undefined;
}

function nothing(all: readonly PatternRecord[], showsAll: boolean, type: string | undefined): string {
  const whose = type === undefined ? "" : ` of ${type}`;
  const over = all.filter((each) => type === undefined || each.worker_type === type).length;
  if (over === 0 || showsAll) return `No failures${whose} repeat.`;
  return `No failures${whose} repeat now; ${over} ${over === 1 ? "pattern is" : "patterns are"} over: heald patterns --all`;
}

function list(shown: readonly PatternRecord[]): void {
  const nowMs = Date.now();
  printTable(
    ["PATTERN", "SEVERITY", "SURE", "LAST", "24 HOURS", "WHAT"],
    shown.map((each) => [
      each.pattern_id,
      paint(SEVERITY_COLOURS[each.severity], each.severity),
      `${Math.round(each.confidence * 100)}%`,
      age(each.frequency.last_seen, nowMs),
      sparkline(each.frequency.by_hour ?? []),
      sentence(each, nowMs),
    ]),
  );
}

/** One pattern in full: by its id, or the beginning of it. */
function one(call: Call, all: readonly PatternRecord[], wanted: string): undefined {
  const found = all.filter(({ pattern_id }) => pattern_id === wanted || pattern_id.startsWith(wanted));
  const exact = found.find(({ pattern_id }) => pattern_id === wanted);
  const pattern = exact ?? found[0];
  if (pattern === undefined) throw new NotFound(`No pattern ${JSON.stringify(wanted)}: see heald patterns --all`);
  if (exact === undefined && found.length > 1)
    throw new UsageError(`${JSON.stringify(wanted)} is the beginning of ${found.length} patterns; give more of it`);
  if (flagOption(call.options, "json")) printJson(pattern);
  else inFull(pattern, Date.now());
  return undefined;
}

function inFull(pattern: PatternRecord, nowMs: number): void {
  const width = Math.min(WIDTH, columns() ?? WIDTH);
  print(wrap(paint("bold", sentence(pattern, nowMs)), width, "  "));
  print();
  for (const [name, value] of rowsOf(pattern, nowMs))
    print(wrap(`  ${name.padEnd(12)} ${value}`, width, " ".repeat(15)));
}

function rowsOf(pattern: PatternRecord, nowMs: number): (readonly [string, string])[] {
  const { frequency } = pattern;
  const at = (instant: unknown): string => localTime(readInstant(instant) ?? 0, nowMs);
  const rows: (readonly [string, string] | null)[] = [
    ["pattern", `${pattern.pattern_id}, ${pattern.status}`],
    ["cause", pattern.root_cause],
    [
      "type",
      `${pattern.category}:${pattern.type}, ${Math.round(pattern.confidence * 100)}% sure (${pattern.evidence})`,
    ],
    pattern.actionable === false ? ["fixes", "none: it is not sure enough what it is"] : null,
    pattern.retry_recommended === true ? ["retry", "worth while, says the policy"] : null,
    ["severity", paint(SEVERITY_COLOURS[pattern.severity], pattern.severity)],
    [
      "frequency",
      `${frequency.window_occurrences} in the window, ${frequency.rate_per_hour} an hour, ${frequency.total_occurrences} in all`,
    ],
    ["seen", `from ${at(frequency.first_seen)} to ${at(frequency.last_seen)}`],
    ["24 hours", sparkline(frequency.by_hour ?? [])],
    ...timeRows(pattern, at),
    ["workers", (pattern.workers ?? []).join(", ")],
    (pattern.tasks ?? []).length === 0 ? null : ["tasks", (pattern.tasks ?? []).join(", ")],
    ["signature", pattern.signature],
    pattern.example ? ["example", pattern.example.replace(/\s+/g, " ")] : null,
    ["events", (pattern.example_event_ids ?? []).join(", ")],
  ];
  return rows.filter((row) => row !== null);
}

function timeRows(pattern: PatternRecord, at: (instant: unknown) => string): (readonly [string, string])[] {
  const { temporal, forecast, correlation } = pattern;
  const rows: (readonly [string, string])[] = [];
  if (temporal?.burst) rows.push(["burst", `${temporal.burst.occurrences} within ${temporal.burst.seconds} s`]);
  if (temporal?.anomaly)
    rows.push([
      "odd day",
      `${temporal.anomaly.occurrences} on ${temporal.anomaly.day}, usually ${temporal.anomaly.usual_per_day} (${temporal.anomaly.sigmas} sigma)`,
    ]);
  if (temporal?.rate_change)
    rows.push(["rate", `${temporal.rate_change.factor} times as often since ${at(temporal.rate_change.since)}`]);
  if (temporal?.peak_hour !== undefined && temporal.peak_hour !== null) {
    const [zone, again] = [temporal.time_zone ?? "UTC", temporal.cycle_hours === 12 ? " and twelve hours later" : ""];
    rows.push(["time of day", `around ${clockHour(temporal.peak_hour)} ${zone}${again}`]);
  }
  for (const each of correlation?.follows ?? [])
    rows.push(["follows", `${each.pattern}, ${each.occurrences} times, after about ${each.lag_seconds} s`]);
  if (forecast)
    rows.push([
      "next",
      `before ${at(forecast.expected_before)} with a chance of ${Math.round(forecast.probability * 100)}% (Brier skill ${forecast.skill} over ${forecast.samples} forecasts)`,
    ]);
  return rows;
}

function clockHour(hour: number): string {
  const minutes = Math.round(hour * 4) * 15;
  return `${String(Math.floor(minutes / 60) % 24).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
}

function worstFirst(a: PatternRecord, b: PatternRecord): number {
  if (a.status !== b.status) return a.status === "active" ? -1 : 1;
  const order = SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity);
  return order !== 0 ? order : (readInstant(b.frequency.last_seen) ?? 0) - (readInstant(a.frequency.last_seen) ?? 0);
}

/** What a person would say, in local time. */
function sentence(pattern: PatternRecord, nowMs: number): string {
  const { frequency } = pattern;
  const first = readInstant(frequency.first_seen) ?? 0;
  const facts = {
    type: pattern.type,
    workerType: pattern.worker_type ?? "workers",
    isActive: pattern.status === "active",
    total: frequency.total_occurrences,
    share: frequency.share_of_recent ?? null,
    sinceMs: readInstant(frequency.active_since) ?? first,
    lastSeenMs: readInstant(frequency.last_seen) ?? first,
    meanGapSeconds: frequency.mean_gap_seconds ?? null,
    expectedBeforeMs: readInstant(pattern.forecast?.expected_before),
  };
  return patternSentence(facts, (atMs) => {
    const shown = localTime(atMs, nowMs);
    return shown.length === 8 ? shown.slice(0, 5) : shown.slice(0, 16);
  });
}
