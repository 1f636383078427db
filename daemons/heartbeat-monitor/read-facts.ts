/** Turns records on disk into the facts that the monitor decides upon. @module */

import { bootId, hostName } from "../../lib/platform/clock.js";
import { readInstant } from "../../lib/schema/primitives.js";
import type { Beat, ExitRecord, LaunchRecord, ProcessIdentity } from "../../lib/schema/records.js";
import { stopSignalOf } from "../../lib/schema/stop-signals.js";
import { inSpecBeatOf, statusOf, tokensOf, type WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import { attemptOf } from "../../lib/store/specs.js";
import { blockKey } from "./block.js";
import type { BeatFacts, ExitFacts, KnownProcess, SpecFacts } from "./facts.js";

const GRACE_SECONDS = 30;

/** What an active spec says, in any of the dialects seen in the field. */
export function specFacts(record: WorkerSpecRecord): SpecFacts {
  const { heartbeat, launch, restart } = record;
  const beat = inSpecBeatOf(record);
  const hasLaunch = typeof launch?.command === "string";
  const process = adoptedProcess(record);
  return {
    worker_type: record.worker_type ?? "unknown",
    task_id: record.task_id ?? null,
    status: statusOf(record),
    attempt: attemptOf(record),
    mode: heartbeat?.mode ?? null,
    has_heartbeat: heartbeat !== null && heartbeat !== undefined,
    has_launch: hasLaunch,
    own: {
      interval_seconds: heartbeat?.interval_seconds,
      timeout_seconds: heartbeat?.timeout_seconds,
      zombie_threshold_seconds: heartbeat?.zombie_threshold_seconds,
    },
    probe: record.probe !== null && record.probe !== undefined,
    stop: {
      signal: stopSignalOf(launch?.stop?.signal),
      scope: launch?.stop?.scope ?? "main",
      grace_ms: (launch?.stop?.grace_seconds ?? GRACE_SECONDS) * 1000,
    },
    restart_when: restart?.when ?? "on-failure",
    max_runtime_ms: record.max_runtime_seconds ? record.max_runtime_seconds * 1000 : null,
    memory_limit_bytes: record.resources?.memory_limit_mb ? record.resources.memory_limit_mb * 1_048_576 : null,
    tokens_used: tokensOf(record).used,
    incident_id: typeof record.incident_id === "string" ? record.incident_id : null,
    process,
    other_boot: ofOtherBoot(record),
    in_spec_beat: heartbeat ? inSpecFacts(heartbeat, beat) : null,
  };
}

/**
 * The beat that stands in a spec, with a key for what the monitor writes there itself and one for what it never writes:
 * an older worker that merges its own fields into the block leaves the monitor's as they are.
 */
function inSpecFacts(
  block: Readonly<Record<string, unknown>>,
  beat: { readonly score: number | null; readonly sequence: number | null },
): NonNullable<SpecFacts["in_spec_beat"]> {
  const health = (typeof block.health === "object" && block.health !== null ? block.health : {}) as Record<
    string,
    unknown
  >;
  const legacy = [block.last_heartbeat, block.heartbeat_sequence, health.health_score];
  const own = typeof health.health_score === "number" ? health.health_score : null;
  return {
    key: blockKey(block.last_seen ?? null, block.sequence ?? null, block.health_score ?? null),
    legacy_key: legacy.every((value) => value === undefined || value === null) ? "" : JSON.stringify(legacy),
    score: beat.score,
    legacy_score: own,
    sequence: beat.sequence,
  };
}

/** A process that a person put under heald's care; a pid that merely stands in a spec is shown, never signalled. */
function adoptedProcess(record: WorkerSpecRecord): KnownProcess | null {
  const execution = record.execution;
  if (execution?.origin !== "adopted") return null;
  const identity = identityIn(execution);
  if (identity === null) return null;
  const startedAtMs = readInstant(execution.started_at) ?? readInstant(record.created_at) ?? 0;
  return {
    identity,
    launcher_pid: null,
    launcher_start_time: null,
    origin: "adopted",
    may_signal: execution.may_signal === true,
    started_at_ms: startedAtMs,
    memory_limit_enforced_by: execution.memory_limit_enforced_by ?? null,
    memory_folder: null,
  };
}

function ofOtherBoot(record: WorkerSpecRecord): boolean {
  const execution = record.execution;
  if (typeof execution?.boot_id !== "string" || typeof execution.pid !== "number") return false;
  return execution.host === hostName() && execution.boot_id !== bootId();
}

interface IdentityFields {
  readonly pid?: number | null | undefined;
  readonly start_time?: number | null | undefined;
  readonly boot_id?: string | null | undefined;
  readonly pid_ns?: string | null | undefined;
  readonly host?: string | null | undefined;
}

function identityIn(fields: IdentityFields): ProcessIdentity | null {
  const { pid, start_time, boot_id, pid_ns, host } = fields;
  if (!pid || start_time === null || start_time === undefined || !boot_id || !pid_ns || !host) return null;
  return { pid, start_time, boot_id, pid_ns, host };
}

/** The process of a launch record; null while its program has not begun. */
export function processOf(record: LaunchRecord): KnownProcess | null {
  const identity = identityIn(record);
  if (identity === null) return null;
  const startedAtMs = (record as { started_at_ms?: unknown }).started_at_ms;
  return {
    identity,
    launcher_pid: record.launcher_pid ?? null,
    launcher_start_time: record.launcher_start_time ?? null,
    origin: "launched",
    may_signal: true,
    started_at_ms: typeof startedAtMs === "number" ? startedAtMs : (readInstant(record.started_at) ?? Date.now()),
    memory_limit_enforced_by: record.memory_limit_enforced_by ?? null,
    memory_folder: record.memory_folder ?? null,
  };
}

/** @param wanted Whether a person's forced restart ended it. */
export function exitFacts(record: ExitRecord, mtimeMs: number, wanted = false): ExitFacts {
  const endedAtMs = (record as { ended_at_ms?: unknown }).ended_at_ms;
  return {
    exit_code: record.exit_code ?? null,
    signal: record.signal ?? null,
    signal_inferred: record.signal_inferred ?? false,
    wait_status: record.wait_status ?? null,
    ended_at_ms: typeof endedAtMs === "number" ? endedAtMs : (readInstant(record.ended_at) ?? mtimeMs),
    oom_kills: record.memory?.oom_kill ?? 0,
    ...(wanted ? { wanted } : {}),
  };
}

export function beatFacts(beat: Beat, key: string, ageMs: number): BeatFacts {
  return {
    attempt: beat.attempt ?? null,
    sequence: beat.sequence ?? null,
    reported: beat.health_score ?? null,
    progress: beat.progress ?? null,
    pid: beat.pid ?? null,
    age_ms: ageMs,
    key,
  };
}
