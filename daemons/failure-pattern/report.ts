/** The daily report: what repeated since the last one, for people, in Markdown. Pure. @module */
import { sparkline } from "../../lib/domain/pattern-words.js";
import type { PatternRecord } from "../../lib/schema/pattern.js";
import { readInstant } from "../../lib/schema/primitives.js";

const DAY_MS = 86_400_000;
const OVER_SHOWN = 20;
const SEVERITIES = ["critical", "high", "medium", "low"];

export interface ReportFigures {
  readonly failures: number;
  readonly ignored: number;
  readonly lagBytes: number;
}

/** Writes the report of a day. */
export function reportOf(
  date: string,
  records: readonly PatternRecord[],
  figures: ReportFigures,
  nowMs: number,
): string {
  const active = records.filter((each) => each.status === "active").sort(worstFirst);
  const over = records
    .filter((each) => each.status === "resolved" && nowMs - seenMs(each) < DAY_MS)
    .sort((a, b) => seenMs(b) - seenMs(a));
  const lines = [
    `# Failure patterns, ${date}`,
    "",
    active.length === 0
      ? "Nothing fails again and again."
      : `${active.length} ${active.length === 1 ? "pattern is" : "patterns are"} active, ${over.length} ended in the last day.`,
    "",
    `Failures learned from so far: ${figures.failures}. Told of twice and counted once: ${figures.ignored}.${
      figures.lagBytes > 0 ? ` ${figures.lagBytes} bytes of the logs are not read yet.` : ""
    }`,
    ...(active.length === 0 ? [] : ["", "## Active", "", ...table(active), ...active.flatMap(details)]),
    ...(over.length === 0 ? [] : ["", "## Over since yesterday", "", ...table(over.slice(0, OVER_SHOWN))]),
    ...(over.length > OVER_SHOWN ? [`And ${over.length - OVER_SHOWN} more.`] : []),
    "",
  ];
  return lines.join("\n");
}

function table(records: readonly PatternRecord[]): string[] {
  return [
    "| Pattern | Severity | Sure | Last 24 hours | In the window | What |",
    "|---|---|---|---|---|---|",
    ...records.map(
      (each) =>
        `| \`${each.pattern_id}\` | ${each.severity} | ${Math.round(each.confidence * 100)}% | ${sparkline(each.frequency.by_hour ?? [])} | ${each.frequency.window_occurrences} | ${plain(each.message)} |`,
    ),
  ];
}

function details(record: PatternRecord): string[] {
  const { temporal, forecast, correlation } = record;
  const facts = [
    `Cause: ${plain(record.root_cause)}`,
    record.retry_recommended ? "A retry is worth while" : null,
    `Type: \`${record.category}:${record.type}\` by ${record.evidence}, signature \`${code(record.signature)}\``,
    temporal?.burst ? `Burst: ${temporal.burst.occurrences} within ${temporal.burst.seconds} s` : null,
    temporal?.anomaly
      ? `${temporal.anomaly.occurrences} on ${temporal.anomaly.day}, usually ${temporal.anomaly.usual_per_day} a day`
      : null,
    temporal?.rate_change ? `${temporal.rate_change.factor} times as often since ${temporal.rate_change.since}` : null,
    typeof temporal?.peak_hour === "number"
      ? `Mostly around ${temporal.peak_hour} o'clock (${temporal.time_zone})`
      : null,
    ...(correlation?.follows ?? []).map((each) => `Follows \`${each.pattern}\` after about ${each.lag_seconds} s`),
    forecast
      ? `Next expected before ${forecast.expected_before} (chance ${forecast.probability}, skill ${forecast.skill})`
      : null,
    `Workers: ${(record.workers ?? []).join(", ")}`,
    record.example ? `Example: \`${code(record.example)}\`` : null,
  ];
  return ["", `### ${plain(record.message)}`, "", ...facts.filter((fact) => fact !== null).map((fact) => `- ${fact}`)];
}

/** Text of strangers: one line, and nothing in it that Markdown or a browser would act upon. */
function plain(text: string): string {
  return text.replace(/\s+/g, " ").replace(/[\\`*_[\]<>|#~]/g, (found) => `\\${found}`);
}

function code(text: string): string {
  return text.replace(/\s+/g, " ").replace(/[`|]/g, "'").slice(0, 200);
}

function seenMs(record: PatternRecord): number {
  return readInstant(record.frequency.last_seen) ?? 0;
}

function worstFirst(a: PatternRecord, b: PatternRecord): number {
  const order = SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity);
  return order !== 0 ? order : seenMs(b) - seenMs(a);
}
