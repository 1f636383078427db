import { appendFileSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ConfigurationError } from "../../../lib/errors.js";
import { identityOf } from "../../../lib/platform/identity.js";
import { readDaemons } from "../../../lib/store/daemons.js";
import { appendHistory, rotateHistory } from "../../../lib/store/history.js";
import { loadSince, promText, Totals, writeMetrics, writePrometheus } from "../../../lib/store/metrics.js";
import { readBudget, returnTokens, takeLease } from "../../../lib/store/tokens.js";
import { temporaryLayout } from "./temporary-home.js";

describe("token budget", () => {
  test("is none where there is no file, and none is made", async () => {
    const layout = temporaryLayout();
    expect(await takeLease(layout, "w.attempt-1", 100)).toEqual({ kind: "no_budget" });
    expect(await returnTokens(layout, "w.attempt-1", 10)).toBeNull();
    expect(statSync(layout.tokenBudget, { throwIfNoEntry: false })).toBeUndefined();
  });

  test("takes each lease once and returns each once, and keeps what it does not know", async () => {
    const layout = temporaryLayout();
    writeFileSync(layout.tokenBudget, '{"total_budget":1000,"total_used":100,"note":"ours"}');
    expect(await takeLease(layout, "w.attempt-1", 800)).toEqual({ kind: "taken", again: false, left: 100 });
    expect(await takeLease(layout, "w.attempt-1", 800)).toEqual({ kind: "taken", again: true, left: 100 });
    expect(await takeLease(layout, "w.attempt-2", 101)).toEqual({ kind: "not_enough", left: 100 });
    expect(await returnTokens(layout, "w.attempt-1", 300)).toEqual({ returned: 500, again: false });
    expect(await returnTokens(layout, "w.attempt-1", 0)).toEqual({ returned: 500, again: true });
    expect(await returnTokens(layout, "w.attempt-2", 0)).toBeNull();
    expect(await returnTokens(layout, "constructor", 0)).toBeNull();
    expect(JSON.parse(readFileSync(layout.tokenBudget, "utf8"))).toEqual({
      total_budget: 1000,
      total_used: 400,
      note: "ours",
      leases: { "w.attempt-1": { allocated: 800, used: 300, returned: 500 } },
    });
  });

  test("takes a lease that was returned anew, if there is enough for it, and counts what is used then", async () => {
    const layout = temporaryLayout();
    writeFileSync(layout.tokenBudget, '{"total_budget":1000,"total_used":0}');
    await takeLease(layout, "w.attempt-1", 400);
    expect(await returnTokens(layout, "w.attempt-1", 0)).toEqual({ returned: 400, again: false });
    await takeLease(layout, "v.attempt-1", 700);
    expect(await takeLease(layout, "w.attempt-1", 400)).toEqual({ kind: "not_enough", left: 300 });
    expect(await takeLease(layout, "w.attempt-1", 300)).toEqual({ kind: "taken", again: false, left: 0 });
    expect(await takeLease(layout, "w.attempt-1", 300)).toEqual({ kind: "taken", again: true, left: 0 });
    // The newest is the last: the first are forgotten first.
    expect(Object.entries(readBudget(layout)?.leases ?? {})).toEqual([
      ["v.attempt-1", { allocated: 700 }],
      ["w.attempt-1", { allocated: 300 }],
    ]);
    expect(await returnTokens(layout, "w.attempt-1", 250)).toEqual({ returned: 50, again: false });
    expect(await returnTokens(layout, "w.attempt-1", 250)).toEqual({ returned: 50, again: true });
    expect(readBudget(layout)?.total_used).toBe(950);
  });

  test("counts what an attempt used beyond its lease", async () => {
    const layout = temporaryLayout();
    writeFileSync(layout.tokenBudget, '{"total_budget":1000,"total_used":0}');
    await takeLease(layout, "w.attempt-1", 100);
    expect(await returnTokens(layout, "w.attempt-1", 250)).toEqual({ returned: 0, again: false });
    expect(readBudget(layout)?.total_used).toBe(250);
  });

  test("adds up when many take and return at the same time", async () => {
    const layout = temporaryLayout();
    writeFileSync(layout.tokenBudget, '{"total_budget":100000,"total_used":0}');
    const names = Array.from({ length: 12 }, (_, index) => `w.attempt-${index}`);
    await Promise.all(names.map((name) => takeLease(layout, name, 100)));
    expect(readBudget(layout)?.total_used).toBe(1200);
    await Promise.all([...names, ...names].map((name) => returnTokens(layout, name, 25)));
    expect(readBudget(layout)?.total_used).toBe(300);
  });

  test("says why a ledger cannot be read, and does not overwrite it", async () => {
    const layout = temporaryLayout();
    writeFileSync(layout.tokenBudget, '{"total_budget":"much","total_used":0}');
    await expect(takeLease(layout, "w.attempt-1", 1)).rejects.toThrow(ConfigurationError);
    await expect(returnTokens(layout, "w.attempt-1", 1)).rejects.toThrow(/total_budget must be a number, got "much"/);
    expect(readFileSync(layout.tokenBudget, "utf8")).toContain("much");
  });
});

