/** A temporary home, starts of real workers in it, and waiting with a bound. @module */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { LauncherExitRecord, LaunchRequest, StartedRecord } from "../../../lib/platform/launching.js";

export interface Home {
  readonly folder: string;
  readonly request: (workerId: string, script: string, more?: Partial<LaunchRequest>) => LaunchRequest;
  /** Ends what was started here, by pid, and removes the folder. */
  readonly close: () => Promise<void>;
}

/** Makes a home with an empty layout; scripts run as `sh -c script`. */
export function makeHome(folder: string = mkdtempSync(join(tmpdir(), "heald-launch-"))): Home {
  const coordinationDir = join(folder, "coordination");
  for (const name of ["launches", "exits", "heartbeats"]) mkdirSync(join(coordinationDir, name), { recursive: true });
  const request = (workerId: string, script: string, more: Partial<LaunchRequest> = {}): LaunchRequest => ({
    workerId,
    workerType: "test-worker",
    taskId: "task-1",
    attempt: 1,
    command: "sh",
    args: ["-c", script],
    cwd: null,
    env: {},
    home: folder,
    coordinationDir,
    paths: {
      claim: join(coordinationDir, "launches", `${workerId}.attempt-1.json`),
      exit: join(coordinationDir, "exits", `${workerId}.attempt-1.json`),
      log: join(folder, "agents", "logs", "workers", workerId, "attempt-1.log"),
      heartbeat: join(coordinationDir, "heartbeats", `${workerId}.json`),
    },
    ...more,
  });
  const close = async () => {
    await endAll(folder);
    rmSync(folder, { recursive: true, force: true });
  };
  return { folder, request, close };
}

/** Ends whatever was started in a home, however late it shows itself. */
export async function endAll(folder: string): Promise<void> {
  // A process shows no environment for a moment while it becomes another program, so one empty look proves little.
  let emptyLooks = 0;
  await until(() => {
    const pids = startedHere(folder);
    for (const pid of pids) end(pid);
    emptyLooks = pids.length === 0 ? emptyLooks + 1 : 0;
    return emptyLooks === 3;
  }, "everything that was started in this home has ended");
}

/** Finds processes by the home in their environment: exact, so that nothing else on this machine is touched. */
export function startedHere(folder: string): readonly number[] {
  const wanted = `HEALD_HOME=${folder}`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && isAlive(pid) && environmentOf(pid).includes(wanted));
}

export function environmentOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return [];
  }
}

/** False for a process that is gone or only waits to be reaped. */
export function isAlive(pid: number): boolean {
  const state = fieldsOf(pid)?.[0];
  return state !== undefined && state !== "Z" && state !== "X";
}

/** Fields of /proc/PID/stat from the state on: [0] state, [1] parent, [2] group, [3] session, [19] start time. */
export function fieldsOf(pid: number): readonly string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}

export function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone already, which is what was wanted.
  }
}

/** Waits for a condition; fails by name after the bound. */
export async function until(condition: () => boolean, what: string, boundMs = 10_000): Promise<void> {
  const endsAt = performance.now() + boundMs;
  while (!condition()) {
    if (performance.now() > endsAt) throw new Error(`Waited ${boundMs} ms in vain until ${what}`);
    await pause(2);
  }
}

export function readWhole<T>(path: string): T | null {
  if (!existsSync(path)) return null;
  const text = readFileSync(path, "utf8");
  return text.endsWith("\n") ? (JSON.parse(text) as T) : null;
}

export async function started(request: LaunchRequest): Promise<StartedRecord> {
  const read = () => readWhole<StartedRecord>(request.paths.claim);
  await until(() => read()?.pid !== undefined, `"${request.workerId}" has a launch record with a pid`);
  return read() as StartedRecord;
}

export async function ended(request: LaunchRequest, boundMs = 10_000): Promise<LauncherExitRecord> {
  const read = () => readWhole<LauncherExitRecord>(request.paths.exit);
  await until(() => read() !== null, `"${request.workerId}" has an exit record`, boundMs);
  return read() as LauncherExitRecord;
}

export function logOf(request: LaunchRequest): string {
  return existsSync(request.paths.log) ? readFileSync(request.paths.log, "utf8") : "";
}

/** Mounts a small tmpfs for as long as the test runs; null where this user may not. */
export function mountSmall(sizeKb: number): { readonly folder: string; readonly unmount: () => void } | null {
  const folder = mkdtempSync(join(tmpdir(), "heald-small-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${sizeKb}k,mode=0755`, "tmpfs", folder], { stdio: "pipe" });
  } catch {
    rmSync(folder, { recursive: true });
    return null;
  }
  const unmount = () => {
    execFileSync("umount", ["-l", folder], { stdio: "pipe" });
    rmSync(folder, { recursive: true });
  };
  return { folder, unmount };
}

/** Fills a file system to the last byte with a file of that name. */
export function fill(path: string): void {
  const block = Buffer.alloc(4096, 1);
  try {
    for (;;) writeFileSync(path, block, { flag: "a" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  }
}

export function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Its command line, with spaces between the words; empty if it is gone. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").join(" ");
  } catch {
    return "";
  }
}
