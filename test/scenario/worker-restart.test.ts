/**
 * Guarantee: every death that is told ends in exactly one restart, one deferral with a reason, or one refusal, wherever
 * the daemon is killed.
 */
import { describe, expect, test } from "vitest";
import { withEveryCrash } from "./simulation.js";
import { endOf, type Fleet, makeFleet } from "./worker-restart-world.js";

/** Runs a scenario as it is and with a crash after each effect; every end must be the same. */
async function scenario(policy: Readonly<Record<string, unknown>>, script: (fleet: Fleet) => void | Promise<void>) {
  return await withEveryCrash(
    async (crashAfter) => {
      const fleet = makeFleet(policy, crashAfter);
      await script(fleet);
      await fleet.simulation.settle();
      return { performed: fleet.simulation.performed, end: endOf(fleet) };
    },
    (end, expected, crashAfter) => expect(end, `crash after effect ${crashAfter}`).toEqual(expected),
  );
}

const SCAN_1 = { worker_id: "scan-1", worker_type: "scan-worker", task_id: null };

/** Somebody forces a restart of a worker that heeds no signal, five seconds ago. */
function forcedWhileDeaf() {
  const fleet = makeFleet({ success_after_seconds: 5 });
  const { simulation, world } = fleet;
  world.filePersons("scan-1");
  simulation.advance(60_000);
  world.deaf = true;
  world.filePersons("scan-1", { force: true });
  simulation.advance(5_000);
  return fleet;
}

/** And takes it back. */
function takeBack(
  simulation: ReturnType<typeof makeFleet>["simulation"],
  world: ReturnType<typeof makeFleet>["world"],
): void {
  world.queue.clear();
  simulation.offer({ kind: "request-gone", ...SCAN_1, name: "scan-1-restart.json" });
}

