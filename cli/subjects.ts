/** Finds the workers that a command is for: by id, by type, or all. @module */
import { NotFound, UsageError } from "../lib/errors.js";
import type { RestartRequest } from "../lib/schema/records.js";
import type { WorkerSpecRecord } from "../lib/schema/worker-spec.js";
import type { Layout } from "../lib/store/layout.js";
import { attemptOf, SpecStore } from "../lib/store/specs.js";
import type { Call } from "./command.js";
import { checkedId, flagOption, textOption } from "./options.js";
import { queuedRequest, queuedRequests } from "./queued.js";
import { rememberedOf } from "./unwatched.js";

export interface Worker {
  readonly workerId: string;
  /** Its active spec, else the newest evidence of it, else what its request and events say of it. */
  readonly spec: WorkerSpecRecord;
  /** That of its active spec; else the last of which there is any trace, for a person may have removed its spec; 0 for none. */
  readonly attempt: number;
  readonly isActive: boolean;
}

/** All active workers whose specs can be read. */
export function activeWorkers(layout: Layout): Worker[] {
  const specs = new SpecStore(layout);
  return specs.listActive().flatMap((workerId) => {
    const reading = specs.readActive(workerId, Date.now());
    return reading.kind === "ok" ? [active(workerId, reading.value)] : [];
  });
}

const active = (workerId: string, spec: WorkerSpecRecord): Worker => ({
  workerId,
  spec,
  attempt: attemptOf(spec),
  isActive: true,
});

/** Workers without an active spec that wait in the queue to be started, by what their requests say alone: there may be many. */
export function waitingWorkers(layout: Layout): Worker[] {
  const specs = new SpecStore(layout);
  const nowMs = Date.now();
  return queuedRequests(layout, nowMs)
    .filter(({ worker_id }) => specs.readActive(worker_id, nowMs).kind === "absent")
    .map((request) => ({
      workerId: request.worker_id,
      spec: namedIn(request),
      attempt: request.attempt ?? 0,
      isActive: false,
    }));
}

function namedIn({ worker_id, worker_type, task_id }: RestartRequest): WorkerSpecRecord {
  return { worker_id, worker_type, ...(task_id == null ? {} : { task_id }) };
}

/** One worker by its id. @throws {NotFound} If there is neither a spec, nor any trace of it, nor a request for it. */
export function findWorker(layout: Layout, text: string): Worker {
  const workerId = checkedId(text, "A worker id");
  const specs = new SpecStore(layout);
  const reading = specs.readActive(workerId, Date.now());
  if (reading.kind === "ok") return active(workerId, reading.value);
  if (reading.kind === "bad") throw new NotFound(reading.sentence);
  const request = queuedRequest(layout, workerId, Date.now());
  const attempt = Math.max(request?.attempt ?? 0, specs.highestAttempt(workerId));
  if (attempt === 0 && request === null)
    throw new NotFound(`No worker ${JSON.stringify(workerId)}: it has no spec and left no evidence`);
  const named = request === null ? { worker_id: workerId, ...rememberedOf(layout, workerId) } : namedIn(request);
  return { workerId, spec: specs.latestEvidence(workerId) ?? named, attempt, isActive: false };
}

/**
 * The workers that ids, `--type` or `--all` name.
 *
 * @param withWaiting Whether a type, and all, are also those that wait for a restart; an id may always be one.
 * @throws {UsageError} If none or several of the three are used.
 */
export function chooseWorkers(layout: Layout, call: Call, withWaiting = false): Worker[] {
  const type = textOption(call.options, "type");
  const all = flagOption(call.options, "all");
  const ways = [call.args.length > 0, type !== undefined, all].filter(Boolean).length;
  if (ways !== 1) throw new UsageError("Name workers by their ids, or by --type, or all with --all");
  if (call.args.length > 0) return [...new Set(call.args)].map((workerId) => findWorker(layout, workerId));
  const workers = [...activeWorkers(layout), ...(withWaiting ? waitingWorkers(layout) : [])];
  const chosen = type === undefined ? workers : workers.filter(({ spec }) => spec.worker_type === type);
  if (type !== undefined && chosen.length === 0)
    throw new NotFound(
      `No active worker of type ${JSON.stringify(type)}${withWaiting ? ", and none that waits for a restart" : ""}`,
    );
  return chosen;
}

export const CHOICE_OPTIONS = [
  { flags: "--type <type>", description: "all active workers of a type" },
  { flags: "--all", description: "all active workers" },
];

/** For a command that calls {@link chooseWorkers} with those that wait. */
export const CHOICE_WITH_WAITING_OPTIONS = [
  { flags: "--type <type>", description: "all workers of a type, active or waiting for a restart" },
  { flags: "--all", description: "all workers, active or waiting for a restart" },
];
