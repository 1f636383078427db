/** Guarantee: a fix is applied once, within every limit, proves itself or is taken back, and no kill leaves it half done. */
import { describe, expect, test } from "vitest";
import { autoFixCore } from "../../daemons/auto-fix/decide.js";
import type { Facts } from "../../daemons/auto-fix/messages.js";
import { type HealerPart, type RunPart, refOf } from "../../daemons/auto-fix/state.js";
import { scenario } from "./auto-fix-scenario.js";
import { endOf, type Fixing, makeFixing, policyOf } from "./auto-fix-world.js";

const LATER_MS = Date.parse("2026-11-25T00:00:00Z");
const WELL = { exposure_seconds: 3600, recurrences: 0, other_failures: 0, successes: 2 };
const ILL = { exposure_seconds: 600, recurrences: 3, other_failures: 0, successes: 0 };

describe("a fix that helps", () => {
  test("is applied once, found effective, releases those that wait, and is watched to the end of its window", async () => {
    const end = await scenario(({ world, simulation }) => {
      world.publish("p1");
      world.after = WELL;
      simulation.advance(700_000);
    });
    expect(end.limit).toBe(768);
    expect(end.writes).toBe(1);
    expect(end.phases).toEqual(["done effective"]);
    expect(end.history).toEqual(["success effective live"]);
    expect(end.trials).toBe(2);
    expect(end.open).toBe(0);
    expect(end.events).toEqual(["fix_applied applied", "fix_matched matched", "fix_verified fell"]);
  });

  test("is turned around by a recurrence within its window, and undone", async () => {
    const end = await scenario(({ world, simulation }) => {
      world.publish("p1");
      world.after = WELL;
      simulation.advance(120_000);
      world.after = { ...ILL, recurrences: 9, exposure_seconds: 3700 };
      simulation.advance(120_000);
    });
    expect(end.limit).toBe(512);
    expect(end.history).toEqual(["failure ineffective live", "success effective live", "undone ineffective live"]);
    expect(end.totals).toMatchObject({ fixes_effective: 0, fixes_ineffective: 1, fixes_undone: 1 });
  });
});

describe("a fix that does not help", () => {
  test("is undone at once, and a person is told the whole story after the second time", async () => {
    const end = await scenario(({ world, simulation }) => {
      world.publish("p1");
      world.after = ILL;
      simulation.advance(100_000);
      world.publish("p1");
      simulation.advance(200_000);
      world.publish("p1");
      simulation.advance(200_000);
      world.publish("p1");
      simulation.advance(200_000);
    });
    expect(end.limit).toBe(512);
    expect(end.writes).toBe(4);
    expect(end.totals).toMatchObject({ fixes_applied: 2, fixes_ineffective: 2, fixes_undone: 2 });
    expect(end.events.filter((event) => event.startsWith("escalation_opened"))).toHaveLength(1);
  });

  test("is inconclusive, and no success, when too little has happened", async () => {
    const end = await scenario(({ world, simulation }) => {
      world.publish("p1");
      simulation.advance(700_000);
    });
    expect(end.totals).toMatchObject({ fixes_effective: 0, fixes_inconclusive: 1 });
    expect(end.history).toEqual(["inconclusive inconclusive live"]);
    // It stays, as its rule says, and is not proposed again before the pattern comes back.
    expect(end.limit).toBe(768);
    expect(end.writes).toBe(1);
  });

  test("leaves a value alone that a person has changed since, and says so", async () => {
    const end = await scenario(({ world, simulation }) => {
      world.publish("p1");
      simulation.advance(1_000);
      world.templates.set("scan-worker|resources.memory_limit_mb", 2048);
      world.after = ILL;
      simulation.advance(100_000);
    });
    expect(end.limit).toBe(2048);
    expect(end.events).toContain("undo_conflict conflict");
    expect(end.events).toContain("escalation_opened person_needed");
  });
});

