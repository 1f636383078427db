import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { complete, readRestartPolicy } from "../../../daemons/worker-restart/policy.js";
import { settingsFor } from "../../../lib/schema/policy.js";

/** As another system has it in the field. */
const NESTED = {
  enabled: true,
  max_retries_by_type: { "scan-worker": 3, "pr-worker": 1, default: 2 },
  backoff: { base_delay_seconds: 30, max_delay_seconds: 300, strategy: "exponential" },
  circuit_breaker: {
    enabled: true,
    failure_threshold: 5,
    failure_window_seconds: 900,
    reset_timeout_seconds: 1800,
    consecutive_failure_threshold: 3,
  },
  rate_limits: { global_max_per_minute: 10, per_type_max_per_minute: 3, per_task_min_interval_seconds: 120 },
  token_budget: { check_before_restart: true, max_cumulative_multiplier: 3.0 },
  deadline_enforcement: { enabled: true, minimum_time_buffer_seconds: 600 },
  observability: { emit_events: true },
};

function problemsOf(raw: unknown): string[] {
  const read = readRestartPolicy(raw);
  return read.ok ? [] : read.problems.map(({ field, message }) => `${field} ${message}`);
}

describe("worker-restart-policy.json", () => {
  test("needs no file: every setting has the default of the contract", () => {
    const read = readRestartPolicy(undefined);
    expect(read.ok && read.value.policy.settings).toMatchObject({
      max_retries: 3,
      retry_interval_seconds: 60,
      backoff_multiplier: 2,
      circuit_breaker_threshold: 5,
      circuit_breaker_reset_seconds: 300,
      success_after_seconds: 30,
      retry_reset_seconds: 600,
      no_restart_on: [78, 77, 126, 127],
    });
  });

  test("is shipped with exactly those defaults", () => {
    const shipped = JSON.parse(readFileSync("config/worker-restart-policy.json", "utf8"));
    const read = readRestartPolicy(shipped);
    expect(read.ok && read.value.policy.settings).toEqual(complete({}));
    expect(shipped.$schema).toMatch(/worker-restart-policy/);
  });

  test("refuses an unknown key with the nearest known name", () => {
    expect(problemsOf({ max_retrys: 3 })).toEqual(["max_retrys is not a known key; did you mean max_retries"]);
  });

  test("refuses a longest wait that is shorter than the first, where both are given", () => {
    expect(problemsOf({ retry_interval_seconds: 60, max_retry_interval_seconds: 30 })).toEqual([
      "max_retry_interval_seconds must be >= retry_interval_seconds (60), got 30",
    ]);
    expect(problemsOf({ retry_interval_seconds: 1000 })).toEqual([]);
  });

  test("reads the nested dialect, and names the canonical key for each of its keys once", () => {
    const read = readRestartPolicy(NESTED);
    if (!read.ok) throw new Error(JSON.stringify(read.problems));
    const { policy, notes } = read.value;
    expect(policy.settings).toMatchObject({
      max_retries: 2,
      retry_interval_seconds: 30,
      max_retry_interval_seconds: 300,
      backoff_multiplier: 2,
      circuit_breaker_window_seconds: 900,
      circuit_breaker_reset_seconds: 1800,
      rate_limits: { global_per_minute: 10, per_type_per_minute: 3, per_task_min_interval_seconds: 120 },
      deadline_buffer_seconds: 600,
    });
    expect(settingsFor(policy, "pr-worker").max_retries).toBe(1);
    expect(settingsFor(policy, "scan-worker")).toMatchObject({ max_retries: 3, retry_interval_seconds: 30 });
    expect(new Set(notes).size).toBe(notes.length);
    expect(notes).toContain('"backoff.base_delay_seconds" is read as "retry_interval_seconds"');
  });

  test.each([
    [{ backoff: { base_delay_seconds: 5, jitter: true } }, "backoff.jitter is not a known key; did you mean jitter"],
    [
      { backoff: { base_delay_second: 5 } },
      "backoff.base_delay_second is not a known key; did you mean backoff.base_delay_seconds",
    ],
    [{ token_budget: { check_before_restart: true, colour: { deep: 1 } } }, "token_budget.colour is not a known key"],
    [
      { global_settings: { max_concurent_restarts: 3, foo: 1 } },
      "global_settings.max_concurent_restarts is not a known key; did you mean global_settings.max_concurrent_restarts",
    ],
  ])("refuses what nothing knows in a block of the dialect by its full path: %j", (raw, sentence) => {
    expect(problemsOf(raw)).toEqual([sentence]);
    expect(problemsOf({ ...raw, max_retrys: 3 })).toEqual([
      sentence,
      "max_retrys is not a known key; did you mean max_retries",
    ]);
  });

  test("names each key that it passes over, and no block of which it has read a part", () => {
    const read = readRestartPolicy({
      global_settings: { max_concurrent_restarts: 3, foo: 1 },
      token_budget: { max_cumulative_multiplier: 2 },
    });
    expect(read.ok && read.value.policy.settings.max_concurrent_restarts).toBe(3);
    expect(read.ok && read.value.notes).toEqual([
      '"token_budget.max_cumulative_multiplier" has no meaning here and is passed over',
      '"global_settings.max_concurrent_restarts" is read as "max_concurrent_restarts"',
      '"global_settings.foo" has no meaning here and is passed over',
    ]);
  });

  test("lets its own names win over the dialect, alone or mixed", () => {
    const read = readRestartPolicy({ ...NESTED, retry_interval_seconds: 7 });
    expect(read.ok && read.value.policy.settings.retry_interval_seconds).toBe(7);
  });
});
