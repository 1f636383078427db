/** A home of its own for a benchmark: real daemons, real workers, and the means to measure them. @module */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../lib/platform/package.js";
import type { DaemonName } from "../lib/schema/records.js";
import { openHome } from "../lib/store/home.js";
import { Layout } from "../lib/store/layout.js";
import { SpecStore } from "../lib/store/specs.js";
import { startAttempt } from "../lib/targets/process.js";
import { closedInTheEnd, killAllIn, mayBegin } from "./cleanup.js";
import { Ear, type Started } from "./ear.js";
import { placeOfHomes } from "./place.js";

/** Limits that a benchmark would run into are lifted, by policy, as an operator would; each result states them. */
export const OPEN_RESTART_POLICY = {
  max_retries: 100_000,
  first_retry_delay_seconds: 0,
  delays: [0],
  fast_exit_seconds: 0,
  jitter: "none",
  circuit_breaker_enabled: false,
  success_after_seconds: 0.01,
  retry_reset_seconds: 0.01,
  restart_budgets: [],
  max_concurrent_restarts: 1000,
  poison_task: { deaths: 0, window_seconds: 3600 },
  rate_limits: { global_per_minute: null, per_type_per_minute: null, per_task_min_interval_seconds: 0 },
};

/** The same for workers that are killed once: a new attempt is a success after a while, as by default, and not at once. */
export const STEADY_RESTART_POLICY = { ...OPEN_RESTART_POLICY, success_after_seconds: 30, retry_reset_seconds: 600 };

/** What a daemon's log says of its warm-up. */
const WARMED_UP = /"practised on made-up deaths"|"no warm-up, |"the warm-up was broken off/;

export const TYPE = "bench-worker";

export interface Policies {
  readonly heartbeat?: object;
  readonly restart?: object;
}

export class Lab {
  readonly folder: string;
  readonly layout: Layout;
  readonly #daemons = new Map<DaemonName, ChildProcess>();
  readonly #fifo: string;
  readonly #ear: Ear;
  /** Ends all that was started here, and removes the home. */
  readonly close = closedInTheEnd(() => this.#close());

  constructor(policies: Policies = {}) {
    this.folder = mkdtempSync(join(placeOfHomes().folder, "heald-bench-"));
    const home = {
      home: this.folder,
      coordination: join(this.folder, "coordination"),
      logs: join(this.folder, "agents", "logs"),
      namedBy: "flag" as const,
    };
    openHome(home, { create: true, claimOwnership: false });
    this.layout = new Layout(home);
    const config = (name: string, policy: object): void =>
      writeFileSync(join(this.layout.configDir, `${name}.json`), JSON.stringify(policy), { mode: 0o640 });
    config("heartbeat-policy", policies.heartbeat ?? {});
    config("worker-restart-policy", policies.restart ?? {});
    this.#fifo = join(this.folder, "started");
    this.#ear = new Ear(this.#fifo);
    mkdirSync(this.layout.templatesDir, { recursive: true });
    writeFileSync(this.layout.template(TYPE), JSON.stringify({ worker_type: TYPE, launch: this.launch() }), {
      mode: 0o640,
    });
  }

  /** A worker that says that it runs, and then sleeps: one shell that becomes `sleep`. */
  launch(): { readonly target: "process"; readonly command: string; readonly args: string[] } {
    return {
      target: "process",
      command: "/bin/sh",
      args: ["-c", `echo "$HEALD_WORKER_ID $$" > '${this.#fifo}'; exec sleep 100000`],
    };
  }

  get fifo(): string {
    return this.#fifo;
  }

  /** Starts daemons and waits for their pid files. Returns the milliseconds from start to the last pid file. */
  async start(...names: readonly DaemonName[]): Promise<number> {
    mayBegin();
    const from = performance.now();
    for (const name of names) {
      // HEALD_BENCH_PROFILE=DIR leaves a CPU profile of each daemon there.
      const into = process.env.HEALD_BENCH_PROFILE;
      const profile = into ? ["--cpu-prof", `--cpu-prof-dir=${into}`] : [];
      const main = join(packageRoot(), "dist", "daemons", name, "main.js");
      const child = spawn(process.execPath, [...profile, main, "--home", this.folder, "--console", "none"], {
        stdio: ["ignore", "ignore", "inherit"],
      });
      this.#daemons.set(name, child);
    }
    for (const name of names) {
      await until(
        () =>
          existsSync(this.layout.pidFile(name)) &&
          Number(readFileSync(this.layout.pidFile(name), "utf8")) === this.#daemons.get(name)?.pid,
        120_000,
        `${name} is ready`,
      );
    }
    return performance.now() - from;
  }

  /** Waits until daemons that have started have nothing more to do for that: each has warmed up. */
  async settled(...names: readonly DaemonName[]): Promise<void> {
    for (const name of names) {
      const log = this.layout.daemonLog(name);
      await until(() => WARMED_UP.test(readFileSync(log, "utf8")), 60_000, `${name} has warmed up`);
    }
  }

  /** Ends a daemon as an operator would, and waits for it. */
  async stop(name: DaemonName): Promise<void> {
    const child = this.#daemons.get(name);
    this.#daemons.delete(name);
    child?.kill("SIGTERM");
    if (child?.exitCode === null && child.signalCode === null)
      await new Promise((resolve) => child.once("exit", resolve));
  }

  pidOf(name: DaemonName): number {
    return this.#daemons.get(name)?.pid ?? 0;
  }

  /** Writes an active spec; with `launch`, starts its first attempt as well. */
  addWorker(
    id: string,
    options: { readonly launch: boolean; readonly heartbeat?: object; readonly type?: string },
  ): void {
    const record = {
      worker_id: id,
      worker_type: options.type ?? TYPE,
      task_id: `task-${id}`,
      status: options.launch ? "pending" : "running",
      attempt: 1,
      created_at: new Date().toISOString(),
      ...(options.launch ? { launch: this.launch() } : {}),
      ...(options.heartbeat ? { heartbeat: options.heartbeat } : {}),
    };
    new SpecStore(this.layout).createActive(record as Parameters<SpecStore["createActive"]>[0]);
    if (options.launch) startAttempt(this.layout, record as Parameters<typeof startAttempt>[1]);
  }

  /** What workers said since the last call. */
  started(): Started[] {
    return this.#ear.started();
  }

  /** Waits for a number of workers to say that they run. */
  async awaitStarted(count: number, boundMs: number): Promise<Started[]> {
    const started = await this.#ear.awaitStarted(count, boundMs);
    if (started.length === count) return started;
    throw new Error(`Only ${started.length} of ${count} workers started within ${boundMs} ms in ${this.folder}`);
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#daemons.keys()].map((name) => this.stop(name)));
    await killAllIn(this.folder);
    this.#ear.close();
    await until(() => removed(this.folder), 10_000, `${this.folder} is removed`);
  }
}

/** Launchers write the last exit records while the folder goes. */
function removed(folder: string): boolean {
  try {
    rmSync(folder, { recursive: true, force: true });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTEMPTY") return false;
    throw error;
  }
}

export async function until(condition: () => boolean, boundMs: number, what: string): Promise<void> {
  const end = performance.now() + boundMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`Not within ${boundMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