describe("a worker that died", () => {
  test("comes back once, at once, and is a success when it has lived for long enough", async () => {
    const end = await scenario({ success_after_seconds: 30 }, ({ simulation, world }) => {
      world.fileDeath("scan-1", 1);
      expect(world.alive()).toEqual(["scan-1.2"]);
      simulation.advance(29_000);
      expect(world.history).toEqual([]);
      simulation.advance(2_000);
    });
    expect(end.attempts).toEqual(["scan-1.2 lives"]);
    expect(end.history).toEqual(["scan-1.2 success restarted"]);
    expect(end.settled).toEqual(["done restarted"]);
    expect(end.events).toEqual([
      "worker_restart_queued scan-1 exited",
      "worker_restart_started scan-1 ",
      "worker_restarted scan-1 ",
    ]);
  });

  test("is started once for one death, however often the death is told", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.fileDeath("scan-1", 1);
      simulation.advance(100);
      world.fileDeath("scan-1", 1);
      simulation.advance(40_000);
    });
    expect(end.attempts).toEqual(["scan-1.2 lives"]);
    expect(end.settled).toEqual(["done duplicate", "done restarted"]);
  });

  test("must have beaten to be a success, where beats are required", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.mustBeat = true;
      world.fileDeath("scan-1", 1);
      simulation.advance(120_000);
      expect(world.history).toEqual([]);
      world.attemptOf("scan-1").beaten = true;
      simulation.advance(20_000);
    });
    expect(end.history).toEqual(["scan-1.2 success restarted"]);
  });

  test("waits the interval before the second retry, and longer before the third", async () => {
    const end = await scenario(
      { retry_interval_seconds: 60, backoff_multiplier: 2, max_retries: 9 },
      ({ simulation, world }) => {
        world.fileDeath("scan-1", 1);
        simulation.advance(5_000);
        world.die("scan-1");
        simulation.advance(59_000);
        expect(world.alive()).toEqual([]);
        simulation.advance(2_000);
        expect(world.alive()).toEqual(["scan-1.3"]);
        world.die("scan-1");
        simulation.advance(118_000);
        expect(world.alive()).toEqual([]);
        simulation.advance(4_000);
      },
    );
    expect(end.attempts.at(-1)).toBe("scan-1.4 lives");
    expect(end.history).toEqual(["scan-1.2 failure exited", "scan-1.3 failure exited"]);
  });

  test("that exits fast by itself waits the interval already before the first retry", async () => {
    const end = await scenario({ retry_interval_seconds: 60 }, ({ simulation, world }) => {
      world.fileDeath("scan-1", 1, { ended: { exit_code: 1, ran_ms: 500, by_itself: true } });
      expect(world.alive()).toEqual([]);
      simulation.advance(61_000);
    });
    expect(end.attempts).toEqual(["scan-1.2 lives"]);
    expect(end.events).toContain("worker_restart_deferred scan-1 backoff");
  });

  test("comes back once though the disk is full right after its request was claimed", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.stormsAfterClaim = 2;
      world.fileDeath("scan-1", 1);
      simulation.advance(40_000);
    });
    expect(end.attempts).toEqual(["scan-1.2 lives"]);
    expect(end.settled).toEqual(["done restarted"]);
    expect(end.claimed).toBe(0);
  });

  test("soon after its success has relapsed, and that success counts no more", async () => {
    const end = await scenario({ retry_reset_seconds: 600 }, ({ simulation, world }) => {
      world.fileDeath("scan-1", 1);
      simulation.advance(100_000);
      world.die("scan-1", { ended: { exit_code: 1, ran_ms: 100_000, by_itself: false } });
      simulation.advance(1_000);
      expect(simulation.part("fleet")).toMatchObject({ attempted: 1, succeeded: 0, failed: 1 });
    });
    expect(end.history).toEqual(["scan-1.2 success restarted", "scan-1.2 failure relapsed"]);
  });

  test("after a stable run has all its retries again", async () => {
    const end = await scenario({ retry_reset_seconds: 600, max_retries: 1 }, ({ simulation, world }) => {
      world.fileDeath("scan-1", 1);
      simulation.advance(700_000);
      world.die("scan-1", { ended: { exit_code: 1, ran_ms: 700_000, by_itself: false } });
      simulation.advance(1_000);
    });
    expect(end.attempts.at(-1)).toBe("scan-1.3 lives");
    expect(end.history).toEqual(["scan-1.2 success restarted"]);
  });

  test("by a reboot of the host spends no retry and teaches the breaker nothing", async () => {
    const end = await scenario({ max_retries: 1, circuit_breaker_threshold: 1 }, ({ simulation, world }) => {
      world.fileDeath("scan-1", 1);
      simulation.advance(1_000);
      world.die("scan-1", { reason: "host_reboot", spends: false });
      simulation.advance(1_000);
      world.die("scan-1", { reason: "host_reboot", spends: false });
      simulation.advance(1_000);
    });
    expect(end.attempts.at(-1)).toBe("scan-1.4 lives");
    expect(end.history).toEqual([]);
    expect(end.breakers).toEqual({});
  });
});

