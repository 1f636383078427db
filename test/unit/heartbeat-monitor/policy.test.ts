import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type HeartbeatSettings, readHeartbeatPolicy } from "../../../daemons/heartbeat-monitor/policy.js";
import { packageRoot } from "../../../lib/platform/package.js";
import { type Policy, settingsFor } from "../../../lib/schema/policy.js";
import { sentenceOf } from "../../../lib/schema/problems.js";

function read(raw: unknown): { policy: Policy<HeartbeatSettings>; notes: readonly string[] } {
  const outcome = readHeartbeatPolicy(raw);
  if (!outcome.ok) throw new Error(sentenceOf(outcome.problems));
  return outcome.value;
}

function refusal(raw: unknown): string {
  const outcome = readHeartbeatPolicy(raw);
  return outcome.ok ? "accepted" : sentenceOf(outcome.problems);
}

describe("heartbeat-policy.json", () => {
  test("is complete without a file", () => {
    expect(read(undefined).policy.settings).toMatchObject({
      heartbeat_interval_seconds: 30,
      heartbeat_timeout_seconds: 120,
      zombie_threshold_seconds: 300,
      warning_threshold_seconds: 60,
      startup_grace_seconds: 300,
      max_cleanups_per_minute: 20,
      progress_timeout_seconds: null,
      mass_failure: { min_workers: 5, fraction: 0.3, per_type: { min_workers: 4, fraction: 0.5 } },
    });
  });

  test.each([
    [{ heartbeat_interval_seconds: 5 }, { interval: 5, timeout: 20, zombie: 50, warning: 10, grace: 50 }],
    [{ heartbeat_timeout_seconds: 60 }, { interval: 30, timeout: 60, zombie: 150, warning: 60, grace: 150 }],
    [{ heartbeat_timeout_seconds: 20 }, { interval: 10, timeout: 20, zombie: 50, warning: 20, grace: 50 }],
    [{ zombie_threshold_seconds: 90 }, { interval: 30, timeout: 90, zombie: 90, warning: 60, grace: 90 }],
    [{ zombie_threshold_seconds: 25 }, { interval: 12.5, timeout: 25, zombie: 25, warning: 25, grace: 25 }],
    [{ zombie_threshold_seconds: 600 }, { interval: 30, timeout: 120, zombie: 600, warning: 60, grace: 600 }],
    [{ startup_grace_seconds: 900 }, { interval: 30, timeout: 120, zombie: 300, warning: 60, grace: 900 }],
  ])("derives what is not given from %j", (raw, expected) => {
    const { settings } = read(raw).policy;
    expect({
      interval: settings.heartbeat_interval_seconds,
      timeout: settings.heartbeat_timeout_seconds,
      zombie: settings.zombie_threshold_seconds,
      warning: settings.warning_threshold_seconds,
      grace: settings.startup_grace_seconds,
    }).toEqual(expected);
  });

  test("keeps the defaults of a nested object beside what is given in it", () => {
    const { mass_failure: mass } = read({ mass_failure: { fraction: 0.9, per_type: { min_workers: 8 } } }).policy
      .settings;
    expect(mass).toMatchObject({ fraction: 0.9, min_workers: 5, per_type: { min_workers: 8, fraction: 0.5 } });
  });

  test.each([
    [
      { heartbeat_interval_seconds: 60, heartbeat_timeout_seconds: 100 },
      "heartbeat_timeout_seconds must be >= 2 x heartbeat_interval_seconds (120), got 100",
    ],
    [
      { heartbeat_timeout_seconds: 100, zombie_threshold_seconds: 99 },
      "zombie_threshold_seconds must be >= heartbeat_timeout_seconds (100), got 99",
    ],
    [
      { overrides: { scan: { heartbeat_timeout_seconds: 10 } }, heartbeat_interval_seconds: 30 },
      "overrides.scan.heartbeat_timeout_seconds must be >= 2 x heartbeat_interval_seconds (60), got 10",
    ],
  ])("refuses %j by field, bound and value", (raw, sentence) => expect(refusal(raw)).toContain(sentence));

  test("checks the order only of what was given", () =>
    expect(refusal({ heartbeat_interval_seconds: 600 })).toBe("accepted"));

  test("refuses an unknown key with the nearest known name", () =>
    expect(refusal({ zombie_treshold_seconds: 10 })).toMatch(/zombie_treshold_seconds.*zombie_threshold_seconds/));

  test.each([
    [{ heartbeat_interval_seconds: 0 }, "heartbeat_interval_seconds"],
    [{ heartbeat_interval_seconds: "30" }, "heartbeat_interval_seconds"],
    [{ mass_failure: { fraction: 2 } }, "mass_failure.fraction"],
    [{ paused_action: "kill" }, "paused_action"],
    [[], "object"],
  ])("refuses %j and names %s", (raw, named) => expect(refusal(raw)).toContain(named));

  test("gives a worker type its own settings on top of the common ones", () => {
    const { policy } = read({
      heartbeat_interval_seconds: 10,
      overrides: { "scan-worker": { zombie_threshold_seconds: 900 } },
    });
    expect(settingsFor(policy, "scan-worker")).toMatchObject({
      heartbeat_interval_seconds: 10,
      zombie_threshold_seconds: 900,
    });
    expect(settingsFor(policy, "other").zombie_threshold_seconds).toBe(100);
    expect(settingsFor(policy, "constructor").zombie_threshold_seconds).toBe(100);
  });

  test("reads the nested dialect found in the field, and names each canonical key", () => {
    const path = join(packageRoot(), "test", "fixtures", "field-like", "config", "heartbeat-policy.json");
    const { policy, notes } = read(JSON.parse(readFileSync(path, "utf8")));
    expect(policy.settings).toMatchObject({
      heartbeat_interval_seconds: 1,
      warning_threshold_seconds: 2,
      heartbeat_timeout_seconds: 4,
      zombie_threshold_seconds: 6,
      verify_delay_seconds: 1,
      max_cleanups_per_minute: 5,
      mass_failure: { enabled: true, min_workers: 2 },
    });
    expect(notes).toContain('"thresholds.critical.seconds" is read as "heartbeat_timeout_seconds"');
    expect(notes.filter((note) => note.includes("passed over"))).toEqual(
      [
        "detection.double_check_enabled",
        "thresholds.warning.action",
        "cleanup_actions",
        "directories",
        "recovery",
        "enabled",
      ].map((key) => `"${key}" has no meaning here and is passed over`),
    );
  });

  test("prefers the canonical key where both are given", () => {
    const { policy } = read({ detection: { zombie_threshold_seconds: 999 }, zombie_threshold_seconds: 500 });
    expect(policy.settings.zombie_threshold_seconds).toBe(500);
  });
});
