/** Files a person's requests to restart. @module */
import { Refused } from "../lib/errors.js";
import { utc } from "../lib/platform/clock.js";
import { createExclusive, replaceFile } from "../lib/platform/files.js";
import { readInstant } from "../lib/schema/primitives.js";
import { type DesiredState, type RestartRequest, restartRequestSchema } from "../lib/schema/records.js";
import { readDesired, writeDesired } from "../lib/store/desired.js";
import { textOf } from "../lib/store/entries.js";
import type { Layout } from "../lib/store/layout.js";
import { MAX_BYTES, readRecord } from "../lib/store/records.js";
import { person } from "./person.js";
import type { Worker } from "./subjects.js";

/** What --override-hold passes: every hold, that of a quarantined task too, which has a gate of its own. */
export const HOLD_GATES = ["holds", "poison_task"];

export interface RestartOrder {
  readonly reason: "requested" | "retry";
  /** Also while it runs. */
  readonly force: boolean;
  /** Gates that are passed over by name. */
  readonly override: readonly string[];
  readonly why?: string | undefined;
}

export type Filed = "filed" | "changed";

/**
 * Files a request; one that waits already becomes this one, and keeps what it says beyond it: incident, attempt, overrides, times.
 *
 * A waiting request that worker-restart claims at the same moment is carried out by it; the one written here then finds
 * the next attempt in existence and is settled as a duplicate.
 * @throws {Refused} If the worker's type is not known: no gate could be asked about it.
 */
export function fileRequest(layout: Layout, worker: Worker, order: RestartOrder, nowMs: number): Filed {
  const { worker_type, task_id } = worker.spec;
  if (!worker_type)
    throw new Refused(
      `Cannot restart ${JSON.stringify(worker.workerId)}: nothing names its worker_type; heald spawn --id ${worker.workerId} --type <type> starts it`,
    );
  wantRunning(layout, worker.workerId, order.reason, nowMs);
  const request: RestartRequest = {
    worker_id: worker.workerId,
    worker_type,
    ...(task_id == null ? {} : { task_id }),
    reason: order.reason,
    created_at: utc(nowMs),
    ...(worker.attempt > 0 ? { attempt: worker.attempt } : {}),
    requested_by: person(),
    ...(order.force ? { force: true } : {}),
    ...(order.override.length > 0 ? { override: [...order.override] } : {}),
    ...(order.why === undefined ? {} : { why: order.why }),
  };
  const path = layout.queueRequest(worker.workerId);
  if (createExclusive(path, textOf(request))) return "filed";
  const waiting = readWaiting(layout, worker.workerId, nowMs);
  replaceFile(path, textOf(waiting === null ? request : taken(waiting, request, nowMs)));
  return "changed";
}

/** What a request says about the one start that it is for. */
const OF_ITS_START = ["ended", "override", "force", "not_before", "expires_at", "why", "run_id"];

/**
 * The order over what waits: what others have written there stays, where the order does not say otherwise.
 *
 * A retry does not pass the time that a request is for (that is what --now is for); a restart means now.
 */
function taken(waiting: RestartRequest, request: RestartRequest, nowMs: number): RestartRequest {
  const { deferred: _, attempt, ...kept } = waiting;
  if (request.force) delete kept.not_before;
  // What is over already says nothing about what is asked for now.
  if ((readInstant(kept.expires_at) ?? nowMs) <= nowMs) delete kept.expires_at;
  // An attempt that came after the one it tells of: only the next after that can still be started.
  if (attempt != null && attempt < (request.attempt ?? 0))
    return { ...Object.fromEntries(Object.entries(kept).filter(([key]) => !OF_ITS_START.includes(key))), ...request };
  const override = [...new Set([...(kept.override ?? []), ...(request.override ?? [])])];
  return {
    ...kept,
    ...request,
    ...(attempt == null ? {} : { attempt }),
    ...(override.length > 0 ? { override } : {}),
  };
}

/** The time before which the request of a worker that waits is not carried out; null if it may be at once, or if none waits. */
export function waitsUntilMs(layout: Layout, workerId: string, nowMs: number): number | null {
  const waiting = readWaiting(layout, workerId, nowMs);
  if (waiting === null || waiting.override?.includes("not_before")) return null;
  const atMs = readInstant(waiting.not_before);
  return atMs !== null && atMs > nowMs ? atMs : null;
}

/** Null also for what is not this worker's. */
function readWaiting(layout: Layout, workerId: string, nowMs: number): RestartRequest | null {
  const path = layout.queueRequest(workerId);
  const reading = readRecord(path, restartRequestSchema, { maxBytes: MAX_BYTES.request, nowMs });
  return reading.kind === "ok" && reading.value.worker_id === workerId ? reading.value : null;
}

/**
 * To ask for a start is to want it running: an earlier `heald stop` would hold the request back for ever.
 *
 * @returns What was wanted before, if that was anything else; null if nothing had to change.
 */
export function wantRunning(layout: Layout, workerId: string, why: string, nowMs: number): DesiredState | null {
  const wish = readDesired(layout, workerId, nowMs);
  if (wish === null || wish.state === "running") return null;
  writeDesired(layout, workerId, { state: "running", by: person(), why, at: utc(nowMs) });
  return wish.state;
}