describe("retries", () => {
  test("that are spent are said once, and a probe follows that doubles its wait", async () => {
    const policy = { max_retries: 1, exhausted_probe_seconds: 900, exhausted_probe_max_seconds: 14_400 };
    const end = await scenario(policy, ({ simulation, world }) => {
      world.fileDeath("scan-1", 1);
      simulation.advance(1_000);
      world.die("scan-1");
      simulation.advance(890_000);
      expect(world.alive()).toEqual([]);
      simulation.advance(15_000);
      expect(world.alive()).toEqual(["scan-1.3"]);
      world.die("scan-1");
      simulation.advance(1_700_000);
      expect(world.alive()).toEqual([]);
      simulation.advance(150_000);
    });
    expect(end.attempts.at(-1)).toBe("scan-1.4 lives");
    expect(end.events.filter((event) => event.startsWith("worker_restart_exhausted"))).toHaveLength(1);
    expect(end.given_up).toEqual(["scan-1.2"]);
  });

  test("are not asked for when a person wants the restart, and not spent by it", async () => {
    const end = await scenario({ max_retries: 0 }, ({ simulation, world }) => {
      world.fileDeath("scan-1", 1);
      simulation.advance(1_000);
      expect(world.alive()).toEqual([]);
      world.filePersons("scan-1");
      simulation.advance(1_000);
      expect(simulation.part("worker:scan-1")).toMatchObject({ attempts: 0, lifetime: 0 });
    });
    expect(end.attempts).toEqual(["scan-1.1 lives"]);
  });

  test("a budget that is spent is said once and passes when its window has moved on", async () => {
    const policy = {
      max_retries: 50,
      retry_interval_seconds: 0,
      restart_budgets: [{ max: 2, window_seconds: 3600 }],
      poison_task: { deaths: 0 },
    };
    const end = await scenario(policy, ({ simulation, world }) => {
      world.fileDeath("scan-1", 1);
      simulation.advance(5_000);
      world.die("scan-1");
      simulation.advance(5_000);
      world.die("scan-1");
      simulation.advance(3_000_000);
      expect(world.alive()).toEqual([]);
      simulation.advance(700_000);
    });
    expect(end.attempts.at(-1)).toBe("scan-1.4 lives");
    expect(end.events.filter((event) => event.startsWith("worker_restart_exhausted"))).toEqual([
      "worker_restart_exhausted scan-1 budgets",
    ]);
  });
});

describe("a gate that does not pass", () => {
  test("keeps the request in the queue, says why once, and lets it through when it changes", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.facts = { hold: { name: "all", why: "a person looks", until_ms: simulation.nowMs + 3_600_000 } };
      world.fileDeath("scan-1", 1);
      simulation.advance(5_000);
      world.noticeAll();
      expect(world.queue.get("scan-1-restart.json")?.deferred?.gate).toBe("holds");
      expect(world.alive()).toEqual([]);
      world.facts = {};
      world.noticeAll();
    });
    expect(end.attempts).toEqual(["scan-1.2 lives"]);
    expect(end.events.filter((event) => event.includes("deferred"))).toEqual(["worker_restart_deferred scan-1 holds"]);
  });

  test("lets nobody through while the host goes down, not even for a person, and everybody when that is called off", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.facts = { host: "stopping" };
      world.fileDeath("scan-1", 1);
      world.filePersons("scan-2", { force: true, override: ["host"] });
      simulation.advance(7_200_000);
      world.noticeAll();
      expect(world.alive()).toEqual([]);
      expect(simulation.part("worker:scan-1")).toMatchObject({ attempts: 0, waiting: { gate: "host", count: 1 } });
      world.facts = { host: "running" };
      world.noticeAll();
    });
    expect(end.attempts).toContain("scan-1.2 lives");
    expect(end.attempts).toHaveLength(1);
    expect(end.events.filter((event) => event.includes("deferred"))).toEqual([
      "worker_restart_deferred scan-1 host",
      "worker_restart_deferred scan-2 host",
    ]);
  });

  test("is named again in a request that a person has written anew", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.facts = { hold: { name: "all", why: "a person looks", until_ms: simulation.nowMs + 3_600_000 } };
      world.fileDeath("scan-1", 1);
      simulation.advance(5_000);
      world.filePersons("scan-1", { attempt: 1, reason: "retry" });
      simulation.advance(1_000);
    });
    expect(end.waiting).toEqual(["scan-1-restart.json holds"]);
    expect(end.events.filter((event) => event.includes("deferred"))).toEqual(["worker_restart_deferred scan-1 holds"]);
  });

  test("is asked again by itself when its time has come", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.fileDeath("scan-1", 1, { not_before_ms: simulation.nowMs + 60_000 });
      simulation.advance(59_000);
      expect(world.alive()).toEqual([]);
      simulation.advance(2_000);
    });
    expect(end.attempts).toEqual(["scan-1.2 lives"]);
  });

  test("for a time that is more than a month ahead warns of it, once, and only then", async () => {
    const DAY_MS = 86_400_000;
    for (const [days, severity] of [
      [29, "info"],
      [31, "warning"],
    ] as const) {
      const end = await scenario({}, ({ simulation, world }) => {
        world.fileDeath("scan-1", 1, { not_before_ms: simulation.nowMs + days * DAY_MS });
        simulation.advance(60_000);
        world.noticeAll();
        const [waits, ...others] = world.events.filter(({ type }) => type === "worker_restart_deferred");
        expect({ severity: waits?.severity, others }).toEqual({ severity, others: [] });
        expect(/; not_before is \S+, more than 30 days ahead$/.test(waits?.message ?? "")).toBe(days > 30);
      });
      expect(end.waiting).toEqual(["scan-1-restart.json not_before"]);
    }
  });

  test("is named no_template where it is not known how to start the worker, and that is no attempt", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.facts = { unlaunchable: "there is no template and no launch block" };
      world.fileDeath("scan-1", 1);
      simulation.advance(3_600_000);
      expect(simulation.part("worker:scan-1")).toMatchObject({ attempts: 0 });
    });
    expect(end.waiting).toEqual(["scan-1-restart.json no_template"]);
    expect(end.events).toEqual(["worker_restart_deferred scan-1 no_template", "worker_restart_queued scan-1 exited"]);
  });

  test("for exit 78 waits for a change of the worker's files and for nothing else", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.fileDeath("scan-1", 1, { ended: { exit_code: 78, ran_ms: 20_000, by_itself: true } });
      simulation.advance(7_200_000);
      world.noticeAll();
      expect(world.alive()).toEqual([]);
      world.facts = { files: "v2" };
      world.noticeAll();
    });
    expect(end.attempts).toEqual(["scan-1.2 lives"]);
  });

  test("of the host is not asked in a decision from before it was", () => {
    const { simulation, world } = makeFleet({});
    world.facts = { host: undefined, requires: [{ what: "tcp localhost:5432", met: false }] } as never;
    world.fileDeath("scan-1", 1);
    simulation.advance(10);
    expect(world.decisions.at(-1)?.gates[0]).toMatchObject({ gate: "holds" });
  });

  test("records every gate up to the first that fails, in the fixed order", async () => {
    const { simulation, world } = makeFleet({});
    world.facts = { requires: [{ what: "tcp localhost:5432", met: false }] };
    world.fileDeath("scan-1", 1);
    simulation.advance(10);
    const gates = world.decisions.at(-1)?.gates ?? [];
    expect(gates.map(({ gate, passed }) => `${gate} ${passed}`)).toEqual([
      ...[
        "host",
        "holds",
        "desired",
        "enabled",
        "when",
        "exit_class",
        "expired",
        "not_before",
        "duplicate",
        "running",
      ].map((gate) => `${gate} true`),
      "requires false",
    ]);
  });
});

