/** Tells a backtest in words: what changes, where the ways part, how full each limit was, and what is not known. @module */
import type { ActChange, SubjectDivergence } from "../../lib/runtime/backtest.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import type { DaemonName } from "../../lib/schema/records.js";
import { columns, paint, print, printTable, wrap } from "../screen.js";
import { localTime, span } from "../times.js";
import type { BacktestReport } from "./run.js";
import type { Detection, WouldHaveKilled } from "./silences.js";

const SHOWN = 8;
const WIDTH_MAX = 100;

/** Whom the decisions of each daemon are about. */
const SUBJECTS: Readonly<Record<DaemonName, readonly [one: string, many: string]>> = {
  "heartbeat-monitor": ["worker", "workers"],
  "worker-restart": ["worker", "workers"],
  "failure-pattern": ["pattern", "patterns"],
  "auto-fix": ["subject", "subjects"],
};

export interface ChangeRow {
  readonly change: ActChange["change"];
  readonly act: string;
  readonly times: number;
  readonly subjects: number;
  readonly by_subject: Readonly<Record<string, number>>;
  readonly examples: readonly ActChange[];
}

/** The changes by what changes: how often, for whom, and a few of them. */
export function changeRows(changes: readonly ActChange[]): ChangeRow[] {
  const rows = new Map<string, ActChange[]>();
  for (const change of changes) {
    const key = `${change.change} ${change.act}`;
    const row = rows.get(key);
    if (row) row.push(change);
    else rows.set(key, [change]);
  }
  return [...rows.values()].map((all) => {
    const by_subject: Record<string, number> = {};
    for (const { subject } of all) by_subject[subject] = (by_subject[subject] ?? 0) + 1;
    const { change, act } = all[0] as ActChange;
    const examples = all.slice(0, 3);
    return { change, act, times: all.length, subjects: Object.keys(by_subject).length, by_subject, examples };
  });
}

/** The report as JSON, instants in UTC. */
export function jsonOf(report: BacktestReport): Record<string, unknown> {
  const { since_ms, until_ms, first_ms, divergences, changes, detection, ...rest } = report;
  const at = ({ at_ms, ...other }: { at_ms: number }) => ({ at: writeInstant(at_ms), ...other });
  return {
    ...rest,
    since: writeInstant(since_ms),
    until: writeInstant(until_ms),
    first_record: first_ms === null ? null : writeInstant(first_ms),
    touched: new Set(changes.map(({ subject }) => subject)).size,
    changes: changeRows(changes).map((row) => ({ ...row, examples: row.examples.map(at) })),
    divergences: divergences.map(at),
    peaks: report.peaks.map(at),
    detection: detection === null ? null : { ...detection, would_have_killed: detection.would_have_killed.map(killed) },
    notes: notesOf(report),
  };
}

function killed({ at_ms, went_on_ms, after_ms, silent_ms, worker_id }: WouldHaveKilled): Record<string, unknown> {
  return { worker_id, at: writeInstant(at_ms), after_ms, silent_ms, went_on: writeInstant(went_on_ms) };
}

export function tellBacktest(report: BacktestReport): void {
  const [one, many] = SUBJECTS[report.daemon];
  const of = (count: number): string => `${count} ${count === 1 ? one : many}`;
  const { first_ms, since_ms, until_ms, divergences, changes } = report;
  const from = Math.max(first_ms ?? until_ms, since_ms);
  print(`${paint("bold", `${report.policy}.json`)} on what ${report.daemon} recorded in ${span(until_ms - from)}`);
  say(`recorded  ${report.decisions} decision${report.decisions === 1 ? "" : "s"} on ${of(report.subjects)}`);
  say(`judged    ${report.judged}; ${report.not_judged} come after their ${one}'s ways part, and are not`);
  if (divergences.length === 0) say(`differs   ${paint("green", "nowhere")}`);
  else say(`differs   for ${of(divergences.length)}; acts differ for ${of(touched(changes))}`);
  tellChanges(changes, many, until_ms);
  if (report.detection !== null) tellDetection(report.detection, until_ms);
  tellDivergences(divergences, one, until_ms);
  tellLimits(report, until_ms);
  print();
  for (const each of notesOf(report)) say(paint("dim", each), "");
}

const touched = (changes: readonly ActChange[]): number => new Set(changes.map(({ subject }) => subject)).size;

function tellChanges(changes: readonly ActChange[], many: string, nowMs: number): void {
  if (changes.length === 0) return;
  print();
  const exampleOf = ({ subject, at_ms, by_ms, change }: ActChange): string =>
    `${subject} at ${localTime(at_ms, nowMs)}${by_ms === null ? (change === "later" ? ", until something changes" : "") : ` by ${span(by_ms)}`}`;
  printTable(
    ["CHANGE", "WHAT", "TIMES", many.toUpperCase(), "FOR EXAMPLE"],
    changeRows(changes).map(({ change, act, times, subjects, examples }) => [
      change,
      act,
      String(times),
      String(subjects),
      exampleOf(examples[0] as ActChange),
    ]),
  );
}

