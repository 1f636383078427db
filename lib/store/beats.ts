/**
 * Reads beats, and makes the best of those that are not quite right.
 *
 * A beat says first of all that its worker is alive. What is only shown (a figure out of its range, a text in another
 * encoding) must not make a worker that beats a silent one: it is left out. Where it cannot be told whose or which beat it
 * is, it speaks for nobody.
 *
 * @module
 */
import { type Problem, readAs, sentenceOf } from "../schema/problems.js";
import { arrivalSchema, type Beat, beatSchema } from "../schema/records.js";
import type { Layout } from "./layout.js";
import { type Bad, MAX_BYTES, type Reading, type ReadOptions, readRecord, refuse } from "./records.js";

/** What is wrong with a beat that counts all the same. */
export interface Fault {
  readonly code: string;
  readonly sentence: string;
}

export type BeatReading =
  | Exclude<Reading<Beat>, { readonly kind: "ok" }>
  | (Extract<Reading<Beat>, { readonly kind: "ok" }> & { readonly fault?: Fault });

/**
 * Reads the beat of a worker.
 *
 * @throws As `readRecord`.
 */
export function readBeat(
  layout: Layout,
  workerId: string,
  options: Pick<ReadOptions, "nowMs" | "isFleeting" | "isThere">,
): BeatReading {
  const path = layout.heartbeat(workerId);
  const how = { ...options, maxBytes: MAX_BYTES.beat, what: "heartbeat", root: layout.coordination };
  const strict = readRecord(path, beatSchema, how);
  const reading = strict.kind === "bad" ? readArrival(path, strict, how) : strict;
  if (reading.kind !== "ok" || reading.value.worker_id === workerId) return reading;
  const message = `must be the file's name, got ${JSON.stringify(reading.value.worker_id.slice(0, 60))}`;
  return refuse(path, how, "wrong_field", [{ field: "worker_id", message }]);
}

/** Only what was refused is read once more: a faultless beat costs nothing for it. */
function readArrival(path: string, strict: Bad, how: ReadOptions): BeatReading {
  if (strict.code !== "wrong_field" && strict.code !== "not_utf8") return strict;
  const arrival = readRecord(path, arrivalSchema, { ...how, replacesBroken: true });
  if (arrival.kind === "bad") return strict;
  if (arrival.kind !== "ok") return arrival;
  const problems = strict.code === "not_utf8" ? [...strict.problems, ...faultsIn(arrival.text)] : strict.problems;
  const { sentence } = refuse(path, how, strict.code, problems);
  return { ...arrival, fault: { code: strict.code, sentence: `${sentence}; the rest of it counts` } };
}

/** What is wrong beside the bytes that were replaced. */
function faultsIn(text: string): readonly Problem[] {
  const read = readAs(beatSchema, JSON.parse(text));
  return read.ok ? [] : read.problems;
}

/** What is wrong with beats that do not count, as part of a sentence about their worker. */
export function whyRefused({ problems }: Pick<Bad, "problems">): string {
  return sentenceOf(problems);
}
