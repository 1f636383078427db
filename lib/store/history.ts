/**
 * The restart history: one line for each outcome, appended by worker-restart and, with `>>`, by people.
 *
 * Identical lines each count, so a line written again after a crash is known by its `history_id`. Read it with a
 * {@link Tailer}.
 * @module
 */
import type { RestartHistory } from "../schema/records.js";
import type { Layout } from "./layout.js";
import { EventLogWriter } from "./logs.js";

const HISTORY_BYTES_MAX = 64 * 1024 * 1024;

/** A line of ours; people's lines have no `history_id`. */
export type HistoryRecord = RestartHistory & { readonly history_id: string };

/**
 * Appends one outcome.
 *
 * @param options.again Whether a crash may have come after an earlier try: then only if it is not there yet.
 * @returns Whether a line was written.
 */
export function appendHistory(
  layout: Layout,
  record: HistoryRecord,
  options: { readonly again?: boolean } = {},
): boolean {
  const writer = writers.get(layout) ?? writerOf(layout);
  writers.set(layout, writer);
  if (options.again === true) return writer.appendOnce(record, "history_id");
  writer.append(record);
  return true;
}

/** The history stays open between two outcomes; whether it still has its name is looked at each time. */
const writers = new WeakMap<Layout, EventLogWriter>();

/** Rotates the history if it has grown large; worker-restart's alone. */
export function rotateHistory(layout: Layout, nowMs: number): string | null {
  const writer = writerOf(layout);
  try {
    return writer.rotateIfLarge(nowMs, "worker-restart");
  } finally {
    writer.close();
  }
}

function writerOf(layout: Layout): EventLogWriter {
  const options = { maxBytes: HISTORY_BYTES_MAX, archiveDir: layout.archiveDir, owner: true };
  return new EventLogWriter(layout.history, options);
}
