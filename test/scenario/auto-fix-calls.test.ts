/**
 * Guarantee: for what other daemons find and do not mend, a person is called once, and told once that it is over; neither
 * a repeat, nor a log that is read again, nor a kill at any moment tells more or less.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CALLS_MAX } from "../../daemons/auto-fix/calling.js";
import type { CallsPart } from "../../daemons/auto-fix/state.js";
import { type Fixing, makeFixing } from "./auto-fix-world.js";
import { withEveryCrash } from "./simulation.js";

const scan = (incident_id = "inc-1", worker_id = "scan-1") => ({
  ...{ worker_id, worker_type: "scan-worker", task_id: "task-7", attempt: 4, incident_id },
});
const spent = { reason: "retries", data: { attempts: 3, lifetime: 5 } };
const DAY_MS = 86_400_000;

/** What was told, without ids and instants. */
function toldIn({ world }: Fixing): string[] {
  return world.told.map(({ event_type, incident_id, data }) => `${event_type} ${incident_id} ${String(data.title)}`);
}

/** Runs a script as it is, and with a crash after each effect. Incidents that are made up here have the decision's id. */
async function scenario(script: (fixing: Fixing) => void, policy: Readonly<Record<string, unknown>> = {}) {
  return await withEveryCrash(
    async (crashAfter) => {
      const fixing = makeFixing(policy, crashAfter);
      script(fixing);
      await fixing.simulation.settle();
      fixing.world.read();
      const told = toldIn(fixing).map((each) => each.replaceAll(/inc-\w+-simulate-\d+/g, "inc-own"));
      const open = fixing.world.calls().map(({ subject, troubles }) => `${subject} ${troubles.join("+")}`);
      const known = fixing.simulation.part<CallsPart>("calls")?.open;
      const failures = fixing.simulation.failures.map((failure) => failure.split("\n")[0]);
      return { performed: fixing.simulation.performed, end: { told, open, known, failures } };
    },
    (end, expected, crashAfter) => expect(end, `crash after effect ${crashAfter}`).toEqual(expected),
  );
}

describe("a worker that is given up", () => {
  test("calls a person once, however often it is said, and says once that it is back", async () => {
    const { told, open, known } = await scenario(({ world, simulation }) => {
      for (let nth = 0; nth < 5; nth++) world.write("worker_restart_exhausted", scan(), spent);
      world.read();
      simulation.advance(900_000);
      world.write("worker_restart_exhausted", scan(), spent);
      world.write("worker_restart_started", scan());
      world.write("worker_restarted", scan());
      world.write("worker_restarted", scan());
      world.read();
    });
    expect(told).toEqual([
      "escalation_opened inc-1 scan-1 is given up for now",
      "escalation_resolved inc-1 scan-1 is given up for now",
    ]);
    expect(open).toEqual([]);
    expect(known).toEqual([]);
  });

  test("is told of in words that a person can act on, under the worker, its type and its incident", () => {
    const { world } = makeFixing();
    world.write("worker_restart_exhausted", scan(), spent);
    world.read();
    expect(world.told).toMatchObject([
      {
        ...{ event_type: "escalation_opened", severity: "critical", source: "auto-fix", reason: "person_needed" },
        ...{ worker_id: "scan-1", worker_type: "scan-worker", task_id: "task-7", incident_id: "inc-1" },
        message: "A person is called: scan-1 is given up for now",
        data: {
          title: "scan-1 is given up for now",
          component: "scan-worker",
          seen: "worker_restart_exhausted it is",
          tried: ["restarted it 3 times"],
          suggested: "find out why it ends, and start it again when that is mended",
          command: "heald why scan-1",
          about: "worker:scan-1",
          cause: "worker_restart_exhausted",
        },
      },
    ]);
    expect(world.decisions.map(({ verdict, mode }) => `${verdict} ${mode}`)).toEqual(["escalate live"]);
  });

  test("is told of in a dry run too, and while no fixes are made at all", () => {
    for (const policy of [{ dry_run: true }, { enabled: false }]) {
      const fixing = makeFixing(policy);
      fixing.world.write("worker_restart_exhausted", scan(), spent);
      fixing.world.read();
      expect(toldIn(fixing)).toHaveLength(1);
    }
  });

  test.each([
    ["worker_restarted", undefined, {}],
    ["worker_completed", undefined, {}],
    ["worker_stopped", undefined, {}],
    ["worker_unwatched", undefined, {}],
    ["worker_restart_refused", "withdrawn", {}],
    ["worker_restart_refused", "already_running", {}],
    ["worker_restart_deferred", "desired", {}],
    ["worker_registered", undefined, { attempt: 1, incident_id: undefined }],
  ] as const)("is over with %s (%s)", (type, reason, subject) => {
    const fixing = makeFixing();
    fixing.world.write("worker_restart_exhausted", scan(), spent);
    fixing.world.write(type, { ...scan(), ...subject }, reason === undefined ? {} : { reason });
    fixing.world.read();
    expect(fixing.world.told.map(({ event_type, reason: why }) => `${event_type} ${why}`)).toEqual([
      "escalation_opened person_needed",
      `escalation_resolved ${type}`,
    ]);
  });

  test("is not over with the start of a probe, its first beat, or a request that expired", () => {
    const fixing = makeFixing();
    fixing.world.write("worker_restart_exhausted", scan(), spent);
    fixing.world.write("worker_restart_started", scan());
    fixing.world.write("worker_registered", scan());
    fixing.world.write("heartbeat_resumed", scan());
    fixing.world.write("worker_restart_refused", scan(), { reason: "expired" });
    fixing.world.read();
    expect(toldIn(fixing)).toHaveLength(1);
    expect(fixing.world.calls()).toHaveLength(1);
  });

  test("in a later incident calls again", async () => {
    const { told } = await scenario(({ world }) => {
      world.write("worker_restart_exhausted", scan("inc-1"), spent);
      world.write("worker_restarted", scan("inc-1"));
      world.write("worker_restart_exhausted", scan("inc-2"), spent);
      world.write("worker_restart_exhausted", scan("inc-3"), spent);
      world.read();
    });
    // Nothing has said that the second is over: the third takes its place.
    expect(told).toEqual([
      "escalation_opened inc-1 scan-1 is given up for now",
      "escalation_resolved inc-1 scan-1 is given up for now",
      "escalation_opened inc-2 scan-1 is given up for now",
      "escalation_resolved inc-2 scan-1 is given up for now",
      "escalation_opened inc-3 scan-1 is given up for now",
    ]);
  });
});

