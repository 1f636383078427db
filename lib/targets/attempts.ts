/** What is left of an attempt's processes, known from its own launch record, or from the spec of one that was adopted. @module */
import { hasGroupMembers, type Identity, isGroupGone, presenceOf } from "../platform/identity.js";
import { groupMembers } from "../platform/processes.js";
import { readInstant } from "../schema/primitives.js";
import { identitySchema, type LaunchRecord, launchRecordSchema } from "../schema/records.js";
import type { WorkerSpecRecord } from "../schema/worker-spec.js";
import type { Layout } from "../store/layout.js";
import { MAX_BYTES, readRecord } from "../store/records.js";
import { attemptOf } from "../store/specs.js";

/** The launch record of an attempt; null if there is none that can be read. */
export function launchOf(layout: Layout, workerId: string, attempt: number, nowMs: number): LaunchRecord | null {
  const options = { maxBytes: MAX_BYTES.spec, nowMs, what: "launch record", root: layout.coordination, isThere: true };
  const reading = readRecord(layout.launch(workerId, attempt), launchRecordSchema, options);
  return reading.kind === "ok" ? reading.value : null;
}

/** The identity of an attempt's program; null while it is not known. */
export function identityOfLaunch(launch: LaunchRecord | null): Identity | null {
  if (launch === null) return null;
  const { pid, start_time, boot_id, pid_ns, host } = launch;
  if (pid == null || start_time == null || boot_id == null || pid_ns == null || host == null) return null;
  return { pid, start_time, boot_id, pid_ns, host };
}

/** When the program was started, by its launcher's clock. */
export function launchedAtMs(launch: LaunchRecord): number | null {
  const exact = (launch as { readonly started_at_ms?: unknown }).started_at_ms;
  return typeof exact === "number" ? exact : readInstant(launch.started_at);
}

/** Whether an attempt's program runs; null if no launch record tells. */
export function isAttemptAlive(layout: Layout, workerId: string, attempt: number, nowMs: number): boolean | null {
  const identity = identityOfLaunch(launchOf(layout, workerId, attempt, nowMs));
  return identity === null ? null : presenceOf(identity) === "same";
}

/** A process that a person put under heald's care: no launch record tells of it, only its spec. */
export interface Adopted {
  readonly identity: Identity;
  /** Whether heald may end it. */
  readonly maySignal: boolean;
}

/** The adopted process that an active spec is about; null if it is about none, or does not say which. */
export function adoptedOf({ execution }: WorkerSpecRecord): Adopted | null {
  if (execution?.origin !== "adopted") return null;
  const read = identitySchema.safeParse(execution);
  return read.success ? { identity: read.data, maySignal: execution.may_signal === true } : null;
}

/** Whether the program of an active spec runs; null if neither a launch record nor the spec tells. */
export function isActiveAlive(layout: Layout, spec: WorkerSpecRecord, nowMs: number): boolean | null {
  const adopted = adoptedOf(spec);
  if (adopted !== null) return presenceOf(adopted.identity) === "same";
  return isAttemptAlive(layout, spec.worker_id, attemptOf(spec), nowMs);
}

/** Processes of an attempt that are left: its program, or members of the session that it led. */
export function survivorsOf(layout: Layout, workerId: string, attempt: number, nowMs: number): number[] {
  const launch = launchOf(layout, workerId, attempt, nowMs);
  const identity = identityOfLaunch(launch);
  if (identity === null) return [];
  // A launcher starts its program in a session of its own.
  if (launch?.launcher_pid != null && isGroupGone(identity)) return [];
  const presence = presenceOf(identity);
  if (presence === "same") return [identity.pid];
  if (presence !== "gone" && presence !== "unreaped") return [];
  if (!hasGroupMembers(identity.pid)) return [];
  return groupMembers(identity.pid)
    .filter((member) => member.session === identity.pid && member.start_time >= identity.start_time)
    .filter((member) => member.state !== "Z" && member.state !== "X")
    .map((member) => member.pid);
}
