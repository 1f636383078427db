/**
 * Folds all events, in the order of their times, into what is still open: deaths without an outcome, incidents, fixes.
 *
 * Memory grows with what is open and with the number of workers, not with the length of the logs; what must be unique is
 * kept as hashes.
 *
 * @module
 */
import { CALLS_MAX } from "../../daemons/auto-fix/calling.js";
import { type CallType, endsCall, isTrouble, signOf } from "../../daemons/auto-fix/signs.js";
import { EVENT_LOGS, EVENTS, type EventLog, type EventType } from "../../lib/schema/catalogue.js";
import { KeySet } from "./key-set.js";
import type { Json, LogLine } from "./log-scan.js";

/** A death that was seen. */
export interface Detection {
  readonly workerId: string;
  readonly attempt: number;
  readonly eventType: string;
  readonly atMs: number;
  readonly incidentId: string | null;
  /** The gate that put its restart off last. */
  readonly deferredBy: string | null;
}

export interface OpenIncident {
  readonly incidentId: string;
  readonly workerId: string;
  readonly eventType: string;
  readonly atMs: number;
}

/** Something about a fix that awaits what must follow. */
export interface OpenFix {
  readonly runId: string;
  readonly fixId: string;
  readonly subject: string;
  readonly atMs: number;
}

/** Something for which a person is to be called, or was. */
export interface OpenCall {
  readonly subject: string;
  readonly eventType: string;
  readonly incidentId: string | null;
  readonly atMs: number;
}

/** A text that came more than once. */
export interface Repeat {
  readonly what: "event_id" | "detection" | "start";
  readonly key: string;
}

const DEATHS = new Set(["zombie_detected", "worker_exited"]);
/** What ends the matter for the attempt that died: no restart follows, and somebody decided so. */
const ENDS = new Set([
  "worker_restart_refused",
  "worker_restart_exhausted",
  "task_quarantined",
  "worker_completed",
  "worker_stopped",
  "worker_unwatched",
]);
/** What says that a later attempt is there. */
const STARTS = new Set(["worker_restart_started", "worker_registered", "worker_restarted"]);
const REPEATS_MAX = 1000;
const DAY_MS = 86_400_000;

export class Stories {
  readonly detections = new Map<string, Detection>();
  /** The open incident of each worker: a later one takes its place. */
  readonly incidents = new Map<string, OpenIncident>();
  readonly matched = new Map<string, OpenFix>();
  readonly pending = new Map<string, OpenFix>();
  readonly expired = new Map<string, OpenFix>();
  readonly applied = new Map<string, OpenFix>();
  /** What calls a person, and was neither told nor over since, by what it is about. */
  readonly untold = new Map<string, OpenCall>();
  /** What was told to one and is not over; only as many as auto-fix remembers. */
  readonly told = new Map<string, OpenCall>();
  /** The highest attempt at which a person took each worker's spec away; its traces stay when the worker comes back. */
  readonly unwatched = new Map<string, number>();
  /** May hold a text that came once: two may share a hash. See {@link confirm}. */
  readonly suspects = new Map<string, Repeat>();
  readonly #keys = new KeySet();
  readonly #newest = new Map<string, number>();

  /** Takes one event. Call in the order of `atMs`. @param nowMs The present, for events from the future. */
  take(line: LogLine, nowMs: number): void {
    const { json } = line;
    const type = String(json.event_type);
    this.#place(line, type, nowMs);
    for (const repeat of keysOf(json, type)) {
      const key = `${repeat.what} ${repeat.key}`;
      if (!this.#keys.add(key) && this.suspects.size < REPEATS_MAX) this.suspects.set(key, repeat);
    }
    this.#death(json, type, line.atMs);
    this.#incident(json, type, line.atMs);
    this.#fix(json, type, line.atMs);
    this.#call(json, type, line.atMs);
  }

  #place(line: LogLine, type: string, nowMs: number): void {
    const { file, offset, atMs } = line;
    const log = (EVENTS as Readonly<Record<string, { readonly log: EventLog } | undefined>>)[type]?.log;
    const isHome = type === "log_rotated" || log === undefined || log === file.log;
    if (!isHome) file.stranger ??= { offset, event_type: type };
    const newest = this.#newest.get(file.log) ?? atMs;
    if (atMs < newest - DAY_MS)
      file.misplaced ??= { offset, problem: `${Math.round((newest - atMs) / DAY_MS)} days older than one before it` };
    else if (atMs > nowMs + DAY_MS) file.misplaced ??= { offset, problem: "more than a day in the future" };
    this.#newest.set(file.log, Math.max(newest, Math.min(atMs, nowMs)));
  }

