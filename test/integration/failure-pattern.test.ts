/** failure-pattern as a process of its own: real logs that are rotated, cut and torn, last words on disk, and hostile text. */
import type { ChildProcess } from "node:child_process";
import { appendFileSync, mkdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Gatherer } from "../../daemons/failure-pattern/gatherer.js";
import { Likeness } from "../../daemons/failure-pattern/likeness.js";
import type { Event } from "../../daemons/failure-pattern/messages.js";
import { complete } from "../../daemons/failure-pattern/policy.js";
import { Rules } from "../../daemons/failure-pattern/rules.js";
import { ZombieSource } from "../../daemons/failure-pattern/zombie-source.js";
import type { Log } from "../../lib/platform/log.js";
import { packageRoot } from "../../lib/platform/package.js";
import type { PatternRecord } from "../../lib/schema/pattern.js";
import { resolveHome } from "../../lib/store/home.js";
import { Layout } from "../../lib/store/layout.js";
import { readPatterns } from "../../lib/store/patterns.js";
import { CommandLine, until } from "./support/command-line.js";

const MAIN = join(packageRoot(), "dist", "daemons", "failure-pattern", "main.js");
const OLD_MS = 10_000;

let line: CommandLine;
let layout: Layout;
let lines: number;

beforeEach(() => {
  line = new CommandLine();
  layout = new Layout(resolveHome({}, line.home, line.home) as NonNullable<ReturnType<typeof resolveHome>>);
  lines = 0;
});

afterEach(async () => {
  await line.close();
});

async function startDaemon(): Promise<ChildProcess> {
  const daemon = line.start(process.execPath, [MAIN, "--console", "none"]);
  await until(
    () => line.list("run").includes("failure-pattern.pid") && pidFile() === daemon.pid,
    "the daemon is ready",
  );
  return daemon;
}

const pidFile = (): number => Number(readFileSync(line.path("run", "failure-pattern.pid"), "utf8"));

async function ended(daemon: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  daemon.kill(signal);
  await until(() => daemon.exitCode !== null || daemon.signalCode !== null, "the daemon has ended");
}

/** An event a few seconds old, so that nobody waits for a record that never comes. */
function exit(workerId: string, more: object = {}): string {
  lines += 1;
  return `${JSON.stringify({
    event_id: `test-${String(lines).padStart(6, "0")}`,
    event_type: "worker_exited",
    at_ms: Date.now() - OLD_MS + lines,
    severity: "warning",
    worker_id: workerId,
    worker_type: "scan-worker",
    attempt: 1,
    reason: "exited",
    data: { exit_code: 78 },
    ...more,
  })}\n`;
}

const log = (): string => layout.eventLog("heartbeat");

function zombie(workerId: string, tail: string, more: object = {}, words: object = {}): void {
  const spec = {
    worker_id: workerId,
    worker_type: "scan-worker",
    attempt: 1,
    status: "zombie",
    execution: { exit_code: 1, completed_at: new Date(Date.now() - OLD_MS).toISOString() },
    last_words: { reason: "exited", evidence: "exit_record", killed_by: null, log_tail: tail, ...words },
    ...more,
  };
  writeFileSync(layout.zombieSpec(workerId, 1), JSON.stringify(spec), { mode: 0o640 });
}

const patterns = (): PatternRecord[] => readPatterns(layout);
const total = (): number => patterns().reduce((sum, each) => sum + each.frequency.total_occurrences, 0);

