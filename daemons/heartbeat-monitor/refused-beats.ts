/**
 * A worker whose beats are there and do not count: it is silent by the rules, and wherever that is said, so is this.
 *
 * Pure; decides nothing.
 *
 * @module
 */
import type { WorkerPart } from "./facts.js";
import type { Turn } from "./turn.js";

/** A file may be so much older than the start of the attempt and still be its own: clocks are coarse. */
export const BEFORE_START_MS = 1000;

/** How each sentence about it begins, by which it is known again in status.json. */
export const BEATS_REFUSED = "its beats are refused";

/** Its latest beat was refused. One that is older than the attempt was an earlier attempt's, and says nothing of this one. */
export function onBeatsRefused(turn: Turn, why: string, ageMs: number): void {
  const { worker } = turn;
  if (worker === null || worker.beats_refused === why) return;
  const writtenMonoMs = turn.now - ageMs;
  if (worker.started_mono_ms !== null && writtenMonoMs < worker.started_mono_ms - BEFORE_START_MS) return;
  turn.set({ beats_refused: why, beats_refused_mono_ms: writtenMonoMs });
}

/** A refusal that was heard of before it was known when this attempt began, and that was an earlier attempt's. */
export function forgetEarlierRefusal(turn: Turn, startedMonoMs: number): void {
  const writtenMonoMs = turn.worker?.beats_refused_mono_ms ?? null;
  if (writtenMonoMs !== null && writtenMonoMs < startedMonoMs - BEFORE_START_MS) turn.set(NO_REFUSAL);
}

/** What is known of a worker whose latest beat counts. */
export const NO_REFUSAL = { beats_refused: null, beats_refused_mono_ms: null } as const;

/** The end of a sentence about a silence. */
export function refusedWords(worker: WorkerPart): string {
  return worker.beats_refused == null ? "" : `; ${refusedSentence(worker.beats_refused)}`;
}

export function refusedSentence(why: string): string {
  return `${BEATS_REFUSED}: ${why}`;
}

/** The same for an event's data and for evidence; nothing where they are not refused. */
export function refusedFields(worker: WorkerPart): { readonly beats_refused?: string } {
  return worker.beats_refused == null ? {} : { beats_refused: worker.beats_refused };
}
