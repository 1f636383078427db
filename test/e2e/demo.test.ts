/**
 * Guarantees that the one command from the README does what it says: real daemons mend a real fleet, every outcome is
 * as expected, and no process is left.
 * @module
 */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { familyOf } from "../../lib/platform/processes.js";
import { expectReplay, expectSound, type Run, runBuilt } from "./runs.js";

const LIMIT_MS = 120_000;

describe("the demo", () => {
  let run: Run;

  beforeAll(async () => {
    run = await runBuilt("examples/demo/main.js");
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

  test("leaves a home in which every invariant holds, a second after all of it is over", async () => {
    await expectSound(run.home);
  });

  test("leaves decisions that come out the same when they are computed again", async () => {
    const decisions = await expectReplay(run.home);
    expect(decisions["worker-restart"]).toBeGreaterThan(10);
    expect(decisions["heartbeat-monitor"]).toBeGreaterThan(1);
  });
});
