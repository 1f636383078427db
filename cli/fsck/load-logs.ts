/** Streams every log of the home once, and once more where something seems to come twice. @module */
import { join } from "node:path";
import { BREAKER_CLOSED, type BreakerPolicy, recordOutcome } from "../../lib/domain/breaker.js";
import type { BreakerState, Outcome } from "../../lib/domain/breaker-state.js";
import { fixHistorySchema } from "../../lib/schema/fix-records.js";
import { patternSchema } from "../../lib/schema/pattern.js";
import { isId, readInstant } from "../../lib/schema/primitives.js";
import { readAs, sentenceOf } from "../../lib/schema/problems.js";
import { DAEMONS, type DaemonName, restartHistorySchema } from "../../lib/schema/records.js";
import { gapsSchema, sampleSchema } from "../../lib/schema/samples.js";
import type { Layout } from "../../lib/store/layout.js";
import { PATTERNS_FILE } from "../../lib/store/patterns.js";
import type { SchemaOf } from "../../lib/store/records.js";
import type { BreakerFact, BreakerHistory } from "./facts.js";
import { KeySet } from "./key-set.js";
import { type Json, type Judge, type LogFacts, type LogLine, LogScan } from "./log-scan.js";
import { ALL_EVENT_LOGS, Confirmation, merged, numberOf, type Repeat, Stories, textOf } from "./stories.js";

const judgeEvent: Judge = (json) => {
  if (typeof json.event_type !== "string") return { problem: "it has no event_type" };
  const atMs = numberOf(json.at_ms) ?? readInstant(json.timestamp);
  return atMs === null ? { problem: "it has no time: neither at_ms nor timestamp" } : { problem: null, atMs };
};

const judgeDecision: Judge = (json) => {
  for (const field of ["decision_id", "daemon", "subject", "verdict", "reason", "policy_hash"])
    if (typeof json[field] !== "string") return { problem: `it has no ${field}` };
  if (!Array.isArray(json.gates)) return { problem: "it has no gates" };
  const atMs = numberOf(json.at_ms);
  return atMs === null ? { problem: "it has no at_ms" } : { problem: null, atMs };
};

function judgeBy(schema: SchemaOf<unknown>, ...others: SchemaOf<unknown>[]): Judge {
  return (json) => {
    const read = [schema, ...others].map((each) => readAs(each, json));
    if (!read.some(({ ok }) => ok)) return { problem: read[0]?.ok === false ? sentenceOf(read[0].problems) : "" };
    return { problem: null, atMs: numberOf(json.at_ms) ?? readInstant(json.timestamp) ?? 0 };
  };
}

function eventScans(layout: Layout): LogScan[] {
  return ALL_EVENT_LOGS.map(
    (log) => new LogScan(layout, { path: layout.eventLog(log), kind: "event", log, judge: judgeEvent }),
  );
}

/** Stories over all event logs. */
export function loadEvents(layout: Layout, nowMs: number) {
  const scans = eventScans(layout);
  const stories = new Stories();
  for (const line of merged(scans.map((scan) => scan.lines()))) stories.take(line, nowMs);
  const logs: LogFacts[] = scans.flatMap(({ files }) => files);
  return { logs, stories: { ...mapsOf(stories), repeats: confirmed(layout, stories.suspects) } };
}

function mapsOf({ detections, incidents, matched, pending, expired, applied, untold, told, unwatched }: Stories) {
  return { detections, incidents, matched, pending, expired, applied, untold, told, unwatched };
}

function confirmed(layout: Layout, suspects: ReadonlyMap<string, Repeat>): ReadonlyMap<string, Repeat> {
  if (suspects.size === 0) return suspects;
  const confirmation = new Confirmation(suspects);
  for (const scan of eventScans(layout)) for (const line of scan.lines()) confirmation.take(line);
  return confirmation.repeats();
}

export interface DecisionFacts {
  readonly logs: readonly LogFacts[];
  readonly policiesNamed: ReadonlyMap<string, string>;
  readonly decisionRepeats: readonly { readonly daemon: string; readonly id: string }[];
}

export function loadDecisions(layout: Layout): DecisionFacts {
  const policiesNamed = new Map<string, string>();
  const loaded = DAEMONS.map((daemon) => {
    const scan = decisionScan(layout, daemon);
    const seen = new KeySet();
    const suspects = new Set<string>();
    for (const { json } of scan.lines()) {
      const id = String(json.decision_id);
      const hash = String(json.policy_hash);
      if (!policiesNamed.has(hash)) policiesNamed.set(hash, id);
      if (!seen.add(id)) suspects.add(id);
    }
    return { files: scan.files, repeats: repeated(layout, daemon, suspects) };
  });
  return {
    logs: loaded.flatMap(({ files }) => files),
    policiesNamed,
    decisionRepeats: loaded.flatMap(({ repeats }) => repeats),
  };
}