describe("one incident with several troubles", () => {
  test("is told once, and over when the last of them is", async () => {
    const { told, open } = await scenario(({ world }) => {
      world.write("worker_stuck", scan());
      world.read();
      world.write("zombie_cleanup_failed", scan());
      world.write("worker_restart_exhausted", scan(), spent);
      world.read();
      world.write("heartbeat_resumed", scan());
      world.write("zombie_cleanup_completed", scan());
      world.read();
    });
    expect(told).toEqual(["escalation_opened inc-1 scan-1 makes no progress"]);
    expect(open).toEqual(["worker:scan-1 worker_restart_exhausted"]);
  });
});

describe("what calls a person", () => {
  test.each([
    ["worker_restart_deferred", scan(), { reason: "no_template" }, "scan-1 cannot be started"],
    ["worker_restart_deferred", scan(), { reason: "exit_class" }, "scan-1 cannot be started"],
    ["task_quarantined", scan(), { reason: "poison_task" }, "scan-1 had a task that costs its workers"],
    ["zombie_cleanup_failed", scan(), {}, "scan-1 cannot be ended"],
    ["worker_stuck", scan(), {}, "scan-1 makes no progress"],
    ["worker_unhealthy", scan(), {}, "scan-1 reports poor health"],
    ["worker_paused", scan(), { reason: "still" }, "scan-1 stays paused"],
    ["fleet_hold_started", { incident_id: "inc-f" }, {}, "fleet: many workers look dead at once"],
    ["mass_zombification_alert", { incident_id: "inc-f" }, {}, "fleet: many workers look dead at once"],
    ["circuit_breaker_tripped", { worker_type: "scan-worker" }, { reason: "failures" }, "scan-worker is not restarted"],
    ["weather_started", {}, { data: { daemon: "worker-restart" } }, "worker-restart cannot write"],
    ["hold_defaulted", {}, { reason: "unreadable", data: { hold: "all" } }, 'hold "all" cannot be read'],
  ] as const)("%s of %o (%o)", (type, subject, more, title) => {
    const { world } = makeFixing();
    world.write(type, subject, more);
    world.read();
    expect(world.told.map(({ data }) => data.title)).toEqual([expect.stringContaining(title)]);
  });

  test.each([
    ["worker_restart_deferred", scan(), { reason: "backoff" }],
    ["worker_restart_failed", scan(), {}],
    ["zombie_detected", scan(), {}],
    ["worker_paused", scan(), { reason: "stopped" }],
    ["circuit_breaker_tripped", { worker_type: "scan-worker" }, { reason: "by_hand" }],
    ["hold_defaulted", {}, { data: { hold: "all" } }],
    ["worker_restarted", scan(), {}],
    ["weather_ended", {}, { data: { daemon: "worker-restart" } }],
    ["worker_restart_exhausted", { ...scan(), worker_id: "../etc" }, spent],
  ] as const)("is not %s of %o (%o)", (type, subject, more) => {
    const { world } = makeFixing();
    world.write(type, subject, more);
    world.read();
    expect(world.told).toEqual([]);
  });

  test("without an incident of its own gets one, and one for each time it happens", async () => {
    const { told } = await scenario(({ world, simulation }) => {
      const type = { worker_type: "scan-worker" };
      world.write("circuit_breaker_tripped", type, { reason: "failures" });
      world.write("circuit_breaker_half_open", type);
      world.write("circuit_breaker_tripped", type, { reason: "failures" });
      world.read();
      simulation.advance(60_000);
      world.write("circuit_breaker_reset", type);
      world.write("circuit_breaker_tripped", type, { reason: "failures" });
      world.read();
    });
    expect(told).toEqual([
      "escalation_opened inc-own-type scan-worker is not restarted any more",
      "escalation_resolved inc-own-type scan-worker is not restarted any more",
      "escalation_opened inc-own-type scan-worker is not restarted any more",
    ]);
  });

  test("of the fleet is one incident from the first alert to the end of the hold", async () => {
    const { told } = await scenario(({ world, simulation }) => {
      const fleet = { incident_id: "inc-f-fleet" };
      world.write("fleet_hold_started", fleet);
      world.write("mass_zombification_alert", fleet);
      world.read();
      simulation.advance(600_000);
      world.write("mass_zombification_alert", fleet);
      world.write("fleet_hold_ended", fleet);
      world.read();
    });
    expect(told.map((each) => each.split(" ")[0])).toEqual(["escalation_opened", "escalation_resolved"]);
  });

  test("of a daemon that cannot write is over when that daemon, and no other, can again or is started anew", () => {
    const fixing = makeFixing();
    const of = (daemon: string) => ({ data: { daemon } });
    fixing.world.write("weather_started", {}, of("worker-restart"));
    fixing.world.write("weather_started", {}, of("heartbeat-monitor"));
    fixing.world.write("weather_ended", {}, of("heartbeat-monitor"));
    fixing.world.read();
    expect(fixing.world.calls().map(({ subject }) => subject)).toEqual(["daemon:worker-restart"]);
    fixing.world.write("daemon_started", {}, of("worker-restart"));
    fixing.world.read();
    expect(fixing.world.calls()).toEqual([]);
  });
});

