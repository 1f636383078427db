import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { conditionOf } from "../../../lib/domain/condition.js";
import { thresholdsOf } from "../../../lib/domain/thresholds.js";
import { type Evidence, type ProcessLook, verdictOf } from "../../../lib/domain/verdict.js";

const thresholds = thresholdsOf({
  heartbeat_interval_seconds: 30,
  heartbeat_timeout_seconds: 120,
  zombie_threshold_seconds: 300,
  verify_delay_seconds: 2,
  busy_multiple: 4,
  blocked_multiple: 2,
});

const quiet: ProcessLook = {
  atMs: 0,
  presence: "present",
  state: "S",
  traced: false,
  frozen: false,
  cpuMs: 1_000,
  childrenCpuMs: 500,
  ioBytes: 4_096,
};

/** Two looks two seconds apart, the second one changed. */
function looks(change: Partial<ProcessLook> = {}): readonly ProcessLook[] {
  return [quiet, { ...quiet, atMs: 2_000, ...change }];
}

function evidence(change: Partial<Evidence> = {}): Evidence {
  return {
    exitRecord: false,
    processKnown: true,
    sameHost: true,
    samePidNamespace: true,
    sameBoot: true,
    looks: looks(),
    logMoved: false,
    progressMoved: false,
    silentMs: 300_000,
    scoreBelowMinimum: false,
    thresholds,
    ...change,
  };
}

describe("verdictOf(), row by row", () => {
  test.each<[string, Partial<Evidence>, string, string, boolean]>([
    ["an exit record is certain", { exitRecord: true, silentMs: 0 }, "dead_certain", "exit_record", false],
    ["a vanished process is dead", { looks: looks({ presence: "gone" }), silentMs: 0 }, "dead_certain", "gone", false],
    [
      "another start time is another process",
      { looks: looks({ presence: "replaced" }) },
      "dead_certain",
      "replaced",
      false,
    ],
    ["another boot ends every process", { sameBoot: false, looks: [] }, "dead_certain", "host_reboot", false],
    [
      "another host proves nothing",
      { sameHost: false, looks: looks({ presence: "gone" }) },
      "none",
      "other_host",
      false,
    ],
    ["another host's boot id proves nothing", { sameHost: false, sameBoot: false }, "none", "other_host", false],
    [
      "a missing pid in another namespace proves nothing",
      { samePidNamespace: false, looks: looks({ presence: "gone" }) },
      "none",
      "other_namespace",
      false,
    ],
    ["a look that failed proves nothing", { looks: looks({ presence: "unreadable" }) }, "none", "unreadable", false],
    ["an unreaped process is left to its parent", { looks: looks({ state: "Z" }) }, "unreaped", "unreaped", false],
    ["a stopped process is paused", { looks: looks({ state: "T" }) }, "paused", "stopped", false],
    ["a frozen cgroup is paused", { looks: looks({ frozen: true }) }, "paused", "frozen", false],
    [
      "a stopped process with a tracer is debugged",
      { looks: looks({ state: "T", traced: true }) },
      "debugged",
      "traced",
      false,
    ],
    ["a tracing stop is debugged", { looks: looks({ state: "t" }) }, "debugged", "traced", false],
    ["silence without a process is lost", { processKnown: false, looks: [] }, "lost", "no_process", true],
    ["a growing log is work", { logMoved: true }, "busy", "log", false],
    ["moving progress is work", { progressMoved: true }, "busy", "progress", false],
    ["I/O is work", { looks: looks({ ioBytes: 4_097 }) }, "busy", "io", false],
    ["a computing child is work", { looks: looks({ childrenCpuMs: 600 }) }, "busy", "child_cpu", false],
    ["own CPU alone is a blocked event loop", { looks: looks({ cpuMs: 1_100 }) }, "blocked", "own_cpu", false],
    [
      "own CPU beside a child's is work",
      { looks: looks({ cpuMs: 3_000, childrenCpuMs: 600 }) },
      "busy",
      "child_cpu",
      false,
    ],
    ["less than 5 % of a core is idling", { looks: looks({ cpuMs: 1_099 }) }, "hung", "idle", true],
    ["nothing that moves is hung", {}, "hung", "idle", true],
    ["a worker that beats is alive", { silentMs: 59_999 }, "alive", "beating", false],
  ])("%s", (_, change, verdict, because, zombieDue) => {
    expect(verdictOf(evidence(change))).toMatchObject({ verdict, because, zombieDue });
  });
});

