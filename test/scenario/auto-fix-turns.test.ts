/** Guarantee: of several fixes for one worker type the one nearest to the cause goes first, and each is judged by itself. */
import { describe, expect, test } from "vitest";
import type { Rival } from "../../daemons/auto-fix/messages.js";
import { planOfFix } from "../../daemons/auto-fix/plans.js";
import { MATCH_NEW } from "../../daemons/auto-fix/state.js";
import { rankOf } from "../../daemons/auto-fix/turns.js";
import type { Fix } from "../../lib/schema/fix-registry.js";
import { SHIPPED_FIXES } from "../../lib/schema/shipped-fixes.js";
import { scenario } from "./auto-fix-scenario.js";
import { type Fixing, makeFixing } from "./auto-fix-world.js";

const fixOf = (id: string): Fix => SHIPPED_FIXES.find((fix) => fix.fix_id === id) as Fix;
const planOf = (id: string) => planOfFix(fixOf(id));
const SYMPTOM = "systemic:max_retries_exceeded";
const CAUSE = "resource:out_of_memory";

/** A fix for another pattern of the same worker type, which nothing stands in the way of. */
function rival(id: string, key: string, more: Partial<Rival> = {}): Rival {
  const subject = `pattern-of-${id}`;
  return {
    ...{ fix_id: id, subject, plan: planOf(id), match: MATCH_NEW, trust: 0.9 },
    pattern: {
      ...{ pattern_id: subject, key, is_active: true, confidence: 0.9, occurrences: 4, total: 4 },
      ...{ last_seen_ms: Date.parse("2026-11-21T00:00:00Z"), message: "", root_cause: "" },
    },
    facts: { impossible: null, prerequisites: [], diff: [], fields: [], memory: null, other_tasks: 0 },
    ...more,
  };
}

function backOff(fixing: Fixing, ...rivals: readonly Rival[]): unknown {
  const { world } = fixing;
  world.fix = fixOf("enable-retry-backoff");
  world.rivals = rivals;
  world.publish("p1", { key: SYMPTOM });
  return world.decisions.at(-1)?.gates.at(-1);
}

