/**
 * Guarantees that the one command from the README does what it says: real daemons mend a real fleet, every outcome is
 * as expected, and no process is left.
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packageRoot } from "../../lib/platform/package.js";
import { familyOf } from "../../lib/platform/processes.js";

const LIMIT_MS = 120_000;

interface DemoRun {
  readonly code: number | null;
  readonly output: string;
  readonly home: string;
}

/** `npm test` builds before it runs; this is the second half of `npm run demo`. */
function runDemo(): Promise<DemoRun> {
  return new Promise((resolve) => {
    const program = join(packageRoot(), "dist", "examples", "demo", "main.js");
    const child = spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    child.once("close", (code) => resolve({ code, output, home: /^Everything is in (\S+)$/m.exec(output)?.[1] ?? "" }));
  });
}

describe("the demo", () => {
  let run: DemoRun;

  beforeAll(async () => {
    run = await runDemo();
  }, LIMIT_MS);

  afterAll(() => {
    if (run.home !== "") rmSync(run.home, { recursive: true, force: true });
  });

  test("exits 0 because every outcome is as expected", () => {
    expect(run.output).toMatch(/^13 of 13 outcomes were as expected, in \d+ s\.$/m);
    expect(run.output).not.toContain("FAILED");
    expect(run.code).toBe(0);
  });

  test.each([
    ["crawl-1: killed", /ended \(killed\); healthy/],
    ["index-1: silent", /busy \(child_cpu\)/],
    ["render-1: event loop", /ended \(blocked\); healthy/],
    ["mail-1: stops", /ended \(hung\); healthy/],
    ["sync-1: paused", /shown as paused/],
    ["thumb-1: leaks", /ended \(memory_limit\)/],
    ["ledger-1: exits with 78", /for its file/],
    ["parse-1: task page-13", /held after 3 attempts/],
    ["crawl-2: killed", /ended \(killed\); healthy/],
    ["crawl-3: killed", /ended \(killed\); healthy/],
    ["daemons: all four", /deaths, one/],
    ["heartbeats/: cannot", /heartbeats\/ cannot be read/],
    ["report-1, serve-1", /both healthy/],
  ])("has a row of its table for %s", (fault, happened) => {
    const row = run.output.split("\n").find((line) => line.startsWith("ok  ") && line.includes(fault));
    expect(row).toMatch(happened);
  });

  test("is plain text of at most 100 columns when it is piped", () => {
    expect(run.output).not.toContain("\u001b");
    const lines = run.output.split("\n").filter((line) => !line.includes(run.home));
    const longest = Math.max(...lines.map((line) => line.length));
    expect(longest).toBeLessThanOrEqual(100);
  });

  test("keeps the files and says where they are", () => {
    expect(existsSync(join(run.home, "coordination", "events", "heartbeat-events.jsonl"))).toBe(true);
    expect(run.output).toContain(`rm -r ${run.home}`);
  });

  test("leaves no process", () => {
    expect(familyOf({ name: "HEALD_HOME", value: run.home })).toEqual([]);
  });

  test("leaves a home in which every invariant holds, a second after all of it is over", () => {
    const program = join(packageRoot(), "dist", "cli", "main.js");
    const fsck = spawnSync(process.execPath, [
      program,
      "fsck",
      "--once",
      "--within",
      "1s",
      "--json",
      "--home",
      run.home,
    ]);
    const { findings, ok } = JSON.parse(fsck.stdout.toString()) as { findings: unknown[]; ok: boolean };
    expect(findings).toEqual([]);
    expect(ok).toBe(true);
  });

  test("leaves decisions that come out the same when they are computed again", () => {
    const replay = spawnSync(process.execPath, [
      join(packageRoot(), "dist", "cli", "main.js"),
      "replay",
      "--json",
      "--home",
      run.home,
    ]);
    const { ok, differences, daemons } = JSON.parse(replay.stdout.toString()) as {
      ok: boolean;
      differences: unknown[];
      daemons: { daemon: string; decisions: number }[];
    };
    expect(differences).toEqual([]);
    expect(ok).toBe(true);
    expect(daemons.find(({ daemon }) => daemon === "worker-restart")?.decisions).toBeGreaterThan(10);
    expect(daemons.find(({ daemon }) => daemon === "heartbeat-monitor")?.decisions).toBeGreaterThan(1);
  });
});