describe("a fix that cannot be applied", () => {
  test("fails, is not counted as applied, and calls a person", () => {
    const fixing = makeFixing();
    fixing.world.failsToApply = true;
    fixing.world.publish("p1");
    const end = endOf(fixing);
    expect(end.totals).toMatchObject({ fixes_applied: 0, fixes_failed: 1 });
    expect(end.events).toEqual(["escalation_opened person_needed", "fix_failed failed", "fix_matched matched"]);
    expect(end.open).toBe(0);
  });
});

describe("a fix of two steps", () => {
  const twoSteps = ({ world }: Fixing): void => {
    world.fix = { ...world.fix, actions: [...world.fix.actions, { type: "fallback-mode" }] };
  };

  test("that is killed half done is finished at the next start, each step once", async () => {
    const end = await scenario((fixing) => {
      twoSteps(fixing);
      fixing.world.publish("p1");
      fixing.world.after = WELL;
      fixing.simulation.advance(700_000);
    });
    expect(end.steps).toEqual(["apply 0", "apply 1"]);
    expect(end.totals).toMatchObject({ fixes_applied: 1, fixes_effective: 1 });
  });

  test("of which the second cannot be made is taken back, the first step once, and counts as failed", async () => {
    const end = await scenario((fixing) => {
      twoSteps(fixing);
      fixing.world.failsAtStep = 1;
      fixing.world.publish("p1");
    });
    expect(end.steps).toEqual(["apply 0", "undo 0"]);
    expect(end.limit).toBe(512);
    expect(end.totals).toMatchObject({ fixes_applied: 0, fixes_failed: 1, fixes_undone: 1 });
    expect(end.events).toContain("escalation_opened person_needed");
  });

  test("that did not help is taken back in the other order, each step once", async () => {
    const end = await scenario((fixing) => {
      twoSteps(fixing);
      fixing.world.publish("p1");
      fixing.world.after = ILL;
      fixing.simulation.advance(100_000);
      fixing.world.patterns.clear();
    });
    expect(end.steps).toEqual(["apply 0", "apply 1", "undo 1", "undo 0"]);
    expect(end.limit).toBe(512);
  });
});

describe("a fix in the middle band", () => {
  const looksWithin = (score: number, ms: number): number => {
    const { world, simulation } = makeFixing();
    world.fix = { ...world.fix, safety: { safety_score: score } };
    world.publish("p1");
    const before = simulation.performed;
    simulation.advance(ms);
    return simulation.performed - before;
  };

  test("is watched closely: looked at four times as often as one that is trusted", () => {
    const [trusted, watched] = [looksWithin(0.95, 241_000), looksWithin(0.8, 241_000)];
    // Of each look comes a measure and, as long as nothing was tried, a trial.
    expect(trusted).toBe(8);
    expect(watched).toBe(32);
  });

  test("says so", () => {
    const { world } = makeFixing();
    world.fix = { ...world.fix, safety: { safety_score: 0.8 } };
    world.publish("p1");
    expect(world.events.find(({ type }) => type === "fix_applied")?.message).toContain("watched closely for 600 s");
  });
});

describe("a fix that is rolled out to workers that run", () => {
  const rolled = (rolls: "well" | "ill") =>
    scenario(({ world, simulation }) => {
      world.rolls = rolls;
      world.publish("p1");
      simulation.advance(1_000);
    });

  test("goes on as any other when all of them are well with it", async () => {
    const end = await rolled("well");
    expect(end.limit).toBe(768);
    expect(end.phases).toEqual(["verifying "]);
    expect(end.events).toEqual(["fix_applied applied", "fix_matched matched"]);
  });

  test("is taken back at the first that is not, teaches nothing, and calls a person once", async () => {
    const end = await rolled("ill");
    expect([end.limit, end.writes, end.open]).toEqual([512, 2, 0]);
    expect(end.phases).toEqual(["done "]);
    expect(end.events).toEqual([
      "escalation_opened person_needed",
      "fix_applied applied",
      "fix_failed roll_stopped",
      "fix_matched matched",
      "fix_undone roll_stopped",
    ]);
    expect(end.totals).toMatchObject({ fixes_failed: 1, fixes_undone: 1, fixes_ineffective: 0 });
  });
});

