/** How far an event log has been read, as a pure part of a daemon's state. @module */
import type { EventLog } from "../schema/catalogue.js";

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

/** Takes a batch over: moves the checkpoint, and counts. */
export function takeOver(before: FollowedLog | null, batch: LinesRead): FollowedLog {
  return {
    checkpoint: batch.checkpoint,
    events_read: (before?.events_read ?? 0) + batch.events,
    unreadable_lines: (before?.unreadable_lines ?? 0) + batch.unreadable,
    gaps: (before?.gaps ?? 0) + (batch.gap === undefined ? 0 : 1),
  };
}
