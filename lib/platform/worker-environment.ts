/**
 * Builds the environment of a worker from the daemon's own, without what was meant for the daemon alone.
 *
 * What a spec names itself always counts, `NODE_OPTIONS` included; only `HEALD_*` belongs to heald.
 * @module
 */

/** The part of a launch that a worker sees. */
export interface WorkerEnvironment {
  readonly workerId: string;
  readonly workerType: string;
  readonly taskId: string | null;
  readonly attempt: number;
  /** The folder that holds coordination/ and agents/. */
  readonly home: string;
  readonly coordinationDir: string;
  readonly paths: { readonly heartbeat: string };
  readonly env: Readonly<Record<string, string>>;
  readonly heartbeatIntervalSeconds?: number | undefined;
  readonly incidentId?: string | undefined;
  /** While this file exists, the worker should run in its fallback mode. */
  readonly fallbackFile?: string | undefined;
}

/** A variable that a shell cannot carry: it would be dropped without a word. */
export class EnvironmentRefused extends Error {
  override readonly name = "EnvironmentRefused";
  readonly code = "environment_refused";
}

/** Meant for the process that systemd, pm2 or npm started, and harmful or misleading in any other. */
const NOT_INHERITED =
  /^(HEALD_.*|NODE_OPTIONS|NODE_CHANNEL_.*|NODE_UNIQUE_ID|NODE_APP_INSTANCE|NODE_V8_COVERAGE|NOTIFY_SOCKET|WATCHDOG_.*|LISTEN_.*|FDSTORE|MAINPID|MANAGERPID.*|INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_.*|CREDENTIALS_DIRECTORY|MEMORY_PRESSURE_.*|(RUNTIME|STATE|CACHE|LOGS|CONFIGURATION)_DIRECTORY|PM2_.*|pm_.*|npm_.*|VITEST.*|ENV|BASH_ENV|OLDPWD|_)$/;
const SHELL_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** What a worker inherits of the environment of whoever starts it. */
export function inheritedVariables(own: NodeJS.ProcessEnv): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(own)) {
    if (value !== undefined && SHELL_NAME.test(name) && !NOT_INHERITED.test(name)) env[name] = value;
  }
  return env;
}

/**
 * The variables of its own that a worker gets on top of those. `HEALD_PID` is missing here: the program's pid is known
 * only to the launcher's child.
 *
 * @throws {EnvironmentRefused} If the spec names a variable that no shell can hand on, or a value has a NUL in it.
 */
export function workerVariables(worker: WorkerEnvironment): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(worker.env)) {
    if (!SHELL_NAME.test(name)) throw refused(worker, name, "letters, digits and _ in its name");
    if (value.includes("\0")) throw refused(worker, name, "no NUL in its value");
    if (!name.startsWith("HEALD_")) env[name] = value;
  }
  return { ...env, ...ownVariables(worker) };
}

/** Names of the variables that heald sets itself, apart from HEALD_PID. */
export const OWN_VARIABLES = [
  "HEALD_WORKER_ID",
  "HEALD_WORKER_TYPE",
  "HEALD_ATTEMPT",
  "HEALD_TASK_ID",
  "HEALD_HOME",
  "HEALD_COORDINATION_DIR",
  "HEALD_HEARTBEAT_FILE",
  "HEALD_HEARTBEAT_INTERVAL_SECONDS",
  "HEALD_INCIDENT_ID",
  "HEALD_FALLBACK_FILE",
] as const;

function ownVariables(worker: WorkerEnvironment): Partial<Record<(typeof OWN_VARIABLES)[number], string>> {
  const { heartbeatIntervalSeconds: interval, incidentId, fallbackFile } = worker;
  return {
    HEALD_WORKER_ID: worker.workerId,
    HEALD_WORKER_TYPE: worker.workerType,
    HEALD_ATTEMPT: String(worker.attempt),
    HEALD_TASK_ID: worker.taskId ?? "",
    HEALD_HOME: worker.home,
    HEALD_COORDINATION_DIR: worker.coordinationDir,
    HEALD_HEARTBEAT_FILE: worker.paths.heartbeat,
    ...(interval === undefined ? {} : { HEALD_HEARTBEAT_INTERVAL_SECONDS: String(interval) }),
    ...(incidentId === undefined ? {} : { HEALD_INCIDENT_ID: incidentId }),
    ...(fallbackFile === undefined ? {} : { HEALD_FALLBACK_FILE: fallbackFile }),
  };
}

function refused(worker: WorkerEnvironment, name: string, wanted: string): EnvironmentRefused {
  return new EnvironmentRefused(
    `Cannot start attempt ${worker.attempt} of "${worker.workerId}": variable ${JSON.stringify(name)} must have ${wanted}`,
  );
}
