/** A home with the real monitor and real workers in it. @module */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../../lib/platform/package.js";
import { identityOf } from "../../../lib/platform/processes.js";
import type { WorkerSpecRecord } from "../../../lib/schema/worker-spec.js";
import { openHome, resolveHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";
import { SpecStore } from "../../../lib/store/specs.js";
import { startAttempt } from "../../../lib/targets/process.js";
import { CommandLine, finished, type Ran, until } from "./command-line.js";

export const MONITOR = join(packageRoot(), "dist", "daemons", "heartbeat-monitor", "main.js");

/** Thresholds of seconds, so that a test takes seconds. */
export const SHORT = {
  heartbeat_interval_seconds: 1,
  heartbeat_timeout_seconds: 2,
  zombie_threshold_seconds: 3,
  verify_delay_seconds: 0.5,
};

export class Monitored {
  readonly line = new CommandLine();
  readonly layout: Layout;
  readonly specs: SpecStore;
  readonly #policy: Readonly<Record<string, unknown>>;
  monitor: ChildProcess | null = null;

  constructor(policy: Readonly<Record<string, unknown>> = SHORT) {
    const home = resolveHome({}, this.line.home, this.line.home);
    if (home === null) throw new Error(`No home in ${this.line.home}`);
    this.layout = new Layout(home);
    this.specs = new SpecStore(this.layout);
    this.#policy = policy;
    this.layOut();
  }

  /** Makes the layout and the policy, also where an empty file system was mounted over them. */
  layOut(): void {
    openHome(this.layout.home, { create: true, claimOwnership: false });
    writeFileSync(this.layout.config("heartbeat-policy"), JSON.stringify(this.#policy), { mode: 0o640 });
  }

  /** Starts the monitor and waits until it is ready. */
  async start(wrapper: readonly string[] = []): Promise<number> {
    const [program, ...args] = [...wrapper, process.execPath, MONITOR, "--home", this.line.home, "--console", "none"];
    const child = spawn(program as string, args, { stdio: "ignore", env: this.line.environment() });
    this.monitor = child;
    const pidFile = this.layout.pidFile("heartbeat-monitor");
    await until(
      () =>
        child.exitCode !== null || (existsSync(pidFile) && readFileSync(pidFile, "utf8").trim() === String(child.pid)),
      "the monitor is ready",
    );
    if (child.exitCode !== null)
      throw new Error(`The monitor ended with ${child.exitCode}: ${this.log().slice(-2000)}`);
    return child.pid as number;
  }

  /** Runs a monitor that is expected to leave by itself. */
  runToEnd(): Promise<Ran> {
    return finished(
      spawn(process.execPath, [MONITOR, "--home", this.line.home, "--console", "none"], {
        stdio: ["ignore", "pipe", "pipe"],
        env: this.line.environment(),
      }),
    );
  }

  async kill(): Promise<void> {
    const child = this.monitor;
    if (child === null) return;
    child.kill("SIGKILL");
    await until(() => child.exitCode !== null || child.signalCode !== null, "the monitor is dead");
    this.monitor = null;
  }

  /** The spec of a worker that runs a shell script. */
  specOf(workerId: string, script: string, more: Partial<WorkerSpecRecord> = {}): WorkerSpecRecord {
    return {
      worker_id: workerId,
      worker_type: "test-worker",
      task_id: `task-${workerId}`,
      status: "pending",
      attempt: 1,
      created_at: new Date().toISOString(),
      launch: { command: "/bin/sh", args: ["-c", script], stop: { grace_seconds: 1 } },
      ...more,
    };
  }

  /** Starts a worker as `heald spawn` does: a shell script in a process of its own. */
  async spawn(workerId: string, script: string, more: Partial<WorkerSpecRecord> = {}): Promise<number> {
    const spec = this.specOf(workerId, script, more);
    this.specs.createActive(spec);
    startAttempt(this.layout, spec);
    await until(() => this.pidOf(workerId, spec.attempt ?? 1) !== null, `${workerId} runs`);
    return this.pidOf(workerId, spec.attempt ?? 1) as number;
  }

  pidOf(workerId: string, attempt = 1): number | null {
    const path = this.layout.launch(workerId, attempt);
    if (!existsSync(path)) return null;
    try {
      const { pid } = JSON.parse(readFileSync(path, "utf8")) as { pid?: number };
      return pid ?? null;
    } catch {
      return null; // It is being written.
    }
  }

  beat(workerId: string, more: Readonly<Record<string, unknown>> = {}): void {
    writeFileSync(this.layout.heartbeat(workerId), JSON.stringify({ worker_id: workerId, ...more }));
  }

  events(log: "heartbeat" | "zombie-cleanup" | "daemon"): Record<string, unknown>[] {
    return this.line.lines("events", `${log}-events.jsonl`);
  }

  types(workerId: string): string[] {
    return [...this.events("heartbeat"), ...this.events("zombie-cleanup")]
      .filter((event) => event.worker_id === workerId)
      .map((event) => String(event.event_type));
  }

  requests(): string[] {
    return this.line.list("restart", "queue");
  }

  zombies(): string[] {
    return this.line.list("worker-specs", "zombie");
  }

  log(): string {
    const path = this.layout.daemonLog("heartbeat-monitor");
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  }

  /** Whether status.json, which the monitor writes, has a worker in it. */
  isShown(workerId: string): boolean {
    const path = this.layout.status;
    return existsSync(path) && readFileSync(path, "utf8").includes(`"${workerId}"`);
  }

  state(workerId: string): unknown {
    const reading = this.specs.readActive(workerId, Date.now());
    return reading.kind === "ok" ? reading.value.heartbeat?.status : null;
  }

  isAlive(pid: number): boolean {
    return identityOf(pid) !== null;
  }

  close(): Promise<void> {
    return this.line.close();
  }
}