describe("a symptom's fix", () => {
  test("waits for the fix of the cause, and its decision says for which", () => {
    const fixing = makeFixing();
    expect(backOff(fixing, rival("increase-memory-limit", CAUSE))).toMatchObject({
      gate: "turn",
      value: ["increase-memory-limit for resource:out_of_memory"],
      passed: false,
    });
    expect(fixing.world.trials).toEqual([]);
  });

  test("comes when that of the cause cannot come any more, without a pattern that says so anew", async () => {
    const end = await scenario((fixing) => {
      const { world, simulation } = fixing;
      backOff(fixing, rival("increase-memory-limit", CAUSE));
      expect(world.writes).toBe(0);
      world.rivals = [rival("increase-memory-limit", CAUSE, { match: { ...MATCH_NEW, ineffective: 2 } })];
      simulation.advance(61_000);
      expect(world.writes).toBe(1);
    });
    expect(end.totals.fixes_applied).toBe(1);
  });

  const given = (more: Partial<Rival>): Rival => rival("increase-memory-limit", CAUSE, more);
  const fresh = given({});
  test.each<[string, Rival]>([
    ["was declined by a person", given({ match: { ...MATCH_NEW, declined_until_ms: Date.parse("2026-11-22") } })],
    ["did not help as often as it may be tried", given({ match: { ...MATCH_NEW, ineffective: 2 } })],
    ["cannot be made", given({ facts: { ...fresh.facts, impossible: "it is at its bound" } })],
    ["is switched off", given({ plan: { ...fresh.plan, enabled: false } })],
    ["is of a pattern that is over", given({ pattern: { ...fresh.pattern, is_active: false } })],
    ["is of a pattern that nobody is sure of", given({ pattern: { ...fresh.pattern, confidence: 0.6 } })],
    ["is of too few failures", given({ pattern: { ...fresh.pattern, occurrences: 1 } })],
    [
      "misses what it requires",
      given({ facts: { ...fresh.facts, prerequisites: [{ what: "x", value: 0, met: false }] } }),
    ],
    [
      "would promise more memory than the host has",
      given({ facts: { ...fresh.facts, memory: { committed_mb: 9, host_mb: 10 } } }),
    ],
    ["is not trusted any more", given({ trust: 0.49 })],
    ["is for a symptom as well", given({ pattern: { ...fresh.pattern, key: "systemic:crash_loop" } })],
    ["only asks a person", rival("change-code", "systemic:uncaught_exception")],
  ])("does not wait for one that %s", (_, other) => {
    const fixing = makeFixing();
    backOff(fixing, other);
    expect(fixing.world.writes).toBe(1);
  });

  test("does not wait for one that a limit of 0 forbids, but for one that has to wait itself", () => {
    const verdict = (max_fixes_per_day: number): unknown => {
      const fixing = makeFixing({ limits: { per_category: { resource: { max_fixes_per_day } } } });
      backOff(fixing, fresh);
      return fixing.world.decisions[0]?.verdict;
    };
    expect([verdict(0), verdict(1)]).toEqual(["apply", "suppress"]);
  });

  test("does not wait for one that was applied, and whose pattern was not seen since", () => {
    const { world, simulation } = makeFixing({
      limits: { max_change_from_baseline: 10, per_fix: { min_seconds_between: 0 } },
    });
    world.publish("pattern-of-increase-memory-limit");
    world.after = { exposure_seconds: 3600, recurrences: 0, other_failures: 0, successes: 2 };
    simulation.advance(1_300_000);
    world.after = { exposure_seconds: 0, recurrences: 0, other_failures: 0, successes: 0 };
    world.fix = fixOf("enable-retry-backoff");
    world.rivals = [rival("increase-memory-limit", CAUSE)];
    world.publish("p1", { key: SYMPTOM });
    expect(world.writes).toBe(2);
  });
});

describe("a quarantine and a fix of the cause", () => {
  const decided = (fix: string, other: Rival, otherTasks: number): unknown => {
    const { world } = makeFixing();
    world.fix = fixOf(fix);
    world.rivals = [other];
    world.facts = { other_tasks: otherTasks };
    world.publish("p1", { key: CAUSE });
    return world.decisions[0]?.verdict;
  };
  const facts = (other_tasks: number): Pick<Rival, "facts"> => ({
    facts: { impossible: null, prerequisites: [], diff: [], fields: [], memory: null, other_tasks },
  });

  test("the quarantine goes first where workers of the type have other tasks: the task is at fault", () => {
    expect(decided("quarantine-poison-task", rival("increase-memory-limit", CAUSE, facts(3)), 3)).toBe("apply");
    expect(decided("increase-memory-limit", rival("quarantine-poison-task", CAUSE, facts(3)), 3)).toBe("suppress");
  });

  test("the fix of the cause goes first where all have this one task: a quarantine would stop the whole type", () => {
    expect(decided("quarantine-poison-task", rival("increase-memory-limit", CAUSE, facts(0)), 0)).toBe("suppress");
    expect(decided("increase-memory-limit", rival("quarantine-poison-task", CAUSE, facts(0)), 0)).toBe("apply");
  });
});

describe("the order", () => {
  test("puts the task before the cause, the cause before the symptom, and what stops a whole type last", () => {
    const memory = rankOf(planOf("increase-memory-limit"), CAUSE, 0);
    const ranks = [
      rankOf(planOf("quarantine-poison-task"), CAUSE, 1),
      memory,
      rankOf(planOf("enable-retry-backoff"), SYMPTOM, 0),
      rankOf(planOf("quarantine-poison-task"), CAUSE, 0),
    ];
    expect(ranks).toEqual([...ranks].sort());
    expect(new Set(ranks).size).toBe(4);
    expect(rankOf(planOf("rotate-secret"), "security:exposed_secret", 0)).toBeNull();
  });
});
