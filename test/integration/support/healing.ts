/** A home in which all four daemons heal real workers, with limits of seconds and none that a test does not set itself. @module */
import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { packageRoot } from "../../../lib/platform/package.js";
import type { WorkerSpecRecord } from "../../../lib/schema/worker-spec.js";
import { writeDesired } from "../../../lib/store/desired.js";
import { resolveHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";
import { SpecStore } from "../../../lib/store/specs.js";
import { resolveAttempt, TemplateStore } from "../../../lib/store/templates.js";
import { startAttempt } from "../../../lib/targets/process.js";
import { CommandLine } from "./command-line.js";
import { readWhole, until } from "./launched.js";

export type Json = Record<string, unknown>;

export const ALL_DAEMONS = ["heartbeat-monitor", "worker-restart", "failure-pattern", "auto-fix"] as const;

/** A worker that beats five times a second and stops when it is told to. */
export const BEATS = `exec /bin/sh -c 'trap "exit 0" TERM; n=0; while :; do n=$((n+1)); printf "{\\"worker_id\\":\\"%s\\",\\"sequence\\":%s}" "$HEALD_WORKER_ID" $n > "$HEALD_HEARTBEAT_FILE.tmp.$$" && mv "$HEALD_HEARTBEAT_FILE.tmp.$$" "$HEALD_HEARTBEAT_FILE"; sleep 0.2; done'`;

const AUTO_FIX = {
  enabled: true,
  dry_run: false,
  cooldown_seconds: 0,
  max_fixes_per_hour: 100,
  verification: { window_seconds: 20, check_interval_seconds: 0.5 },
  limits: { per_fix: { min_seconds_between: 0, max_per_day: 100 } },
  blast_radius: { max_fraction_per_hour: 1, max_workers_per_hour: 1000, min_workers: 1000 },
};

const RESTART = {
  ...{ max_retries: 5, retry_interval_seconds: 0.2, first_retry_delay_seconds: 0, fast_exit_seconds: 0 },
  ...{ jitter: "none", success_after_seconds: 1, circuit_breaker_enabled: false, restart_budgets: [] },
  rate_limits: { per_task_min_interval_seconds: 0 },
};

export class Healing {
  readonly line = new CommandLine();
  readonly layout: Layout;
  /** Added to the environment of the daemons. */
  readonly env: NodeJS.ProcessEnv = {};
  readonly #daemons: ChildProcess[] = [];
  readonly #samples = new Map<string, NodeJS.Timeout>();

  constructor(autoFix: Json = {}) {
    const home = resolveHome({}, this.line.home, this.line.home);
    if (home === null) throw new Error(`No home in ${this.line.home}`);
    this.layout = new Layout(home);
    this.config("auto-fix-policy", { ...AUTO_FIX, ...autoFix });
    this.config("worker-restart-policy", RESTART);
    this.config("heartbeat-policy", {
      ...{ heartbeat_interval_seconds: 1, heartbeat_timeout_seconds: 5, zombie_threshold_seconds: 10 },
      verify_delay_seconds: 0.2,
    });
  }

  /** Replaces a file as an operator's editor would. */
  write(path: string, value: unknown): void {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.tmp`, JSON.stringify(value), { mode: 0o640 });
    renameSync(`${path}.tmp`, path);
  }

  config(name: string, value: unknown): void {
    this.write(this.line.path("config", `${name}.json`), value);
  }

  /** A type of worker: a shell script, and what else its template says. */
  template(type: string, script: string = BEATS, more: Json = {}): void {
    this.write(this.line.path("worker-specs", "templates", `${type}.json`), {
      worker_type: type,
      launch: { command: "/bin/sh", args: ["-c", script], stop: { grace_seconds: 3 } },
      ...more,
    });
  }

  async start(...names: readonly string[]): Promise<void> {
    for (const name of names) {
      const main = join(packageRoot(), "dist", "daemons", name, "main.js");
      const daemon = spawn(process.execPath, [main, "--console", "none"], {
        env: { ...this.line.environment(), ...this.env },
        stdio: ["ignore", "ignore", "inherit"],
      });
      this.#daemons.push(daemon);
      const ready = (): boolean => existsSync(this.line.path("run", `${name}.pid`));
      await until(() => ready() || daemon.exitCode !== null, `${name} is ready`, 15_000);
      if (daemon.exitCode !== null) throw new Error(`${name} ended with ${daemon.exitCode}`);
    }
  }

  /** Ends a daemon as a power cut would. */
  async kill(name: string): Promise<void> {
    const pid = Number(this.pidOfDaemon(name));
    const daemon = this.#daemons.find((each) => each.pid === pid);
    daemon?.kill("SIGKILL");
    await until(() => daemon === undefined || daemon.signalCode !== null, `${name} is dead`);
    const file = this.line.path("run", `${name}.pid`);
    if (existsSync(file)) renameSync(file, `${file}.killed`);
  }

  pidOfDaemon(name: string): number {
    return Number(this.line.read("run", `${name}.json`).pid);
  }

  /** Spawns workers of a type, and waits until each of them is well. */
  async spawn(type: string, ...ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const ran = await this.line.heald("spawn", "--type", type, "--task-id", `task-${id}`, "--id", id);
      if (ran.code !== 0) throw new Error(`Cannot spawn ${id}: ${ran.err}`);
    }
    await until(() => ids.every((id) => this.state(id) === "healthy"), `${ids.join(", ")} are well`, 20_000);
  }

  /** Starts a worker of auto-fix's own: the wish that it runs is auto-fix's. */
  async spawnOurs(type: string, id: string): Promise<void> {
    const found = new TemplateStore(this.layout).resolve(type);
    if (found.kind !== "ok") throw new Error(`No template of ${type}`);
    const spec: WorkerSpecRecord = {
      ...{ worker_id: id, worker_type: type, task_id: null, status: "pending", attempt: 1 },
      ...{ created_at: new Date().toISOString(), created_by: "worker-restart" },
      ...resolveAttempt(found.template, { worker_id: id }),
    };
    writeDesired(this.layout, id, { state: "running", by: "auto-fix", why: "scale-up", at: spec.created_at as string });
    new SpecStore(this.layout).createActive(spec);
    startAttempt(this.layout, spec);
    await until(() => this.state(id) === "healthy", `${id} is well`, 20_000);
  }

  active(id: string): Json | null {
    // Not looked for first: it may go in between.
    const reading = new SpecStore(this.layout).readActive(id, Date.now());
    return reading.kind === "ok" ? (reading.value as Json) : null;
  }

  state(id: string): unknown {
    return (this.active(id)?.heartbeat as Json | undefined)?.status ?? null;
  }

  attempt(id: string): number {
    return Number(this.active(id)?.attempt ?? 0);
  }

  /** Ids of the workers of a type that should be alive. */
  workers(type: string): string[] {
    return this.line
      .list("worker-specs", "active")
      .filter((name) => name.endsWith(".json") && !name.startsWith("."))
      .map((name) => name.slice(0, -".json".length))
      .filter((id) => this.active(id)?.worker_type === type);
  }

  /** The launch record of an attempt; null before its program runs. */
  launch(id: string, attempt: number): { readonly pid: number; readonly started_at_ms: number } | null {
    const record = readWhole<Json>(this.layout.launch(id, attempt));
    return typeof record?.pid === "number" ? (record as { pid: number; started_at_ms: number }) : null;
  }

  events(type: string, log = "auto-fix"): Json[] {
    return this.line.lines("events", `${log}-events.jsonl`).filter((event) => event.event_type === type);
  }

  data(type: string, nth = 0): Json {
    return (this.events(type)[nth]?.data ?? {}) as Json;
  }

  said(type: string, times = 1, boundMs = 40_000): Promise<void> {
    return until(() => this.events(type).length >= times, `${type} is said ${times} times`, boundMs);
  }

  refusals(): string[] {
    return this.events("policy_refused", "daemon").map((event) => String((event.data as Json).problem));
  }

  /** The journals of all runs. */
  runs(): Json[] {
    return readdirSync(this.line.path("auto-fix", "runs"))
      .filter((name) => !name.startsWith("."))
      .map((name) => this.line.read("auto-fix", "runs", name));
  }

  /** Measures a component each second from now on, until the test is over or `measure` is called again. */
  measure(component: string, metric: string, value: () => number): void {
    clearInterval(this.#samples.get(component));
    const sample = (): void => {
      const line = {
        timestamp: new Date().toISOString(),
        at_ms: Date.now(),
        component,
        metrics: { [metric]: value() },
      };
      appendFileSync(this.layout.samples, `${JSON.stringify(line)}\n`);
    };
    sample();
    this.#samples.set(component, setInterval(sample, 1_050));
  }

  /** One healing policy on `load`, for one component: does these actions while the load is above one half. */
  heal(component: string, actions: readonly unknown[], more: Json = {}): void {
    this.config("healing-policies", { policies: [policyOn(component, actions, more)] });
  }

  /** One fix of the registry for the pattern `systemic:api_error`. */
  fix(actions: readonly unknown[], more: Json = {}): void {
    const fix = {
      ...{ fix_id: "the-fix", category: "workflow", name: "The fix", applies_to_patterns: ["systemic:api_error"] },
      ...{ safety: { safety_score: 0.95 }, actions, ...more },
    };
    this.config("auto-fix-registry", { fixes: [fix] });
  }

  /** Publishes that pattern, as failure-pattern would. */
  publish(workerType: string, workers: readonly string[], more: Json = {}): void {
    const now = new Date().toISOString();
    const record = {
      ...{ pattern_id: "pattern-1", category: "systemic", type: "api_error", worker_type: workerType },
      ...{ status: "active", confidence: 0.9, evidence: "exit", severity: "high", signature: "s", root_cause: "known" },
      ...{ message: `${workerType} fails`, workers, tasks: ["task-1"], example_event_ids: [], updated_at: now },
      frequency: { total_occurrences: 4, window_occurrences: 4, first_seen: now, last_seen: now, rate_per_hour: 4 },
      ...more,
    };
    appendFileSync(this.line.path("patterns", "failure-patterns.jsonl"), `${JSON.stringify(record)}\n`);
  }

  async close(): Promise<void> {
    for (const timer of this.#samples.values()) clearInterval(timer);
    for (const daemon of this.#daemons) daemon.kill("SIGKILL");
    await this.line.close();
  }
}

export function policyOn(component: string, actions: readonly unknown[], more: Json = {}): Json {
  const held = { for_seconds: 0, min_samples: 2 };
  return {
    ...{ name: "Heal", enabled: true, priority: 5, actions, cooldown_seconds: 0, settle_seconds: 1 },
    ...{ verify_seconds: 15, scope: { components: [component] } },
    conditions: [{ metric: "load", operator: "gt", threshold: 0.5, ...held }],
    clear_conditions: [{ metric: "load", operator: "lt", threshold: 0.4, ...held }],
    ...more,
  };
}
