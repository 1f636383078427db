/**
 * Starts an attempt of a worker through its launcher, a small shell program that outlives the daemon.
 *
 * The launcher leaves two records. The *launch record* is created exclusively as a claim and completed in place:
 *
 * | what a reader finds | what it means | what to do |
 * |---|---|---|
 * | no file | nobody has begun | start again |
 * | empty or torn, younger than 2 s | being written | look again |
 * | empty or torn, older | the launcher died in its first microseconds | remove or replace it; then start again |
 * | no `pid`, the launcher lives | about to start, or waiting for a slow disk | wait |
 * | no `pid`, the launcher is gone | the program has never run | remove or replace it; then count a failed start |
 * | `pid` | the program runs or ran under this identity | believe /proc and the exit record |
 *
 * Removing or replacing a claim is safe at any time: the launcher's child checks, as its last act before it becomes the
 * program, that its launcher lives and that the claim is still the file it created, and otherwise starts nothing.
 * The *exit record* is written by the launcher when the program ends; if the launcher was killed, there is none, nor if the
 * session of one that stood by was killed between its claim and its becoming the program.
 *
 * Host weather throws {@link LaunchFailed}; what is wrong with the program itself (not found, not executable, no such
 * working directory) becomes an exit record with 127 or 126, and a line in the attempt's log.
 * @module
 */