describe("a dry run", () => {
  test("comes to the same decision, writes what it would do, spends a budget of its own, and changes nothing", async () => {
    const end = await scenario(
      ({ world, simulation }) => {
        world.publish("p1");
        simulation.advance(1_000);
        world.publish("p1");
      },
      { dry_run: true },
    );
    expect(end.writes).toBe(0);
    expect(end.history).toEqual(["success would_apply dry_run"]);
    expect(end.totals).toMatchObject({ fixes_applied: 0, fixes_dry_run: 1 });
    const { world } = makeFixing({ dry_run: true });
    world.publish("p1");
    expect(world.decisions[0]).toMatchObject({ verdict: "dry_run", mode: "dry_run" });
    expect(world.decisions[0]?.gates.map((gate) => gate.gate).at(-1)).toBe("quiet_moment");
    expect(world.healer().applied).toEqual([]);
    expect(world.healer().shadow).toHaveLength(1);
  });
});

describe("approval", () => {
  const asks = { approval: { expires_after_seconds: 3600 }, categories: { resource: { requires_approval: true } } };

  test("is waited for, and applies what was proposed", async () => {
    const end = await scenario(({ world, simulation }) => {
      world.publish("p1");
      expect(world.writes).toBe(0);
      simulation.advance(60_000);
      for (const run of [...world.pending]) world.approve(run);
      world.after = WELL;
      simulation.advance(700_000);
    }, asks);
    expect(end.limit).toBe(768);
    expect(end.events).toContain("fix_pending approval");
    expect(end.events.filter((event) => event === "fix_approved approved")).toHaveLength(1);
  });

  test("counts for nothing when its preconditions have changed meanwhile", () => {
    const { world } = makeFixing(asks);
    world.publish("p1");
    world.templates.set("scan-worker|resources.memory_limit_mb", 600);
    const [run = ""] = world.pending;
    world.approve(run);
    expect(world.templates.get("scan-worker|resources.memory_limit_mb")).toBe(600);
    expect(world.refused.get(run)).toMatch(/not any more as it was proposed/);
    expect(world.events.filter((event) => event.type === "fix_rejected")).toMatchObject([{ reason: "precondition" }]);
  });

  test("asks every gate again: a hold that came meanwhile forbids it", () => {
    const { world } = makeFixing(asks);
    world.publish("p1");
    world.facts = { hold: { name: "all", why: "", until_ms: LATER_MS } };
    const [run = ""] = world.pending;
    world.approve(run);
    expect(world.writes).toBe(0);
    expect(world.refused.get(run)).toMatch(/hold "all"/);
  });

  test("expires into an escalation, and is not asked for again at once", async () => {
    const end = await scenario(({ world, simulation }) => {
      world.publish("p1");
      simulation.advance(3_700_000);
      world.publish("p1");
    }, asks);
    expect(end.writes).toBe(0);
    expect(end.pending).toBe(0);
    expect(end.events.filter((event) => event.startsWith("fix_expired"))).toHaveLength(1);
    expect(end.events.filter((event) => event.startsWith("escalation_opened"))).toHaveLength(1);
    expect(end.events.filter((event) => event.startsWith("fix_pending"))).toHaveLength(1);
  });

  test("that comes after its time counts for nothing, also where the host has slept through it", () => {
    const { world, simulation } = makeFixing(asks);
    world.publish("p1");
    const [run = ""] = world.pending;
    // The timer counts the time in which the host was awake.
    simulation.stepWall(3_600_000);
    world.approve(run);
    expect(world.writes).toBe(0);
    expect(world.pending.size).toBe(0);
    expect(world.refused.get(run)).toMatch(/^it came after \S+Z, when the proposal ran out$/);
    expect(world.events.map(({ type }) => type)).toContain("fix_expired");
    expect(world.events.filter(({ type }) => type === "fix_approved")).toEqual([]);
  });

  test("given when the policy has become a dry run changes nothing, is answered, and leaves nothing waiting", () => {
    const { world, simulation } = makeFixing(asks);
    world.publish("p1");
    const [run = ""] = world.pending;
    simulation.setPolicy(policyOf({ ...asks, dry_run: true }));
    world.approve(run);
    expect(world.writes).toBe(0);
    expect(world.pending.size).toBe(0);
    expect(world.refused.get(run)).toBe("the policy says dry_run: nothing is changed");
    simulation.advance(4_000_000);
    expect(world.events.map(({ type }) => type)).not.toContain("fix_expired");
  });

  test("can be refused", () => {
    const { world, simulation } = makeFixing(asks);
    world.publish("p1");
    const run = world.run([...world.pending][0] ?? "");
    if (run === null) throw new Error("nothing was proposed");
    simulation.offer({
      kind: "declined",
      run_id: run.run_id,
      fix_id: run.fix_id,
      subject: run.subject,
      learn: run.learn,
      by: "ann",
    });
    expect(world.writes).toBe(0);
    expect(world.history.size).toBe(1);
    expect(world.events.filter((event) => event.type === "fix_rejected")).toMatchObject([{ reason: "rejected" }]);
  });
});

