/** Takes from an event what can teach something about failures. Pure; every text is cut, because it is hostile. @module */
import { harmless } from "../../lib/domain/grouping/harmless.js";
import type { EventLog } from "../../lib/schema/catalogue.js";
import { isId, readInstant } from "../../lib/schema/primitives.js";

/** What happened to a worker: an attempt ended badly, heald gave up on it, or it is well again. */
export type SightingKind = "ended" | "given_up" | "back";

/** What an event says, cut to what matters here. */
export interface Sighting {
  readonly kind: SightingKind;
  readonly event_id: string;
  readonly event_type: string;
  readonly at_ms: number;
  readonly worker_id: string;
  readonly worker_type: string;
  readonly task_id: string | null;
  readonly attempt: number | null;
  readonly incident_id: string | null;
  readonly reason: string | null;
  /** What the worker says of it, not what we say of the worker. */
  readonly error: string | null;
  /** What the worker says that it is the same as. */
  readonly fingerprint: string | null;
  /** What the monitor went by. */
  readonly evidence: string | null;
  readonly exit_code: number | null;
  readonly signal: string | null;
  readonly ran_ms: number | null;
  /** What the worker or a person says it is, e.g. `ECONNREFUSED`. */
  readonly error_code: string | null;
  /** Who or what wanted it so; such an event teaches nothing. */
  readonly cause: string | null;
  /** How many failures it stands for. */
  readonly weight: number;
  /** Deaths of which only a file tells, no event. */
  readonly from_file?: boolean;
}

type Json = Readonly<Record<string, unknown>>;

const MESSAGE_MAX = 1000;
/** `worker_presumed_dead` is what another system writes of a silent worker, once for each look at the same corpse. */
const ENDS: ReadonlySet<string> = new Set([
  "worker_exited",
  "zombie_detected",
  "worker_presumed_dead",
  "worker_failed",
]);
const GIVEN_UP: ReadonlySet<string> = new Set(["worker_restart_exhausted", "task_quarantined"]);
const BACK: ReadonlySet<string> = new Set([
  "worker_registered",
  "worker_restarted",
  "heartbeat_resumed",
  "worker_completed",
  "worker_stopped",
  "worker_unwatched",
]);

/** What an event of a log teaches; null if nothing. */
export function sightingOf(event: Json, _log: EventLog): Sighting | null {
  const type = event.event_type as string;
  const kind = type === "worker_restart_refused" && event.reason === "token_budget" ? "given_up" : kindOf(type);
  if (kind === null) return null;
  const atMs = numberIn(event.at_ms) ?? readInstant(event.timestamp);
  const workerId = isId(event.worker_id) ? event.worker_id : null;
  if (atMs === null || workerId === null) return null;
  // A worker that finished its work has not failed.
  if (type === "worker_exited" && event.severity === "info") return null;
  const data = objectIn(event.data);
  return {
    kind,
    event_id: textIn(event.event_id, 128) ?? `${type}-${workerId}-${atMs}`,
    event_type: type,
    at_ms: Math.round(atMs),
    worker_id: workerId,
    worker_type: isId(event.worker_type) ? event.worker_type : typeOfWorker(workerId),
    task_id: event.task_id === "null" ? null : textIn(event.task_id, 128),
    attempt: numberIn(event.attempt),
    incident_id: textIn(event.incident_id, 128),
    reason: textIn(event.reason, 64),
    error: textIn(data.error ?? event.error ?? (type === "worker_failed" ? event.message : null), MESSAGE_MAX),
    fingerprint: textIn(data.fingerprint ?? event.fingerprint, 200),
    evidence: textIn(data.evidence, 200),
    exit_code: numberIn(data.exit_code ?? event.exit_code),
    signal: textIn(data.signal ?? event.signal, 16),
    ran_ms: numberIn(data.ran_ms),
    error_code: textIn(data.error_code ?? event.error_code, 64),
    cause: causeOf(event, data),
    weight: type === "task_quarantined" ? Math.max(1, Math.min(1000, numberIn(data.deaths) ?? 3)) : 1,
  };
}

function kindOf(type: string): SightingKind | null {
  if (ENDS.has(type)) return "ended";
  if (GIVEN_UP.has(type)) return "given_up";
  return BACK.has(type) ? "back" : null;
}

function causeOf(event: Json, data: Json): string | null {
  if (data.drill === true || event.drill === true) return "drill";
  return textIn(data.cause ?? data.caused_by ?? event.cause ?? event.caused_by, 64);
}

/**
 * The type in a worker's id where nothing else names it: `worker-scan-001` and `scan-worker-7` are `scan-worker`.
 *
 * An id of another form is its own type: workers that share nothing but that are not thrown together.
 */
export function typeOfWorker(workerId: string): string {
  const ours = /^worker-([A-Za-z][A-Za-z_-]{0,60}?)-[A-Za-z0-9]{1,32}$/.exec(workerId);
  if (ours !== null) return `${ours[1]}-worker`;
  const theirs = /^([A-Za-z][A-Za-z_-]{0,60}?-worker)-[A-Za-z0-9-]{1,64}$/.exec(workerId);
  return theirs?.[1] ?? workerId;
}

function textIn(value: unknown, charactersMax: number): string | null {
  return typeof value === "string" && value !== "" ? clean(value.slice(0, charactersMax)) : null;
}

/** Line by line, since stack traces are made of lines. */
function clean(text: string): string {
  return text.split("\n").map(harmless).join("\n");
}

function numberIn(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function objectIn(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}
