/** Makes the spec of a worker's next attempt out of what the last one left, its template and its overrides. @module */
import { writeInstant } from "../../lib/schema/primitives.js";
import { tokensOf, type WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import type { ResolvedAttempt } from "../../lib/store/templates.js";
import type { StartEffect } from "./messages.js";

/** What belongs to an attempt that has ended, and not to its worker. */
const OF_THE_ATTEMPT = [
  ...["status", "attempt", "created_at", "execution", "last_words", "heartbeat", "restart", "launch", "resources"],
  ...["template_hash", "incident_id", "token_budget", "probe", "requires", "max_runtime_seconds", "why"],
  "passed_over",
  ...["timeouts", "retry", "processing", "rate_limits"],
];

/** Unknown fields of the old spec are kept: they are its writer's. */
export function nextSpec(
  base: WorkerSpecRecord,
  resolved: ResolvedAttempt,
  start: StartEffect,
  nowMs: number,
): WorkerSpecRecord {
  const kept = Object.fromEntries(Object.entries(base).filter(([key]) => !OF_THE_ATTEMPT.includes(key)));
  const { allocated } = tokensOf({ ...base, ...resolved } as WorkerSpecRecord);
  const { heartbeat, restart, token_budget, ...rest } = resolved;
  return {
    ...kept,
    worker_id: start.worker_id,
    worker_type: start.worker_type,
    task_id: start.task_id,
    status: "pending",
    attempt: start.attempt,
    created_at: writeInstant(nowMs),
    created_by: base.created_by ?? "worker-restart",
    ...rest,
    ...(heartbeat === undefined ? {} : { heartbeat: { ...heartbeat, mode: heartbeat.mode ?? "required" } }),
    ...(allocated > 0 ? { token_budget: { ...token_budget, allocated, used: 0 } } : {}),
    restart: {
      ...restart,
      when: restart?.when ?? base.restart?.when ?? "on-failure",
      state: "idle",
      attempts: start.attempts,
      lifetime: start.lifetime,
      start_id: start.start_id,
    },
    incident_id: start.incident_id,
  };
}
