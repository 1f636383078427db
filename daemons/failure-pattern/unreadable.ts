/** What could not be read of the event logs, said once: failure-pattern reads them all, and says it for whoever else does. @module */
import type { LinesRead } from "../../lib/domain/followed-log.js";
import type { Stamped } from "../../lib/runtime/core.js";
import type { ReportEffect } from "../../lib/runtime/reporting.js";
import { EVENT_LOGS } from "../../lib/schema/catalogue.js";
import { makeEvent } from "../../lib/schema/events.js";

/** One report for the lines of a batch that are no events, and one where lines may have been missed. */
export function reportsOf(batch: Stamped<LinesRead>): ReportEffect[] {
  const path = `events/${EVENT_LOGS[batch.log]}`;
  const found: { readonly message: string; readonly data: Record<string, unknown> }[] = [];
  if (batch.unreadable > 0) {
    const offset = batch.firstUnreadableOffset ?? 0;
    found.push({
      message:
        batch.unreadable === 1
          ? `${path}: the line at byte ${offset} is no event and is passed over`
          : `${path}: ${batch.unreadable} lines are no events and are passed over, the first at byte ${offset}`,
      data: { path, lines: batch.unreadable, offset },
    });
  }
  if (batch.gap !== undefined)
    found.push({ message: `${path} was ${batch.gap}: reading goes on from its start`, data: { path, gap: batch.gap } });
  return found.map((content, nth) => ({
    kind: "report",
    record: makeEvent(
      batch.stamp,
      nth,
      "failure-pattern",
      "record_refused",
      {},
      { reason: "unreadable_line", ...content },
    ),
  }));
}
