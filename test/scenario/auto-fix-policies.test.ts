/** Guarantee: what a forecast plans is done once, at a quiet moment or just in time; and a person is called within the time that a policy names. */
import { describe, expect, test } from "vitest";
import type { QuietAnswer } from "../../lib/domain/quiet-moment.js";
import { type Healing, type HealingPolicy, healingDefinition } from "../../lib/schema/healing-policies.js";
import { readPolicy } from "../../lib/schema/policy.js";
import { scenario } from "./auto-fix-scenario.js";
import { type Fixing, makeFixing } from "./auto-fix-world.js";

/** A policy as a person would write it. */
function policyOf(name: string, more: Partial<HealingPolicy> = {}): Healing {
  const written = {
    ...{ name, enabled: true, priority: 5, actions: [{ type: "restart-service" }] },
    conditions: [{ metric: "memory_util", operator: "gt", threshold: 0.9 }],
    clear_conditions: [{ metric: "memory_util", operator: "lt", threshold: 0.6 }],
    scope: { components: ["scan-worker"] },
    ...more,
  };
  const read = readPolicy(healingDefinition([]), { policies: [written] });
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return read.value.policy.settings.policies[0] as Healing;
}

const planned = policyOf("Before memory runs out", { predict: { horizon_minutes: 30 } });
const load = (of: Partial<QuietAnswer>): QuietAnswer => ({
  ...{ metric: "throughput", load: 100, usual: 100, is_quiet: false, latest_at_ms: 0 },
  ...of,
});
const lastGate = ({ world }: Fixing) => world.decisions.at(-1)?.gates.at(-1);

describe("what a forecast plans", () => {
  test("waits for a quiet moment, says until when, and is done at that moment, once", async () => {
    const end = await scenario((fixing) => {
      const { world, simulation } = fixing;
      const latest_at_ms = simulation.nowMs + 1_500_000;
      world.holds(planned, load({ latest_at_ms }));
      expect(lastGate(fixing)).toMatchObject({
        gate: "quiet_moment",
        passed: false,
        value: { metric: "throughput", load: 100, usual: 100 },
        passes_at: "2026-11-21T00:25:00Z",
      });
      simulation.advance(300_000);
      world.holds(planned, load({ latest_at_ms }));
      expect(world.steps).toEqual([]);
      simulation.advance(60_000);
      const subject = world.holds(planned, load({ latest_at_ms, load: 10, is_quiet: true }));
      world.policies.delete(subject);
      world.cleared = true;
      simulation.advance(600_000);
    });
    expect(end.steps).toEqual(["apply 0"]);
    expect(end.events).toEqual([
      "fix_applied applied",
      "fix_matched matched",
      "fix_suppressed quiet_moment",
      "fix_verified fell",
    ]);
  });

  test("is done shortly before the forecast comes true where no moment was quiet", async () => {
    const end = await scenario(({ world, simulation }) => {
      const beginMs = simulation.nowMs;
      world.holds(planned, load({ latest_at_ms: beginMs + 1_500_000 }));
      simulation.advance(1_499_000);
      expect(world.steps).toEqual([]);
      // Nothing is offered by a sample: the gate's own time wakes it.
      simulation.advance(2_000);
      expect(world.steps).toEqual(["apply 0"]);
    });
    expect(end.totals.fixes_applied).toBe(1);
  });

  test("is done when a person approves it, quiet or not, since they have chosen the moment", async () => {
    const asks = policyOf("Asks", { predict: { horizon_minutes: 30 }, requires_approval: true });
    const end = await scenario(({ world, simulation }) => {
      world.holds(asks, load({ latest_at_ms: simulation.nowMs + 1_500_000 }));
      expect(world.pending.size).toBe(1);
      for (const run of [...world.pending]) world.approve(run);
    });
    expect(end.steps).toEqual(["apply 0"]);
  });

  test("in a dry run comes to the same moment, and nothing is done", () => {
    const fixing = makeFixing({ dry_run: true });
    const { world, simulation } = fixing;
    world.holds(planned, load({ latest_at_ms: simulation.nowMs + 1_500_000 }));
    expect(lastGate(fixing)).toMatchObject({ gate: "quiet_moment", passed: false });
    world.holds(planned, load({ is_quiet: true }));
    expect(world.decisions.at(-1)).toMatchObject({ verdict: "dry_run", mode: "dry_run" });
    expect(world.steps).toEqual([]);
  });
});

describe("a policy without a forecast", () => {
  test("acts at once", () => {
    const { world } = makeFixing();
    world.holds(policyOf("Now"));
    expect(world.steps).toEqual(["apply 0"]);
  });
});

describe("the person that a policy names a time for", () => {
  const seen = (policy: string, more: { seen?: string } = {}) => ({
    kind: "trouble-seen" as const,
    ...{ component: "scan-worker", policy, seen: "error_rate 0.5 > 0.15", person_after_seconds: 600, ...more },
  });
  const escalations = ({ world }: Fixing) => world.events.filter(({ type }) => type === "escalation_opened");

  test("is called once when the trouble is not over by then, and not a moment before", async () => {
    const end = await scenario((fixing) => {
      const { simulation } = fixing;
      simulation.offer(seen("Errors"));
      simulation.advance(599_000);
      simulation.offer(seen("Errors"));
      expect(escalations(fixing)).toEqual([]);
      simulation.advance(1_000);
      simulation.offer(seen("Errors"));
      simulation.advance(60_000);
      simulation.offer(seen("Errors"));
      expect(escalations(fixing)).toMatchObject([
        { message: "Errors of scan-worker is not over after 600 s: error_rate 0.5 > 0.15" },
      ]);
    });
    expect(end.events).toEqual(["escalation_opened person_needed"]);
  });

  test("is not called a second time at the end of the ladder, and told when it is over", () => {
    const fixing = makeFixing();
    const { simulation, world } = fixing;
    simulation.offer(seen("Errors"));
    simulation.advance(600_000);
    simulation.offer(seen("Errors"));
    simulation.offer({ kind: "ladder-ended", component: "scan-worker", seen: "x" });
    expect(escalations(fixing)).toHaveLength(1);
    simulation.offer({ kind: "trouble-over", component: "scan-worker", policy: "Errors" });
    simulation.offer({ kind: "ladder-cleared", component: "scan-worker" });
    expect(world.events.at(-1)).toMatchObject({ type: "escalation_resolved" });
    expect(world.healer().troubles).toEqual({});
  });

  test("is not called for a trouble that was over in between", () => {
    const fixing = makeFixing();
    const { simulation } = fixing;
    simulation.offer(seen("Errors"));
    simulation.advance(500_000);
    simulation.offer({ kind: "trouble-over", component: "scan-worker", policy: "Errors" });
    simulation.offer(seen("Errors"));
    simulation.advance(500_000);
    simulation.offer(seen("Errors"));
    expect(escalations(fixing)).toEqual([]);
  });

  test("is not called while auto-fix is switched off", () => {
    const fixing = makeFixing({ enabled: false });
    fixing.simulation.offer(seen("Errors"));
    fixing.simulation.advance(900_000);
    fixing.simulation.offer(seen("Errors"));
    expect(escalations(fixing)).toEqual([]);
  });
});