describe("what was written while nobody read", () => {
  test("before the first start of all is history, but for a moment before it", () => {
    const fixing = makeFixing();
    fixing.world.write("worker_restart_exhausted", scan("inc-1", "scan-1"), { ...spent, agoMs: 7 * DAY_MS });
    fixing.world.write("worker_restart_exhausted", scan("inc-2", "scan-2"), { ...spent, agoMs: 5_000 });
    fixing.world.read();
    expect(toldIn(fixing)).toEqual(["escalation_opened inc-2 scan-2 is given up for now"]);
  });

  test("after it is told, however long it took", async () => {
    const { told } = await scenario(({ world, simulation }) => {
      // A start ends with a checkpoint.
      simulation.reboot();
      world.write("worker_restart_exhausted", scan("inc-1"), spent);
      simulation.absent(3 * DAY_MS);
      world.read();
    });
    expect(told).toEqual(["escalation_opened inc-1 scan-1 is given up for now"]);
  });

  test("is not told when its end, in another log, is read before it", async () => {
    const { told, open, known } = await scenario(({ world, simulation }) => {
      world.write("worker_restart_exhausted", scan(), spent);
      simulation.advance(1_000);
      world.write("worker_stopped", scan());
      simulation.advance(DAY_MS);
      world.read(["heartbeat", "worker-restart"]);
    });
    expect({ told, open, known }).toEqual({ told: [], open: [], known: [] });
  });

  test("does not stay open when its end is decided upon before it, as after a kill between the two", () => {
    for (const crashAfter of [[], [1], [2], [3], [4]]) {
      const fixing = makeFixing({}, crashAfter);
      fixing.world.write("worker_restart_exhausted", scan(), spent);
      fixing.world.write("worker_stopped", scan());
      fixing.world.read(["worker-restart", "heartbeat"]);
      const told = toldIn(fixing).map((each) => each.split(" ")[0]);
      expect([[], ["escalation_opened", "escalation_resolved"]]).toContainEqual(told);
      expect([fixing.world.calls(), fixing.simulation.part<CallsPart>("calls")?.open]).toEqual([[], []]);
    }
  });

  test("and is older than the call does not end it", () => {
    const fixing = makeFixing();
    fixing.world.write("worker_stopped", scan("inc-0"));
    fixing.simulation.advance(1_000);
    fixing.world.write("worker_restart_exhausted", scan(), spent);
    fixing.simulation.advance(DAY_MS);
    fixing.world.read(["worker-restart", "heartbeat"]);
    expect(toldIn(fixing)).toHaveLength(1);
    expect(fixing.world.calls()).toHaveLength(1);
  });

  test("and comes again, because the log was cut off, is not told again", async () => {
    const { told } = await scenario(({ world, simulation }) => {
      world.write("worker_restart_exhausted", scan("inc-1", "scan-1"), spent);
      world.write("worker_restarted", scan("inc-1", "scan-1"));
      world.read();
      simulation.advance(1_000);
      world.readAgain("worker-restart");
      world.write("worker_restart_exhausted", scan("inc-2", "scan-2"), spent);
      world.read();
    });
    expect(told.filter((each) => each.includes("opened"))).toEqual([
      "escalation_opened inc-1 scan-1 is given up for now",
      "escalation_opened inc-2 scan-2 is given up for now",
    ]);
  });

  test("with a clock that was set back since is told all the same", () => {
    const fixing = makeFixing();
    fixing.simulation.stepWall(-30 * DAY_MS);
    fixing.world.write("worker_restart_exhausted", scan(), spent);
    fixing.world.read();
    expect(toldIn(fixing)).toHaveLength(1);
  });
});

