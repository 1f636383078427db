import { describe, expect, test } from "vitest";
import { beatFacts, exitFacts, processOf, specFacts } from "../../../daemons/heartbeat-monitor/read-facts.js";
import { bootId, hostName } from "../../../lib/platform/clock.js";

const IDENTITY = { pid: 4242, start_time: 77, boot_id: "b", pid_ns: "1", host: "h" };

describe("specFacts()", () => {
  test("reads a spec that heald wrote", () => {
    const facts = specFacts({
      worker_id: "a",
      worker_type: "scan-worker",
      task_id: "t",
      status: "running",
      attempt: 3,
      launch: { command: "/bin/true", stop: { signal: "SIGINT", scope: "group", grace_seconds: 5 } },
      heartbeat: {
        mode: "required",
        interval_seconds: 5,
        last_seen: "2026-03-02T15:14:11Z",
        sequence: 4,
        health_score: 90,
      },
      resources: { memory_limit_mb: 2 },
      restart: { when: "always" },
      max_runtime_seconds: 60,
      token_budget: { allocated: 10, used: 7 },
    });
    expect(facts).toMatchObject({
      worker_type: "scan-worker",
      attempt: 3,
      mode: "required",
      has_launch: true,
      own: { interval_seconds: 5 },
      stop: { signal: "SIGINT", scope: "group", grace_ms: 5000 },
      restart_when: "always",
      max_runtime_ms: 60_000,
      memory_limit_bytes: 2_097_152,
      tokens_used: 7,
      in_spec_beat: { key: "2026-03-02T15:14:11Z|4|90", legacy_key: "", score: 90, sequence: 4 },
    });
  });

  test("fills in what is missing", () => {
    expect(specFacts({ worker_id: "a" })).toMatchObject({
      worker_type: "unknown",
      status: "pending",
      attempt: 1,
      mode: null,
      has_heartbeat: false,
      has_launch: false,
      stop: { signal: "SIGTERM", scope: "main", grace_ms: 30_000 },
      restart_when: "on-failure",
      process: null,
      other_boot: false,
      in_spec_beat: null,
    });
  });

  test.each([
    [{ resources: { token_allocation: 10 }, execution: { tokens_used: 3 } }, 3],
    [{ resources: { token_budget: 10 }, execution: { tokens_used: 4 } }, 4],
    [{ token_budget: { used: 5 } }, 5],
  ])("reads tokens in the dialect %j", (dialect, used) =>
    expect(specFacts({ worker_id: "a", ...dialect } as Parameters<typeof specFacts>[0]).tokens_used).toBe(used),
  );

  test.each([
    ["active", "running"],
    ["stuck", "running"],
    ["cancelled", "cancelled"],
  ])("reads the status %s as %s", (status, read) => expect(specFacts({ worker_id: "a", status }).status).toBe(read));

  test("tells an older worker's own beat from the monitor's words beside it", () => {
    const block = { last_seen: "2026-03-02T15:14:11Z", sequence: 1, health_score: 60 };
    const legacy = { last_heartbeat: "2026-03-02T09:20:00-0600", health: { health_score: 88 } };
    const before = specFacts({ worker_id: "a", heartbeat: { ...block, ...legacy } }).in_spec_beat;
    const after = specFacts({
      worker_id: "a",
      heartbeat: { ...block, ...legacy, last_heartbeat: "2026-03-02T09:20:30-0600" },
    }).in_spec_beat;
    expect(before).toMatchObject({ legacy_score: 88 });
    expect(after?.key).toBe(before?.key);
    expect(after?.legacy_key).not.toBe(before?.legacy_key);
  });

  test("takes a process only from an adoption, never from a pid that merely stands there", () => {
    expect(
      specFacts({ worker_id: "a", execution: { ...IDENTITY, origin: "launched", may_signal: true } }).process,
    ).toBe(null);
    expect(specFacts({ worker_id: "a", execution: { pid: 1, origin: "adopted", may_signal: true } }).process).toBe(
      null,
    );
    const adopted = { ...IDENTITY, origin: "adopted" };
    expect(specFacts({ worker_id: "a", execution: adopted }).process).toMatchObject({
      identity: IDENTITY,
      may_signal: false,
    });
    expect(specFacts({ worker_id: "a", execution: { ...adopted, may_signal: true } }).process?.may_signal).toBe(true);
  });

  test("sees that a process was started in another boot of this host, and only then", () => {
    const of = (boot_id: string, host: string): boolean =>
      specFacts({ worker_id: "a", execution: { pid: 5, boot_id, host } }).other_boot;
    expect(of("another", hostName())).toBe(true);
    expect(of(bootId(), hostName())).toBe(false);
    expect(of("another", "another-host")).toBe(false);
  });
});

describe("the other records", () => {
  test("a launch record without a process is a claim", () =>
    expect(processOf({ worker_id: "a", attempt: 1, launcher_pid: 9 })).toBe(null));

  test("a launch record with one names it, and heald may signal it", () =>
    expect(processOf({ worker_id: "a", attempt: 1, ...IDENTITY, started_at: "2026-03-02T15:14:11Z" })).toMatchObject({
      identity: IDENTITY,
      origin: "launched",
      may_signal: true,
      started_at_ms: Date.parse("2026-03-02T15:14:11Z"),
    }));

  test("an exit record without a time ended when it was written", () =>
    expect(
      exitFacts({ worker_id: "a", attempt: 1, exit_code: 137, signal: "SIGKILL", signal_inferred: true }, 5),
    ).toEqual({
      exit_code: 137,
      signal: "SIGKILL",
      signal_inferred: true,
      wait_status: null,
      ended_at_ms: 5,
      oom_kills: 0,
    }));

  test("a beat of nothing but its name is one", () =>
    expect(beatFacts({ worker_id: "a" }, "k", 3)).toEqual({
      attempt: null,
      sequence: null,
      reported: null,
      progress: null,
      pid: null,
      age_ms: 3,
      key: "k",
    }));
});
