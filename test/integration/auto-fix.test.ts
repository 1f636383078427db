/** auto-fix as a process of its own, in a home of its own. In the first part with all four daemons and real workers. */
import { type ChildProcess, spawn } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { end, startedHere, until } from "./support/launched.js";

type Json = Record<string, unknown>;

let home: string;
let daemons: ChildProcess[];
const at = (...parts: string[]): string => join(home, "coordination", ...parts);

/** Nothing is limited but what a test limits itself, and windows are seconds. */
const OPEN = {
  enabled: true,
  dry_run: false,
  cooldown_seconds: 0,
  verification: { window_seconds: 20, check_interval_seconds: 0.5 },
  limits: { per_fix: { min_seconds_between: 0, max_per_day: 10 } },
};

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "heald-fix-"));
  daemons = [];
  for (const folder of ["config", "patterns", "restart/queue", "worker-specs/templates", "worker-specs/zombie", "holds", "metrics"])
    mkdirSync(at(folder), { recursive: true });
  config("auto-fix-policy", OPEN);
});

afterEach(async () => {
  for (const daemon of daemons) if (daemon.pid !== undefined) end(daemon.pid);
  for (const pid of startedHere(home)) end(pid);
  await until(() => startedHere(home).length === 0, "everything that was started has ended");
  rmSync(home, { recursive: true, force: true });
});

function writeJson(path: string, value: unknown): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.tmp`, JSON.stringify(value), { mode: 0o640 });
  renameSync(`${path}.tmp`, path);
}

const config = (name: string, value: unknown): void => writeJson(at(`config/${name}.json`), value);
const template = (type: string, blocks: object): void =>
  writeJson(at(`worker-specs/templates/${type}.json`), { worker_type: type, ...blocks });
const readJson = (path: string): Json => JSON.parse(readFileSync(path, "utf8")) as Json;

async function start(name: string): Promise<ChildProcess> {
  rmSync(at(`run/${name}.pid`), { force: true });
  const daemon = spawn(process.execPath, [resolve(`dist/daemons/${name}/main.js`), "--console", "none"], {
    env: { ...process.env, HEALD_HOME: home },
    stdio: ["ignore", "ignore", "inherit"],
  });
  daemons.push(daemon);
  await until(() => existsSync(at(`run/${name}.pid`)), `${name} is ready`, 10_000);
  return daemon;
}

function lines(path: string): Json[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line) as Json);
}

const events = (type: string): Json[] => lines(at("events/auto-fix-events.jsonl")).filter((event) => event.event_type === type);
const said = (type: string, times = 1): Promise<void> =>
  until(() => events(type).length >= times, `${type} is said ${times} times`, 30_000);
const dataOf = (event: Json | undefined): Json => (event?.data ?? {}) as Json;

/** A published pattern, as failure-pattern would write it. */
function publish(key: string, more: Json = {}): void {
  const [category, type] = key.split(":");
  const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  const total = (more.total as number | undefined) ?? 4;
  const record = {
    pattern_id: `pattern-${type}`,
    ...{ category, type, worker_type: "scan-worker", status: "active", confidence: 0.9, evidence: "exit" },
    ...{ severity: "high", signature: type, root_cause: "known", message: `scan-worker: ${type}` },
    frequency: { total_occurrences: total, window_occurrences: total, first_seen: now, last_seen: now, rate_per_hour: 4 },
    ...{ workers: ["scan-1"], tasks: ["task-1", "task-2"], example_event_ids: [], updated_at: now },
    ...more,
  };
  appendFileSync(at("patterns/failure-patterns.jsonl"), `${JSON.stringify(record)}\n`);
}

const scan = { launch: { command: "sleep", args: ["600"] }, resources: { memory_limit_mb: 512 }, processing: { batch_size: 100 } };
const limitOf = (type = "scan-worker"): unknown =>
  (readJson(at(`worker-specs/templates/${type}.json`)) as { resources: Json }).resources.memory_limit_mb;
const pendingRuns = (): string[] => (existsSync(at("auto-fix/pending")) ? readdirSync(at("auto-fix/pending")).filter((name) => !name.startsWith(".")) : []);

describe("a worker that outgrows its memory limit", () => {
  test("has the limit in its template raised, lives, and the fix is found effective", async () => {
    config("heartbeat-policy", { heartbeat_interval_seconds: 1, heartbeat_timeout_seconds: 5, zombie_threshold_seconds: 10, verify_delay_seconds: 0.2 });
    config("worker-restart-policy", {
      ...{ max_retries: 2, retry_interval_seconds: 0.2, fast_exit_seconds: 0, first_retry_delay_seconds: 0.2, success_after_seconds: 2 },
      ...{ jitter: "none", rate_limits: { per_task_min_interval_seconds: 0 }, exhausted_probe_seconds: 600, circuit_breaker_enabled: false },
    });
    const program = "const kept = []; for (let n = 0; n < 10; n++) kept.push(Buffer.alloc(10 * 1024 * 1024, 1)); setInterval(() => kept.length, 1000);";
    template("hungry-worker", {
      launch: { command: process.execPath, args: ["-e", program] },
      heartbeat: { mode: "none" },
      resources: { memory_limit_mb: 100 },
    });
    for (const name of ["heartbeat-monitor", "worker-restart", "failure-pattern", "auto-fix"]) await start(name);
    const cli = spawn(process.execPath, [resolve("dist/cli/main.js"), "spawn", "--type", "hungry-worker", "--task-id", "t1", "--id", "hungry-1"], {
      env: { ...process.env, HEALD_HOME: home },
      stdio: "ignore",
    });
    await until(() => cli.exitCode === 0, "the worker is spawned", 10_000);
    await said("fix_applied");
    expect(limitOf("hungry-worker")).toBe(150);
    expect(dataOf(events("fix_applied")[0]).diff).toEqual([{ what: "resources.memory_limit_mb", before: 100, after: 150 }]);
    await said("fix_verified");
    expect(events("fix_verified")[0]).toMatchObject({ data: { verdict: "effective" } });
    const active = readJson(at("worker-specs/active/hungry-1.json")) as { resources: Json };
    expect(active.resources.memory_limit_mb).toBe(150);
    expect(lines(at("metrics/auto-fix-history.jsonl"))).toMatchObject([{ result: "success", verdict: "effective", mode: "live" }]);
    expect(readFileSync(join(home, "agents/logs/system/auto-fix-daemon.log"), "utf8")).not.toMatch(/error/i);
  }, 90_000);
});