describe("any row of troubles and ends, with kills at any two moments", () => {
  const TYPES = [
    ...(["worker_restart_exhausted", "task_quarantined", "worker_stuck", "zombie_cleanup_failed"] as const),
    ...(["worker_restarted", "worker_stopped", "heartbeat_resumed", "zombie_cleanup_completed"] as const),
  ];
  const line = fc.record({
    type: fc.constantFrom(...TYPES),
    worker: fc.constantFrom("scan-1", "scan-2"),
    incident: fc.constantFrom("inc-1", "inc-2"),
    isRead: fc.boolean(),
  });
  type Line = typeof line extends fc.Arbitrary<infer Value> ? Value : never;

  function play(lines: readonly Line[], crashAfter: readonly number[], readsEach: boolean): Fixing {
    const fixing = makeFixing({}, crashAfter);
    for (const { type, worker, incident, isRead } of lines) {
      fixing.world.write(type, scan(`${incident}-${worker}`, worker), spent);
      fixing.simulation.advance(100);
      if (isRead || readsEach) fixing.world.read();
    }
    fixing.world.read();
    return fixing;
  }

  const kills = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 2 });

  test("tells a beginning and an end in turns, and follows exactly what was not told to be over", () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 15 }), kills, (lines, crashAfter) => {
        const { world } = play(lines, crashAfter, false);
        const open = new Map<unknown, unknown>();
        for (const { event_type, incident_id, data } of world.told) {
          const isOpened = event_type === "escalation_opened";
          expect(open.get(data.about)).toBe(isOpened ? undefined : incident_id);
          if (isOpened) open.set(data.about, incident_id);
          else open.delete(data.about);
        }
        const followed = world.calls().map(({ subject, incident_id }) => [subject, incident_id] as const);
        expect(new Map<unknown, unknown>(followed)).toEqual(open);
      }),
      { numRuns: 300 },
    );
  });

  test("tells the same as without a kill, where each line is read before the next is written", () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), kills, (lines, crashAfter) => {
        expect(toldIn(play(lines, crashAfter, true))).toEqual(toldIn(play(lines, [], true)));
      }),
      { numRuns: 200 },
    );
  });
});

describe("what is kept of calls", () => {
  test("is bounded: the oldest gives way, and is let go of at the next look", () => {
    const fixing = makeFixing();
    for (let nth = 0; nth <= CALLS_MAX; nth++)
      fixing.world.write("worker_restart_exhausted", scan(`inc-${nth}`, `scan-${nth}`), spent);
    fixing.world.read();
    expect(toldIn(fixing)).toHaveLength(CALLS_MAX + 1);
    fixing.simulation.offer({ kind: "call-old", subject: "worker:scan-0" });
    fixing.simulation.offer({ kind: "call-old", subject: "worker:scan-1" });
    expect(fixing.world.calls()).toHaveLength(CALLS_MAX);
    fixing.world.write("worker_restarted", scan("inc-0", "scan-0"));
    fixing.world.read();
    expect(toldIn(fixing)).toHaveLength(CALLS_MAX + 1);
  });

  test("expires after thirty days, without a word that it is over", () => {
    const fixing = makeFixing();
    fixing.world.write("worker_restart_exhausted", scan(), spent);
    fixing.world.read();
    fixing.simulation.advance(30 * DAY_MS - 1);
    fixing.simulation.offer({ kind: "call-old", subject: "worker:scan-1" });
    expect(fixing.world.calls()).toHaveLength(1);
    fixing.simulation.advance(1);
    fixing.simulation.offer({ kind: "call-old", subject: "worker:scan-1" });
    expect(fixing.world.calls()).toEqual([]);
    expect(fixing.simulation.part<CallsPart>("calls")?.open).toEqual([]);
    expect(toldIn(fixing)).toHaveLength(1);
  });
});