describe("a person's undo", () => {
  test("takes back a fix that had helped", async () => {
    const end = await scenario(({ world, simulation }) => {
      world.publish("p1");
      world.after = WELL;
      simulation.advance(700_000);
      const run = world.run([...world.runs.keys()][0] ?? "");
      if (run === null) throw new Error("nothing was applied");
      const { run_id, fix_id, subject, learn } = run;
      simulation.offer({ kind: "undo-asked", run_id, fix_id, subject, learn, by: "ann" });
    });
    expect(end.limit).toBe(512);
    expect(end.events).toContain("fix_undone person:ann");
  });

  test("is refused for what is undone already, so that it is told and counted once", () => {
    const { world, simulation } = makeFixing();
    world.publish("p1");
    const [run] = [...world.runs.keys()].map((id) => world.run(id));
    if (run == null) throw new Error("nothing was applied");
    const { run_id, fix_id, subject, learn } = run;
    for (const by of ["ann", "bob"]) simulation.offer({ kind: "undo-asked", run_id, fix_id, subject, learn, by });
    expect(world.events.filter(({ type }) => type === "fix_undone")).toHaveLength(1);
    expect(world.refused.get(run_id)).toBe("it is undone already");
    expect(world.healer().totals.fixes_undone).toBe(1);
  });
});

const withFacts =
  (facts: Partial<Facts>) =>
  ({ world }: Fixing): void => {
    world.facts = facts;
    world.publish("p1");
  };
const withScore =
  (safety_score: number) =>
  ({ world }: Fixing): void => {
    world.fix = { ...world.fix, safety: { safety_score } };
    world.publish("p1");
  };
const withoutTemplate = ({ world }: Fixing): void => {
  world.templates.clear();
  world.publish("p1");
};

