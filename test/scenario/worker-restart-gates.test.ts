/** Guarantee: a restart that must not happen does not, says why, and ends or waits as its gate demands. */
import { describe, expect, test } from "vitest";
import { withEveryCrash } from "./simulation.js";
import { endOf, type Fleet, makeFleet } from "./worker-restart-world.js";

async function scenario(policy: Readonly<Record<string, unknown>>, script: (fleet: Fleet) => void) {
  return await withEveryCrash(
    async (crashAfter) => {
      const fleet = makeFleet(policy, crashAfter);
      script(fleet);
      await fleet.simulation.settle();
      return { performed: fleet.simulation.performed, end: endOf(fleet) };
    },
    (end, expected, crashAfter) => expect(end, `crash after effect ${crashAfter}`).toEqual(expected),
  );
}

describe("a restart", () => {
  test("of a worker past its deadline is abandoned, with a record of what was given up", async () => {
    const end = await scenario({ deadline_buffer_seconds: 600 }, ({ simulation, world }) => {
      world.facts = { deadline_ms: simulation.nowMs + 599_000 };
      world.fileDeath("scan-1", 1);
    });
    expect(end.settled).toEqual(["done abandoned"]);
    expect(end.given_up).toEqual(["scan-1.1"]);
  });

  test("of a worker whose restart.when is never is refused, but a person may ask for it", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.facts = { when: "never" };
      world.fileDeath("scan-1", 1);
      simulation.advance(1_000);
      world.filePersons("scan-1", { attempt: 1 });
    });
    expect(end.settled).toEqual(["done refused"]);
    expect(end.attempts).toEqual(["scan-1.2 lives"]);
  });

  test("of a worker that ended well is refused where restarts are for failures", async () => {
    const end = await scenario({}, ({ world }) => {
      world.fileDeath("scan-1", 1, { ended: { exit_code: 0, ran_ms: 20_000, by_itself: true } });
    });
    expect(end.settled).toEqual(["done refused"]);
  });

  test("of a hung worker that left with 0 when it was told to stop is a restart all the same", async () => {
    const end = await scenario({}, ({ world }) => {
      world.fileDeath("scan-1", 1, { ended: { exit_code: 0, ran_ms: 20_000, by_itself: false } });
    });
    expect(end.attempts).toEqual(["scan-1.2 lives"]);
  });

  test("is held up by no rate limit where the policy has none, and none is kept count of", async () => {
    const lifted = { global_per_minute: null, per_type_per_minute: null, per_task_min_interval_seconds: 0 };
    const end = await scenario({ rate_limits: lifted, max_concurrent_restarts: 100 }, ({ simulation, world }) => {
      for (let nth = 1; nth <= 30; nth++) world.fileDeath(`scan-${nth}`, 1);
      simulation.advance(1_000);
      expect(simulation.part("fleet")).toMatchObject({ starts: [] });
    });
    expect(end.attempts).toHaveLength(30);
  });

  test("that finds no tokens gives its share of the limits back: the next try is half a minute later", async () => {
    const limits = { per_task_min_interval_seconds: 300, global_per_minute: 1, per_type_per_minute: 1 };
    const end = await scenario({ rate_limits: limits }, ({ simulation, world }) => {
      world.noTokensBeforeMs = simulation.nowMs + 45_000;
      world.fileDeath("scan-1", 1, { task_id: "task-1" });
      simulation.advance(59_000);
      expect(world.alive()).toEqual([]);
      simulation.advance(3_000);
    });
    expect(end.attempts).toEqual(["scan-1.2 lives"]);
  });

  test("that is a probe of an exhausted worker and finds no tokens is no probe that was made", async () => {
    const end = await scenario({ max_retries: 1, exhausted_probe_seconds: 900 }, ({ simulation, world }) => {
      world.facts = { attempts: 1 };
      world.fileDeath("scan-1", 1);
      world.noTokensBeforeMs = simulation.nowMs + 905_000;
      simulation.advance(925_000);
      expect(simulation.part("worker:scan-1")).toMatchObject({ exhausted: { probes: 0 } });
      expect(world.alive()).toEqual([]);
      simulation.advance(10_000);
    });
    expect(end.attempts).toEqual(["scan-1.2 lives"]);
  });

  test("waits for tokens, asks again by itself, and costs nothing meanwhile", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.facts = { tokens: { wanted: 8000, left: 100 } };
      world.fileDeath("scan-1", 1);
      simulation.advance(20_000);
      expect(simulation.part("worker:scan-1")).toMatchObject({ attempts: 0 });
      world.facts = { tokens: { wanted: 8000, left: 9000 } };
      simulation.advance(15_000);
    });
    expect(end.attempts).toEqual(["scan-1.2 lives"]);
  });

  test("waits while a person wants the worker stopped, and follows when that changes", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.facts = { desired: "stopped" };
      world.fileDeath("scan-1", 1);
      simulation.advance(7_200_000);
      expect(world.alive()).toEqual([]);
      world.facts = { desired: "running" };
      world.noticeAll();
    });
    expect(end.attempts).toEqual(["scan-1.2 lives"]);
  });

  test("waits while restarts are switched off by policy", async () => {
    const end = await scenario({ enabled: false }, ({ simulation, world }) => {
      world.fileDeath("scan-1", 1);
      simulation.advance(60_000);
    });
    expect(end.waiting).toEqual(["scan-1-restart.json enabled"]);
  });

  test("waits for processes of an earlier attempt to go", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.facts = { survivors: [4711] };
      world.fileDeath("scan-1", 1);
      simulation.advance(5_000);
      expect(world.alive()).toEqual([]);
      world.facts = {};
      simulation.advance(2_000);
    });
    expect(end.attempts).toEqual(["scan-1.2 lives"]);
    expect(end.signals).toEqual([]);
  });

  test("asked for twice under two names waits under the first", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.facts = { requires: [{ what: "path /data", met: false }] };
      world.fileDeath("scan-1", 1);
      const subject = { worker_id: "scan-1", worker_type: "scan-worker", task_id: null };
      world.file("please-restart.json", subject, { by_person: true, spends: false, attempt: 1 });
      simulation.advance(1_000);
    });
    expect(end.waiting).toEqual(["scan-1-restart.json requires"]);
    expect(end.settled).toEqual(["done superseded"]);
  });

  test.each([
    ["at once", {}],
    ["after its hook has spoken", { hook: true }],
  ])(
    "asked for under a second name that passes all gates is made %s, and the first is done with it",
    async (_, facts) => {
      const end = await scenario({ retry_interval_seconds: 600 }, ({ simulation, world }) => {
        world.facts = facts;
        world.fileDeath("scan-1", 1, { ended: { exit_code: 1, ran_ms: 10, by_itself: true } });
        simulation.advance(1_000);
        expect([...world.queue.values()].map(({ deferred }) => deferred?.gate)).toEqual(["backoff"]);
        const subject = { worker_id: "scan-1", worker_type: "scan-worker", task_id: null };
        world.file("please-restart.json", subject, { by_person: true, spends: false, attempt: 1 });
        simulation.advance(1_000);
      });
      expect(end.attempts).toEqual(["scan-1.2 lives"]);
      expect(end.waiting).toEqual([]);
      expect(end.settled).toContain("done superseded");
    },
  );

  test("asked for by force under a second name takes the place of the one that waits", async () => {
    const end = await scenario({}, ({ simulation, world }) => {
      world.facts = { requires: [{ what: "path /data", met: false }] };
      world.fileDeath("scan-1", 1);
      simulation.advance(1_000);
      const subject = { worker_id: "scan-1", worker_type: "scan-worker", task_id: null };
      world.file("please-restart.json", subject, { by_person: true, spends: false, force: true, attempt: 1 });
      simulation.advance(1_000);
    });
    expect(end.waiting).toEqual(["please-restart.json requires"]);
    expect(end.settled).toEqual(["done superseded"]);
  });
});
