/** What a pattern learns from failures and recoveries. Pure; every list is bounded. @module */
import { addToHistory, beginHistory, type History, type HistoryOptions } from "../../lib/domain/statistics/history.js";
import type { Event } from "./messages.js";
import type { PatternPart } from "./state.js";

type Counted = Extract<Event, { kind: "counted" }>;

const WORKERS_MAX = 50;
const TASKS_MAX = 20;
const EXAMPLES_MAX = 5;
const OPEN_MAX = 200;
/** A worker that nobody heard of any more is not waited for longer than this. */
const OPEN_MS_MAX = 24 * 3_600_000;

/** A pattern with nothing in it yet. */
export function blankPattern(counted: Counted): PatternPart {
  const { pattern_id, category, type, worker_type, signature, template, example, root_cause } = counted;
  return {
    ...{ pattern_id, category, type, worker_type, signature, template, example, root_cause },
    status: "candidate",
    history: EMPTY,
    counted_ms: 0,
    evidence: counted.occurrences[0]?.evidence ?? "text",
    confidence: 0,
    purity: 1,
    severity: "low",
    workers: [],
    tasks: [],
    examples: [],
    open: {},
    follows: [],
    is_forecast: false,
    share: counted.recent,
    active_since_ms: null,
    published_mono_ms: null,
    is_dirty: false,
  };
}

/** Stands for a history until the first failure is counted, which is within the same decision. */
const EMPTY: History = { ...beginHistory(0), total: 0 };

/** Adds failures to a pattern. */
export function addFailures(
  before: PatternPart,
  counted: Counted,
  nowMs: number,
  options: HistoryOptions,
): PatternPart {
  let history = before.history;
  const open: Record<string, number> = { ...before.open };
  for (const each of counted.occurrences) {
    for (let copy = 0; copy < each.weight; copy++)
      history = history.total === 0 ? beginHistory(each.at_ms) : addToHistory(history, each.at_ms, options);
    delete open[each.worker_id];
    open[each.worker_id] = each.at_ms;
  }
  const latest = counted.occurrences.at(-1);
  return {
    ...before,
    template: counted.template,
    root_cause: counted.root_cause ?? before.root_cause,
    history,
    counted_ms: nowMs,
    evidence: latest?.evidence ?? before.evidence,
    confidence: meanConfidence(before, counted),
    purity: counted.purity,
    workers: latestOf(
      before.workers,
      counted.occurrences.map((each) => each.worker_id),
      WORKERS_MAX,
    ),
    tasks: latestOf(
      before.tasks,
      counted.occurrences.flatMap((each) => each.task_id ?? []),
      TASKS_MAX,
    ),
    examples: latestOf(
      before.examples,
      counted.occurrences.map((each) => each.event_id),
      EXAMPLES_MAX,
    ),
    open: withoutOld(open, nowMs),
    follows: counted.follows,
    share: counted.recent,
    is_dirty: true,
  };
}

/** Takes workers out that are well again. */
export function removeRecovered(before: PatternPart, workers: readonly string[]): PatternPart {
  const gone = new Set(workers);
  const open = Object.entries(before.open).filter(([worker]) => !gone.has(worker));
  if (open.length === Object.keys(before.open).length) return before;
  return { ...before, open: Object.fromEntries(open), is_dirty: true };
}

/** How sure the classification is, over all failures of the pattern. */
function meanConfidence(before: PatternPart, counted: Counted): number {
  let sum = before.confidence * before.history.total;
  let weight = before.history.total;
  for (const each of counted.occurrences) {
    sum += each.confidence * each.weight;
    weight += each.weight;
  }
  return weight === 0 ? 0 : sum / weight;
}

function latestOf(before: readonly string[], added: readonly string[], max: number): readonly string[] {
  const all = new Set(before);
  for (const each of added) {
    all.delete(each);
    all.add(each);
  }
  return [...all].slice(-max);
}

/** Changes what it is given: the lists of a storm are long. */
function withoutOld(open: Record<string, number>, nowMs: number): Record<string, number> {
  const workers = Object.keys(open);
  let over = workers.length - OPEN_MAX;
  for (const worker of workers) {
    if (over-- > 0 || nowMs - (open[worker] as number) >= OPEN_MS_MAX) delete open[worker];
  }
  return open;
}