describe("verdictOf(), thresholds", () => {
  test.each<[string, Partial<Evidence>, number]>([
    ["hung", {}, 300_000],
    ["lost", { processKnown: false, looks: [] }, 300_000],
    ["blocked", { looks: looks({ cpuMs: 2_000 }) }, 600_000],
    ["busy", { logMoved: true }, 1_200_000],
  ])("makes a %s worker a zombie at its threshold, not a millisecond before", (verdict, change, dueMs) => {
    const before = verdictOf(evidence({ ...change, silentMs: dueMs - 1 }));
    expect(before).toMatchObject({ verdict, zombieDue: false, nextLookMs: 1 });
    expect(verdictOf(evidence({ ...change, silentMs: dueMs }))).toMatchObject({ verdict, zombieDue: true });
  });

  test("makes a zombie of a low score only once silence has reached the time-out", () => {
    const low = { scoreBelowMinimum: true };
    expect(verdictOf(evidence({ ...low, silentMs: 119_999 }))).toMatchObject({ zombieDue: false, nextLookMs: 1 });
    expect(verdictOf(evidence({ ...low, silentMs: 120_000 })).zombieDue).toBe(true);
  });

  test("never hurries a paused, debugged or busy worker because of its score", () => {
    const low = { scoreBelowMinimum: true, silentMs: 1_199_999 };
    expect(verdictOf(evidence({ ...low, logMoved: true })).zombieDue).toBe(false);
    expect(verdictOf(evidence({ ...low, looks: looks({ state: "T" }) })).zombieDue).toBe(false);
    expect(verdictOf(evidence({ ...low, looks: looks({ state: "t" }) })).zombieDue).toBe(false);
  });

  test("asks for a second look before anything destructive", () => {
    const once = verdictOf(evidence({ looks: [quiet], silentMs: 999_999 }));
    expect(once).toEqual({ verdict: "alive", because: "looking", zombieDue: false, nextLookMs: 2_000 });
  });

  test("asks for a third look at a process in uninterruptible sleep, and then only escalates", () => {
    const waiting = { state: "D" } as const;
    const two = [
      { ...quiet, ...waiting },
      { ...quiet, ...waiting, atMs: 2_000 },
    ];
    expect(verdictOf(evidence({ looks: two }))).toMatchObject({ because: "looking", zombieDue: false });
    const three = [...two, { ...quiet, ...waiting, atMs: 4_000 }];
    expect(verdictOf(evidence({ looks: three, silentMs: 9_999_999 }))).toEqual({
      verdict: "stuck_io",
      because: "uninterruptible",
      zombieDue: false,
    });
  });

  test("does not take the falling CPU sum of an ended child for movement", () => {
    expect(verdictOf(evidence({ looks: looks({ childrenCpuMs: 0 }) })).verdict).toBe("hung");
  });

  test("concludes the same from I/O that may not be read as from none", () => {
    const hidden = looks({ ioBytes: null });
    expect(verdictOf(evidence({ looks: hidden })).verdict).toBe("hung");
  });
});

describe("verdictOf(), for any evidence", () => {
  const look = fc.record<ProcessLook>({
    atMs: fc.integer({ min: 0, max: 10_000 }),
    presence: fc.constantFrom("present", "gone", "replaced", "unreadable"),
    state: fc.constantFrom("R", "S", "D", "T", "t", "Z", "X", null),
    traced: fc.boolean(),
    frozen: fc.boolean(),
    cpuMs: fc.nat(5_000),
    childrenCpuMs: fc.nat(5_000),
    ioBytes: fc.option(fc.nat(1_000)),
  });
  const any = fc.record<Evidence>({
    exitRecord: fc.boolean(),
    processKnown: fc.boolean(),
    sameHost: fc.boolean(),
    samePidNamespace: fc.boolean(),
    sameBoot: fc.boolean(),
    looks: fc.array(look, { maxLength: 4 }),
    logMoved: fc.boolean(),
    progressMoved: fc.boolean(),
    silentMs: fc.integer({ min: 0, max: 2_000_000 }),
    scoreBelowMinimum: fc.boolean(),
    thresholds: fc.constant(thresholds),
  });

  test("never calls for an end before the time-out, nor on fewer than two looks at a known process", () => {
    fc.assert(
      fc.property(any, (given) => {
        const verdict = verdictOf(given);
        if (!verdict.zombieDue) return;
        expect(given.silentMs).toBeGreaterThanOrEqual(thresholds.timeoutMs);
        expect(["lost", "hung", "blocked", "busy"]).toContain(verdict.verdict);
        if (given.processKnown) expect(given.looks.length).toBeGreaterThanOrEqual(2);
      }),
      { numRuns: 2_000 },
    );
  });

  test("never concludes a thing about a process on another host without its exit record", () => {
    fc.assert(
      fc.property(any, (given) => {
        const verdict = verdictOf({ ...given, exitRecord: false, processKnown: true, sameHost: false });
        expect(verdict).toEqual({ verdict: "none", because: "other_host", zombieDue: false });
      }),
    );
  });
});

describe("conditionOf()", () => {
  const well = { progressFrozenMs: 0, progressTimeoutMs: null, lowScoreMs: null, unhealthyGraceMs: 300_000 };

  test("finds a worker stuck once its progress has been frozen for its limit", () => {
    const facts = { ...well, progressTimeoutMs: 60_000 };
    expect(conditionOf({ ...facts, progressFrozenMs: 59_999 })).toEqual({ condition: "well", nextLookMs: 1 });
    expect(conditionOf({ ...facts, progressFrozenMs: 60_000 })).toEqual({ condition: "stuck" });
  });

  test("finds no worker stuck while the check is off", () => {
    expect(conditionOf({ ...well, progressFrozenMs: 9_999_999 })).toEqual({ condition: "well" });
  });

  test("finds a worker unhealthy once it has reported low for the grace time", () => {
    expect(conditionOf({ ...well, lowScoreMs: 299_999 })).toEqual({ condition: "well", nextLookMs: 1 });
    expect(conditionOf({ ...well, lowScoreMs: 300_000 })).toEqual({ condition: "unhealthy" });
  });
});
