/** How far an event log has been read, as a pure part of a daemon's state. @module */
import { EVENT_LOGS, type EventLog } from "../schema/catalogue.js";
import { makeEvent, type Stamp } from "../schema/events.js";
import type { DaemonName } from "../schema/records.js";
import type { ReportEffect } from "./reporting.js";

/** Where a log's reader goes on after a restart; the store's tailer makes and understands it. */
export interface LogCheckpoint {
  readonly inode: number;
  readonly birth_ms: number;
  readonly offset: number;
  readonly head_hash: string;
}

/** A batch of lines that was read. The checkpoint stands behind its last line. */
export interface LinesRead<Picked = unknown> {
  readonly kind: "lines-read";
  readonly log: EventLog;
  readonly events: number;
  /** Lines that are no events, or longer than a record may be. */
  readonly unreadable: number;
  readonly firstUnreadableOffset?: number;
  /** Why lines may have been missed or read again. */
  readonly gap?: string;
  /** What the reader wanted of the events, in their order; nothing where it only counts. */
  readonly picked?: readonly Picked[];
  readonly checkpoint: LogCheckpoint;
}

/** Lets the reader take the next batch: the last one is in the journal. */
export interface ReadOn {
  readonly kind: "read-on";
  readonly log: EventLog;
}

/** What is known of one log. Count and checkpoint change together, so that a kill counts no line twice. */
export interface FollowedLog {
  readonly checkpoint: LogCheckpoint;
  readonly events_read: number;
  readonly unreadable_lines: number;
  readonly gaps: number;
}

/** The part of the state that holds a log's place. */
export function followedKey(log: EventLog): string {
  return `log:${log}`;
}

/** Takes a batch over: moves the checkpoint, counts, and reports what could not be read, once. */
export function takeOver(
  before: FollowedLog | null,
  batch: LinesRead & { readonly stamp: Stamp },
  reader: DaemonName,
): { readonly log: FollowedLog; readonly effects: readonly (ReportEffect | ReadOn)[] } {
  const log: FollowedLog = {
    checkpoint: batch.checkpoint,
    events_read: (before?.events_read ?? 0) + batch.events,
    unreadable_lines: (before?.unreadable_lines ?? 0) + batch.unreadable,
    gaps: (before?.gaps ?? 0) + (batch.gap === undefined ? 0 : 1),
  };
  const faults = reportsOf(batch, reader);
  return { log, effects: [...faults, { kind: "read-on", log: batch.log }] };
}

function reportsOf(batch: LinesRead & { readonly stamp: Stamp }, reader: DaemonName): ReportEffect[] {
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
    record: makeEvent(batch.stamp, nth, reader, "record_refused", {}, { reason: "unreadable_line", ...content }),
  }));
}
