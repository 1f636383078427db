/** Guarantee: a shadow of the policy in force says what that policy says, and one that differs says when and how, alone. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Agreement } from "../../cli/shadow/agreement.js";
import { autoFixCore } from "../../daemons/auto-fix/decide.js";
import { readAutoFixPolicy } from "../../daemons/auto-fix/policy.js";
import { failurePatternCore } from "../../daemons/failure-pattern/decide.js";
import { core } from "../../daemons/heartbeat-monitor/decide.js";
import type { Effect, Event } from "../../daemons/heartbeat-monitor/facts.js";
import { restartCore } from "../../daemons/worker-restart/decide.js";
import { readRestartPolicy } from "../../daemons/worker-restart/policy.js";
import { replayDecision } from "../../lib/runtime/replay.js";
import type { DecisionRecord } from "../../lib/schema/events.js";
import { makeFixing } from "./auto-fix-world.js";
import { PatternWorld, policyOf as patternPolicyOf } from "./failure-pattern-world.js";
import { openScene, policyOf, type Scene } from "./monitor-world.js";
import { type Beside, runBeside } from "./shadow-beside.js";
import { makeFleet } from "./worker-restart-world.js";

const FAST = { heartbeat_interval_seconds: 10, heartbeat_timeout_seconds: 40, zombie_threshold_seconds: 100 };

/** A look that finds a beat delivers it to the live monitor, as the daemon does. */
function beside(scene: Scene, policy: Readonly<Record<string, unknown>>): Beside {
  const { simulation, world } = scene;
  return runBeside(simulation, core, policyOf(policy), (effect: Effect) => {
    const looked = world.perform(effect, { stamp: { id: "look", atMs: 0, monoMs: 0 }, again: false });
    const beat = (looked as Extract<Event, { kind: "looked" }> | undefined)?.looked?.beat ?? null;
    if (beat !== null) simulation.offer({ kind: "beat", worker_id: (effect as { worker_id: string }).worker_id, beat });
    return looked;
  });
}

const step = fc.oneof(
  fc.record({
    kind: fc.constantFrom("silence" as const, "beat" as const, "die" as const),
    who: fc.integer({ min: 0, max: 3 }),
  }),
  fc.record({ kind: fc.constant("wait" as const), who: fc.integer({ min: 1, max: 150 }) }),
);

function play(
  scene: Scene,
  steps: readonly { readonly kind: "silence" | "beat" | "die" | "wait"; readonly who: number }[],
): void {
  const { world } = scene;
  for (const id of ["w0", "w1", "w2", "w3"]) world.add(id, { beatEvery: 10 });
  world.run(30);
  for (const { kind, who } of steps) {
    const id = `w${who}`;
    if (kind === "wait") world.run(who);
    else if (!world.workers.has(id)) continue;
    else if (kind === "silence") world.silence(id);
    else if (kind === "beat") world.beatAgain(id);
    else if (world.processOf(id).alive) world.end(id, { signal: "SIGKILL" });
  }
  world.run(5);
}

const said = (records: readonly DecisionRecord[]): string[] =>
  records
    .filter(({ verdict }) => verdict === "zombie")
    .map(({ subject, verdict, reason, at_ms }) => `${subject} ${verdict} ${reason} ${Math.round(at_ms / 1000)}`)
    .sort();

describe("a shadow of the policy in force", () => {
  test("ends whom the live monitor ends, in the same second, and nobody else", () => {
    let ended = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const scene = openScene(FAST);
        const shadow = beside(scene, FAST);
        play(scene, steps);
        expect(shadow.failures).toEqual([]);
        expect(said(shadow.recorded)).toEqual(said(scene.simulation.recorded));
        ended += shadow.recorded.length;
      }),
      { numRuns: 200 },
    );
    // About fifty are expected.
    expect(ended).toBeGreaterThan(10);
  });

  test("lets worker-restart do what it does, with every decision beside its own", () => {
    const policy = { max_retries: 2, retry_interval_seconds: 20, success_after_seconds: 5 };
    const deaths = fc.array(
      fc.record({ who: fc.integer({ min: 0, max: 2 }), after: fc.integer({ min: 0, max: 90 }) }),
      { maxLength: 10 },
    );
    fc.assert(
      fc.property(deaths, (all) => {
        const { simulation, world } = makeFleet(policy);
        const read = readRestartPolicy({
          jitter: "none",
          rate_limits: { per_task_min_interval_seconds: 0 },
          ...policy,
        });
        if (!read.ok) throw new Error("The policy is wrong");
        const shadow = runBeside(simulation, restartCore, read.value.policy, () => undefined);
        for (const { who, after } of all) {
          const id = `w${who}`;
          if (world.alive().some((each) => each.startsWith(`${id}.`))) world.die(id);
          else if (!world.attempts.some(({ worker_id }) => worker_id === id)) world.fileDeath(id, 1);
          simulation.advance(after * 1000);
        }
        expect(shadow.failures).toEqual([]);
        const brief = ({ subject, verdict, reason, at_ms }: DecisionRecord) =>
          [subject, verdict, reason, at_ms].join(" ");
        const live = simulation.recorded.filter(({ event }) => event.kind === "request");
        expect(shadow.recorded.map(brief)).toEqual(live.map(brief));
      }),
      { numRuns: 60 },
    );
  });
});

