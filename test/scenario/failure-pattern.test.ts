/**
 * Guarantee: each death is one failure, whatever tells of it and however often; a pattern is told of when it begins and when it
 * is over, once each; and a daemon that is killed after any effect ends where one that was not would have.
 */
import { describe, expect, test } from "vitest";
import { PatternWorld } from "./failure-pattern-world.js";
import { withEveryCrash } from "./simulation.js";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

interface End {
  readonly totals: readonly (readonly [string, string, number, number])[];
  readonly events: readonly string[];
  readonly snapshots: readonly (readonly [string, string, number])[];
}

function endOf(world: PatternWorld): End {
  const snapshots = [...world.snapshots.values()];
  return {
    totals: world.patterns
      .map(
        ({ pattern_id, status, history, open }) =>
          [pattern_id, status, history.total, Object.keys(open).length] as const,
      )
      .sort(),
    events: world.typesOfEvents().sort(),
    snapshots: snapshots
      .map((each) => [each.pattern_id, each.status, each.frequency.total_occurrences] as const)
      .sort(),
  };
}

describe("failure-pattern", () => {
  test("brings a series of deaths to its end the same, with a crash after each effect", async () => {
    const run = async (crashAfter: readonly number[]) => {
      const world = new PatternWorld(crashAfter);
      for (let attempt = 1; attempt <= 6; attempt++) {
        world.exits("worker-scan-1", attempt);
        world.write("worker-restart", { event_type: "worker_restarted", worker_id: "worker-scan-1" });
        world.pass(5 * MINUTE_MS);
      }
      for (let nth = 1; nth <= 4; nth++)
        world.write("zombie-cleanup", {
          event_type: "zombie_detected",
          worker_id: `worker-index-${nth}`,
          attempt: 1,
          reason: "hung",
        });
      world.pass(3 * HOUR_MS);
      world.pass(24 * HOUR_MS);
      await world.simulation.settle();
      expect(world.simulation.failures).toEqual([]);
      return { performed: world.simulation.performed, end: endOf(world) };
    };
    const end = await withEveryCrash(run, (crashed, calm) => expect(crashed).toEqual(calm));
    expect(end.totals.map(([, status, total, open]) => [status, total, open])).toEqual(
      expect.arrayContaining([
        ["resolved", 6, 0],
        ["resolved", 4, 0],
      ]),
    );
    const told = end.events.filter((each) => !each.startsWith("pattern_changed"));
    expect(told).toEqual([
      "pattern_detected frequency",
      "pattern_detected frequency",
      "pattern_resolved quiet",
      "pattern_resolved quiet",
    ]);
  });

  test("is no pattern below the threshold, and is one at it", () => {
    const world = new PatternWorld();
    world.exits("worker-scan-1", 1);
    world.exits("worker-scan-2", 1);
    expect(world.snapshots.size).toBe(0);
    world.exits("worker-scan-3", 1);
    expect([...world.snapshots.values()]).toMatchObject([
      { status: "active", category: "systemic", type: "configuration_error", worker_type: "scan-worker" },
    ]);
  });

  test("counts a death once that both logs tell of, and again when the attempt after it dies", () => {
    const world = new PatternWorld();
    world.exits("worker-scan-1", 1);
    world.write("zombie-cleanup", {
      event_type: "zombie_detected",
      worker_id: "worker-scan-1",
      attempt: 1,
      reason: "gone",
    });
    expect(world.patterns.map(({ history }) => history.total)).toEqual([1]);
    world.exits("worker-scan-1", 2);
    expect(world.patterns.map(({ history }) => history.total)).toEqual([2]);
  });

  test("counts 11,608 looks at one corpse as one failure, and a death after a return as another", () => {
    const world = new PatternWorld();
    const dead = { event_type: "worker_presumed_dead", worker_id: "worker-documentation-033" };
    for (let look = 0; look < 600; look++) {
      world.simulation.advance(1000);
      world.write("heartbeat", dead);
    }
    expect(world.patterns.map(({ history }) => history.total)).toEqual([1]);
    expect(world.events.size).toBe(0);
    world.write("heartbeat", { event_type: "heartbeat_resumed", worker_id: "worker-documentation-033" });
    world.simulation.advance(1000);
    world.write("heartbeat", dead);
    expect(world.patterns.map(({ history }) => history.total)).toEqual([2]);
  });

  test("reads nothing twice in a log that a person edited, and misses nothing that is new", () => {
    const world = new PatternWorld();
    for (let nth = 1; nth <= 5; nth++) {
      world.exits(`worker-scan-${nth}`, 1, { attempt: null });
      world.pass(1000);
    }
    world.edit("heartbeat", (_, index) => index !== 2);
    expect(world.patterns.map(({ history }) => history.total)).toEqual([5]);
    world.pass(1000);
    world.exits("worker-scan-9", 1, { attempt: null });
    expect(world.patterns.map(({ history }) => history.total)).toEqual([6]);
  });

  test("is not over because the daemon was started anew, and is over when it was quiet for long enough", () => {
    const world = new PatternWorld();
    for (let attempt = 1; attempt <= 4; attempt++) {
      world.exits("worker-scan-1", attempt);
      world.pass(MINUTE_MS);
    }
    for (let start = 0; start < 5; start++) {
      world.simulation.crash();
      world.pass(5 * MINUTE_MS);
    }
    expect(world.patterns.map(({ status }) => status)).toEqual(["active"]);
    world.pass(HOUR_MS);
    expect(world.patterns.map(({ status }) => status)).toEqual(["resolved"]);
    expect([...world.snapshots.values()].map(({ status }) => status)).toEqual(["resolved"]);
  });

  test("is told of again when it returns", () => {
    const world = new PatternWorld();
    for (let nth = 1; nth <= 3; nth++) world.exits(`worker-scan-${nth}`, 1);
    world.pass(48 * HOUR_MS);
    for (let nth = 4; nth <= 6; nth++) world.exits(`worker-scan-${nth}`, 1);
    expect(world.typesOfEvents()).toEqual([
      "pattern_detected frequency",
      "pattern_resolved quiet",
      "pattern_detected returned",
    ]);
  });

  test("publishes what is long over without alarming anybody", () => {
    const world = new PatternWorld();
    const lastYear = world.simulation.nowMs - 365 * 24 * HOUR_MS;
    for (let nth = 1; nth <= 5; nth++) world.exits(`worker-scan-${nth}`, 1, { at_ms: lastYear + nth * MINUTE_MS });
    world.pass(MINUTE_MS);
    expect(world.events.size).toBe(0);
    expect([...world.snapshots.values()]).toMatchObject([{ status: "resolved", frequency: { total_occurrences: 5 } }]);
  });

  test("publishes a failing type at most every five seconds", () => {
    const world = new PatternWorld();
    for (let nth = 0; nth < 300; nth++) {
      world.exits(`worker-scan-${nth}`, 1);
      world.pass(100);
    }
    world.pass(10_000);
    const edges = [...world.events.values()].length;
    expect(world.publications - edges).toBeLessThanOrEqual(8);
    expect([...world.snapshots.values()][0]?.frequency.total_occurrences).toBe(300);
  });

  test("learns nothing from what carries a cause of ours", () => {
    const world = new PatternWorld();
    for (let nth = 1; nth <= 5; nth++) world.exits(`worker-scan-${nth}`, 1, { data: { exit_code: 1, cause: "fix" } });
    for (let nth = 1; nth <= 5; nth++) world.exits(`worker-load-${nth}`, 1, { data: { exit_code: 1, drill: true } });
    expect(world.patterns).toEqual([]);
  });

  test("counts and publishes nothing while the policy says so", () => {
    const world = new PatternWorld([], { enabled: false });
    for (let nth = 1; nth <= 5; nth++) world.exits(`worker-scan-${nth}`, 1);
    expect(world.patterns.map(({ history }) => history.total)).toEqual([5]);
    expect(world.snapshots.size + world.events.size).toBe(0);
  });

  test("names a task that was given up as a pattern at once", () => {
    const world = new PatternWorld();
    world.write("worker-restart", {
      event_type: "task_quarantined",
      worker_id: "worker-scan-3",
      worker_type: "scan-worker",
      task_id: "task-7",
      data: { deaths: 3 },
    });
    expect([...world.snapshots.values()]).toMatchObject([
      { category: "systemic", type: "recurring_failure", signature: "task task-7", tasks: ["task-7"] },
    ]);
  });
});