describe("the failure-pattern daemon", () => {
  test("names failures by the last words of their workers, and the command says it as a person would", async () => {
    for (const nth of [1, 2, 3, 4]) {
      zombie(`worker-scan-${nth}`, `starting\nError: connect ECONNREFUSED 10.0.0.${nth}:5432\n`);
      appendFileSync(log(), exit(`worker-scan-${nth}`, { data: { exit_code: 1 } }), { mode: 0o640 });
    }
    await startDaemon();
    await until(() => total() === 4, "four failures are one pattern");
    expect(patterns()).toHaveLength(1);
    expect(patterns()[0]).toMatchObject({
      category: "transient",
      type: "external_service_unavailable",
      evidence: "code",
      status: "active",
      confidence: 0.8,
    });
    const shown = await line.heald("patterns");
    expect(shown.out).toMatch(
      /scan-worker cannot reach a service that it needs \(4 of the last 4 failures, since \d\d:\d\d/,
    );
    const one = await line.heald("patterns", "pattern-");
    expect(one.out).toContain("ECONNREFUSED");
    expect((await line.json<PatternRecord[]>("patterns")).map(({ type }) => type)).toEqual([
      "external_service_unavailable",
    ]);
    expect((await line.heald("patterns", "pattern-nowhere")).code).toBe(3);
    const index = (): Record<string, unknown> => line.read("patterns", "pattern-index.json");
    await until(() => index().active === 1, "the index follows");
    expect(index()).toMatchObject({
      by_worker_type: { "scan-worker": 1 },
      by_type: { "transient:external_service_unavailable": 1 },
    });
  });

  test("reads nothing twice and misses nothing over kills, a rotation, a torn line and a cut log", async () => {
    const daemon = await startDaemon();
    appendFileSync(log(), [1, 2, 3].map((nth) => exit(`worker-scan-${nth}`)).join(""), { mode: 0o640 });
    await until(() => total() === 3, "the first three are counted");
    await ended(daemon, "SIGKILL");
    const torn = exit("worker-scan-4");
    appendFileSync(log(), torn.slice(0, 40));
    const second = await startDaemon();
    appendFileSync(log(), torn.slice(40) + exit("worker-scan-5"));
    await until(() => total() === 5, "the torn line is read once it is whole");
    await ended(second, "SIGKILL");
    appendFileSync(log(), exit("worker-scan-6"));
    mkdirSync(layout.archiveDir, { recursive: true });
    renameSync(log(), join(layout.archiveDir, "heartbeat-events.20261121T210000Z.jsonl"));
    writeFileSync(log(), exit("worker-scan-7"), { mode: 0o640 });
    await startDaemon();
    await until(() => total() === 7, "the rest of the rotated log is read, and the new one");
    writeFileSync(log(), exit("worker-scan-8", { message: "longer than what was there before" }));
    await until(() => total() === 8, "a log that was cut is read from its start");
    const told = line.lines("events", "failure-pattern-events.jsonl").map(({ event_type }) => event_type);
    expect(told.filter((type) => type === "pattern_detected")).toHaveLength(1);
    expect(told).not.toContain("pattern_resolved");
  });

  test("learns nothing from what a person wanted, from drills, reboots and the test worker", async () => {
    const stopped = { state: "stopped", by: "test", why: "test", at: new Date().toISOString() };
    for (const nth of [1, 2, 3, 4]) {
      writeFileSync(layout.desired(`worker-stopped-${nth}`), JSON.stringify(stopped), { mode: 0o640 });
      zombie(`worker-reboot-${nth}`, "", {}, { reason: "host_reboot" });
      zombie(`worker-drill-${nth}`, "", { created_by: "drill" });
      const of = (name: string, more: object = {}): string => exit(`worker-${name}-${nth}`, more);
      const all = [of("stopped"), of("reboot"), of("drill"), of("test", { worker_type: "test-worker" })];
      appendFileSync(log(), all.join("") + of("scan"), { mode: 0o640 });
    }
    await startDaemon();
    await until(() => total() === 4, "the four that teach are counted");
    const metrics = (): Record<string, unknown> => line.read("metrics", "failure-pattern-metrics.json");
    const isThere = (): boolean => line.list("metrics").includes("failure-pattern-metrics.json");
    await until(() => isThere() && Number(metrics().events_read) >= 20, "all lines are read");
    expect(metrics()).toMatchObject({ failures_learned: 4, patterns: 1 });
  });

  test("stores hostile text harmless, in the time that its length takes", async () => {
    const evil = [
      "\u001b]0;owned\u0007\u001b[2J\u001b[31mError: red\u202Etxt.exe",
      `Error: ${"a".repeat(200_000)}!`,
      `Error: ${"(".repeat(5000)}${"x@".repeat(5000)}`,
      `${"    at f (/app/x.js:1:1)\n".repeat(5000)}TypeError: deep`,
      `Error: | \`code\` <script>alert(1)</script> [link](x)`,
    ];
    for (const [index, tail] of evil.entries()) {
      for (const nth of [1, 2, 3]) {
        const id = `worker-evil-${index}x${nth}`;
        zombie(id, tail);
        appendFileSync(log(), exit(id, { data: { exit_code: 1 } }), { mode: 0o640 });
      }
    }
    appendFileSync(log(), `${JSON.stringify({ event_type: "worker_exited", message: "x".repeat(10_000_000) })}\n`);
    appendFileSync(log(), Buffer.from([0xff, 0xfe, 0x80, 0x0a]));
    appendFileSync(log(), exit("worker-scan-1") + exit("worker-scan-2") + exit("worker-scan-3"));
    const from = performance.now();
    await startDaemon();
    await until(() => total() >= 3 * evil.length, "everything readable is counted");
    expect(performance.now() - from).toBeLessThan(10_000);
    const text = readFileSync(line.path("patterns", "failure-patterns.jsonl"), "utf8");
    expect(text).not.toMatch(/\\u001b|\\u0007|\u202e|\\u202e/);
    for (const each of text.split("\n")) expect(each.length).toBeLessThan(65_536);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
    expect((await line.heald("patterns", "--all")).out).not.toMatch(/[\u001b\u0007\u202e]/);
  });

  test("writes the daily report at the time of the policy, with a picture of each pattern", async () => {
    const policy = { daily_report: { cron: "* * * * * *", timezone: "Asia/Tokyo" } };
    writeFileSync(layout.config("failure-pattern-policy"), JSON.stringify(policy), { mode: 0o640 });
    appendFileSync(log(), [1, 2, 3].map((nth) => exit(`worker-scan-${nth}`)).join(""), { mode: 0o640 });
    await startDaemon();
    const reports = (): string[] => line.list("reports", "failure-patterns");
    const text = (): string => readFileSync(line.path("reports", "failure-patterns", reports()[0] as string), "utf8");
    await until(() => reports().length > 0 && text().includes("## Active"), "a report is written");
    expect(reports()[0]).toMatch(/^\d{4}-\d\d-\d\d-failure-pattern-report\.md$/);
    expect(text()).toMatch(/█ \| 3 \| scan-worker is configured wrongly/);
  });

  test("takes up an operator's rule while it runs, and keeps the last good rules when the file is broken", async () => {
    await startDaemon();
    const rule = {
      rule_id: "our-licence",
      classify: "systemic:licence_missing",
      stage: "text",
      root_cause: "The licence server gave no licence",
      when: { text: ["no licence left"] },
      examples: [{ log_tail: "no licence left" }],
    };
    writeFileSync(layout.config("failure-rules"), JSON.stringify({ rules: [rule] }), { mode: 0o640 });
    const fail = (from: number): void => {
      for (const nth of [from, from + 1, from + 2]) {
        zombie(`worker-scan-${nth}`, "no licence left\n");
        appendFileSync(log(), exit(`worker-scan-${nth}`, { data: { exit_code: 1 } }), { mode: 0o640 });
      }
    };
    fail(1);
    await until(() => patterns().some(({ type }) => type === "licence_missing"), "the rule names them");
    expect(patterns()[0]?.root_cause).toBe("The licence server gave no licence");
    writeFileSync(layout.config("failure-rules"), "{ broken", { mode: 0o640 });
    fail(4);
    await until(() => total() === 6, "the rule still names them");
    expect(patterns()).toHaveLength(1);
  });

  test("stops within a second while it waits for last words", async () => {
    const daemon = await startDaemon();
    appendFileSync(log(), exit("worker-scan-1", { at_ms: Date.now() }), { mode: 0o640 });
    const from = performance.now();
    await ended(daemon, "SIGTERM");
    expect(performance.now() - from).toBeLessThan(1500);
  });
});

describe("the zombies' folder", () => {
  test("brings a death of which no event tells, once, and none that an event told of", async () => {
    const policy = { settings: complete({}), overrides: {} };
    const quiet = { warn: () => {}, info: () => {}, error: () => {} } as unknown as Log;
    const gatherer = new Gatherer({ layout, policy: () => policy }, new Rules(layout, quiet), new Likeness(() => []));
    const offered: Event[] = [];
    let through: { through_ms: number } | null = null;
    const host = {
      layout,
      part: <T>(): T | null => through as T | null,
      offer: (event: Event): void => {
        offered.push(event);
        if (event.kind === "zombies-found") through = { through_ms: event.through_ms };
      },
    };
    for (const id of ["worker-scan-1", "worker-scan-2"]) {
      zombie(id, "no space left on device");
      utimesSync(layout.zombieSpec(id, 1), Date.now() / 1000 - 120, Date.now() / 1000 - 120);
    }
    await gatherer.gather([
      {
        kind: "ended",
        event_id: "e",
        event_type: "worker_exited",
        at_ms: Date.now() - OLD_MS,
        worker_id: "worker-scan-1",
        worker_type: "scan-worker",
        task_id: null,
        attempt: 1,
        incident_id: null,
        reason: "exited",
        error: null,
        fingerprint: null,
        evidence: null,
        exit_code: 1,
        signal: null,
        ran_ms: null,
        error_code: null,
        cause: null,
        weight: 1,
      },
    ]);
    const warned: string[] = [];
    const log = { warn: (_: object, text: string) => void warned.push(text), info: () => undefined };
    let isWell = false;
    const source = new ZombieSource({ ...host, log }, gatherer, () => {
      if (!isWell) throw Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
      return true;
    });
    source.scan();
    source.scan();
    expect(warned).toEqual(["looking for zombies without an event does not work just now (EMFILE); it is tried again"]);
    isWell = true;
    source.scan();
    source.scan();
    expect(offered).toHaveLength(1);
    expect(offered[0]).toMatchObject({
      kind: "zombies-found",
      sightings: [{ worker_id: "worker-scan-2", attempt: 1 }],
    });
  });
});