describe("a shadow with shorter thresholds", () => {
  const HASTY = { heartbeat_interval_seconds: 10, heartbeat_timeout_seconds: 20, zombie_threshold_seconds: 30 };

  test("says once, at its own threshold, that it would have ended a worker that then beats again", () => {
    const scene = openScene(FAST);
    const { world, simulation } = scene;
    const shadow = beside(scene, HASTY);
    play(scene, [
      { kind: "silence", who: 0 },
      { kind: "wait", who: 60 },
      { kind: "beat", who: 0 },
      { kind: "wait", who: 60 },
    ]);
    expect(simulation.recorded).toEqual([]);
    expect(world.signals).toEqual([]);
    expect(shadow.recorded.map(({ subject, verdict, mode }) => [subject, verdict, mode])).toEqual([
      ["w0", "zombie", "shadow"],
    ]);
    const silentMs = endSilence(shadow.recorded[0] as DecisionRecord);
    expect(silentMs).toBeGreaterThanOrEqual(30_000);
    expect(silentMs).toBeLessThan(31_000);
  });

  test("is ahead of the live monitor by the difference of the thresholds", () => {
    const scene = openScene(FAST);
    const shadow = beside(scene, HASTY);
    play(scene, [
      { kind: "silence", who: 0 },
      { kind: "wait", who: 120 },
    ]);
    const agreement = new Agreement();
    for (const record of [...scene.simulation.recorded, ...shadow.recorded].sort((a, b) => a.at_ms - b.at_ms))
      agreement.hear(record);
    agreement.finish();
    expect(Object.fromEntries(agreement.tallies)).toEqual({
      zombie: { both: 1, only_live: 0, only_shadow: 0, otherwise: 0 },
    });
    expect(agreement.shifted.map(({ live, shadow: own }) => Math.round((live.at_ms - own.at_ms) / 1000))).toEqual([70]);
  });

  test("is ahead in the silence that ended the worker, and alone in the one before it", () => {
    const scene = openScene(FAST);
    const shadow = beside(scene, HASTY);
    const silence = (wait: number) => [
      { kind: "silence" as const, who: 0 },
      { kind: "wait" as const, who: wait },
    ];
    play(scene, [...silence(60), { kind: "beat", who: 0 }, { kind: "wait", who: 30 }, ...silence(120)]);
    const agreement = new Agreement();
    for (const record of [...scene.simulation.recorded, ...shadow.recorded].sort((a, b) => a.at_ms - b.at_ms))
      agreement.hear(record);
    agreement.finish();
    expect(agreement.tallies.get("zombie")).toEqual({ both: 1, only_live: 0, only_shadow: 1, otherwise: 0 });
    expect(agreement.shifted.map(({ live, shadow: own }) => Math.round((live.at_ms - own.at_ms) / 1000))).toEqual([70]);
  });

  test("makes decisions that come out the same from their records", () => {
    const scene = openScene(FAST);
    const shadow = beside(scene, HASTY);
    play(scene, [
      { kind: "silence", who: 0 },
      { kind: "silence", who: 1 },
      { kind: "wait", who: 90 },
    ]);
    expect(shadow.recorded.length).toBeGreaterThan(0);
    for (const record of shadow.recorded)
      expect(replayDecision(core as never, record, policyOf(HASTY) as never)).toBeNull();
  });

  test("spends its own cleanups, and not the live ones", () => {
    const scene = openScene({ ...FAST, max_cleanups_per_minute: 2, mass_failure: { enabled: false } });
    const shadow = beside(scene, { ...HASTY, max_cleanups_per_minute: 2, mass_failure: { enabled: false } });
    play(
      scene,
      [0, 1, 2].map((who) => ({ kind: "silence" as const, who })).concat([{ kind: "wait" as never, who: 50 }]),
    );
    expect(shadow.recorded.map(({ verdict, reason }) => `${verdict} ${reason}`).sort()).toEqual([
      "suppressed cleanups_per_minute",
      "zombie hung",
      "zombie hung",
    ]);
    expect(scene.world.fleet.cleanups).toEqual([]);
  });
});

