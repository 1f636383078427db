/** `heald replay`: recomputes every recorded decision from its own record. @module */
import { existsSync, readFileSync } from "node:fs";
import { UsageError } from "../../lib/errors.js";
import { PACKED, readPacked } from "../../lib/platform/compressing.js";
import { type Difference, type Replayable, replayDecision } from "../../lib/runtime/replay.js";
import { type DecisionRecord, decisionSchema } from "../../lib/schema/events.js";
import { DAEMONS, type DaemonName } from "../../lib/schema/records.js";
import { partsOf } from "../../lib/store/archives.js";
import type { Layout } from "../../lib/store/layout.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { readHome } from "../home.js";
import { flagOption, secondsOption, textOption } from "../options.js";
import { print, printJson, printTable } from "../screen.js";

export const command: CommandDefinition = {
  summary: "recompute recorded decisions from their records",
  description:
    "Each decision is computed again from the slice, the event and the policy text in its record. One that comes out otherwise used something that is not recorded, or was made by another version. Exit code 1 if any differs.",
  options: [
    { flags: "--since <duration>", description: "only those of the last so long, such as 90m or 7d" },
    { flags: "--daemon <name>", description: "only those of one daemon" },
    JSON_OPTION,
  ],
  examples: [
    "heald replay",
    "heald replay --since 1h --daemon worker-restart",
    "heald replay --json | jq .differences",
  ],
  run,
};

interface Outcome {
  readonly daemon: DaemonName;
  decisions: number;
  readonly differences: ({ readonly decision_id: string; readonly subject: string } & Difference)[];
  /** Lines that are no decisions, and decisions whose policy text is gone. */
  readonly unreadable: string[];
}

async function run(call: Call): Promise<number> {
  const layout = readHome(call);
  const only = textOption(call.options, "daemon");
  if (only !== undefined && !(DAEMONS as readonly string[]).includes(only))
    throw new UsageError(`--daemon must be one of ${DAEMONS.join(", ")}, got ${JSON.stringify(only)}`);
  const since = secondsOption(call.options, "since", "--since");
  const sinceMs = since === undefined ? 0 : Date.now() - since * 1000;
  const outcomes: Outcome[] = [];
  for (const daemon of DAEMONS)
    if (only === undefined || only === daemon) outcomes.push(await replayDaemon(layout, daemon, sinceMs));
  const differs = outcomes.some((outcome) => outcome.differences.length > 0 || outcome.unreadable.length > 0);
  if (flagOption(call.options, "json"))
    printJson({ ok: !differs, daemons: outcomes, differences: outcomes.flatMap((outcome) => outcome.differences) });
  else show(outcomes);
  return differs ? 1 : 0;
}

function show(outcomes: readonly Outcome[]): void {
  printTable(
    ["DAEMON", "DECISIONS", "DIFFERENCES", "UNREADABLE"],
    outcomes.map(({ daemon, decisions, differences, unreadable }) => [
      daemon,
      String(decisions),
      String(differences.length),
      String(unreadable.length),
    ]),
  );
  for (const { daemon, differences, unreadable } of outcomes) {
    for (const { decision_id, subject, field, recorded, recomputed } of differences.slice(0, 20))
      print(`${daemon} ${decision_id} (${subject}): ${field} was ${recorded}, comes out as ${recomputed}`);
    for (const line of unreadable.slice(0, 20)) print(`${daemon}: ${line}`);
  }
}

async function replayDaemon(layout: Layout, daemon: DaemonName, sinceMs: number): Promise<Outcome> {
  const outcome: Outcome = { daemon, decisions: 0, differences: [], unreadable: [] };
  const replayable = await REPLAYABLES[daemon]();
  const texts = new Map<string, string | null>();
  for (const path of [...partsOf(layout.decisions(daemon), layout.archiveDir), layout.decisions(daemon)]) {
    if (!existsSync(path)) continue;
    for (const line of (path.endsWith(PACKED) ? readPacked(path) : readFileSync(path, "utf8")).split("\n"))
      if (line !== "") replayLine(layout, replayable, line, sinceMs, texts, outcome);
  }
  return outcome;
}

function replayLine(
  layout: Layout,
  replayable: Replayable<unknown, unknown>,
  line: string,
  sinceMs: number,
  texts: Map<string, string | null>,
  outcome: Outcome,
): void {
  const record = recordIn(line);
  if (record === null) {
    if (!line.includes('"log_rotated"')) outcome.unreadable.push(`a line is no decision: ${line.slice(0, 60)}`);
    return;
  }
  if (record.at_ms < sinceMs) return;
  const text = policyText(layout, record.policy_hash, texts);
  if (text === null) {
    outcome.unreadable.push(`decision ${record.decision_id} names policy ${record.policy_hash}, whose text is gone`);
    return;
  }
  outcome.decisions += 1;
  const difference = replayDecision(replayable, record, text);
  if (difference !== null)
    outcome.differences.push({ decision_id: record.decision_id, subject: record.subject, ...difference });
}

function recordIn(line: string): DecisionRecord | null {
  try {
    const read = decisionSchema.safeParse(JSON.parse(line));
    return read.success ? (read.data as DecisionRecord) : null;
  } catch {
    return null; // A torn line; it is counted by the caller.
  }
}

function policyText(layout: Layout, hash: string, texts: Map<string, string | null>): string | null {
  const known = texts.get(hash);
  if (known !== undefined) return known;
  const path = layout.policyText(hash);
  const text = /^[0-9a-f]{16}$/.test(hash) && existsSync(path) ? readFileSync(path, "utf8") : null;
  texts.set(hash, text);
  return text;
}

type Loader = () => Promise<Replayable<unknown, unknown>>;

/** Each daemon's core and policy, loaded when its decisions are replayed. */
const REPLAYABLES: Readonly<Record<DaemonName, Loader>> = {
  "heartbeat-monitor": async () => {
    const [{ core }, { heartbeatPolicy }] = await Promise.all([
      import("../../daemons/heartbeat-monitor/decide.js"),
      import("../../daemons/heartbeat-monitor/policy.js"),
    ]);
    return { core, policy: heartbeatPolicy } as never;
  },
  "worker-restart": async () => {
    const [{ restartCore }, { restartPolicy }] = await Promise.all([
      import("../../daemons/worker-restart/decide.js"),
      import("../../daemons/worker-restart/policy.js"),
    ]);
    return { core: restartCore, policy: restartPolicy } as never;
  },
  "failure-pattern": async () => {
    const [{ failurePatternCore }, { failurePatternPolicy }] = await Promise.all([
      import("../../daemons/failure-pattern/decide.js"),
      import("../../daemons/failure-pattern/policy.js"),
    ]);
    return { core: failurePatternCore, policy: failurePatternPolicy } as never;
  },
  "auto-fix": async () => {
    const [{ autoFixCore }, { autoFixPolicy }] = await Promise.all([
      import("../../daemons/auto-fix/decide.js"),
      import("../../daemons/auto-fix/policy.js"),
    ]);
    return { core: autoFixCore, policy: autoFixPolicy } as never;
  },
};
