/** `heald shadow`: what policies in config/shadow would have done, beside what was done. @module */
import { UsageError } from "../../lib/errors.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { DAEMONS } from "../../lib/schema/records.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { readHome } from "../home.js";
import { flagOption, secondsOption, textOption } from "../options.js";
import { columns, paint, print, printJson, printTable, wrap } from "../screen.js";
import { reportOf, type ShadowReport, type WouldHaveKilled } from "../shadow/report.js";
import { localTime, span } from "../times.js";

const SHOWN = 10;
const WEEK_SECONDS = 7 * 86_400;

export const command: CommandDefinition = {
  summary: "what policies in config/shadow would have done",
  description:
    "A policy in coordination/config/shadow/ runs beside the one in force and changes nothing. To put it in force, mv it one folder up.",
  examples: ["heald shadow report", "mv coordination/config/shadow/heartbeat-policy.json coordination/config/"],
  verbs: {
    report: {
      summary: "how far shadow and live policies agree, and whom a shadow would have ended that went on",
      description:
        "Of each shadow, the text that ran last. Detections are earlier or later than the live one's of the same attempt; where the live policy was first, how much later is computed from its record.",
      options: [
        { flags: "--since <duration>", description: "only the last so long (default: 7d)" },
        { flags: "--daemon <name>", description: "only the shadow beside one daemon" },
        JSON_OPTION,
      ],
      examples: ["heald shadow report --since 24h", "heald shadow report --json | jq '.[].would_have_killed'"],
      run: report,
    },
  },
};

async function report(call: Call): Promise<undefined> {
  const layout = readHome(call);
  const only = textOption(call.options, "daemon");
  if (only !== undefined && !(DAEMONS as readonly string[]).includes(only))
    throw new UsageError(`--daemon must be one of ${DAEMONS.join(", ")}, got ${JSON.stringify(only)}`);
  const nowMs = Date.now();
  const sinceMs = nowMs - (secondsOption(call.options, "since", "--since") ?? WEEK_SECONDS) * 1000;
  const reports: ShadowReport[] = [];
  for (const daemon of DAEMONS) {
    const found = only === undefined || only === daemon ? await reportOf(layout, daemon, sinceMs, nowMs) : null;
    if (found !== null) reports.push(found);
  }
  if (flagOption(call.options, "json")) return printJson(reports.map(jsonOf)) as undefined;
  if (reports.length === 0) print("no shadow has run: put a policy into coordination/config/shadow/");
  for (const each of reports) tell(each, nowMs);
}

function jsonOf({ from_ms, until_ms, would_have_killed, ...rest }: ShadowReport): Record<string, unknown> {
  return {
    ...rest,
    from: writeInstant(from_ms),
    until: writeInstant(until_ms),
    would_have_killed: would_have_killed.map(({ at_ms, fate_ms, ...kill }) => ({
      ...kill,
      at: writeInstant(at_ms),
      fate_at: fate_ms === null ? null : writeInstant(fate_ms),
    })),
  };
}

function tell(shadow: ShadowReport, nowMs: number): void {
  const {
    policy,
    daemon,
    decisions,
    agreement,
    verdicts,
    earlier_ms,
    later_ms,
    never,
    would_have_killed: kills,
  } = shadow;
  const ran = `${shadow.running ? "runs" : "ran"} beside ${daemon}, ${span(shadow.until_ms - shadow.from_ms)}`;
  print(`${paint("bold", policy)}  ${ran}`);
  if (agreement === null) return print("agreement  nothing was decided yet");
  print(`agreement  ${Math.round(agreement * 100)} % of ${decisions} decisions`);
  printTable(
    ["VERDICT", "BOTH", "OTHERWISE", "ONLY LIVE", "ONLY SHADOW"],
    Object.entries(verdicts).map(([verdict, { both, otherwise, only_live, only_shadow }]) => [
      verdict,
      ...[both, otherwise, only_live, only_shadow].map(String),
    ]),
  );
  if (earlier_ms.length > 0) print(`earlier    ${times(earlier_ms)}`);
  if (later_ms.length > 0) print(`later      ${times(later_ms)}`);
  if (never > 0) print(`never      ${never}`);
  const wentOn = kills.filter(({ fate }) => fate === "went_on" || fate === "finished");
  const others = kills.length - wentOn.length;
  if (kills.length > 0)
    print(
      `kills      ${kills.length} that live did not make: ${wentOn.length} of workers that went on, ${others} of others`,
    );
  for (const kill of wentOn.slice(0, SHOWN)) say(`           ${sentenceOf(kill, nowMs)}`);
  if (wentOn.length > SHOWN) print(paint("dim", `           … and ${wentOn.length - SHOWN} more (--json has all)`));
  print();
}

function sentenceOf({ worker_id, attempt, at_ms, reason, fate, fate_ms }: WouldHaveKilled, nowMs: number): string {
  const later = fate_ms === null ? "" : ` ${span(fate_ms - at_ms)} later`;
  const then = fate === "finished" ? `it finished its work${later}` : `it beat again${later}`;
  const of = attempt === null ? "" : ` (attempt ${attempt})`;
  return `${paint("red", "would have killed")} ${worker_id}${of} at ${localTime(at_ms, nowMs)}, ${reason}; ${then}`;
}

function times(all: readonly number[]): string {
  const sorted = [...all].sort((a, b) => a - b);
  return `${all.length} decision${all.length === 1 ? "" : "s"}, by ${span(sorted[sorted.length >> 1] as number)} at the median, ${span(sorted.at(-1) as number)} at most`;
}

function say(text: string): void {
  print(wrap(text, Math.min(100, columns() ?? 80), "             "));
}
