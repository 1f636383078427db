/** What a person is shown of one fix: a proposal that waits, or a run with what became of it. @module */
import { NO_UNDO } from "../lib/schema/fix-actions.js";
import { readInstant } from "../lib/schema/primitives.js";
import { type Json, textIn } from "./records.js";
import { columns, paint, print, wrap } from "./screen.js";
import { age, localTime, until } from "./times.js";

const WIDTH = 100;
const LABEL = 10;

/** Where a run stands, in two words or three. */
export function stateOf(record: Json): string {
  const verdict = textIn(record, "verdict");
  const mode = textIn(record, "mode") === "dry_run" ? ["dry run"] : [];
  const isUndone = textIn(record, "undo_reason") !== null;
  const isLeft = Array.isArray(record.conflicts) && record.conflicts.length > 0;
  const undone = !isUndone ? [] : isLeft ? ["undo conflict"] : verdict === "ineffective" ? [] : ["undone"];
  return [...mode, textIn(record, "phase") ?? "runs", ...(verdict === null ? [] : [verdict]), ...undone].join(" ");
}

/** Each change on its own: `resources.memory_limit_mb 100 → 150`. */
export function changesOf(record: Json): string[] {
  const diff = Array.isArray(record.diff) ? record.diff : [];
  return diff.flatMap((each: unknown) => {
    if (typeof each !== "object" || each === null) return [];
    const { what, before, after } = each as Json;
    return before == null && after == null ? [String(what)] : [`${String(what)} ${word(before)} → ${word(after)}`];
  });
}

const word = (value: unknown): string =>
  value == null ? "unset" : typeof value === "string" ? value : JSON.stringify(value);

/**
 * One proposal or run, as a person reads it. Everything is in its file, and in `--json`.
 *
 * @param isReadable Whether its file could be read: one that could not waits for no answer.
 */
export function printFix(name: string, where: string, record: Json, nowMs: number, isReadable: boolean): void {
  const width = Math.min(WIDTH, columns() ?? 80);
  const state = where === "runs" ? stateOf(record) : where;
  print(wrap(`${paint("bold", name)}  ${state}`, width, "  "));
  for (const [label, value] of rowsOf(name, where, record, nowMs, isReadable))
    print(wrap(`  ${label.padEnd(LABEL)} ${value}`, width, " ".repeat(LABEL + 3)));
}

function rowsOf(
  name: string,
  where: string,
  record: Json,
  nowMs: number,
  isReadable: boolean,
): (readonly [string, string])[] {
  const isRun = where === "runs";
  const isWaiting = where === "pending" && isReadable;
  const text = (label: string, key: string): [string, string][] => {
    const value = textIn(record, key);
    return value === null ? [] : [[label, value]];
  };
  const when = (label: string, key: string): [string, string][] => {
    const atMs = readInstant(record[key] ?? null);
    return atMs === null ? [] : [[label, `${localTime(atMs, nowMs)}, ${age(record[key], nowMs)} ago`]];
  };
  const list = (label: string, key: string): [string, string][] => {
    const values = Array.isArray(record[key]) ? record[key].map(String) : [];
    return values.length === 0 ? [] : [[label, values.join(", ")]];
  };
  return [
    ...text("fix", "fix_id"),
    ...text("for", "scope"),
    ...text("subject", "subject"),
    ...text("why", "why"),
    ...changesOf(record).map((change, nth): [string, string] => [nth === 0 ? "change" : "", change]),
    ...text("risk", "risk"),
    ...stepsOf(record),
    ...text("message", "message"),
    ...list("workers", "workers"),
    ...text("approved", "approved_by"),
    ...text("undone", "undo_reason"),
    ...wordsOfUndo(record),
    ...list("conflicts", "conflicts"),
    ...when("proposed", "proposed_at"),
    ...when("decided", "started_at"),
    ...when("applied", "applied_at"),
    ...(isWaiting ? [["expires", until(record.expires_at, nowMs)] as const] : []),
    ...windowOf(record, nowMs),
    ...(isWaiting ? [["to approve", `heald fix approve ${name}`] as const] : []),
    ...(isWaiting ? [["to decline", `heald fix reject ${name}`] as const] : []),
    ...(isRun && canBeUndone(record) ? [["to undo", `heald fix undo ${name}`] as const] : []),
    ["file", `coordination/auto-fix/${where}/${name}.json${isRun ? ", with what stood there before" : ""}`],
  ];
}

/** What becomes of each action when the fix is taken back. */
export const undoWordsOf = (record: Json): string[] => (Array.isArray(record.undo) ? record.undo.map(String) : []);

/** Nothing of what it does can be undone. */
export function isFinal(record: Json): boolean {
  const words = undoWordsOf(record);
  return words.length > 0 && words.every((each) => each.endsWith(NO_UNDO));
}

function wordsOfUndo(record: Json): [string, string][] {
  if (record.undo_reason != null) return [];
  return undoWordsOf(record).map((each, nth): [string, string] => [nth === 0 ? "undo" : "", each]);
}

function stepsOf(record: Json): [string, string][] {
  const actions = Array.isArray(record.actions) ? record.actions : [];
  if (actions.length === 0) return [];
  const types = actions.map((action: unknown) =>
    typeof action === "object" && action !== null ? (textIn(action as Json, "type") ?? "?") : "?",
  );
  return [["actions", types.join(", ")]];
}

function windowOf(record: Json, nowMs: number): [string, string][] {
  const { phase } = record;
  return phase === "verifying" || phase === "watching"
    ? [["watched", `its window ends ${until(record.ends_at, nowMs)}`]]
    : [];
}

/** It was applied, and nobody has taken it back yet. */
const canBeUndone = (record: Json): boolean =>
  record.applied_at != null && record.undo_reason == null && !isFinal(record);
