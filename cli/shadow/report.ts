/** Reads what a shadow policy said beside the live one, and what became of those whom it would have ended. @module */
import type { DecisionRecord } from "../../lib/schema/events.js";
import type { DaemonName } from "../../lib/schema/records.js";
import { decisionsOf, linesOfLog } from "../../lib/store/decisions.js";
import type { Layout } from "../../lib/store/layout.js";
import { PolicyTimeline } from "../backtest/timeline.js";
import { type LogRecord, readLine } from "../records.js";
import { loadReplayable } from "../replayables.js";
import { Agreement, type Alone, type Tally } from "./agreement.js";

/** What became of a worker that the shadow alone would have ended. */
export interface WouldHaveKilled {
  readonly worker_id: string;
  readonly attempt: number | null;
  readonly at_ms: number;
  readonly reason: string;
  /** `went_on`: it beat again; `finished`: it ended well; `died`: it ended otherwise, by itself or by hand; `unknown`: nothing was heard since. */
  readonly fate: "went_on" | "finished" | "died" | "unknown";
  readonly fate_ms: number | null;
}

export interface ShadowReport {
  readonly daemon: DaemonName;
  readonly policy: string;
  readonly policy_hash: string;
  /** Whether it runs now. */
  readonly running: boolean;
  readonly from_ms: number;
  readonly until_ms: number;
  readonly decisions: number;
  readonly agreement: number | null;
  readonly verdicts: Readonly<Record<string, Tally>>;
  /** By how much sooner or later than live, in milliseconds. */
  readonly earlier_ms: readonly number[];
  readonly later_ms: readonly number[];
  /** Live endings of silent workers that the shadow would never have made. */
  readonly never: number;
  readonly would_have_killed: readonly WouldHaveKilled[];
}

/** While one text of a shadow policy ran. */
interface Run {
  readonly hash: string;
  readonly from_ms: number;
  readonly until_ms: number;
}

/** Two looks at one deadline are not made in the same millisecond. */
const SAME_TIME_MS = 500;

/** Stands for a line that cannot be read: it is about nobody. */
const NO_RECORD: LogRecord = { atMs: 0, log: "", record: {} };

/** The report of the shadow that ran last beside a daemon; null if none did since. */
export async function reportOf(
  layout: Layout,
  daemon: DaemonName,
  sinceMs: number,
  nowMs: number,
): Promise<ShadowReport | null> {
  const { policy: definition, core } = await loadReplayable(daemon);
  // What became of real attempts and fixes is asked of no shadow.
  const isHeard = ({ event }: DecisionRecord): boolean => core.shadowing?.hears(event as { kind: string }) ?? false;
  const name = `config/shadow/${definition.name}.json`;
  const all = runsOf(layout, daemon, name, nowMs).filter((run) => run.until_ms > sinceMs);
  const last = all.at(-1);
  if (last === undefined) return null;
  const runs = all.filter(({ hash }) => hash === last.hash);
  const isDuring = (atMs: number): boolean =>
    atMs >= sinceMs && runs.some((run) => atMs >= run.from_ms && atMs <= run.until_ms);
  const agreement = new Agreement();
  const ahead = await aheadOf(layout, daemon, last.hash);
  for (const line of decisionsOf(layout, daemon, sinceMs)) {
    if ("unreadable" in line || !isDuring(line.record.at_ms) || !isHeard(line.record)) continue;
    if (line.record.mode === "shadow" && line.record.policy_hash !== last.hash) continue;
    ahead?.hear(line.record);
    agreement.hear(line.record);
  }
  agreement.finish();
  const shifts = agreement.shifted.map(({ live, shadow }) => shadow.at_ms - live.at_ms);
  const unmet = agreement.onlyLive.flatMap(({ decision_id }) => ahead?.laterBy.get(decision_id) ?? []);
  return {
    ...{ daemon, policy: name, policy_hash: last.hash, running: last.until_ms === nowMs },
    from_ms: Math.max(sinceMs, (runs[0] as Run).from_ms),
    until_ms: last.until_ms,
    decisions: agreement.total.decisions,
    agreement: agreement.total.share,
    verdicts: Object.fromEntries(agreement.tallies),
    earlier_ms: shifts.filter((ms) => ms <= -SAME_TIME_MS).map((ms) => -ms),
    later_ms: [...shifts.filter((ms) => ms >= SAME_TIME_MS), ...unmet.filter(Number.isFinite)],
    never: unmet.filter((ms) => !Number.isFinite(ms)).length,
    would_have_killed: daemon === "heartbeat-monitor" ? fatesOf(layout, agreement.onlyShadow) : [],
  };
}

