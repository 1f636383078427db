/** Guarantee: a worker is told the interval by which the monitor judges it. */
import { writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readHeartbeatPolicy } from "../../../daemons/heartbeat-monitor/policy.js";
import { type OwnThresholds, thresholdsOf } from "../../../lib/domain/thresholds.js";
import { settingsFor } from "../../../lib/schema/policy.js";
import { toldIntervalOf } from "../../../lib/targets/process.js";
import { temporaryLayout } from "../store/temporary-home.js";

/** What a worker of a type is told, under a policy. */
function told(policy: object | null, heartbeat: OwnThresholds = {}, worker_type = "scan-worker"): number {
  const layout = temporaryLayout();
  if (policy !== null) writeFileSync(layout.config("heartbeat-policy"), JSON.stringify(policy), { mode: 0o640 });
  return toldIntervalOf(layout, { worker_id: "scan-1", worker_type, heartbeat: { ...heartbeat } }, Date.now());
}

/** What the monitor expects of it. */
function judged(policy: object | null, own: OwnThresholds = {}, worker_type = "scan-worker"): number {
  const read = readHeartbeatPolicy(policy ?? undefined);
  if (!read.ok) throw new Error("the policy is refused");
  return thresholdsOf(settingsFor(read.value.policy, worker_type), own).intervalMs / 1000;
}

describe("a worker that is started", () => {
  test.each([
    ["nothing", null, {}, 30],
    ["a short time-out", { heartbeat_timeout_seconds: 20 }, {}, 10],
    ["a short zombie threshold", { zombie_threshold_seconds: 25 }, {}, 12.5],
    ["an interval", { heartbeat_interval_seconds: 5 }, {}, 5],
    ["a time-out for its type", { overrides: { "scan-worker": { heartbeat_timeout_seconds: 20 } } }, {}, 10],
    ["a short time-out in the nested dialect", { thresholds: { critical: { seconds: 4 } } }, {}, 2],
  ])("is told half of the time-out at most, where the policy names %s", (_, policy, own, seconds) => {
    expect(told(policy, own)).toBe(seconds);
    expect(judged(policy, own)).toBe(seconds);
  });

  test.each([
    [{ timeout_seconds: 15 }, 3.75],
    [{ zombie_threshold_seconds: 60 }, 6],
    [{ zombie_threshold_seconds: 3000 }, 300],
    [{ interval_seconds: 7 }, 7],
    [{ interval_seconds: 0.5 }, 0.5],
    [{ interval_seconds: 100, timeout_seconds: 50 }, 25],
  ])("is told what its own block %j comes to", (own, seconds) => {
    expect(told(null, own)).toBe(seconds);
    expect(judged(null, own)).toBe(seconds);
  });

  test("is told no longer time than it is judged by, to the millisecond", () => {
    const own = { zombie_threshold_seconds: 1 / 3 };
    expect(told(null, own)).toBe(0.033);
    expect(judged(null, own)).toBeGreaterThan(0.033);
  });

  test("is told the interval of its type first, and of everybody else", () => {
    const policy = { heartbeat_interval_seconds: 5, overrides: { slow: { heartbeat_interval_seconds: 90 } } };
    expect([told(policy, {}, "slow"), told(policy)]).toEqual([90, 5]);
  });
});