function tellDetection(detection: Detection, nowMs: number): void {
  const { silences, warned, timed_out, ended, zombies, gaps, guard, would_have_killed: kills } = detection;
  print();
  printTable(
    ["DETECTION", "LIVE", "THIS POLICY"],
    [
      [
        `warned, of ${silences} ${silences === 1 ? "silence" : "silences"} that ended with a beat`,
        String(warned.live),
        String(warned.other),
      ],
      ["timed out, of these", String(timed_out.live), String(timed_out.other)],
      ["long enough to be ended, of these", String(ended.live), String(ended.other)],
      [`gaps of at least the time-out, of ${gaps.counted}`, String(gaps.timed_out.live), String(gaps.timed_out.other)],
      ["mass guard would hold", String(guard.live), String(guard.other)],
    ],
  );
  const { seen, same, sooner, later, never } = zombies;
  if (seen > 0)
    say(
      `of ${seen} ${seen === 1 ? "zombie" : "zombies"}: ${same} at the same time, ${sooner.length} sooner${median(sooner)}, ${later.length} later${median(later)}, ${never} never`,
    );
  for (const { worker_id, at_ms, after_ms, silent_ms } of kills.slice(0, SHOWN))
    say(
      `${paint("red", "would have killed")} ${worker_id} at ${localTime(at_ms, nowMs)} after ${span(after_ms)} of silence; it went on after ${span(silent_ms)}`,
    );
  more(kills.length);
}

function median(values: readonly number[]): string {
  if (values.length === 0) return "";
  const sorted = [...values].sort((a, b) => a - b);
  return ` (by ${span(sorted[sorted.length >> 1] as number)}, at most ${span(sorted.at(-1) as number)})`;
}

function tellDivergences(divergences: readonly SubjectDivergence[], one: string, nowMs: number): void {
  if (divergences.length === 0) return;
  print();
  print(`Where each ${one}'s ways part`);
  for (const each of divergences.slice(0, SHOWN)) say(sentenceOf(each, nowMs));
  more(divergences.length);
}

/** `worker-a diverges at 21:08:04: live said defer (retries), this policy says start (exited); 3 later decisions are not judged`. */
function sentenceOf(divergence: SubjectDivergence, nowMs: number): string {
  const instant = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g;
  return inUtc(divergence, nowMs).replace(instant, (text) => localTime(Date.parse(text), nowMs));
}

function inUtc({ subject, at_ms, kind, live, other, later_ms, not_judged }: SubjectDivergence, nowMs: number): string {
  const at = `${paint("bold", subject)} diverges at ${localTime(at_ms, nowMs)}`;
  const shift =
    later_ms !== null && Number.isFinite(later_ms)
      ? `, ${span(Math.abs(later_ms))} ${later_ms > 0 ? "later" : "sooner"}`
      : "";
  const rest = not_judged === 0 ? "" : `; ${not_judged} later decision${not_judged === 1 ? " is" : "s are"} not judged`;
  if (kind === "shared") return `${at}: ${live} hangs on what is shared with others that have diverged${rest}`;
  if (kind === "unknown") return `${at}: what this fix would change now is not recorded${rest}`;
  if (kind === "state") return `${at}: both say ${live}, and remember it differently${rest}`;
  return `${at}: live said ${live}, this policy says ${other}${shift}${rest}`;
}

function tellLimits({ peaks, acts, breakers }: BacktestReport, nowMs: number): void {
  if (peaks.length > 0) {
    print();
    printTable(
      ["LIMIT, AT ITS FULLEST", "USED", "OF", "WHEN", "BY"],
      peaks.map(({ gate, value, limit, at_ms, subject }) => [
        gate,
        short(value),
        short(limit),
        localTime(at_ms, nowMs),
        subject,
      ]),
    );
  }
  if (acts.live.total + acts.other.total > 0)
    say(
      `acts among the judged: ${acts.live.total} live, ${acts.other.total} under this policy; in the busiest hour ${acts.live.per_hour} and ${acts.other.per_hour}, in the busiest day ${acts.live.per_day} and ${acts.other.per_day}`,
    );
  if (breakers !== null) say(`circuit breakers open: ${breakers.live} times live, ${breakers.other} under this policy`);
}

const short = (value: number): string => (Number.isInteger(value) ? String(value) : value.toFixed(3));

/** What is taken for granted, and what is not known. */
function notesOf({ daemon, unexplained, unreadable, divergences, first_ms, since_ms }: BacktestReport): string[] {
  const notes: string[] = [];
  if (first_ms === null) notes.push("Nothing is recorded yet.");
  else if (first_ms > since_ms) notes.push(`The recording begins ${writeInstant(first_ms)}.`);
  if (divergences.length > 0) notes.push(SHARED[daemon]);
  if (daemon === "heartbeat-monitor")
    notes.push(
      "Each silence is judged by itself. Gaps are recorded in steps of 19 %; the guard is asked of recorded silences.",
    );
  if (unexplained > 0)
    notes.push(`${unexplained} decisions do not come out as recorded (heald replay), and are left out.`);
  if (unreadable > 0) notes.push(`${unreadable} lines are no decisions, or their policy's text is gone.`);
  return notes;
}

const SHARED: Readonly<Record<DaemonName, string>> = {
  "heartbeat-monitor":
    "Shared: the mass guard and the cleanups of a minute are as recorded; who waits for them after another has diverged is not judged.",
  "worker-restart":
    "Shared: rate limits, concurrency and tasks are as recorded; breakers are computed anew from the outcomes. Who waits for them after another has diverged is not judged.",
  "failure-pattern": "Patterns share nothing.",
  "auto-fix":
    "Shared: limits per hour and day, blast radius and concurrency are as recorded; who waits for them after another has diverged is not judged. Acts under this policy may be more than its limits let through.",
};

function more(length: number): void {
  if (length > SHOWN) print(paint("dim", `  … and ${length - SHOWN} more (--json has all)`));
}

function say(text: string, indent = "          "): void {
  print(wrap(text, Math.min(WIDTH_MAX, columns() ?? 80), indent));
}