describe("a request", () => {
  test("for a live worker is done: it is already running", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.filePersons("scan-1");
      simulation.advance(1_000);
      world.filePersons("scan-1");
    });
    expect(end.attempts).toEqual(["scan-1.1 lives"]);
    expect(end.settled).toEqual(["done already_running"]);
    expect(end.claimed).toBe(1);
  });

  test("with force ends the old attempt once, starts the next when it is gone, and nobody learns from it", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.filePersons("scan-1");
      simulation.advance(60_000);
      world.filePersons("scan-1", { force: true });
      simulation.advance(500);
      world.attemptOf("scan-1").spec = "zombie";
      simulation.advance(3_000);
      world.fileDeath("scan-1", 1);
      simulation.advance(1_000);
    });
    expect(end.attempts).toEqual(["scan-1.1 ended", "scan-1.2 lives"]);
    expect(end.signals).toEqual(["scan-1.1"]);
    expect(end.history).toEqual(["scan-1.1 success restarted"]);
  });

  test("with force gives the old attempt its grace by a clock that does not step", async () => {
    const { simulation, world } = forcedWhileDeaf();
    simulation.stepWall(3_000_000);
    simulation.advance(5_000);
    expect(Math.max(...world.endings)).toBeLessThanOrEqual(10_000);
    simulation.crash();
    simulation.stepWall(-3_000_000);
    simulation.advance(25_000);
    expect(world.endings).toEqual([...world.endings].sort((a, b) => a - b));
    expect(world.endings.at(-1)).toBeGreaterThanOrEqual(33_000);
  });

  test("with force that follows one which was taken back gives the old attempt its whole grace", async () => {
    const { simulation, world } = forcedWhileDeaf();
    takeBack(simulation, world);
    simulation.advance(600_000);
    const before = world.endings.length;
    world.filePersons("scan-1", { force: true });
    expect(world.endings.slice(before)).toEqual([0]);
  });

  test("with force keeps the grace that has begun when a second request for the worker comes", () => {
    const { simulation, world } = forcedWhileDeaf();
    world.file("scan-1-again.json", SCAN_1, { force: true, by_person: true });
    simulation.advance(5_000);
    expect(world.endings).toEqual([...world.endings].sort((a, b) => a - b));
    expect(world.endings.at(-1)).toBeGreaterThanOrEqual(9_000);
  });

  test("with force that expired under a hold ends nobody, though an earlier one had begun to", () => {
    const { simulation, world } = forcedWhileDeaf();
    takeBack(simulation, world);
    const before = world.endings.length;
    world.facts = { hold: { name: "h", why: "", until_ms: simulation.nowMs + 86_400_000 } };
    world.filePersons("scan-1", { force: true, expires_at_ms: simulation.nowMs + 3_600_000 });
    simulation.advance(7_200_000);
    world.facts = {};
    world.noticeAll();
    simulation.advance(10_000);
    expect(world.endings).toHaveLength(before);
    expect(world.queue.size).toBe(0);
  });

  test("with force before the old attempt has proved itself leaves no claim of it behind", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.fileDeath("scan-1", 1);
      simulation.advance(5_000);
      world.filePersons("scan-1", { force: true, attempt: 2 });
      simulation.advance(500);
      world.attemptOf("scan-1").spec = "completed";
      simulation.advance(40_000);
    });
    expect(end.attempts).toEqual(["scan-1.2 ended", "scan-1.3 lives"]);
    expect(end.settled).toEqual(["done interrupted", "done restarted"]);
    expect(end.claimed).toBe(0);
  });

  test("with force that expires while its old attempt is being ended is carried through", async () => {
    const end = await scenario({ success_after_seconds: 5 }, ({ simulation, world }) => {
      world.filePersons("scan-1");
      simulation.advance(60_000);
      world.deaf = true;
      world.filePersons("scan-1", { force: true, expires_at_ms: simulation.nowMs + 5_000 });
      simulation.advance(8_000);
      world.attemptOf("scan-1").alive = false;
      world.attemptOf("scan-1").spec = "completed";
      simulation.advance(20_000);
    });
    expect(end.attempts).toEqual(["scan-1.1 ended", "scan-1.2 lives"]);
    expect(end.events.filter((line) => line.includes("refused"))).toEqual([]);
  });

  test("of a person's that tells of a crash counts it like any other, and spends no retry", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.fileDeath("scan-1", 1);
      simulation.advance(10_000);
      const { attempts } = simulation.part("worker:scan-1") as { readonly attempts: number };
      world.die("scan-1", { by_person: true, requested_by: "person:ops", spends: false, tells_of: "signal" });
      simulation.advance(60_000);
      expect(simulation.part("worker:scan-1")).toMatchObject({ attempts, died: 2 });
    });
    expect(end.history).toEqual(["scan-1.2 failure signal", "scan-1.3 success restarted"]);
    expect(end.claimed).toBe(0);
  });

  test("that tells late of an earlier death does not take its probation from the attempt that runs", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.filePersons("scan-1");
      simulation.advance(60_000);
      world.filePersons("scan-1", { force: true });
      simulation.advance(500);
      world.attemptOf("scan-1").spec = "zombie";
      simulation.advance(3_000);
      world.fileDeath("scan-1", 1);
      simulation.advance(60_000);
    });
    expect(end.history).toEqual(["scan-1.1 success restarted", "scan-1.2 success restarted"]);
    expect(end.claimed).toBe(0);
  });

  test("that has expired is refused", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.filePersons("scan-1", { expires_at_ms: simulation.nowMs - 1 });
    });
    expect(end.settled).toEqual(["done expired"]);
    expect(end.events).toContain("worker_restart_refused scan-1 expired");
  });

  test("that a person takes out of the queue is withdrawn, and nothing is started later", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.fileDeath("scan-1", 1, { not_before_ms: simulation.nowMs + 10_000 });
      world.queue.clear();
      simulation.advance(60_000);
    });
    expect(end.attempts).toEqual([]);
    expect(end.events).toContain("worker_restart_refused scan-1 withdrawn");
  });

  test("that is none is kept with its reason", async () => {
    const end = await scenario({}, ({ simulation }) => {
      simulation.offer({ kind: "request-unreadable", name: "evil-restart.json", why: "worker_id must match" });
    });
    expect(end.rejected).toEqual(["evil-restart.json"]);
    expect(end.events).toEqual(["record_refused  unreadable"]);
  });

  test("whose start fails is put back, costs a retry, and is tried again after the delay", async () => {
    const end = await scenario({ retry_interval_seconds: 60 }, ({ simulation, world }) => {
      world.noStartsBeforeMs = simulation.nowMs + 1000;
      world.fileDeath("scan-1", 1);
      simulation.advance(59_000);
      expect(world.attempts).toEqual([]);
      expect(simulation.part("fleet")).toMatchObject({ attempted: 1, succeeded: 0, failed: 1 });
      simulation.advance(2_000);
      expect(simulation.part("fleet")).toMatchObject({ attempted: 2, succeeded: 0, failed: 1 });
    });
    expect(end.attempts).toEqual(["scan-1.2 lives"]);
    expect(end.history).toEqual(["scan-1.2 failure not_started"]);
    expect(end.claimed).toBe(1);
  });

  test.each([
    ["", []],
    [", though it passes over every delay by name", ["backoff", "circuit_breaker"]],
  ])(
    "that a person made, and whose start fails, is tried again after the interval, and opens no breaker meanwhile%s",
    async (_, override) => {
      const end = await scenario({ retry_interval_seconds: 60 }, ({ simulation, world }) => {
        world.noStartsBeforeMs = simulation.nowMs + 1000;
        world.filePersons("scan-1", { attempt: 1, override });
        simulation.advance(59_000);
        expect(simulation.part("fleet")).toMatchObject({ attempted: 1, failed: 1 });
        expect([...world.queue.values()].map(({ deferred }) => deferred?.gate)).toEqual(["backoff"]);
        simulation.advance(2_000);
      });
      expect(end.attempts).toEqual(["scan-1.2 lives"]);
      expect(end.history).toEqual(["scan-1.2 failure not_started"]);
    },
  );

  test("waits when hooks/before_restart says later", async () => {
    const end = await scenario({}, async ({ simulation, world }) => {
      world.facts = { hook: true };
      world.hookSaysLater = true;
      world.fileDeath("scan-1", 1);
      await simulation.settle();
      expect(world.alive()).toEqual([]);
      world.hookSaysLater = false;
      simulation.advance(11_000);
      await simulation.settle();
      await simulation.settle();
    });
    expect(end.attempts).toEqual(["scan-1.2 lives"]);
  });

  test("with force leaves the old attempt running for as long as hooks/before_restart says later", async () => {
    const end = await scenario({}, async ({ simulation, world }) => {
      world.fileDeath("scan-1", 1);
      simulation.advance(31_000);
      world.facts = { hook: true };
      world.hookSaysLater = true;
      world.filePersons("scan-1", { force: true });
      await simulation.settle();
      simulation.advance(5_000);
      expect(world.alive()).toEqual(["scan-1.2"]);
      world.hookSaysLater = false;
      simulation.advance(11_000);
      await simulation.settle();
      await simulation.settle();
      world.attemptOf("scan-1").spec = "zombie";
      simulation.advance(5_000);
    });
    expect(end.attempts).toEqual(["scan-1.2 ended", "scan-1.3 lives"]);
  });
});
