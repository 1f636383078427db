/** What a pattern learns from failures and recoveries. Pure; every list is bounded. @module */
import { countEvent } from "../../lib/domain/statistics/rate-windows.js";
import type { Event } from "./messages.js";
import type { PatternPart } from "./state.js";

type Counted = Extract<Event, { kind: "counted" }>;

export const RECENT_MAX = 64;
const WORKERS_MAX = 50;
const TASKS_MAX = 20;
const EXAMPLES_MAX = 5;
const OPEN_MAX = 200;
/** A worker that nobody heard of any more is not waited for longer than this. */
const OPEN_MS_MAX = 24 * 3_600_000;

/** A pattern with nothing in it yet. */
export function blankPattern(counted: Counted): PatternPart {
  const { pattern_id, category, type, worker_type, signature, template, example } = counted;
  const first = Math.min(...counted.occurrences.map((each) => each.at_ms));
  return {
    ...{ pattern_id, category, type, worker_type, signature, template, example },
    status: "candidate",
    total: 0,
    first_seen_ms: first,
    last_seen_ms: first,
    counted_ms: 0,
    recent: [],
    hours: [],
    evidence: counted.occurrences[0]?.evidence ?? "text",
    confidence: 0,
    purity: 1,
    severity: "low",
    workers: [],
    tasks: [],
    examples: [],
    open: {},
    share: counted.recent,
    active_since_ms: null,
    published_mono_ms: null,
    is_dirty: false,
  };
}

/** Adds failures to a pattern. */
export function addFailures(before: PatternPart, counted: Counted, nowMs: number): PatternPart {
  let hours = before.hours;
  let total = before.total;
  const instants: number[] = [];
  const open: Record<string, number> = { ...before.open };
  for (const each of counted.occurrences) {
    hours = countEvent(hours, each.at_ms, each.weight);
    total += each.weight;
    for (let copy = 0; copy < Math.min(each.weight, RECENT_MAX); copy++) instants.push(each.at_ms);
    delete open[each.worker_id];
    open[each.worker_id] = each.at_ms;
  }
  const latest = counted.occurrences.at(-1);
  return {
    ...before,
    template: counted.template,
    total,
    hours,
    first_seen_ms: Math.min(before.first_seen_ms, ...instants),
    last_seen_ms: Math.max(before.last_seen_ms, ...instants),
    counted_ms: nowMs,
    recent: [...before.recent, ...instants].sort((a, b) => a - b).slice(-RECENT_MAX),
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
  let sum = before.confidence * before.total;
  let weight = before.total;
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

function withoutOld(open: Readonly<Record<string, number>>, nowMs: number): Record<string, number> {
  const kept = Object.entries(open).filter(([, at]) => nowMs - at < OPEN_MS_MAX);
  return Object.fromEntries(kept.slice(-OPEN_MAX));
}