import { spawn } from "node:child_process";
import { accessSync, closeSync, constants, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { bootId, hostName, now, pidNamespace } from "./clock.js";
import type { HostedStart, LauncherStarter, StartDescription } from "./launcher-host.js";
import { type MemoryLimit, type MemoryLimitEnforcer, prepareMemoryLimit, releaseMemoryLimit } from "./memory-limit.js";
import { packageRoot } from "./package.js";
import { inheritedVariables, OWN_VARIABLES, type WorkerEnvironment, workerVariables } from "./worker-environment.js";

/** Everything that one start needs. All paths are absolute; ids are valid (contract's pattern). */
export interface LaunchRequest extends WorkerEnvironment {
  /** A path, or a name that is looked up in the PATH of the worker's own environment. */
  readonly command: string;
  readonly args: readonly string[];
  /** Relative to `home`; `home` itself if null. */
  readonly cwd: string | null;
  /** Claim and exit record have the same name, `<id>.attempt-<n>.json`. */
  readonly paths: { readonly claim: string; readonly exit: string; readonly log: string; readonly heartbeat: string };
  readonly memoryLimitMb?: number | undefined;
  /** Added to the daemon's niceness. */
  readonly nice?: number | undefined;
}

/** What the launcher reads, in its order. */
export interface LaunchFields {
  /** Of the attempt and its records. */
  readonly ofLauncher: readonly string[];
  /** Needed by the one that becomes the program. */
  readonly ofProgram: readonly string[];
}

/** A claim on an attempt: its program has not begun. */
export interface ClaimRecord {
  readonly worker_id: string;
  readonly attempt: number;
  readonly worker_type: string;
  readonly task_id: string | null;
  readonly incident_id?: string;
  readonly boot_id: string;
  readonly pid_ns: string;
  readonly host: string;
  readonly command: string;
  /** Cut to 8 KiB; `args_left_out` says how many are missing. */
  readonly args: readonly string[];
  readonly args_left_out?: number;
  readonly cwd: string;
  readonly log: string;
  readonly memory_limit_mb?: number;
  readonly memory_folder?: string;
  readonly launcher_pid: number;
  readonly launcher_start_time: number;
}

/** A claim whose program has been started. */
export interface StartedRecord extends ClaimRecord {
  readonly pid: number;
  readonly start_time: number;
  readonly started_at: string;
  readonly started_at_ms: number;
  /** On the boot clock, which no one steps. */
  readonly started_boot_ms: number;
  /** Null without a limit. "sampling" also where the kernel refused the program's entry into its cgroup. */
  readonly memory_limit_enforced_by: MemoryLimitEnforcer | null;
  /** False if the log could not be opened; the program's words are lost then. */
  readonly has_log: boolean;
}

/** How an attempt ended. Times come from the boot clock; the file's mtime shows a wall clock that was stepped. */
export interface LauncherExitRecord {
  readonly worker_id: string;
  readonly attempt: number;
  readonly pid: number;
  readonly start_time: number;
  readonly boot_id: string;
  /** 0-255 as a shell reports it: 128 + n after signal n. */
  readonly exit_code: number;
  readonly signal?: string;
  /** A shell cannot tell SIGKILL from `exit 137`: always true beside `signal`. */
  readonly signal_inferred?: true;
  readonly ended_at: string;
  readonly ended_at_ms: number;
  readonly ended_boot_ms: number;
  readonly memory?: { readonly oom_kill: number };
}

export type LaunchFailureCode =
  | "setsid_missing"
  | "launcher_missing"
  | "ENOENT"
  | "EACCES"
  | "EMFILE"
  | "ENFILE"
  | "EAGAIN"
  | "E2BIG"
  | "ENOMEM"
  | "UNKNOWN";

/** A launcher could not be started; nothing has been claimed. */
export class LaunchFailed extends Error {
  override readonly name = "LaunchFailed";
  readonly code: LaunchFailureCode;

  constructor(workerId: string, attempt: number, code: LaunchFailureCode, detail: string, cause?: unknown) {
    super(`Cannot start attempt ${attempt} of "${workerId}": ${detail} (${code})`, { cause });
    this.code = code;
  }
}

const ARGS_BYTES_MAX = 8192;

/**
 * Starts the launcher of one attempt. A second start of the same attempt finds the claim and does nothing.
 *
 * Returns when the launcher process exists, not when the program runs: that is what the launch record tells.
 *
 * @throws {LaunchFailed} If the host cannot start a process; try again later.
 * @throws {EnvironmentRefused} If the spec names a variable that no shell can hand on.
 */
export function startLauncher(request: LaunchRequest): { readonly launcherPid: number } {
  return start(request, (launch) => ({ launcherPid: launch.itself() }));
}

/**
 * Has a host start the launcher of one attempt; without one that can, starts it itself.
 *
 * Returns when the host has been told. Throws as {@link startLauncher}.
 */
export function startThroughHost(request: LaunchRequest, host: LauncherStarter): void {
  start(request, (launch) => {
    if (!host.start(launch)) launch.itself();
  });
}

function start<Result>(request: LaunchRequest, how: (launch: HostedStart) => Result): Result {
  const variables = workerVariables(request);
  let limit: MemoryLimit | null = null;
  try {
    limit = memoryLimitOf(request);
    const described = describe(request, variables, limit);
    const { ofLauncher, ofProgram, program } = described;
    const ofHost = (): readonly string[] => prepareHost(request);
    const itself = (): number =>
      spawnDetached(
        request,
        [launcherScript(), "start", "0", ...ofLauncher, ...ofProgram, ...ofHost(), ...program],
        variables,
      );
    return how({ ...described, ofHost, claim: request.paths.claim, itself });
  } catch (error) {
    if (limit?.folder !== undefined) releaseMemoryLimit(limit.folder);
    if (error instanceof LaunchFailed) throw error;
    // Preparing reads /proc: without a descriptor left, that fails before the start does.
    throw failed(request, codeOf(error), "the launcher could not be started", error);
  }
}

/**
 * What the next start of a worker will look like, for whoever makes launchers beforehand; null where that is known only then.
 *
 * @throws {EnvironmentRefused} If the spec names a variable that no shell can hand on.
 */
export function foreseeStart(request: LaunchRequest): StartDescription | null {
  return request.memoryLimitMb === undefined ? describe(request, workerVariables(request), null) : null;
}

function describe(
  request: LaunchRequest,
  variables: Readonly<Record<string, string>>,
  limit: MemoryLimit | null,
): StartDescription {
  const { atMs, bootMs } = now();
  const bootAtMs = String(Math.round(atMs - bootMs));
  const { workerId, attempt, taskId, incidentId } = request;
  return {
    variables,
    ...renderFields(request, bootAtMs, limit),
    program: [request.command, ...request.args],
    exits: dirname(request.paths.exit),
    blanks: [workerId, String(attempt), taskId ?? "", incidentId ?? "", bootAtMs],
  };
}

/** The shell program that is every launcher. */
export function launcherScript(): string {
  return join(packageRoot(), "lib", "platform", "launcher.sh");
}

/** A start of an attempt that has its claim already must not touch the running one's cgroup. */
function memoryLimitOf(request: LaunchRequest): MemoryLimit | null {
  if (request.memoryLimitMb === undefined || existsSync(request.paths.claim)) return null;
  return prepareMemoryLimit(request.workerId, request.attempt, request.memoryLimitMb);
}

/** What is the same for every start of one daemon, and what a new launcher needs to be there: one that stands by has it. */
function prepareHost(request: LaunchRequest): readonly string[] {
  const setsid = findSetsid();
  if (setsid === null)
    throw failed(request, "setsid_missing", "the program setsid (package util-linux) is not installed");
  const script = launcherScript();
  if (!existsSync(script)) throw failed(request, "launcher_missing", `"${script}" does not exist`);
  makeLogFolder(request.paths.log);
  return [ownUmask(), bootId(), setsid];
}

/** What stands in the fields of every start of one daemon, or of nearly every one; a letter is sent for each instead. */
export function frequentWords(home: string, coordinationDir: string): readonly string[] {
  const host = `,"boot_id":${JSON.stringify(bootId())},"pid_ns":${JSON.stringify(pidNamespace())},"host":${JSON.stringify(hostName())},"command":"`;
  const members = ['"worker_id":"', '","attempt":', ',"worker_type":"', '","task_id":', ',"incident_id":"'];
  const folders = [join(coordinationDir, "launches"), join(coordinationDir, "exits"), coordinationDir, home];
  return [...folders, host, ...members, '"],"cwd":"', '","log":"', ...OWN_VARIABLES.map((name) => `${name}=`)];
}

function renderFields(request: LaunchRequest, bootAtMs: string, limit: MemoryLimit | null): LaunchFields {
  const cwd = resolve(request.home, request.cwd ?? ".");
  return {
    ofLauncher: [
      basename(request.paths.claim, ".json"),
      dirname(request.paths.claim),
      dirname(request.paths.exit),
      bootAtMs,
      limit?.countersFile ?? "",
    ],
    ofProgram: [
      request.paths.log,
      request.nice === undefined || request.nice === 0 ? "" : String(request.nice),
      cwd,
      limit === null ? "null" : `"${limit.enforcedBy}"`,
      limit?.procsFile ?? "",
      renderStatic(request, cwd, limit),
    ],
  };
}

/** The members of the launch record that are known beforehand, without the braces. */
function renderStatic(request: LaunchRequest, cwd: string, limit: MemoryLimit | null): string {
  const args = withinBytes(request.args, ARGS_BYTES_MAX);
  const members: Omit<ClaimRecord, "launcher_pid" | "launcher_start_time"> = {
    worker_id: request.workerId,
    attempt: request.attempt,
    worker_type: request.workerType,
    task_id: request.taskId,
    ...(request.incidentId === undefined ? {} : { incident_id: request.incidentId }),
    boot_id: bootId(),
    pid_ns: pidNamespace(),
    host: hostName(),
    command: request.command,
    args,
    ...(args.length === request.args.length ? {} : { args_left_out: request.args.length - args.length }),
    cwd,
    log: request.paths.log,
    ...(request.memoryLimitMb === undefined ? {} : { memory_limit_mb: request.memoryLimitMb }),
    ...(limit?.folder === undefined ? {} : { memory_folder: limit.folder }),
  };
  return JSON.stringify(members).slice(1, -1);
}

function withinBytes(args: readonly string[], bytesMax: number): readonly string[] {
  let bytes = 0;
  const end = args.findIndex((arg) => {
    bytes += Buffer.byteLength(arg) + 3;
    return bytes > bytesMax;
  });
  return end === -1 ? args : args.slice(0, end);
}

function spawnDetached(
  request: LaunchRequest,
  args: readonly string[],
  variables: Readonly<Record<string, string>>,
): number {
  const env = { ...inheritedVariables(process.env), ...variables };
  // The launcher stays out of the worker's folder, which a person may want to remove or unmount.
  const child = spawn("/bin/sh", args, { detached: true, stdio: "ignore", cwd: "/", env });
  // Node reports some failures only in a later event; by then the answer below has been given.
  child.on("error", () => undefined);
  child.unref();
  if (child.pid === undefined) throw failed(request, whyNoProcess(), "the launcher could not be started");
  return child.pid;
}

/** Node tells EMFILE, ENFILE, EAGAIN, ENOENT and EACCES apart only in an event after this turn, so ask the host again. */
function whyNoProcess(): LaunchFailureCode {
  const opened: number[] = [];
  try {
    accessSync("/bin/sh", constants.X_OK);
    // As many as a start needs: the pipe that tells of a failed exec, and one to spare.
    while (opened.length < 3) opened.push(openSync("/dev/null", "r"));
    return "EAGAIN";
  } catch (error) {
    return codeOf(error);
  } finally {
    for (const descriptor of opened) closeSync(descriptor);
  }
}

function codeOf(error: unknown): LaunchFailureCode {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const known = ["ENOENT", "EACCES", "EMFILE", "ENFILE", "EAGAIN", "E2BIG", "ENOMEM"] as const;
  return known.find((each) => each === code) ?? "UNKNOWN";
}

/** Not looked up in the worker's PATH: what a spec sets there must not decide whether a worker can be started. */
let setsidCache: string | null = null;

export function findSetsid(): string | null {
  // Nine looks along a PATH for each start add up; one that went away is looked for anew.
  if (setsidCache !== null && existsSync(setsidCache)) return setsidCache;
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/bin", "/bin", "/usr/local/bin"];
  const paths = folders.filter((folder) => folder.startsWith("/")).map((folder) => join(folder, "setsid"));
  setsidCache = paths.find((path) => existsSync(path)) ?? null;
  return setsidCache;
}

/** Workers get the umask that the daemon was given. Read from /proc, since process.umask() would change it to read it. */
let umaskCache: string | null = null;

export function ownUmask(): string {
  // Nothing in heald changes it after the start.
  umaskCache ??= /^Umask:\s+([0-7]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0022";
  return umaskCache;
}

/** A log folder that cannot be made must not keep a worker from starting: the launch record says `has_log: false`. */
function makeLogFolder(log: string): void {
  try {
    mkdirSync(dirname(log), { recursive: true, mode: 0o750 });
  } catch {
    // The launcher tries once more, and then runs the program without a log.
  }
}

function failed(request: LaunchRequest, code: LaunchFailureCode, detail: string, cause?: unknown): LaunchFailed {
  return new LaunchFailed(request.workerId, request.attempt, code, detail, cause);
}