  #death(json: Json, type: string, atMs: number): void {
    const workerId = textOf(json.worker_id);
    const attempt = numberOf(json.attempt);
    if (workerId === null) return;
    // A person took the request back: that is said of the incident, and not of an attempt.
    if (attempt === null) return ENDS.has(type) ? this.#endIncident(workerId, textOf(json.incident_id)) : undefined;
    const key = `${workerId} ${attempt}`;
    if (DEATHS.has(type))
      this.detections.set(key, {
        workerId,
        attempt,
        eventType: type,
        atMs,
        incidentId: textOf(json.incident_id),
        deferredBy: null,
      });
    else if (ENDS.has(type)) this.detections.delete(key);
    else if (STARTS.has(type)) this.detections.delete(`${workerId} ${attempt - 1}`);
    else if (type === "worker_restart_deferred") {
      const known = this.detections.get(key);
      if (known !== undefined) this.detections.set(key, { ...known, deferredBy: textOf(json.reason) ?? "a gate" });
    }
    if (type === "worker_unwatched")
      this.unwatched.set(workerId, Math.max(attempt, this.unwatched.get(workerId) ?? attempt));
  }

  #endIncident(workerId: string, incidentId: string | null): void {
    for (const [key, death] of this.detections)
      if (death.workerId === workerId && death.incidentId === incidentId) this.detections.delete(key);
  }

  #incident(json: Json, type: string, atMs: number): void {
    const workerId = textOf(json.worker_id);
    const incidentId = textOf(json.incident_id);
    if (workerId === null) return;
    const edge = (EVENTS as Readonly<Record<string, { readonly incident: string } | undefined>>)[type]?.incident;
    if (edge === "opens" && incidentId !== null)
      this.incidents.set(workerId, { incidentId, workerId, eventType: type, atMs });
    else if (edge === "closes") this.incidents.delete(workerId);
    // Launched anew by a person, and not because of the incident: that one is over.
    if (type === "worker_registered" && this.incidents.get(workerId)?.incidentId !== incidentId)
      this.incidents.delete(workerId);
  }

  #call(json: Json, type: string, atMs: number): void {
    const incidentId = textOf(json.incident_id);
    const about = logOf(type) === EVENT_LOG_OF_FIXES ? textOf((json.data as Json | null | undefined)?.about) : null;
    if (about !== null && type === "escalation_opened") {
      this.untold.delete(about);
      this.told.delete(about);
      this.told.set(about, { subject: about, eventType: type, incidentId, atMs });
      const [oldest] = this.told.keys();
      if (this.told.size > CALLS_MAX && oldest !== undefined) this.told.delete(oldest);
    }
    if (about !== null && type === "escalation_resolved") this.told.delete(about);
    const sign = signOf(json);
    if (sign === null) return;
    const { subject, event_type: said } = sign;
    const known = this.untold.get(subject);
    if (isTrouble(sign)) {
      const told = this.told.get(subject);
      const isTold = told !== undefined && (sign.incident_id === null || sign.incident_id === told.incidentId);
      if (!isTold && known === undefined)
        this.untold.set(subject, { subject, eventType: said, incidentId: sign.incident_id, atMs });
    } else if (known !== undefined && endsCall(known.eventType as CallType, said)) this.untold.delete(subject);
  }

  #fix(json: Json, type: string, atMs: number): void {
    if (EVENT_LOG_OF_FIXES !== logOf(type)) return;
    const data = (typeof json.data === "object" && json.data !== null ? json.data : {}) as Json;
    const fix = {
      runId: textOf(data.run_id) ?? "",
      fixId: textOf(data.fix_id) ?? "",
      subject: textOf(data.subject) ?? "",
      atMs,
    };
    const subject = `${fix.fixId}|${fix.subject}`;
    if (type === "fix_matched") this.matched.set(subject, fix);
    else if (type.startsWith("fix_")) this.matched.delete(subject);
    if (type === "fix_pending") this.pending.set(fix.runId, fix);
    else if (type.startsWith("fix_")) this.pending.delete(fix.runId);
    if (type === "fix_expired") this.expired.set(fix.runId, fix);
    if (type === "escalation_opened") this.expired.delete(fix.runId);
    if (type === "fix_applied" && data.mode === "live") this.applied.set(fix.runId, fix);
    else if (["fix_verified", "fix_undone", "fix_failed", "undo_conflict"].includes(type))
      this.applied.delete(fix.runId);
  }
}