describe("metrics", () => {
  test("are one compact line with a timestamp that jq's fromdate takes", () => {
    const layout = temporaryLayout();
    writeMetrics(layout, "heartbeat-monitor", { zombies_detected: 2 });
    expect(readFileSync(layout.metrics("heartbeat-monitor"), "utf8")).toMatch(
      /^\{"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ","zombies_detected":2\}\n$/,
    );
  });

  test("count on after a restart, and from zero after a spoilt file", () => {
    const layout = temporaryLayout();
    writeMetrics(layout, "worker-restart", { restarts_attempted: 7, success_rate: null });
    const totals = new Totals(layout, "worker-restart", ["restarts_attempted", "restarts_failed"]);
    totals.add("restarts_attempted");
    totals.add("restarts_failed", 2);
    expect(totals.values()).toEqual({ restarts_attempted: 8, restarts_failed: 2 });
    writeFileSync(layout.metrics("worker-restart"), '{"restarts_attempted":');
    expect(new Totals(layout, "worker-restart", ["restarts_attempted"]).values()).toEqual({ restarts_attempted: 0 });
  });

  test("say since when they count, unless that is not known or lies ahead", () => {
    const layout = temporaryLayout();
    const nowMs = Date.parse("2026-11-21T21:08:04Z");
    const since = (): number | null => loadSince(layout, "worker-restart", nowMs);
    expect(since()).toBeNull();
    writeMetrics(layout, "worker-restart", { since: "2026-11-20T00:00:00Z" });
    expect(since()).toBe(Date.parse("2026-11-20T00:00:00Z"));
    for (const bad of ["2026-11-22T00:00:00Z", "yesterday", 7, null]) {
      writeMetrics(layout, "worker-restart", { since: bad });
      expect(since()).toBeNull();
    }
  });

  test("go to Prometheus with one family for each figure", () => {
    const layout = temporaryLayout();
    writeMetrics(layout, "heartbeat-monitor", { loop_lag_ms: 1.5, workers: { healthy: 3, 'od"d': 1 }, since: "x" });
    writeMetrics(layout, "auto-fix", { loop_lag_ms: 2, fixes_applied: null });
    writePrometheus(layout);
    expect(readFileSync(layout.prometheus, "utf8").split("\n")).toEqual([
      "# TYPE heald_loop_lag_ms untyped",
      'heald_loop_lag_ms{daemon="auto-fix-daemon"} 2',
      'heald_loop_lag_ms{daemon="heartbeat-monitor"} 1.5',
      "# TYPE heald_workers untyped",
      'heald_workers{daemon="heartbeat-monitor",key="healthy"} 3',
      'heald_workers{daemon="heartbeat-monitor",key="od\\"d"} 1',
      "",
    ]);
    expect(promText({})).toBe("");
  });
});

describe("restart history", () => {
  const line = {
    history_id: "h-1",
    worker_type: "scan-worker",
    result: "success",
    timestamp: "2026-11-21T21:08:04Z",
  } as const;

  test("gets a line once, also when a crash makes it come again, beside identical lines of people", () => {
    const layout = temporaryLayout();
    appendFileSync(
      layout.history,
      '{"worker_type":"scan-worker","result":"failure","timestamp":"2026-11-21T21:08:04Z"}',
    );
    expect(appendHistory(layout, line)).toBe(true);
    expect(appendHistory(layout, line, { again: true })).toBe(false);
    expect(appendHistory(layout, { ...line, history_id: "h-2" }, { again: true })).toBe(true);
    const lines = readFileSync(layout.history, "utf8").trimEnd().split("\n");
    expect(lines.map((each) => (JSON.parse(each) as { result: string }).result)).toEqual([
      "failure",
      "success",
      "success",
    ]);
    expect(lines[1]).toContain('"result":"success"');
    expect(rotateHistory(layout, Date.now())).toBeNull();
  });
});

describe("readDaemons()", () => {
  test("believes an identity, not a pid", () => {
    const layout = temporaryLayout();
    const self = identityOf(process.pid);
    const common = { version: "0.1.0", started_at: "2026-11-21T21:08:04Z" };
    writeFileSync(layout.runFile("heartbeat-monitor"), JSON.stringify({ ...self, ...common, loop_lag_ms: 3 }));
    writeFileSync(layout.runFile("auto-fix"), JSON.stringify({ ...self, ...common, start_time: 1 }));
    writeFileSync(layout.runFile("failure-pattern"), "{");
    expect(readDaemons(layout).map(({ name, alive, presence }) => [name, alive, presence])).toEqual([
      ["heartbeat-monitor", true, "same"],
      ["failure-pattern", false, "unreadable"],
      ["auto-fix", false, "reused"],
      ["worker-restart", false, "never"],
    ]);
    expect(readDaemons(layout)[0]).toMatchObject({ pid: process.pid, version: "0.1.0", loop_lag_ms: 3 });
  });
});