describe("the gates", () => {
  const blockedBy = (
    script: (fixing: Fixing) => void,
    policy: Readonly<Record<string, unknown>> = {},
  ): string | undefined => {
    const fixing = makeFixing(policy);
    script(fixing);
    expect(fixing.world.writes).toBe(0);
    return fixing.world.decisions.at(-1)?.gates.find((gate) => !gate.passed)?.gate;
  };
  const HOUR_MS = 3_600_000;

  test.each<[string, (fixing: Fixing) => void, Readonly<Record<string, unknown>>?]>([
    ["enabled", ({ world }) => world.publish("p1"), { enabled: false }],
    ["host", withFacts({ host: "stopping" })],
    ["hold", withFacts({ hold: { name: "all", why: "", until_ms: LATER_MS } })],
    ["component", withFacts({ component: { name: "x", is_known: false, is_valid: true } })],
    ["category", ({ world }) => world.publish("p1"), { categories: { resource: { enabled: false } } }],
    ["confidence", ({ world }) => world.publish("p1", { confidence: 0.79 })],
    ["occurrences", ({ world }) => world.publish("p1", { total: 2 })],
    ["fresh", ({ world, simulation }) => world.publish("p1", { last_seen_ms: simulation.nowMs - 49 * HOUR_MS })],
    ["prerequisites", withFacts({ prerequisites: [{ what: "x", value: 0, met: false }] })],
    ["precondition", withoutTemplate],
    ["limit_hour", ({ world }) => world.publish("p1"), { max_fixes_per_hour: 0 }],
    ["limit_day", ({ world }) => world.publish("p1"), { max_fixes_per_day: 0 }],
    [
      "limit_category",
      ({ world }) => world.publish("p1"),
      { limits: { per_category: { resource: { max_fixes_per_day: 0 } } } },
    ],
    [
      "limit_worker_type",
      ({ world }) => world.publish("p1"),
      { limits: { per_worker_type: { "scan-worker": { max_fixes_per_hour: 0 } } } },
    ],
    ["limit_target", ({ world }) => world.publish("p1"), { limits: { per_target: { max_per_day: 0 } } }],
    ["limit_fix", ({ world }) => world.publish("p1"), { limits: { per_fix: { max_per_day: 0 } } }],
    ["blast_radius", withFacts({ affected: 6, fleet: 10 })],
    ["memory_commit", withFacts({ memory: { committed_mb: 900, host_mb: 1000 } })],
    ["safety_band", withScore(0.4)],
    ["approval", withScore(0.6)],
  ])("%s keeps a fix back, and is the last in the record", (gate, script, policy) => {
    expect(blockedBy(script, policy)).toBe(gate);
  });

  test("keep a fix back while the host goes down, say so once, and let it through when that is called off", () => {
    const { world, simulation } = makeFixing();
    world.facts = { host: "stopping" };
    world.publish("p1");
    simulation.advance(HOUR_MS);
    expect(world.writes).toBe(0);
    world.facts = { host: "running" };
    world.publish("p1");
    expect(world.writes).toBe(1);
    expect(world.events.filter(({ type }) => type === "fix_suppressed")).toMatchObject([{ reason: "host" }]);
  });

  test("let no second fix into the window of another on the same target", () => {
    const { world } = makeFixing();
    world.publish("p1");
    world.publish("p2");
    expect(world.writes).toBe(1);
    expect(world.decisions.at(-1)?.gates.at(-1)).toMatchObject({ gate: "in_window", passed: false });
  });

  test("never let more than ten fixes through in any hour", () => {
    const { world, simulation } = makeFixing({
      max_concurrent_fixes: 1000,
      max_fixes_per_day: 1000,
      blast_radius: { max_workers_per_hour: 1000, min_workers: 1000 },
    });
    const applied: number[] = [];
    for (let nth = 0; nth < 60; nth++) {
      const scope = `type-${nth}`;
      world.templates.set(`${scope}|resources.memory_limit_mb`, 512);
      const before = world.writes;
      world.publish(`p${nth}`, { scope });
      if (world.writes > before) applied.push(simulation.nowMs);
      simulation.advance(240_000);
    }
    expect(applied.length).toBeGreaterThan(10);
    for (const at of applied)
      expect(applied.filter((other) => other > at - HOUR_MS && other <= at).length).toBeLessThanOrEqual(10);
  });

  test("stop the healer when half of its last fixes did not help, and it says so", () => {
    const { world, simulation } = makeFixing({
      breaker: { window_fixes: 4, ineffective_fraction: 0.5 },
      undo: { max_attempts: 0 },
    });
    world.after = ILL;
    for (let nth = 0; nth < 5; nth++) {
      const scope = `type-${nth}`;
      world.templates.set(`${scope}|resources.memory_limit_mb`, 512);
      // Distrust comes first; here the brake alone is asked.
      world.fix = { ...world.fix, fix_id: `raise-${nth}` };
      world.publish(`p${nth}`, { scope });
      simulation.advance(120_000);
    }
    expect(world.healer().totals.fixes_applied).toBe(4);
    expect(
      world.decisions
        .filter((each) => each.verdict === "suppress")
        .at(-1)
        ?.gates.at(-1),
    ).toMatchObject({ gate: "breaker", passed: false });
    expect(world.events.filter((event) => event.message.includes("stopped itself"))).toHaveLength(1);
    simulation.offer({ kind: "person-clears-breaker", by: "ann" });
    simulation.advance(61_000);
    expect(world.healer().totals.fixes_applied).toBe(5);
  });

  test("stop the healer by fixes that were all turned around: each counts once, by its last verdict", () => {
    const { world, simulation } = makeFixing({
      breaker: { window_fixes: 6, ineffective_fraction: 0.6 },
      undo: { max_attempts: 0 },
    });
    for (let nth = 0; nth < 12; nth++) {
      const scope = `type-${nth}`;
      world.templates.set(`${scope}|resources.memory_limit_mb`, 512);
      world.fix = { ...world.fix, fix_id: `raise-${nth}` };
      world.publish(`p${nth}`, { scope });
      world.after = WELL;
      simulation.advance(120_000);
      world.after = { ...ILL, recurrences: 9, exposure_seconds: 3700 };
      simulation.advance(HOUR_MS);
    }
    expect(world.healer().totals).toMatchObject({ fixes_applied: 6, fixes_effective: 0, fixes_ineffective: 6 });
    expect(world.healer().verdicts.map(({ verdict }) => verdict)).toEqual(Array(6).fill("ineffective"));
  });

  test("stop the healer also when the fix that fills its window has helped, and it says so", () => {
    const { world, simulation } = makeFixing({
      breaker: { window_fixes: 3, ineffective_fraction: 0.6 },
      undo: { max_attempts: 0 },
    });
    for (const [nth, after] of [ILL, ILL, WELL].entries()) {
      const scope = `type-${nth}`;
      world.templates.set(`${scope}|resources.memory_limit_mb`, 512);
      world.fix = { ...world.fix, fix_id: `raise-${nth}` };
      world.publish(`p${nth}`, { scope });
      world.after = after;
      simulation.advance(120_000);
    }
    expect(world.healer().totals).toMatchObject({ fixes_effective: 1, fixes_ineffective: 2 });
    expect(world.healer().tripped_at_ms).not.toBeNull();
    expect(world.events.filter((event) => event.message.includes("stopped itself"))).toHaveLength(1);
  });

  test("stop the healer by verdicts that an older version kept, without their runs", () => {
    const { world, simulation } = makeFixing({ breaker: { window_fixes: 4, ineffective_fraction: 0.5 } });
    world.publish("p1");
    const [run] = [...simulation.partsWith<RunPart>("run:").values()] as [RunPart];
    const counted = { before: world.before, after: ILL, cleared: null, pattern_resolved: false };
    const measured = { kind: "measured", ...refOf(run), ...counted } as const;
    const stamp = { id: "1", atMs: simulation.nowMs, monoMs: simulation.monoMs };
    const trips = (verdicts: HealerPart["verdicts"]): boolean => {
      const slice = simulation.sliceFor(measured);
      const kept = { ...slice, healer: { ...slice.healer, verdicts } };
      return autoFixCore.decide(kept, { ...measured, stamp }, simulation.policy).slice.healer.tripped_at_ms !== null;
    };
    const [good, bad] = [{ verdict: "effective", at_ms: 0 } as const, { verdict: "ineffective", at_ms: 0 } as const];
    expect([trips([good, good, bad]), trips([good, good, good]), trips([bad, bad])]).toEqual([true, false, false]);
  });

  test("ask a person before a value goes further than twice from where it began", () => {
    const { world, simulation } = makeFixing();
    world.publish("p1");
    world.after = WELL;
    simulation.advance(700_000);
    world.after = { ...WELL, exposure_seconds: 0, successes: 0 };
    simulation.advance(60_000);
    world.publish("p1");
    expect(world.templates.get("scan-worker|resources.memory_limit_mb")).toBe(768);
    expect(world.pending.size).toBe(1);
    expect(world.events.at(-1)?.message).toMatch(/2\.25 times from where it began/);
  });

  test("remember limits and cooldowns over a restart of the daemon and of the host", () => {
    const { world, simulation } = makeFixing({ cooldown_seconds: 7200, undo: { max_attempts: 0 } });
    world.publish("p1");
    world.after = ILL;
    simulation.advance(100_000);
    expect(world.writes).toBe(2);
    simulation.crash();
    simulation.reboot();
    simulation.advance(60_000);
    world.publish("p1");
    expect(world.writes).toBe(2);
    expect(world.match("p1")?.gate).toBe("cooldown");
  });
});
