/** What people want of each worker: running, stopped or draining. @module */
import { replaceFile } from "../platform/files.js";
import { isId } from "../schema/primitives.js";
import { type Desired, desiredSchema } from "../schema/records.js";
import { jsonNamesIn, lineOf, unlinkIfThere } from "./entries.js";
import type { Layout } from "./layout.js";
import { type Forbidden, MAX_BYTES, type Reading, readRecord } from "./records.js";

/** Reads a person's wish with its faults; for those who report them. */
export function readDesiredRecord(
  layout: Layout,
  workerId: string,
  nowMs: number,
  forbidden: Forbidden = {},
): Reading<Desired> {
  const options = {
    maxBytes: MAX_BYTES.request,
    nowMs,
    what: "desired state",
    root: layout.coordination,
    ...forbidden,
  };
  return readRecord(layout.desired(workerId), desiredSchema, options);
}

/** A person's wish, or null when there is none that can be read. */
export function readDesired(layout: Layout, workerId: string, nowMs: number): Desired | null {
  const reading = readDesiredRecord(layout, workerId, nowMs);
  return reading.kind === "ok" ? reading.value : null;
}

/** Writes a person's wish. It outlives a power loss: a worker that was stopped must not come back by itself. */
export function writeDesired(layout: Layout, workerId: string, desired: Desired): void {
  replaceFile(layout.desired(workerId), lineOf(desired), { sync: true });
}

/** Takes a wish back; false if there was none. */
export function removeDesired(layout: Layout, workerId: string): boolean {
  return unlinkIfThere(layout.desired(workerId));
}

/** The ids for which there is a wish, sorted. */
export function listDesired(layout: Layout): string[] {
  return jsonNamesIn(layout.desiredDir)
    .map((name) => name.slice(0, -".json".length))
    .filter(isId);
}