/** The times in which a shadow policy ran, from the daemon's own news. A daemon that was killed said no farewell. */
function runsOf(layout: Layout, daemon: DaemonName, policy: string, nowMs: number): Run[] {
  const runs: Run[] = [];
  let open: { readonly hash: string; readonly from_ms: number } | null = null;
  const end = (atMs: number): void => {
    if (open !== null) runs.push({ ...open, until_ms: atMs });
    open = null;
  };
  for (const line of linesOfLog(layout, layout.eventLog("daemon"))) {
    if (!line.includes(policy) && !/"daemon_st(arted|opped)"/.test(line)) continue;
    const { record, atMs } = readLine(line, "daemon") ?? NO_RECORD;
    const data = (record.data ?? {}) as { daemon?: unknown; policy?: unknown; policy_hash?: unknown };
    if (data.daemon !== daemon) continue;
    if (record.event_type === "daemon_stopped") end(atMs);
    else if (data.policy !== policy) continue;
    else if (record.event_type === "shadow_ended") end(atMs);
    else if (record.event_type === "policy_loaded") {
      end(atMs);
      open = { hash: String(data.policy_hash), from_ms: atMs };
    }
  }
  end(nowMs);
  return runs;
}

/** For live endings of silent workers: how much later the shadow would have made them, had it been let. */
async function aheadOf(layout: Layout, daemon: DaemonName, hash: string) {
  if (daemon !== "heartbeat-monitor") return null;
  const [{ heartbeatPolicy }, { endOfRecordedSilence }] = await Promise.all([
    import("../../daemons/heartbeat-monitor/policy.js"),
    import("../../daemons/heartbeat-monitor/detection.js"),
  ]);
  const timeline = new PolicyTimeline(layout, heartbeatPolicy);
  const shadow = timeline.byHash(hash);
  const laterBy = new Map<string, number>();
  const hear = (record: DecisionRecord): void => {
    const live = record.mode === "shadow" ? null : timeline.byHash(record.policy_hash);
    if (live === null || shadow === null) return;
    const was = endOfRecordedSilence(record, live);
    const would = endOfRecordedSilence(record, shadow);
    if (was === undefined || was.endsMs === null || would === undefined) return;
    laterBy.set(record.decision_id, would.endsMs === null ? Number.POSITIVE_INFINITY : would.endsMs - was.endsMs);
  };
  return { laterBy, hear };
}

const FATES: Readonly<Record<string, "went_on" | "finished" | "died">> = {
  heartbeat_resumed: "went_on",
  worker_completed: "finished",
  worker_exited: "died",
};

/** Looks up what was heard first of each worker after the shadow would have ended it. */
function fatesOf(layout: Layout, alone: readonly Alone[]): WouldHaveKilled[] {
  const kills = alone.filter(({ verdict }) => verdict === "zombie");
  const waiting = new Map<string, { readonly kill: Alone; fate: WouldHaveKilled["fate"]; fate_ms: number | null }[]>();
  const all = kills.map((kill) => ({
    kill,
    fate: "unknown" as WouldHaveKilled["fate"],
    fate_ms: null as number | null,
  }));
  for (const each of all) waiting.set(each.kill.subject, [...(waiting.get(each.kill.subject) ?? []), each]);
  if (all.length > 0)
    for (const line of linesOfLog(layout, layout.eventLog("heartbeat"))) {
      if (!/"(heartbeat_resumed|worker_completed|worker_exited)"/.test(line)) continue;
      const { record, atMs } = readLine(line, "heartbeat") ?? NO_RECORD;
      for (const each of waiting.get(String(record.worker_id)) ?? []) {
        const { kill } = each;
        if (atMs < kill.at_ms || (kill.attempt !== null && record.attempt !== kill.attempt)) continue;
        const fate = FATES[String(record.event_type)];
        // An ending is told twice: that it exited, and that this was the end of its work.
        const isBetter = each.fate === "died" && fate === "finished" && atMs - (each.fate_ms ?? 0) < 60_000;
        if (fate === undefined || (each.fate !== "unknown" && !isBetter)) continue;
        each.fate = fate;
        each.fate_ms = atMs;
      }
    }
  return all.map(({ kill, fate, fate_ms }) => ({
    worker_id: kill.subject,
    attempt: kill.attempt,
    at_ms: kill.at_ms,
    reason: kill.reason,
    fate,
    fate_ms,
  }));
}
