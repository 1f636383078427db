/** Reads a request as it stands in its file, and fills in what was not said. @module */

import { readInstant, writeInstant } from "../../lib/schema/primitives.js";
import { DAEMONS, type RestartRequest } from "../../lib/schema/records.js";
import type { SubjectOfRequest } from "./facts.js";
import type { Request } from "./messages.js";

const EXPIRES_AFTER_MS = 3_600_000;
/** A request may say that it was made so much later than its file was written: clocks of hosts differ. */
const LATER_MS_MAX = 300_000;
/** Signals by which others end a process. What a process does to itself, such as SIGSEGV, counts as its own exit. */
const FROM_OUTSIDE: ReadonlySet<string> = new Set(["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGSTOP"]);

/**
 * Fills in the defaults.
 *
 * A request by a person expires an hour after it was made. One that tells of a death does not: its worker stays dead
 * until it is answered. An expiry that the file names counts for both.
 */
export function requestOf(record: RestartRequest, mtimeMs: number): Request {
  const by = record.requested_by ?? null;
  const byPerson = !(DAEMONS as readonly string[]).includes(by ?? "");
  const createdMs = createdAtMs(record, mtimeMs);
  const attempt = record.attempt ?? null;
  // Also what a person has turned into a retry: without it nobody would know any more that the worker is dead.
  const tellsOfDeath = attempt !== null && (!byPerson || record.ended != null);
  const reason = record.reason ?? "requested";
  return {
    reason: reason.slice(0, 64),
    by_person: byPerson,
    requested_by: by,
    attempt,
    incident_id: record.incident_id ?? null,
    // A deferral rewrites the file: from then on its own time says nothing.
    filed_at_ms: record.deferred ? createdMs : mtimeMs,
    not_before_ms: readInstant(record.not_before),
    expires_at_ms: readInstant(record.expires_at) ?? (tellsOfDeath ? null : createdMs + EXPIRES_AFTER_MS),
    force: record.force === true,
    override: record.override ?? [],
    spends: !byPerson && reason !== "host_reboot" && record.ended?.spends_retry !== false,
    ended: endedOf(record),
    ...(byPerson && tellsOfDeath && record.ended?.spends_retry !== false
      ? { tells_of: record.ended?.class ?? "exited" }
      : {}),
    ...(record.deferred ? {} : { bare: true }),
  };
}

/** When a request was made. No request is made after its file was written: one that says so was made when that was. */
function createdAtMs(record: RestartRequest, mtimeMs: number): number {
  return isMadeLater(record.created_at, mtimeMs) ? mtimeMs : (readInstant(record.created_at) ?? mtimeMs);
}

/**
 * A request that is to be written anew, with the time at which it was made.
 *
 * Its file's own time is lost by that; one that claims to be of the future is given the time that its file had.
 */
export function withOwnTime<R extends { readonly created_at?: unknown }>(record: R, mtimeMs: number) {
  const isKept = record.created_at != null && !isMadeLater(record.created_at, mtimeMs);
  return { ...record, created_at: isKept ? record.created_at : writeInstant(mtimeMs) };
}

/** Whether a request says that it was made long after its file was. */
export function isMadeLater(createdAt: unknown, mtimeMs: number): boolean {
  return (readInstant(createdAt) ?? mtimeMs) > mtimeMs + LATER_MS_MAX;
}

function endedOf(record: RestartRequest): Request["ended"] {
  const { ended } = record;
  if (!ended) return null;
  const outside = typeof ended.signal === "string" && FROM_OUTSIDE.has(ended.signal);
  return {
    exit_code: ended.exit_code ?? null,
    ran_ms: ended.ran_ms ?? null,
    by_itself: ended.by_itself === true && !outside && (ended.class ?? "exit") !== "host_reboot",
  };
}

/** Whom a request is about, as it says itself. */
export function namedSubject(record: RestartRequest): SubjectOfRequest {
  return { worker_id: record.worker_id, worker_type: record.worker_type, task_id: record.task_id ?? null };
}
