/**
 * The plain process as a target: starts an attempt whose active spec has been written.
 *
 * One place for `heald spawn`, worker-restart and the monitor (an attempt that is pending with no claim), so that all
 * start an attempt with the same environment, paths, umask and memory limit. Starting twice is harmless: the launcher
 * claims the attempt exclusively, and the second one leaves quietly.
 * @module
 */
import { silencesOf } from "../domain/thresholds.js";
import { ConfigurationError } from "../errors.js";
import type { LauncherStarter, StartDescription } from "../platform/launcher-host.js";
import { foreseeStart, type LaunchRequest, startLauncher, startThroughHost } from "../platform/launching.js";
import { EnvironmentRefused } from "../platform/worker-environment.js";
import { isId } from "../schema/primitives.js";
import { SETTING_BLOCKS, type WorkerSpecRecord } from "../schema/worker-spec.js";
import { givenHeartbeatOf } from "../store/heartbeat-policy.js";
import type { Layout } from "../store/layout.js";
import { attemptOf } from "../store/specs.js";

/** What a start knows beyond the spec. */
export interface StartOptions {
  /** Told to the worker as `HEALD_HEARTBEAT_INTERVAL_SECONDS`. {@link startAttempt} says what the worker is judged by. */
  readonly heartbeatIntervalSeconds?: number | undefined;
  /** The incident that the attempt is to end, told to the worker and kept in the launch record. */
  readonly incidentId?: string | undefined;
  /** While this file exists, the worker should run in its fallback mode. */
  readonly fallbackFile?: string | undefined;
  /** Added to the niceness of the one who starts it. */
  readonly nice?: number | undefined;
  /** Starts the launcher in place of this process. */
  readonly host?: LauncherStarter | undefined;
}

/**
 * Starts the launcher of an attempt from its resolved spec.
 *
 * Writes nothing itself: the caller has created `worker-specs/active/<id>.json` exclusively, and the launcher writes the
 * claim. Returns when the launcher exists, or its host has been told, not when the program runs: that is known when
 * `launches/<id>.attempt-<n>.json` carries a pid.
 *
 * @throws {ConfigurationError} If the spec does not say how to start it, or names a target that is not a process.
 * @throws {LaunchFailed} If the host cannot start a process now; nothing was claimed.
 * @throws {EnvironmentRefused} If the spec names a variable that no shell can hand on.
 */
export function startAttempt(layout: Layout, spec: WorkerSpecRecord, options: StartOptions = {}): void {
  const request = toldRequestOf(layout, spec, options);
  if (options.host === undefined) startLauncher(request);
  else startThroughHost(request, options.host);
}

/** What the next start of a worker will look like but for what differs each time; null where that is known only then. */
export function foreseeAttempt(layout: Layout, spec: WorkerSpecRecord): StartDescription | null {
  try {
    return foreseeStart(toldRequestOf(layout, spec, { incidentId: "inc-to-come" }));
  } catch (error) {
    // It cannot be started as it is, which is said when it is to be.
    if (error instanceof ConfigurationError || error instanceof EnvironmentRefused) return null;
    throw error;
  }
}

function toldRequestOf(layout: Layout, spec: WorkerSpecRecord, options: StartOptions): LaunchRequest {
  const interval = toldIntervalOf(layout, spec, Date.now());
  return launchRequestOf(layout, spec, { heartbeatIntervalSeconds: interval, ...options });
}

/** What the launcher is asked for; pure, so that `--dry-run` and tests can show it. */
export function launchRequestOf(layout: Layout, spec: WorkerSpecRecord, options: StartOptions = {}): LaunchRequest {
  const attempt = attemptOf(spec);
  const { worker_id: workerId, launch } = spec;
  const target = launch?.target ?? "process";
  const command = launch?.command;
  const fault = target !== "process" ? `its target is ${target}, not process` : "its spec names no launch.command";
  if (target !== "process" || command === undefined || command === null)
    throw new ConfigurationError(`Cannot start attempt ${attempt} of ${JSON.stringify(workerId)}: ${fault}`);
  return {
    workerId,
    workerType: spec.worker_type ?? "unknown",
    taskId: spec.task_id ?? null,
    attempt,
    home: layout.home.home,
    coordinationDir: layout.coordination,
    command,
    args: launch?.args ?? [],
    cwd: launch?.cwd ?? null,
    env: { ...settingsOf(spec), ...launch?.env },
    paths: {
      claim: layout.launch(workerId, attempt),
      exit: layout.exit(workerId, attempt),
      log: layout.workerLog(workerId, attempt),
      heartbeat: layout.heartbeat(workerId),
    },
    memoryLimitMb: spec.resources?.memory_limit_mb ?? undefined,
    heartbeatIntervalSeconds: options.heartbeatIntervalSeconds,
    incidentId: options.incidentId,
    fallbackFile: options.fallbackFile ?? fallbackOf(layout, spec),
    nice: options.nice,
  };
}

/**
 * Seconds between two beats, as the monitor will expect them of this attempt: a worker that obeys is never late.
 *
 * To the millisecond, and rather too short than too long.
 */
export function toldIntervalOf(layout: Layout, spec: WorkerSpecRecord, nowMs: number): number {
  const given = givenHeartbeatOf(layout, spec.worker_type ?? "unknown", nowMs);
  return Math.max(1, Math.floor(silencesOf(given, spec.heartbeat ?? {}).intervalMs)) / 1000;
}

const SETTING = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;
const SCALAR: ReadonlySet<string> = new Set(["string", "number", "boolean"]);

/** Its settings as the worker is told them: `processing.batch_size` is `SETTING_PROCESSING_BATCH_SIZE`. */
function settingsOf(spec: WorkerSpecRecord): Record<string, string> {
  const env: Record<string, string> = {};
  for (const block of SETTING_BLOCKS)
    for (const [name, value] of Object.entries(spec[block] ?? {}))
      if (SETTING.test(name) && SCALAR.has(typeof value)) env[`SETTING_${block}_${name}`.toUpperCase()] = String(value);
  return env;
}

function fallbackOf(layout: Layout, spec: WorkerSpecRecord): string | undefined {
  return isId(spec.worker_type) ? layout.fallbackFile(spec.worker_type) : undefined;
}