function endSilence({ slice, event }: DecisionRecord): number {
  const { silent_from_mono_ms } = slice.worker as { silent_from_mono_ms: number };
  return (event as { stamp: { monoMs: number } }).stamp.monoMs - silent_from_mono_ms;
}

describe("a shadow pattern policy", () => {
  const HOUR_MS = 3_600_000;

  function runPatterns(policy: object) {
    const world = new PatternWorld();
    const shadow = runBeside(world.simulation, failurePatternCore, patternPolicyOf(policy), (effect) =>
      effect.kind === "ask-lag"
        ? { kind: "lag-known" as const, pattern_id: effect.pattern_id, caught_up: true }
        : undefined,
    );
    for (let attempt = 1; attempt <= 6; attempt++) {
      world.exits("worker-scan-1", attempt);
      world.pass(60_000);
    }
    world.pass(30 * HOUR_MS);
    expect(shadow.failures).toEqual([]);
    return { live: world.simulation.recorded, shadow: shadow.recorded };
  }
  const brief = (records: readonly DecisionRecord[]): string[] =>
    records.map(({ subject, verdict }) => `${subject} ${verdict}`);

  test("that is the one in force finds and ends the same patterns", () => {
    const { live, shadow } = runPatterns({});
    expect(live.map(({ verdict }) => verdict)).toEqual(expect.arrayContaining(["detected", "resolved"]));
    expect(brief(shadow)).toEqual(brief(live));
  });

  test("with a higher threshold finds it later, in patterns of its own", () => {
    const { live, shadow } = runPatterns({ detection: { frequency_threshold: 5 } });
    const at = (records: readonly DecisionRecord[]): number =>
      records.find(({ verdict }) => verdict === "detected")?.at_ms ?? Number.NaN;
    expect(Math.round((at(shadow) - at(live)) / 60_000)).toBe(2);
  });
});

describe("a shadow fix policy", () => {
  function runFixes(policy: Readonly<Record<string, unknown>>) {
    const { world, simulation } = makeFixing({
      max_fixes_per_hour: 1,
      max_concurrent_fixes: 10,
      limits: { per_fix: { min_seconds_between: 0 } },
    });
    const read = readAutoFixPolicy(policy);
    if (!read.ok) throw new Error("The policy is wrong");
    const shadow = runBeside(simulation, autoFixCore, read.value.policy, () => undefined);
    for (const id of ["p1", "p2", "p3"]) {
      world.templates.set(`${id}-worker|resources.memory_limit_mb`, 512);
      world.publish(id, { scope: `${id}-worker` });
      simulation.advance(60_000);
    }
    expect(shadow.failures).toEqual([]);
    const isLooked = ({ event }: DecisionRecord): boolean => event.kind === "consider";
    return { live: simulation.recorded.filter(isLooked), shadow: shadow.recorded, world };
  }
  const verdicts = (records: readonly DecisionRecord[]): string[] =>
    records.map(({ subject, verdict, reason }) => `${subject} ${verdict} ${reason}`);

  test("spends limits of its own, and applies nothing", () => {
    const { live, shadow, world } = runFixes({
      max_fixes_per_hour: 2,
      max_concurrent_fixes: 10,
      limits: { per_fix: { min_seconds_between: 0 } },
    });
    expect(live.filter(({ verdict }) => verdict === "apply")).toHaveLength(1);
    expect(shadow.filter(({ verdict }) => verdict === "apply")).toHaveLength(2);
    expect(world.healer().applied).toHaveLength(1);
    expect(verdicts(shadow).at(-1)).toContain("limit_hour");
  });
});
