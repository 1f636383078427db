/** Reads whole logs a piece at a time: their lines since an instant, and the decisions of a daemon in the order they were made. @module */
import type { DecisionRecord } from "../schema/events.js";
import type { DaemonName } from "../schema/records.js";
import { filesOf } from "./archives.js";
import type { Layout } from "./layout.js";
import { LogFileReader, type LogJson, parsed } from "./log-file.js";

/** The wall clock may have been set back by so much between two lines. */
const CLOCK_STEP_MS = 60_000;

/**
 * The lines of a log and its rotated files, compressed ones too, oldest first; a piece of a file at a time is in memory.
 *
 * @param sinceMs Lines from before it are passed over where that is cheap; some come all the same. 0: all lines.
 */
export function* linesOfLog(layout: Layout, path: string, sinceMs = 0): Generator<string> {
  for (const file of filesOf(path, layout.archiveDir)) {
    if (file.rotatedAtMs !== null && file.rotatedAtMs < sinceMs - CLOCK_STEP_MS) continue;
    const reader = LogFileReader.open(file);
    if (reader === null) continue;
    try {
      const from = sinceMs === 0 ? 0 : reader.positionAt(sinceMs - CLOCK_STEP_MS);
      for (const { text } of reader.lines(from)) yield text;
    } finally {
      reader.close();
    }
  }
}

/** A decision, or the beginning of a line that is none. */
export type DecisionLine = { readonly record: DecisionRecord } | { readonly unreadable: string };

/** A daemon's decisions since an instant, shadows' included, oldest first. */
export function* decisionsOf(layout: Layout, daemon: DaemonName, sinceMs = 0): Generator<DecisionLine> {
  for (const text of linesOfLog(layout, layout.decisions(daemon), sinceMs)) {
    const json = parsed(text);
    if (json === null || !isDecision(json)) {
      if (json?.event_type !== "log_rotated") yield { unreadable: text.slice(0, 60) };
    } else if (json.at_ms >= sinceMs) yield { record: json };
  }
}

/**
 * Whether a line has what it takes to compute its decision again.
 *
 * It is not held against its schema, which would cost more than computing it: whatever else is wrong with it makes a
 * difference.
 */
export function isDecision(json: LogJson): json is DecisionRecord {
  const { decision_id, at_ms, subject, verdict, reason, slice, event, policy_hash, gates } = json;
  return (
    [decision_id, subject, verdict, reason, policy_hash].every((text) => typeof text === "string") &&
    typeof at_ms === "number" &&
    isObject(slice) &&
    isObject(event) &&
    isObject(event.stamp) &&
    Array.isArray(gates)
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