const EVENT_LOG_OF_FIXES: EventLog = "auto-fix";

function logOf(type: string): EventLog | null {
  return Object.hasOwn(EVENTS, type) ? EVENTS[type as EventType].log : null;
}

/** The texts of an event that must not come again. */
export function keysOf(json: Json, type: string): Repeat[] {
  const keys: Repeat[] = [];
  const id = textOf(json.event_id);
  if (id !== null) keys.push({ what: "event_id", key: id });
  const [workerId, attempt, incidentId] = [textOf(json.worker_id), numberOf(json.attempt), textOf(json.incident_id)];
  if (workerId === null || attempt === null || incidentId === null) return keys;
  // A person may begin a worker of the same name anew: then the incident is another.
  const about = `${workerId} #${attempt}, incident ${incidentId}`;
  if (DEATHS.has(type)) keys.push({ what: "detection", key: `${type} of ${about}` });
  if (type === "worker_restart_started") keys.push({ what: "start", key: about });
  return keys;
}

/** Counts the suspects once more, as texts: those that came once only are none. */
export class Confirmation {
  readonly #suspects: ReadonlyMap<string, Repeat>;
  readonly #counts = new Map<string, number>();

  constructor(suspects: ReadonlyMap<string, Repeat>) {
    this.#suspects = suspects;
  }

  take({ json }: LogLine): void {
    for (const { what, key } of keysOf(json, String(json.event_type))) {
      const full = `${what} ${key}`;
      if (this.#suspects.has(full)) this.#counts.set(full, (this.#counts.get(full) ?? 0) + 1);
    }
  }

  repeats(): Map<string, Repeat> {
    return new Map([...this.#suspects].filter(([key]) => (this.#counts.get(key) ?? 0) > 1));
  }
}

/** The lines of several logs as one row, by their times. */
export function* merged(streams: readonly Iterator<LogLine>[]): Generator<LogLine> {
  const heads = streams.flatMap((stream) => {
    const next = stream.next();
    return next.done === true ? [] : [{ stream, line: next.value }];
  });
  while (heads.length > 0) {
    let first = 0;
    for (let index = 1; index < heads.length; index++)
      if ((heads[index] as Head).line.atMs < (heads[first] as Head).line.atMs) first = index;
    const head = heads[first] as Head;
    yield head.line;
    const next = head.stream.next();
    if (next.done === true) heads.splice(first, 1);
    else head.line = next.value;
  }
}

interface Head {
  readonly stream: Iterator<LogLine>;
  line: LogLine;
}

export const ALL_EVENT_LOGS = Object.keys(EVENT_LOGS) as EventLog[];

export function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

export function numberOf(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
