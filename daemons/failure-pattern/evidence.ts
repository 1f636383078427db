/** Reads what dead attempts left: their record in `zombie/`, and whether a person wanted them stopped. @module */

import { workerSpecSchema } from "../../lib/schema/worker-spec.js";
import { readDesiredRecord } from "../../lib/store/desired.js";
import type { Layout } from "../../lib/store/layout.js";
import { MAX_BYTES, readRecord } from "../../lib/store/records.js";
import type { Sighting } from "./messages.js";
import type { LastWords } from "./naming.js";

type Json = Readonly<Record<string, unknown>>;

/** How an attempt ended, as far as it is written. */
export interface Remains {
  readonly words: LastWords;
  readonly workerType: string | null;
  readonly taskId: string | null;
  readonly incidentId: string | null;
  readonly createdBy: string | null;
  readonly endedAt: unknown;
}

/** The record of a dead attempt; null if there is none, or none that can be read. The monitor reports what cannot. */
export function readRemains(layout: Layout, workerId: string, attempt: number): Remains | null {
  const options = { maxBytes: MAX_BYTES.spec, nowMs: Date.now(), what: "zombie", root: layout.coordination };
  const reading = readRecord(layout.zombieSpec(workerId, attempt), workerSpecSchema, options);
  if (reading.kind !== "ok") return null;
  const spec = reading.value as Json;
  const execution = objectIn(spec.execution);
  const last = objectIn(spec.last_words);
  return {
    words: {
      reason: textIn(last.reason),
      evidence: textIn(last.evidence),
      exit_code: numberIn(execution.exit_code),
      signal: textIn(execution.signal),
      signal_inferred: execution.signal_inferred === true,
      killed_by: textIn(last.killed_by),
      log_tail: textIn(last.log_tail) ?? "",
    },
    workerType: textIn(spec.worker_type),
    taskId: textIn(spec.task_id),
    incidentId: textIn(spec.incident_id),
    createdBy: textIn(spec.created_by),
    endedAt: execution.completed_at,
  };
}

/** Ends that we or a person caused. */
const OUR_OWN: ReadonlySet<string> = new Set(["stopped", "cleanup", "host_reboot"]);
/** The shipped template: its workers die so that one sees what happens. */
const TEST_TYPE = "test-worker";

/** Why a sighting teaches nothing; null if it teaches. */
export function whyNothing(layout: Layout, sighting: Sighting, remains: Remains | null): string | null {
  if (sighting.cause !== null) return sighting.cause;
  if (sighting.worker_type === TEST_TYPE || remains?.workerType === TEST_TYPE) return TEST_TYPE;
  const reason = remains?.words.reason ?? sighting.reason;
  if (reason !== null && OUR_OWN.has(reason)) return reason;
  if (remains?.createdBy === "drill") return "drill";
  if (sighting.kind !== "ended") return null;
  const wish = readDesiredRecord(layout, sighting.worker_id, Date.now(), { refusesForbidden: true });
  // A wish that we may not read is mostly that it stops; a failure more is learnt from sooner than a false one is forgotten.
  if (wish.kind === "bad" && wish.code === "EACCES") return "stopped";
  return wish.kind === "ok" && wish.value.state !== "running" ? "stopped" : null;
}

function objectIn(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function textIn(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function numberIn(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
