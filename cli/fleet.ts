/**
 * The fleet as `status` and `workers` show it: what the monitor says while it runs, else what specs, files and /proc say.
 * @module
 */

import { join } from "node:path";
import { fleetHealth, isWorkerWell } from "../lib/domain/fleet-health.js";
import { utc } from "../lib/platform/clock.js";
import { isDiskFull, readSmall } from "../lib/platform/files.js";
import { type Identity, presenceOf } from "../lib/platform/processes.js";
import { isId } from "../lib/schema/primitives.js";
import { statusOf, type WorkerSpecRecord } from "../lib/schema/worker-spec.js";
import { BreakerStore } from "../lib/store/breakers.js";
import { readDesired } from "../lib/store/desired.js";
import { isThere, jsonNamesIn } from "../lib/store/entries.js";
import { waitingFixes } from "../lib/store/fix-runs.js";
import { type Hold, readHolds } from "../lib/store/holds.js";
import type { Layout } from "../lib/store/layout.js";
import { attemptOf, SpecStore } from "../lib/store/specs.js";
import { checked, DISK_FULL } from "./doubts.js";
import { knownIdentity } from "./identities.js";
import { queuedRequest } from "./queued.js";
import { type DaemonState, daemonState, daemonStates } from "./running.js";
import { activeWorkers, waitingWorkers } from "./subjects.js";

type Instant = string | number | null;

export interface WorkerRow {
  readonly worker_id: string;
  readonly worker_type: string;
  readonly task_id: string | null;
  readonly status: string;
  readonly state: string;
  /** The last one; null if there never was one. */
  readonly attempt: number | null;
  readonly pid: number | null;
  readonly desired: string | null;
  readonly why: string;
  readonly since: Instant;
  readonly next_at: Instant;
  readonly health_score: number | null;
  readonly last_seen: Instant;
}

export interface QueueRow {
  readonly worker_id: string;
  readonly gate: string | null;
  readonly reason: string | null;
  readonly next_at: Instant;
  readonly count: number;
}

export interface BreakerRow {
  readonly worker_type: string;
  readonly state: string;
  readonly failure_count: number;
  readonly next_probe_at: Instant;
}

export interface Fleet {
  /** Whether the monitor tells, or this command has looked itself. */
  readonly source: "monitor" | "files";
  readonly ok: boolean;
  readonly summary: string;
  readonly home: string;
  readonly at: string;
  readonly daemons: readonly DaemonState[];
  readonly workers: readonly WorkerRow[];
  readonly holds: readonly Hold[];
  readonly breakers: readonly BreakerRow[];
  readonly pending: readonly string[];
  readonly restart_queue: readonly QueueRow[];
  readonly budgets: unknown;
  /** Whether the monitor itself holds back, because many workers are silent at once. */
  readonly fleet_held: boolean;
  /** Sentences that say why what the monitor tells is not the whole truth; mostly none. */
  readonly doubts: readonly string[];
}

const STATUS_BYTES_MAX = 32 * 1024 * 1024;
export function readFleet(layout: Layout, nowMs: number): Fleet {
  const daemons = daemonStates(layout);
  const monitor = daemons.find(({ name }) => name === "heartbeat-monitor");
  const told = monitor?.running && !monitor.stopped ? readStatus(layout) : null;
  const holds = readHolds(layout, nowMs).filter(
    ({ startsAtMs, expiresAtMs }) => startsAtMs <= nowMs && nowMs < expiresAtMs,
  );
  const isFull = isDiskFull(layout.coordination);
  const { rows: workers, gone } =
    told === null
      ? {
          rows: [...activeWorkers(layout).map(({ spec }) => rowOf(layout, spec, nowMs)), ...waitingRows(layout, nowMs)],
          gone: [],
        }
      : checked(layout, rowsIn(layout, told.workers), isFull, nowMs);
  const breakers = breakerRows(layout, nowMs);
  const queue = queueRows(layout);
  const pending = waitingFixes(layout, nowMs);
  // Counted here and not taken from the monitor, which looks at others' files and at the other daemons every few seconds.
  const counts = {
    workers: workers.length,
    workersInTrouble: workers.filter((row) => !isWorkerWell(row)).length,
    breakersNotClosed: breakers.filter(({ state }) => state !== "closed").length,
    daemonsDown: daemons.filter(({ running, stopped }) => !running || stopped).length,
    fixesPending: pending.length,
    isDiskFull: isFull,
  };
  const { ok, summary } = fleetHealth(counts, heldBecause(told));
  return {
    source: told === null ? "files" : "monitor",
    ok,
    summary: told === null ? summaryOf(daemons, workers) : summary,
    home: layout.home.home,
    at: typeof told?.at === "string" ? told.at : utc(nowMs),
    daemons,
    workers,
    holds,
    breakers,
    pending,
    restart_queue: queue,
    budgets: told?.budgets ?? null,
    fleet_held: isHeld(told),
    doubts: isFull ? [...gone, DISK_FULL] : gone,
  };
}