function decisionScan(layout: Layout, daemon: DaemonName): LogScan {
  return new LogScan(layout, { path: layout.decisions(daemon), kind: "decision", log: daemon, judge: judgeDecision });
}

function repeated(layout: Layout, daemon: DaemonName, suspects: ReadonlySet<string>) {
  if (suspects.size === 0) return [];
  const counts = new Map<string, number>();
  for (const { json } of decisionScan(layout, daemon).lines()) {
    const id = String(json.decision_id);
    if (suspects.has(id)) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return [...counts].flatMap(([id, count]) => (count > 1 ? [{ daemon, id }] : []));
}

/** The restart history, folded into the breakers that it makes. */
export function loadHistory(
  layout: Layout,
  breakers: readonly BreakerFact[],
  policyOf: ((workerType: string) => BreakerPolicy) | null,
  nowMs: number,
) {
  const judge = judgeBy(restartHistorySchema as SchemaOf<unknown>);
  const scan = new LogScan(layout, { path: layout.history, kind: "history", log: "worker-restart-history", judge });
  const resets = new Map(breakers.flatMap(({ workerType, value }) => resetOf(workerType, value)));
  const folds = new Map<string, Fold>();
  let historyFromMs: number | null = null;
  for (const { json, atMs } of scan.lines()) {
    historyFromMs = Math.min(historyFromMs ?? atMs, atMs);
    const type = textOf(json.worker_type);
    if (type === null || policyOf === null) continue;
    const fold = folds.get(type) ?? newFold();
    folds.set(type, counted(fold, outcomeOf(json, atMs), policyOf(type), nowMs, resets.get(type) ?? null));
  }
  const breakerHistory = new Map<string, BreakerHistory>(
    [...folds].map(([type, { all, after, from, lastAtMs }]) => [type, { all, sinceReset: [after, from], lastAtMs }]),
  );
  return { logs: scan.files, breakerHistory, historyFromMs };
}

interface Fold {
  readonly all: BreakerState;
  /** Without the lines of the second of the reset, and with them. */
  readonly after: BreakerState;
  readonly from: BreakerState;
  readonly lastAtMs: number;
}

const newFold = (): Fold => ({ all: BREAKER_CLOSED, after: BREAKER_CLOSED, from: BREAKER_CLOSED, lastAtMs: 0 });

function resetOf(workerType: string, value: BreakerFact["value"]): [string, number][] {
  const atMs = value?.manual_reset === true ? readInstant(value.last_reset) : null;
  return atMs === null ? [] : [[workerType, atMs]];
}

function counted(fold: Fold, outcome: Outcome, policy: BreakerPolicy, nowMs: number, resetMs: number | null): Fold {
  const take = (state: BreakerState, counts: boolean): BreakerState =>
    counts ? recordOutcome(state, outcome, policy, nowMs) : state;
  return {
    all: take(fold.all, true),
    after: take(fold.after, resetMs === null || outcome.atMs >= resetMs + 1000),
    from: take(fold.from, resetMs === null || outcome.atMs >= resetMs),
    lastAtMs: Math.max(fold.lastAtMs, outcome.atMs),
  };
}

function outcomeOf(json: Json, atMs: number): Outcome {
  const result =
    json.result === "failure" && json.reason === "relapsed" ? "relapsed" : (json.result as "success" | "failure");
  if (!isId(json.worker_id)) return { result, atMs };
  const attempt = numberOf(json.attempt);
  return { result, atMs, worker_id: json.worker_id, ...(attempt === null ? {} : { attempt }) };
}

/** The logs of which only the lines are asked about, and which of the given runs the fix history knows. */
export function loadPlainLogs(layout: Layout, runIds: ReadonlySet<string>) {
  const fixes = new LogScan(layout, {
    path: layout.fixHistory,
    kind: "fix-history",
    log: "auto-fix-history",
    judge: judgeBy(fixHistorySchema as SchemaOf<unknown>),
  });
  const runsInHistory = new Set<string>();
  for (const { json } of fixes.lines()) {
    const runId = textOf(json.run_id);
    if (runId !== null && runIds.has(runId)) runsInHistory.add(runId);
  }
  const others = [
    new LogScan(layout, {
      path: layout.samples,
      kind: "sample",
      log: "samples",
      judge: judgeBy(sampleSchema as SchemaOf<unknown>, gapsSchema as SchemaOf<unknown>),
    }),
    new LogScan(layout, {
      path: join(layout.patternsDir, PATTERNS_FILE),
      kind: "pattern",
      log: "failure-patterns",
      judge: judgeBy(patternSchema as SchemaOf<unknown>),
    }),
  ];
  for (const scan of others) drain(scan.lines());
  return { logs: [fixes, ...others].flatMap(({ files }) => files), runsInHistory };
}

function drain(lines: Iterable<LogLine>): void {
  for (const _ of lines);
}
