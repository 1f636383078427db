/** Loads what a daemon remembers: its checkpoint, brought up to date with its journal, as the daemon itself would. @module */
import { lstatSync } from "node:fs";
import { readSmall } from "../../lib/platform/files.js";
import { type Checkpoint, type JournalEntry, replay } from "../../lib/runtime/journal.js";
import type { DaemonName } from "../../lib/schema/records.js";
import type { Layout } from "../../lib/store/layout.js";
import { whyNotJson } from "../../lib/store/records.js";
import { shownIn } from "./entries.js";
import type { StateFacts } from "./facts.js";
import { objectIn, problemOf } from "./log-scan.js";
import { isObject, oddPart } from "./part-shapes.js";

/** Above what a daemon of a large fleet keeps; a larger file is no state of ours. */
const STATE_BYTES_MAX = 512 * 1024 * 1024;
const TRIES = 5;

/** A checkpoint that is replaced between our reading it and the journal is read again: else the two would not fit. */
export function loadState(layout: Layout, daemon: DaemonName): StateFacts {
  for (let tries = 1; ; tries++) {
    const before = inodeOf(layout.state(daemon));
    const state = readState(layout, daemon);
    if (tries === TRIES || inodeOf(layout.state(daemon)) === before) return state;
  }
}

function readState(layout: Layout, daemon: DaemonName): StateFacts {
  const statePath = layout.state(daemon);
  const journalPath = layout.journal(daemon);
  const state = textIn(statePath);
  const read = state === null || state.problem !== null ? null : checkpointIn(state.text);
  const journal = textIn(journalPath);
  const lines = journal === null ? [] : linesIn(journal.text);
  const entries = lines.flatMap(({ text, problem }) => (problem === null ? [text] : []));
  const checkpoint = read === null || typeof read === "string" ? null : read;
  const unreadable = state === null ? null : (state.problem ?? (typeof read === "string" ? read : null));
  const isAnything = checkpoint !== null || entries.length > 0;
  const recovered = isAnything ? replay(checkpoint, entries, [], journalPath) : null;
  const odd = recovered === null ? null : oddPart(daemon, recovered.parts);
  return {
    checkpoint: state === null ? null : { path: statePath, shown: shownIn(layout, statePath), problem: unreadable },
    journal: journal === null ? null : journalFacts(layout, journalPath, journal, lines),
    oddPart: odd,
    parts: odd === null ? (recovered?.parts ?? null) : null,
    pending: recovered?.pending ?? [],
  };
}

function journalFacts(
  layout: Layout,
  path: string,
  journal: NonNullable<ReturnType<typeof textIn>>,
  lines: readonly ReadLine[],
): StateFacts["journal"] {
  return {
    path,
    shown: shownIn(layout, path),
    size: Buffer.byteLength(journal.text),
    bad: lines.flatMap(({ line, problem }) => (problem === null || problem === "torn" ? [] : [{ line, problem }])),
    torn: lines.at(-1)?.problem === "torn",
    problem: journal.problem,
  };
}

function textIn(path: string): { readonly text: string; readonly problem: string | null } | null {
  try {
    const file = readSmall(path, { maxBytes: STATE_BYTES_MAX });
    return file === null ? null : { text: file.text, problem: null };
  } catch (error) {
    return { text: "", problem: problemOf(error) };
  }
}

function checkpointIn(text: string): Checkpoint | string {
  const json = objectIn(text);
  if (json === null) return `it is no JSON object: ${whyNotJson(text)}`;
  const { seq, boot_id, parts, pending } = json;
  if (typeof seq !== "number") return "seq must be a number";
  if (!isObject(parts)) return "parts must be an object";
  if (!Array.isArray(pending) || !pending.every((entry): entry is JournalEntry => entryProblem(entry) === null))
    return "pending must be a list of journal entries";
  return { seq, boot_id: typeof boot_id === "string" ? boot_id : "", parts, pending };
}

interface ReadLine {
  readonly line: number;
  readonly text: string;
  readonly problem: string | null;
}

function linesIn(text: string): ReadLine[] {
  const lines = text.split("\n");
  return lines.flatMap((line, index): ReadLine[] => {
    if (line === "") return [];
    const isLast = index === lines.length - 1;
    const json = objectIn(line);
    const problem = isLast ? "torn" : json === null ? "it is no JSON object" : entryProblem(json);
    return [{ line: index + 1, text: line, problem }];
  });
}

function entryProblem(entry: unknown): string | null {
  if (!isObject(entry)) return "it is no JSON object";
  const { seq, parts, effects } = entry as Partial<Record<keyof JournalEntry, unknown>>;
  if (typeof seq !== "number") return "seq must be a number";
  if (!isObject(parts)) return "parts must be an object";
  return Array.isArray(effects) && effects.every(isObject) ? null : "effects must be a list of objects";
}

function inodeOf(path: string): number | null {
  return lstatSync(path, { throwIfNoEntry: false })?.ino ?? null;
}