/** One worker, and what waits for it. */
export interface WorkerView {
  /** Null if it has no active spec. */
  readonly row: WorkerRow | null;
  readonly waits: QueueRow | null;
  readonly fleet_held: boolean;
}

/** One worker as `readFleet` has it, without a look at the others. */
export function readWorker(layout: Layout, workerId: string, nowMs: number): WorkerView {
  const monitor = daemonState(layout, "heartbeat-monitor");
  const told = monitor.running && !monitor.stopped ? readStatus(layout) : null;
  const ofIt = told === null ? [] : (told.workers as unknown[]).filter((row) => isOf(row, workerId));
  const { rows } = checked(layout, rowsIn(layout, ofIt), isDiskFull(layout.coordination), nowMs);
  const reading = rows.length > 0 ? null : new SpecStore(layout).readActive(workerId, nowMs);
  const own = reading?.kind === "ok" ? rowOf(layout, reading.value, nowMs) : null;
  const name = `${workerId}-restart.json`;
  const isWaiting = isThere(join(layout.queueDir, name));
  return {
    row: rows[0] ?? own,
    waits: isWaiting ? queueRow(layout, name) : null,
    fleet_held: isHeld(told),
  };
}

const isOf = (row: unknown, workerId: string): boolean => isObject(row) && row.worker_id === workerId;

const isHeld = (told: Record<string, unknown> | null): boolean =>
  isObject(told?.detector) && told.detector.guard === "holding";

/** Why the monitor holds back; null while it does not. */
const heldBecause = (told: Record<string, unknown> | null): string | null =>
  isObject(told?.detector) && isHeld(told) ? (text(told.detector.held_because) ?? "many at once") : null;

function summaryOf(daemons: readonly DaemonState[], workers: readonly WorkerRow[]): string {
  const running = daemons.filter((daemon) => daemon.running).length;
  const green = workers.filter(isWorkerWell).length;
  const run = `${running} of ${daemons.length} daemons ${running === 1 ? "runs" : "run"}`;
  const look = green === 1 || workers.length === 1 ? "looks" : "look";
  return `${run}; ${green} of ${workers.length} ${workers.length === 1 ? "worker" : "workers"} ${look} well`;
}

