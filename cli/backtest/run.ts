/** Runs a backtest over the recorded history of one daemon, a line at a time. @module */
import { Refused } from "../../lib/errors.js";
import { type ActChange, Backtest, type SubjectDivergence, typeIn } from "../../lib/runtime/backtest.js";
import type { BusiestTimes, Peak } from "../../lib/runtime/peaks.js";
import type { TooFine } from "../../lib/runtime/resolution.js";
import type { DecisionRecord } from "../../lib/schema/events.js";
import type { Policy } from "../../lib/schema/policy.js";
import type { DaemonName } from "../../lib/schema/records.js";
import { decisionsOf, linesOfLog } from "../../lib/store/decisions.js";
import type { Layout } from "../../lib/store/layout.js";
import { parsed, timeOf } from "../../lib/store/log-file.js";
import type { BreakerHistory } from "./breakers.js";
import type { Detection, Silences } from "./silences.js";
import { type BacktestParts, partsFor } from "./subject.js";
import { PolicyTimeline } from "./timeline.js";

export interface BacktestReport {
  readonly policy: string;
  readonly daemon: DaemonName;
  readonly since_ms: number;
  readonly until_ms: number;
  /** The first record there is; null without any. */
  readonly first_ms: number | null;
  readonly decisions: number;
  readonly judged: number;
  readonly not_judged: number;
  readonly unexplained: number;
  readonly unreadable: number;
  readonly subjects: number;
  readonly divergences: readonly SubjectDivergence[];
  readonly changes: readonly ActChange[];
  readonly acts: { readonly live: Times; readonly other: Times };
  readonly peaks: readonly Peak[];
  readonly breakers: { readonly live: number; readonly other: number } | null;
  readonly detection: Detection | null;
}

interface Times {
  readonly total: number;
  readonly per_hour: number;
  readonly per_day: number;
}

/** A recording that cannot tell what the policy asks for. */
export class TooFineForRecording extends Refused {
  constructor(name: string, fine: readonly TooFine[]) {
    const of = fine.map(({ key, value, recorded }) => `${key} is ${value}, and the recording ${recorded}`);
    super(`Cannot backtest ${name}: ${of.join("; ")}`);
  }
}

/**
 * What the policy would have done since then.
 *
 * @throws {TooFineForRecording} If the recording cannot tell.
 */
export async function runBacktest(
  layout: Layout,
  name: string,
  policy: Policy<unknown>,
  sinceMs: number,
  untilMs: number,
): Promise<BacktestReport> {
  const parts = await partsFor(name, policy);
  const timeline = new PolicyTimeline<never>(layout, parts.definition);
  timeline.learnFrom(linesOfLog(layout, layout.decisions(parts.daemon)));
  const firstMs = firstRecordMs(layout, parts.daemon);
  const fromMs = Math.max(sinceMs, firstMs ?? untilMs);
  const fine = parts.tooFine({ policies: timeline.since(fromMs), spanSeconds: (untilMs - fromMs) / 1000 });
  if (fine.length > 0) throw new TooFineForRecording(`${name}.json`, fine);
  const backtest = new Backtest(parts.core, parts.rules, parts.other);
  const silences = await silencesFor(layout, parts, timeline, backtest, fromMs);
  const breakers = await breakersFor(layout, parts, timeline, fromMs);
  let unreadable = 0;
  for (const line of decisionsOf(layout, parts.daemon, fromMs)) {
    if ("unreadable" in line) unreadable += 1;
    else if (line.record.mode !== "shadow") {
      const live = timeline.byHash(line.record.policy_hash);
      if (live === null) unreadable += 1;
      else judge(line.record, live, { backtest, silences, breakers });
    }
  }
  breakers?.finish(untilMs);
  return {
    policy: name,
    daemon: parts.daemon,
    since_ms: sinceMs,
    until_ms: untilMs,
    first_ms: firstMs,
    ...tally(backtest),
    unreadable,
    breakers: breakers?.trips ?? null,
    detection: silences?.detection() ?? null,
  };
}

function tally(backtest: Backtest) {
  const { decisions, judged, unexplained, subjects, divergences, changes, peaks, liveTimes, otherTimes } = backtest;
  const timesOf = ({ total, perHour, perDay }: BusiestTimes): Times => ({ total, per_hour: perHour, per_day: perDay });
  const not_judged = divergences.reduce((sum, each) => sum + each.not_judged, 0);
  const acts = { live: timesOf(liveTimes), other: timesOf(otherTimes) };
  return { decisions, judged, not_judged, unexplained, subjects, divergences, changes, acts, peaks: peaks.all };
}

function judge(
  record: DecisionRecord,
  live: Policy<never>,
  by: { readonly backtest: Backtest; readonly silences: Silences | null; readonly breakers: BreakerHistory | null },
): void {
  const { subject } = record;
  by.silences?.hear(record, live);
  if (by.breakers !== null) {
    const worker_type = typeIn(record);
    const parted = worker_type === null ? null : by.breakers.partedBy(record, worker_type);
    if (parted !== null && parted.at_ms <= record.at_ms)
      by.backtest.divergeAt({ subject, worker_type, ...parted, kind: "breaker", later_ms: null, decision_id: null });
  }
  by.backtest.judge(record, live);
}

async function silencesFor(
  layout: Layout,
  parts: BacktestParts,
  timeline: PolicyTimeline<never>,
  backtest: Backtest,
  sinceMs: number,
): Promise<Silences | null> {
  if (parts.daemon !== "heartbeat-monitor" || parts.other === null) return null;
  const { Silences } = await import("./silences.js");
  return new Silences(layout, timeline, parts.other, backtest, sinceMs);
}

async function breakersFor(
  layout: Layout,
  parts: BacktestParts,
  timeline: PolicyTimeline<never>,
  sinceMs: number,
): Promise<BreakerHistory | null> {
  if (parts.daemon !== "worker-restart" || parts.other === null) return null;
  const { BreakerHistory } = await import("./breakers.js");
  return new BreakerHistory(layout, timeline, parts.other, sinceMs);
}

/** When the oldest record that a backtest of the daemon reads was made. */
function firstRecordMs(layout: Layout, daemon: DaemonName): number | null {
  const logs = [layout.decisions(daemon), layout.eventLog("daemon")];
  if (daemon === "heartbeat-monitor") logs.push(layout.eventLog("heartbeat"));
  if (daemon === "worker-restart") logs.push(layout.history);
  const firsts = logs.flatMap((path) => firstIn(layout, path) ?? []);
  return firsts.length === 0 ? null : Math.min(...firsts);
}

function firstIn(layout: Layout, path: string): number | null {
  for (const line of linesOfLog(layout, path)) {
    const atMs = timeOf(parsed(line));
    if (atMs !== null) return atMs;
  }
  return null;
}
