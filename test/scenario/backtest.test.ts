/** Guarantee: the policy that was in force, and one that differs only for nobody, make no difference to any recorded history. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { rules as monitorRules, tooFine as monitorTooFine } from "../../daemons/heartbeat-monitor/backtest.js";
import { core } from "../../daemons/heartbeat-monitor/decide.js";
import { closedSilenceIn, endOfRecordedSilence, endOfSilence } from "../../daemons/heartbeat-monitor/detection.js";
import { holdsOf } from "../../daemons/heartbeat-monitor/guard-backtest.js";
import { rules as restartRules, tooFine as restartTooFine } from "../../daemons/worker-restart/backtest.js";
import { BreakerComparison } from "../../daemons/worker-restart/breaker-backtest.js";
import { restartCore } from "../../daemons/worker-restart/decide.js";
import { historyEvent } from "../../daemons/worker-restart/history-event.js";
import { readRestartPolicy } from "../../daemons/worker-restart/policy.js";
import { type AnyCore, Backtest } from "../../lib/runtime/backtest.js";
import type { DecisionRecord } from "../../lib/schema/events.js";
import { openScene, policyOf } from "./monitor-world.js";
import { makeFleet } from "./worker-restart-world.js";

const DEFAULTS = { jitter: "none", rate_limits: { per_task_min_interval_seconds: 0 } };
const restartPolicyOf = (raw: Readonly<Record<string, unknown>>) => {
  const read = readRestartPolicy({ ...DEFAULTS, ...raw });
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return read.value.policy;
};

const death = fc.record({ who: fc.integer({ min: 0, max: 3 }), after: fc.integer({ min: 0, max: 120 }) });
const deaths = fc.array(death, { minLength: 1, maxLength: 14 });
type Deaths = readonly { readonly who: number; readonly after: number }[];

function restarts(policy: Readonly<Record<string, unknown>>, all: Deaths): readonly DecisionRecord[] {
  const { simulation, world } = makeFleet(policy);
  for (const { who, after } of all) {
    const id = `w${who}`;
    if (world.alive().some((each) => each.startsWith(`${id}.`))) world.die(id);
    else if (!world.attempts.some(({ worker_id }) => worker_id === id)) world.fileDeath(id, 1);
    simulation.advance(after * 1000);
  }
  return simulation.recorded;
}

function restartBacktest(
  records: readonly DecisionRecord[],
  live: Readonly<Record<string, unknown>>,
  other: Readonly<Record<string, unknown>>,
): Backtest {
  const backtest = new Backtest(restartCore as unknown as AnyCore, restartRules, restartPolicyOf(other) as never);
  for (const record of records) backtest.judge(record, restartPolicyOf(live) as never);
  return backtest;
}

describe("a backtest of worker-restart's history", () => {
  const LIVE = { max_retries: 2, retry_interval_seconds: 20, success_after_seconds: 5 };

  test("under the same policy differs nowhere", () => {
    fc.assert(
      fc.property(deaths, (all) => {
        const records = restarts(LIVE, all);
        const backtest = restartBacktest(records, LIVE, LIVE);
        expect(backtest).toMatchObject({ judged: records.length, divergences: [], changes: [], unexplained: 0 });
      }),
      { numRuns: 80 },
    );
  });

  test("under a policy with an override for a type that nobody has differs nowhere", () => {
    fc.assert(
      fc.property(deaths, fc.integer({ min: 0, max: 9 }), (all, max_retries) => {
        const records = restarts(LIVE, all);
        const other = { ...LIVE, overrides: { "no-such-worker": { max_retries, retry_interval_seconds: 1 } } };
        expect(restartBacktest(records, LIVE, other)).toMatchObject({
          judged: records.length,
          divergences: [],
          changes: [],
        });
      }),
      { numRuns: 80 },
    );
  });

  test("judges or names every decision, and adds up", () => {
    fc.assert(
      fc.property(deaths, fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 60 }), (all, max_retries, wait) => {
        const records = restarts(LIVE, all);
        const backtest = restartBacktest(records, LIVE, { ...LIVE, max_retries, retry_interval_seconds: wait });
        const notJudged = backtest.divergences.reduce((sum, each) => sum + each.not_judged, 0);
        expect(backtest.judged + notJudged + backtest.unexplained).toBe(records.length);
      }),
      { numRuns: 80 },
    );
  });

  test("with fewer retries holds back the retry that was one too many", () => {
    const records = restarts(LIVE, [
      { who: 0, after: 1 },
      { who: 0, after: 60 },
      { who: 0, after: 60 },
    ]);
    expect(records.map(({ verdict, reason }) => `${verdict} ${reason}`)).toEqual([
      "start exited",
      "defer backoff",
      "start exited",
      "restarted alive",
      "defer retries",
    ]);
    const backtest = restartBacktest(records, LIVE, { ...LIVE, max_retries: 1 });
    expect(backtest.divergences).toMatchObject([
      {
        subject: "w0",
        kind: "verdict",
        live: expect.stringContaining("backoff"),
        other: expect.stringContaining("retries"),
        not_judged: 3,
      },
    ]);
    // 900 s until an exhausted worker is tried again, instead of the 20 s of its delay.
    expect(backtest.changes).toMatchObject([{ change: "later", act: "restart", subject: "w0", by_ms: 880_000 }]);
  });

  test("with more retries waits for the next delay where the live one had given up", () => {
    const records = restarts(LIVE, [
      { who: 0, after: 1 },
      { who: 0, after: 60 },
      { who: 0, after: 60 },
    ]);
    const backtest = restartBacktest(records, LIVE, { ...LIVE, max_retries: 5 });
    expect(backtest.divergences).toMatchObject([
      { live: expect.stringContaining("retries"), other: expect.stringContaining("backoff") },
    ]);
    expect(backtest.changes).toMatchObject([{ change: "sooner", act: "restart" }]);
  });

  test("is refused where starts are not remembered for so long", () => {
    const other = restartPolicyOf({
      restart_budgets: [{ max: 3, window_seconds: 172_800 }],
      success_after_seconds: 10,
    });
    expect(restartTooFine(other, { policies: [restartPolicyOf({})], spanSeconds: 3600 })).toEqual([
      { key: "restart_budgets.0.window_seconds", value: "172800 s", recorded: "remembers 86400 s" },
      { key: "success_after_seconds", value: "10", recorded: "has attempts looked at from 30 s on" },
    ]);
  });
});

describe("breakers of recorded outcomes", () => {
  const failure = (second: number) =>
    historyEvent(
      { worker_type: "scan", result: "failure", timestamp: "", at_ms: second * 1000 },
      { file: "h", offset: second },
      0,
    );

  function compare(threshold: number): BreakerComparison {
    const comparison = new BreakerComparison(
      () => restartPolicyOf({}),
      restartPolicyOf({ circuit_breaker_threshold: threshold }),
      0,
    );
    for (let second = 1; second <= 6; second++) comparison.hear(failure(second), second * 1000);
    return comparison;
  }

  test("open where they opened, under the same threshold", () => {
    expect(compare(5).parted).toEqual([]);
    expect(compare(5).trips).toEqual({ live: 1, other: 1 });
  });

  test("open at the third failure under a threshold of three, and there the type's ways part", () => {
    expect(compare(3).partedAt("scan")).toEqual({
      at_ms: 3000,
      live: "its breaker stays as it is",
      other: "its breaker opens",
    });
  });

  test("do not open under a threshold of seven", () => {
    expect(compare(7).trips).toEqual({ live: 1, other: 0 });
    expect(compare(7).partedAt("scan")?.at_ms).toBe(5000);
  });
});

describe("a backtest of heartbeat-monitor's history", () => {
  const LIVE = { heartbeat_interval_seconds: 10, heartbeat_timeout_seconds: 40, zombie_threshold_seconds: 100 };
  const steps = fc.array(
    fc.record({ who: fc.integer({ min: 0, max: 3 }), beats: fc.boolean(), wait: fc.integer({ min: 1, max: 150 }) }),
    { minLength: 1, maxLength: 8 },
  );

  function play(all: readonly { readonly who: number; readonly beats: boolean; readonly wait: number }[]) {
    const { world, simulation } = openScene(LIVE);
    for (const id of ["w0", "w1", "w2", "w3"]) world.add(id, { beatEvery: 10 });
    world.run(30);
    for (const { who, beats, wait } of all) {
      if (world.workers.has(`w${who}`)) beats ? world.beatAgain(`w${who}`) : world.silence(`w${who}`);
      world.run(wait);
    }
    return {
      records: simulation.recorded,
      silences: world.eventsOf("heartbeat_resumed").flatMap((event) => closedSilenceIn(event as never) ?? []),
    };
  }

  test("under the same policy differs nowhere, and sees every silence at the same time", () => {
    let seen = 0;
    fc.assert(
      fc.property(steps, (all) => {
        const { records, silences } = play(all);
        const policy = policyOf(LIVE);
        const unused = policyOf({ ...LIVE, overrides: { "no-such-worker": { zombie_threshold_seconds: 40 } } });
        for (const other of [policy, unused]) {
          const backtest = new Backtest(core as unknown as AnyCore, monitorRules, other as never);
          for (const record of records) backtest.judge(record, policy as never);
          expect(backtest).toMatchObject({ judged: records.length, divergences: [], changes: [], unexplained: 0 });
          for (const record of records)
            expect(endOfRecordedSilence(record, other)).toEqual(endOfRecordedSilence(record, policy));
        }
        // Nobody who beat again was silent for as long as the monitor would have waited.
        for (const silence of silences)
          expect(silence.silent_ms).toBeLessThan(endOfSilence(policy, silence) ?? Number.POSITIVE_INFINITY);
        seen += records.length + silences.length;
      }),
      { numRuns: 50 },
    );
    expect(seen).toBeGreaterThan(20);
  });

  test("finds each zombie at the other policy's threshold, to the millisecond", () => {
    const { records } = play([{ who: 0, beats: false, wait: 140 }]);
    expect(records.map(({ verdict }) => verdict)).toEqual(["zombie"]);
    const endUnder = (policy: Readonly<Record<string, unknown>>): number | null | undefined =>
      endOfRecordedSilence(records[0] as DecisionRecord, policyOf({ ...LIVE, ...policy }))?.endsMs;
    expect(endUnder({ zombie_threshold_seconds: 50 })).toBe(50_000);
    expect(endUnder({})).toBe(100_000);
    expect(endUnder({ zombie_threshold_seconds: 250, health_score_decay_rate: 0 })).toBe(250_000);
    // 17 missed intervals of 10 s take 85 points: then the score is below 20, and the time-out is enough.
    expect(endUnder({ zombie_threshold_seconds: 250 })).toBe(175_000);
  });

  test("tells that a shorter threshold would have ended a worker that went on", () => {
    const { silences } = play([
      { who: 0, beats: false, wait: 70 },
      { who: 0, beats: true, wait: 30 },
    ]);
    expect(silences).toHaveLength(1);
    const [silence] = silences;
    if (silence === undefined) throw new Error("No silence was recorded");
    expect(silence).toMatchObject({ worker_id: "w0", verdict: "hung" });
    expect(silence.silent_ms).toBeGreaterThan(60_000);
    expect(endOfSilence(policyOf({ ...LIVE, zombie_threshold_seconds: 60 }), silence)).toBe(60_000);
    // A worker at work has four of these.
    expect(endOfSilence(policyOf({ ...LIVE, zombie_threshold_seconds: 60 }), { ...silence, verdict: "busy" })).toBe(
      240_000,
    );
    expect(
      endOfSilence(policyOf({ ...LIVE, zombie_threshold_seconds: 60 }), { ...silence, verdict: "paused" }),
    ).toBeNull();
  });

  test("is refused by the key that is finer than one and a half recorded intervals", () => {
    const other = policyOf({
      heartbeat_interval_seconds: 5,
      heartbeat_timeout_seconds: 12,
      zombie_threshold_seconds: 30,
    });
    expect(monitorTooFine(other, { policies: [policyOf(LIVE)], spanSeconds: 86_400 })).toEqual([
      { key: "heartbeat_timeout_seconds", value: "12", recorded: "has silences from 15 s on (1.5 intervals)" },
    ]);
  });

  test("counts a hold of the mass guard where half of the fleet was silent together for long enough", () => {
    const watched = Array.from({ length: 10 }, (_, nth) => ({ worker_type: "scan", at_ms: nth, change: 1 as const }));
    const together = Array.from({ length: 6 }, () => ({ worker_type: "scan", from_ms: 60_000, to_ms: 90_000 }));
    const policy = policyOf(LIVE).settings.mass_failure;
    expect(holdsOf(together, watched, () => policy)).toEqual([60_000]);
    expect(holdsOf(together, watched, () => ({ ...policy, enabled: false }))).toEqual([]);
    const apart = together.map((each, nth) => ({
      ...each,
      from_ms: 60_000 + nth * 300_000,
      to_ms: 90_000 + nth * 300_000,
    }));
    expect(holdsOf(apart, watched, () => policy)).toEqual([]);
  });
});
