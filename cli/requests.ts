/** Files a person's requests to restart. @module */
import { Refused } from "../lib/errors.js";
import { utc } from "../lib/platform/clock.js";
import { createExclusive, replaceFile } from "../lib/platform/files.js";
import { type DesiredState, type RestartRequest, restartRequestSchema } from "../lib/schema/records.js";
import { readDesired, writeDesired } from "../lib/store/desired.js";
import { textOf } from "../lib/store/entries.js";
import type { Layout } from "../lib/store/layout.js";
import { readRecord } from "../lib/store/records.js";
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
 * Files a request; one that waits already becomes this one, and keeps its incident and its attempt.
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
  const waiting = readRecord(path, restartRequestSchema, { maxBytes: 65_536, nowMs });
  replaceFile(path, textOf(waiting.kind === "ok" ? taken(waiting.value, request) : request));
  return "changed";
}

function taken(waiting: RestartRequest, request: RestartRequest): RestartRequest {
  const { incident_id, attempt, ended } = waiting;
  // An attempt that came after the one it tells of: only the next after that can still be started.
  const isOvertaken = attempt != null && attempt < (request.attempt ?? 0);
  return {
    ...request,
    ...(attempt == null || isOvertaken ? {} : { attempt }),
    ...(incident_id == null ? {} : { incident_id }),
    ...(ended == null || isOvertaken ? {} : { ended }),
  };
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