/** `status.json`, if it is there and whole; null sends the caller to the files themselves. */
function readStatus(layout: Layout): Record<string, unknown> | null {
  try {
    const file = readSmall(layout.status, { maxBytes: STATUS_BYTES_MAX });
    const json: unknown = file === null ? null : JSON.parse(file.text);
    return typeof json === "object" && json !== null && Array.isArray((json as { workers?: unknown }).workers)
      ? (json as Record<string, unknown>)
      : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function rowsIn(layout: Layout, value: unknown): WorkerRow[] {
  return (value as unknown[]).filter(isObject).map((row) => rowIn(layout, row, text(row.worker_id) ?? "?"));
}

function rowIn(layout: Layout, row: Record<string, unknown>, worker_id: string): WorkerRow {
  return {
    worker_id,
    worker_type: text(row.worker_type) ?? "?",
    task_id: text(row.task_id),
    status: text(row.status) ?? "?",
    state: text(row.state) ?? "unknown",
    attempt: number(row.attempt) ?? lastAttempt(layout, worker_id),
    pid: number(row.pid),
    desired: text(row.desired),
    why: text(row.why) ?? "",
    since: instant(row.since),
    next_at: instant(row.next_at),
    health_score: number(row.health_score),
    last_seen: instant(row.last_seen),
  };
}

/** Of a worker whose request names no attempt. */
function lastAttempt(layout: Layout, workerId: string): number | null {
  return (isId(workerId) && new SpecStore(layout).highestAttempt(workerId)) || null;
}

/** Those that only wait for a restart, as the monitor has them in its status. */
function waitingRows(layout: Layout, nowMs: number): WorkerRow[] {
  return waitingWorkers(layout).map(({ workerId, spec, attempt }) => {
    const deferred = queuedRequest(layout, workerId, nowMs)?.deferred;
    return {
      worker_id: workerId,
      worker_type: spec.worker_type ?? "?",
      task_id: spec.task_id ?? null,
      status: "zombie",
      state: "exited",
      attempt: attempt || lastAttempt(layout, workerId),
      pid: null,
      desired: readDesired(layout, workerId, nowMs)?.state ?? null,
      why: deferred?.gate ?? "restart",
      since: null,
      next_at: deferred?.next_at ?? null,
      health_score: null,
      last_seen: null,
    };
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function number(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

function instant(value: unknown): Instant {
  return typeof value === "string" || typeof value === "number" ? value : null;
}

/** What can be said of a worker without the monitor: its spec, and whether its process is there. */
function rowOf(layout: Layout, spec: WorkerSpecRecord, nowMs: number): WorkerRow {
  const known = knownIdentity(layout, spec);
  const { state, why } = lookAt(spec, known);
  return {
    worker_id: spec.worker_id,
    worker_type: spec.worker_type ?? "?",
    task_id: spec.task_id ?? null,
    status: statusOf(spec),
    state,
    attempt: attemptOf(spec),
    pid: known?.pid ?? null,
    desired: readDesired(layout, spec.worker_id, nowMs)?.state ?? null,
    why,
    since: spec.execution?.started_at ?? spec.created_at ?? null,
    next_at: spec.restart?.next_at ?? null,
    health_score: spec.heartbeat?.health_score ?? null,
    last_seen: spec.heartbeat?.last_seen ?? null,
  };
}

function lookAt(spec: WorkerSpecRecord, known: Identity | null): { readonly state: string; readonly why: string } {
  if (known === null)
    return { state: statusOf(spec) === "pending" ? "starting" : "unknown", why: "no process of it is known" };
  const presence = presenceOf(known);
  if (presence === "same") return { state: spec.heartbeat?.status ?? "unknown", why: "its process is there" };
  if (presence === "other_host" || presence === "other_namespace")
    return { state: "unknown", why: "its process belongs to another host or pid namespace" };
  return { state: "exited", why: "its process is gone" };
}

function breakerRows(layout: Layout, nowMs: number): BreakerRow[] {
  const store = new BreakerStore(layout);
  return store.list().flatMap((type) => {
    const reading = store.read(type, nowMs);
    if (reading.kind !== "ok") return [];
    const { worker_type, state, failure_count, next_probe_at } = reading.value;
    return [{ worker_type, state, failure_count: failure_count ?? 0, next_probe_at: next_probe_at ?? null }];
  });
}

function queueRows(layout: Layout): QueueRow[] {
  return jsonNamesIn(layout.queueDir).map((name) => queueRow(layout, name));
}

function queueRow(layout: Layout, name: string): QueueRow {
  const request = readLoosely(join(layout.queueDir, name));
  const deferred = isObject(request?.deferred) ? request.deferred : {};
  return {
    worker_id: text(request?.worker_id) ?? name,
    gate: text(deferred.gate),
    reason: text(deferred.reason) ?? text(request?.reason),
    next_at: instant(deferred.next_at),
    count: number(deferred.count) ?? 0,
  };
}

/** A record of which anything may be missing; null if it cannot be read, which the daemon reports. */
function readLoosely(path: string): Record<string, unknown> | null {
  try {
    const file = readSmall(path, { maxBytes: 1024 * 1024 });
    const json: unknown = file === null ? null : JSON.parse(file.text);
    return isObject(json) ? json : null;
  } catch {
    return null;
  }
}
