/** Guarantee: what every daemon is made of lives through bad weather, and stops at once in whatever state it is. */
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { compiled } from "../unit/store/compiled.js";
import { CommandLine, until } from "./support/command-line.js";

let line: CommandLine;
beforeEach(() => {
  line = new CommandLine();
});
afterEach(() => line.close());

function start(): ChildProcess {
  const program = compiled("../../integration/support/toy-daemon.ts");
  return line.start(process.execPath, [program, "--console", "none"]);
}

function logged(text: string): number {
  const path = join(line.home, "agents", "logs", "system", "auto-fix-daemon.log");
  const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
  return lines.filter((each) => each.includes(`"${text}`)).length;
}

function replacePolicy(policy: object): void {
  writeFileSync(line.path("policy.new"), JSON.stringify(policy), { mode: 0o640 });
  renameSync(line.path("policy.new"), line.path("config", "auto-fix-policy.json"));
}

test("a policy that is replaced while the run file cannot be written is in force, and is written down later", async () => {
  const daemon = start();
  await until(() => existsSync(line.path("run", "auto-fix.pid")), "it is ready");
  const runFile = line.path("run", "auto-fix.json");
  const before = line.read("run", "auto-fix.json").policy_hash;
  rmSync(runFile);
  mkdirSync(join(runFile, "in-its-place"), { recursive: true });
  replacePolicy({ dry_run: false });
  await until(() => logged("policy changed") === 1, "the policy is in force");
  expect(logged("writing the run file does not work just now")).toBe(1);
  rmSync(runFile, { recursive: true });
  await until(() => existsSync(runFile), "the run file is written by the next housekeeping");
  expect(line.read("run", "auto-fix.json").policy_hash).not.toBe(before);
  expect(daemon.exitCode).toBeNull();
});

test("a scan that meets bad weather is said once, and the next one looks again", async () => {
  writeFileSync(join(line.home, "storm"), "");
  const daemon = start();
  await until(() => logged("scanning scanned does not work just now") === 1, "it is said");
  rmSync(join(line.home, "storm"));
  await until(() => logged("scanned") > 2, "it is scanned again");
  expect(logged("scanning scanned does not work just now")).toBe(1);
  expect(daemon.exitCode).toBeNull();
});

test("a daemon that is told to stop while it starts ends at once, and lets go of the lock", async () => {
  writeFileSync(join(line.home, "wait"), "");
  const first = start();
  await until(() => logged("source starts") === 1, "a source waits");
  const stateFile = line.path("state", "auto-fix.json");
  const fromMs = performance.now();
  first.kill("SIGTERM");
  await until(() => first.exitCode !== null || first.signalCode !== null, "it has ended");
  expect([first.exitCode, first.signalCode]).toEqual([0, null]);
  expect(performance.now() - fromMs).toBeLessThan(1000);
  expect(existsSync(stateFile)).toBe(false);
  expect(line.list("run").filter((name) => /\.(pid|lock)$/.test(name))).toEqual([]);
  expect(line.lines("events", "daemon-events.jsonl").map((event) => event.event_type)).not.toContain("daemon_started");
  rmSync(join(line.home, "wait"));
  const second = start();
  await until(() => existsSync(line.path("run", "auto-fix.pid")), "another is ready");
  expect(second.exitCode).toBeNull();
});

test("since in the figures outlives a restart, and begins anew where the state that holds the totals is gone", async () => {
  const path = line.path("metrics", "auto-fix-daemon-metrics.json");
  const figures = (): { since?: string; uptime_seconds?: number } =>
    existsSync(path) ? line.read("metrics", "auto-fix-daemon-metrics.json") : {};
  const runOnce = async (): Promise<string | undefined> => {
    const daemon = start();
    await until(() => figures().uptime_seconds !== undefined, "the figures of this run are written");
    daemon.kill("SIGTERM");
    await until(() => daemon.exitCode !== null, "it has stopped");
    const { since } = figures();
    writeFileSync(path, JSON.stringify({ since: "2024-01-01T00:00:00Z" }));
    return since;
  };
  const firstAtMs = Date.parse((await runOnce()) as string);
  expect(Math.abs(Date.now() - firstAtMs)).toBeLessThan(60_000);
  expect(await runOnce()).toBe("2024-01-01T00:00:00Z");
  rmSync(line.path("state"), { recursive: true });
  expect(Date.parse((await runOnce()) as string)).toBeGreaterThanOrEqual(firstAtMs);
});
