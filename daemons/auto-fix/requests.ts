/** Asks worker-restart for attempts: a trial after a fix, those that wait for the same, a restart of what runs. @module */
import { join } from "node:path";
import { shortHash } from "../../lib/domain/hash.js";
import { createExclusive, replaceFile } from "../../lib/platform/files.js";
import { isId, readInstant, writeInstant } from "../../lib/schema/primitives.js";
import { holdSchema, type RestartRequest, restartRequestSchema } from "../../lib/schema/records.js";
import type { WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import { textOf, unlinkIfThere } from "../../lib/store/entries.js";
import type { Layout } from "../../lib/store/layout.js";
import { MAX_BYTES, readRecord } from "../../lib/store/records.js";
import { attemptOf } from "../../lib/store/specs.js";

/** Gates that a worker waits at because of its failures: a fix is a reason to try once more. */
const SPENT: ReadonlySet<string> = new Set(["circuit_breaker", "retries", "budgets", "poison_task"]);
const OVERRIDE = ["circuit_breaker", "retries", "budgets", "poison_task", "backoff"];

/** Lets a waiting worker through once. It keeps its attempt and incident, and spends nothing. False if it does not wait. */
export function letThrough(
  layout: Layout,
  workerId: string,
  runId: string,
  reason: string,
  notBeforeMs: number,
): boolean {
  const path = layout.queueRequest(workerId);
  const reading = readRecord(path, restartRequestSchema, { maxBytes: MAX_BYTES.request, nowMs: Date.now() });
  if (reading.kind !== "ok" || !SPENT.has(reading.value.deferred?.gate ?? "")) return false;
  const { deferred: _deferred, ...request } = reading.value;
  const record: RestartRequest = {
    ...request,
    reason,
    requested_by: "auto-fix",
    // What a person passes by name, and the time that the person has set, stay.
    override: [...new Set([...(request.override ?? []), ...OVERRIDE])],
    ended: { ...request.ended, spends_retry: false },
    not_before: writeInstant(Math.max(notBeforeMs, readInstant(request.not_before) ?? 0)),
    run_id: runId,
  };
  replaceFile(path, textOf(record));
  return true;
}

/** Files a restart of a worker that may be running; one that waits already stays. */
export function askRestart(
  layout: Layout,
  spec: WorkerSpecRecord,
  runId: string,
  reason: string,
  notBeforeMs: number,
): boolean {
  if (!spec.worker_type) return false;
  const nowMs = Date.now();
  const request: RestartRequest = {
    worker_id: spec.worker_id,
    worker_type: spec.worker_type,
    ...(spec.task_id == null ? {} : { task_id: spec.task_id }),
    reason,
    created_at: writeInstant(nowMs),
    not_before: writeInstant(notBeforeMs),
    attempt: attemptOf(spec),
    requested_by: "auto-fix",
    force: true,
    override: ["backoff"],
    ended: { spends_retry: false },
    run_id: runId,
  };
  return createExclusive(layout.queueRequest(spec.worker_id), textOf(request));
}

/** Asks for the first attempt of a worker that is not there yet. Its gates are those of any start. */
export function askFirstStart(
  layout: Layout,
  worker: { readonly workerId: string; readonly workerType: string },
  runId: string,
): void {
  const request: RestartRequest = {
    worker_id: worker.workerId,
    worker_type: worker.workerType,
    reason: "scale_up",
    created_at: writeInstant(Date.now()),
    requested_by: "auto-fix",
    override: ["backoff"],
    ended: { spends_retry: false },
    run_id: runId,
  };
  createExclusive(layout.queueRequest(worker.workerId), textOf(request));
}

/** Asks for the next attempt of a worker that was stopped, and of which no attempt is active any more. */
export function askStartAgain(
  layout: Layout,
  worker: { readonly workerId: string; readonly workerType: string },
  lastAttempt: number,
  runId: string,
): void {
  const request: RestartRequest = {
    worker_id: worker.workerId,
    worker_type: worker.workerType,
    reason: "fix_undone",
    created_at: writeInstant(Date.now()),
    attempt: lastAttempt,
    requested_by: "auto-fix",
    override: OVERRIDE,
    ended: { spends_retry: false },
    run_id: runId,
  };
  createExclusive(layout.queueRequest(worker.workerId), textOf(request));
}

/** Ends the quarantine of a task whose deaths had a cause that is fixed. A hold that a person made stays. */
export function endQuarantine(layout: Layout, taskId: string): void {
  const path = join(layout.holdsDir, `task-${isId(taskId) ? taskId : shortHash(taskId)}.json`);
  const reading = readRecord(path, holdSchema, { maxBytes: MAX_BYTES.hold, nowMs: Date.now() });
  if (reading.kind === "ok" && reading.value.by === "worker-restart") unlinkIfThere(path);
}
