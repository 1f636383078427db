/** The folders of auto-fix: proposals, a person's answers, the journal of each run, and the history of outcomes. @module */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { systemCode } from "../errors.js";
import { createExclusive, replaceFile, safetyOf } from "../platform/files.js";
import { answerSchema, type FixHistory, type PendingRecord, type RunRecord } from "../schema/fix-records.js";
import { isId } from "../schema/primitives.js";
import { sentenceOf } from "../schema/problems.js";
import { jsonNamesIn, textOf, unlinkIfThere } from "./entries.js";
import type { Layout } from "./layout.js";
import { EventLogWriter } from "./logs.js";
import { MAX_BYTES, type Reading, readRecord } from "./records.js";

const CLOSED = "it cannot be read by the user of this process";
const HISTORY_BYTES_MAX = 32 * 1024 * 1024;

export const FIX_FOLDERS = ["pending", "approved", "rejected", "undo", "runs"] as const;
export type FixFolder = (typeof FIX_FOLDERS)[number];

export function fixFile(layout: Layout, folder: FixFolder, runId: string): string {
  if (!isId(runId)) throw new RangeError(`Cannot make a path of ${JSON.stringify(runId)}: it is not an id`);
  return join(layout.autoFixDir, folder, `${runId}.json`);
}

/** The runs that have a file in a folder. */
export function fixesIn(layout: Layout, folder: FixFolder): string[] {
  return jsonNamesIn(join(layout.autoFixDir, folder))
    .map((name) => name.slice(0, -".json".length))
    .filter(isId);
}

/** The journal of a run outlives a power loss: it holds what an undo needs. */
export function writeRun(layout: Layout, run: RunRecord): void {
  replaceFile(fixFile(layout, "runs", run.run_id), textOf(run), { sync: true });
}

export function writePending(layout: Layout, pending: PendingRecord): void {
  createExclusive(fixFile(layout, "pending", pending.run_id), textOf(pending), { sync: true });
}

export function removePending(layout: Layout, runId: string): void {
  unlinkIfThere(fixFile(layout, "pending", runId));
}

/** What lies in `pending/` under a run's name: only what can be read waits for a person. */
export type Proposal =
  | { readonly kind: "waits" }
  /** It does not parse, and may still be in the making: look again. */
  | { readonly kind: "unfinished" }
  | { readonly kind: "refused"; readonly why: string };

export function readProposal(layout: Layout, runId: string, nowMs: number): Proposal {
  const reading = readOpen(fixFile(layout, "pending", runId), nowMs);
  if (reading === null) return { kind: "refused", why: CLOSED };
  if (reading.kind === "bad") return { kind: "refused", why: sentenceOf(reading.problems) };
  return { kind: reading.kind === "unfinished" ? "unfinished" : "waits" };
}

/** The runs that wait for a person, by their names. */
export function waitingFixes(layout: Layout, nowMs: number): string[] {
  return fixesIn(layout, "pending").filter((runId) => readProposal(layout, runId, nowMs).kind !== "refused");
}

/** A person's answer: a file that was moved, and that nobody but its owner could have written. */
export type PersonsAnswer =
  | { readonly kind: "absent" }
  /** It does not parse, and may still be in the making: look again. */
  | { readonly kind: "unfinished" }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "given"; readonly by: string; readonly record: Readonly<Record<string, unknown>> };

/** Reads what lies in `approved/`, `rejected/` or `undo/` under a run's name. */
export function readAnswer(layout: Layout, folder: FixFolder, runId: string, nowMs: number): PersonsAnswer {
  const path = fixFile(layout, folder, runId);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return { kind: "absent" };
  const unsafe = safetyOf(path);
  if (unsafe !== null) return { kind: "refused", why: unsafe };
  const owner = `uid-${stat.uid}`;
  const reading = readOpen(path, nowMs);
  if (reading === null || reading.kind === "bad") {
    // A no needs no content, and nothing else can be done with a proposal that was spoilt.
    if (folder === "rejected" && stat.isFile()) return { kind: "given", by: owner, record: {} };
    return { kind: "refused", why: reading === null ? CLOSED : sentenceOf(reading.problems) };
  }
  if (reading.kind !== "ok") return reading;
  const { by } = reading.value;
  return { kind: "given", by: typeof by === "string" ? by : owner, record: reading.value };
}

/** Null where only this one file is closed to us, such as one that root has made: the others are read all the same. */
function readOpen(path: string, nowMs: number): Reading<Readonly<Record<string, unknown>>> | null {
  try {
    return readRecord(path, answerSchema, { maxBytes: MAX_BYTES.request, nowMs });
  } catch (error) {
    if (systemCode(error) === "EACCES") return null;
    throw error;
  }
}

/** Says beside a refused answer why it counts for nothing. */
export function refuseAnswer(layout: Layout, folder: FixFolder, runId: string, why: string): void {
  replaceFile(`${fixFile(layout, folder, runId)}.why`, `${why}\n`);
}

/** Appends an outcome; after a crash only if it is not there yet. */
export function appendFixHistory(
  layout: Layout,
  record: FixHistory & { readonly history_id: string },
  again: boolean,
): void {
  const writer = new EventLogWriter(layout.fixHistory, {
    maxBytes: HISTORY_BYTES_MAX,
    archiveDir: layout.archiveDir,
    owner: true,
  });
  try {
    if (again) writer.appendOnce(record, "history_id");
    else writer.append(record);
    writer.rotateIfLarge(record.at_ms, "auto-fix");
  } finally {
    writer.close();
  }
}
