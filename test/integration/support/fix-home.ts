/** A home for auto-fix as a process of its own: policies, patterns and templates in it, and what the daemon left. @module */
import { type ChildProcess, spawn } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { end, startedHere, until } from "./launched.js";

export type Json = Record<string, unknown>;

/** Nothing is limited but what a test limits itself, and windows are seconds. */
export const OPEN = {
  enabled: true,
  dry_run: false,
  cooldown_seconds: 0,
  verification: { window_seconds: 20, check_interval_seconds: 0.5 },
  limits: { per_fix: { min_seconds_between: 0, max_per_day: 10 } },
};

export const SCAN = {
  launch: { command: "sleep", args: ["600"] },
  resources: { memory_limit_mb: 512 },
  processing: { batch_size: 100 },
};

const FOLDERS = [
  ...["config", "patterns", "restart/queue", "worker-specs/templates", "worker-specs/active", "worker-specs/zombie"],
  ...["holds", "metrics"],
];

export const readJson = (path: string): Json => JSON.parse(readFileSync(path, "utf8")) as Json;

export function writeJson(path: string, value: unknown): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.tmp`, JSON.stringify(value), { mode: 0o640 });
  renameSync(`${path}.tmp`, path);
}

export function lines(path: string): Json[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line) as Json);
}

export const dataOf = (event: Json | undefined): Json => (event?.data ?? {}) as Json;

export class FixHome {
  readonly home = mkdtempSync(join(tmpdir(), "heald-fix-"));
  readonly #daemons: ChildProcess[] = [];

  constructor() {
    for (const folder of FOLDERS) mkdirSync(this.at(folder), { recursive: true });
    this.config("auto-fix-policy", OPEN);
  }

  readonly at = (...parts: string[]): string => join(this.home, "coordination", ...parts);

  /** Ends everything that was started in it, by pid, and removes it. */
  async close(): Promise<void> {
    for (const daemon of this.#daemons) if (daemon.pid !== undefined) end(daemon.pid);
    // A process shows no environment for a moment while it becomes another program, so one empty look proves little.
    let emptyLooks = 0;
    await until(() => {
      const pids = startedHere(this.home);
      for (const pid of pids) end(pid);
      emptyLooks = pids.length === 0 ? emptyLooks + 1 : 0;
      return emptyLooks === 3;
    }, "everything that was started has ended");
    rmSync(this.home, { recursive: true, force: true });
  }

  config(name: string, value: unknown): void {
    writeJson(this.at(`config/${name}.json`), value);
  }

  template(type: string, blocks: object): void {
    writeJson(this.at(`worker-specs/templates/${type}.json`), { worker_type: type, ...blocks });
  }

  async start(name: string): Promise<ChildProcess> {
    rmSync(this.at(`run/${name}.pid`), { force: true });
    const daemon = spawn(process.execPath, [resolve(`dist/daemons/${name}/main.js`), "--console", "none"], {
      env: { ...process.env, HEALD_HOME: this.home },
      stdio: ["ignore", "ignore", "inherit"],
    });
    this.#daemons.push(daemon);
    await until(() => existsSync(this.at(`run/${name}.pid`)), `${name} is ready`, 10_000);
    return daemon;
  }

  /** Ends a daemon of this home as a power cut would, and starts it again. */
  async restart(name: string): Promise<ChildProcess> {
    const pid = Number(readFileSync(this.at(`run/${name}.pid`), "utf8"));
    const daemon = this.#daemons.find((each) => each.pid === pid);
    daemon?.kill("SIGKILL");
    await until(() => daemon === undefined || daemon.signalCode !== null, `${name} is dead`);
    return await this.start(name);
  }

  events(type: string): Json[] {
    return lines(this.at("events/auto-fix-events.jsonl")).filter((event) => event.event_type === type);
  }

  async said(type: string, times = 1): Promise<void> {
    await until(() => this.events(type).length >= times, `${type} is said ${times} times`, 30_000);
  }

  decisions(): Json[] {
    return lines(this.at("decisions/auto-fix.jsonl"));
  }

  /** Names of policies, each time one was loaded. */
  loaded(): unknown[] {
    return lines(this.at("events/daemon-events.jsonl"))
      .filter((event) => event.event_type === "policy_loaded")
      .map((event) => dataOf(event).policy);
  }

  refusals(): string[] {
    return lines(this.at("events/daemon-events.jsonl"))
      .filter((event) => event.event_type === "policy_refused")
      .map((event) => String(dataOf(event).problem));
  }

  /** A pattern's line, as failure-pattern would write it. */
  patternLine(key: string, more: Json = {}): string {
    const [category, type] = key.split(":");
    const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
    const total = (more.total as number | undefined) ?? 4;
    const record = {
      pattern_id: `pattern-${type}`,
      ...{ category, type, worker_type: "scan-worker", status: "active", confidence: 0.9, evidence: "exit" },
      ...{ severity: "high", signature: type, root_cause: "known", message: `scan-worker: ${type}` },
      frequency: {
        total_occurrences: total,
        window_occurrences: total,
        first_seen: now,
        last_seen: now,
        rate_per_hour: 4,
      },
      ...{ workers: ["scan-1"], tasks: ["task-1", "task-2"], example_event_ids: [], updated_at: now },
      ...more,
    };
    return `${JSON.stringify(record)}\n`;
  }

  /** Publishes patterns in one append, so that all are there when the first is looked at. */
  publish(...patternLines: readonly string[]): void {
    appendFileSync(this.at("patterns/failure-patterns.jsonl"), patternLines.join(""));
  }

  limitOf(type = "scan-worker"): unknown {
    const { resources } = readJson(this.at(`worker-specs/templates/${type}.json`)) as { resources: Json };
    return resources.memory_limit_mb;
  }

  pendingRuns(): string[] {
    const folder = this.at("auto-fix/pending");
    return existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith(".")) : [];
  }

  runs(): Json[] {
    const folder = this.at("auto-fix/runs");
    if (!existsSync(folder)) return [];
    return readdirSync(folder)
      .filter((name) => name.endsWith(".json"))
      .map((name) => readJson(join(folder, name)));
  }

  /** An attempt that has died, as its launcher and the monitor leave it. */
  died(workerId: string, attempt: number, lifeMs: number): void {
    const name = `${workerId}.attempt-${attempt}.json`;
    const ended = Date.now();
    const base = { worker_id: workerId, worker_type: "scan-worker", attempt };
    writeJson(this.at("launches", name), base);
    utimesSync(this.at("launches", name), (ended - lifeMs) / 1000, (ended - lifeMs) / 1000);
    writeJson(this.at("exits", name), base);
    writeJson(this.at("worker-specs/zombie", name), {
      ...base,
      status: "zombie",
      last_words: { reason: "memory_limit" },
    });
  }

  /** A worker that should be alive. There is no process of it: nobody but auto-fix looks. */
  alive(workerId: string, task: string, more: Json = {}): void {
    writeJson(this.at("worker-specs/active", `${workerId}.json`), {
      ...{ worker_id: workerId, worker_type: "scan-worker", task_id: task, status: "running", attempt: 1 },
      ...more,
    });
  }

  sample(metrics: Json, agoMs = 0, component = "scan-worker"): void {
    const at_ms = Date.now() - agoMs;
    const line = { timestamp: new Date(at_ms).toISOString(), at_ms, component, metrics };
    appendFileSync(this.at("metrics/samples.jsonl"), `${JSON.stringify(line)}\n`);
  }

  /** Goes on measuring until something is so. */
  async measuring(value: () => Json, done: () => boolean, what: string): Promise<void> {
    let last = 0;
    await until(
      () => {
        if (Date.now() - last > 1_050) {
          last = Date.now();
          this.sample(value());
        }
        return done();
      },
      what,
      40_000,
    );
  }

  async heald(...args: string[]): Promise<{ code: number | null; out: string }> {
    const child = spawn(process.execPath, [resolve("dist/cli/main.js"), ...args], {
      env: { ...process.env, HEALD_HOME: this.home },
    });
    let out = "";
    child.stdout.on("data", (chunk) => {
      out += String(chunk);
    });
    child.stderr.on("data", (chunk) => {
      out += String(chunk);
    });
    await until(() => child.exitCode !== null, `heald ${args.join(" ")} ends`, 10_000);
    return { code: child.exitCode, out };
  }
}
