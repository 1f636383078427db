/** A backtest judges each subject up to where its ways part, and says what it does not know. */
import { describe, expect, test } from "vitest";
import { ALL, type AnyCore, Backtest, type BacktestRules } from "../../../lib/runtime/backtest.js";
import type { DecisionRecord } from "../../../lib/schema/events.js";
import type { Policy } from "../../../lib/schema/policy.js";

interface Toy {
  readonly max: number;
  readonly shared: number;
  readonly wait: number;
}

/** Goes while there is room, in its own account and in the shared one; else waits. */
const core = {
  name: "auto-fix",
  address: () => ({ own: "own", shared: "shared" }),
  blank: () => null,
  decide: (
    { own, shared }: { own: number; shared: number },
    event: { who: string; stamp: { monoMs: number } },
    { settings }: Policy<Toy>,
  ) => {
    const gates = [
      { gate: "own", value: own, threshold: settings.max, passed: own < settings.max },
      { gate: "shared", value: shared, threshold: settings.shared, passed: shared < settings.shared },
    ];
    const failed = gates.find((gate) => !gate.passed);
    const verdict = failed === undefined ? "go" : "wait";
    const effects =
      failed === undefined
        ? [{ kind: "do" }]
        : [{ kind: "wake", key: event.who, atMonoMs: event.stamp.monoMs + settings.wait }];
    const decision = { subject: event.who, verdict, reason: failed?.gate ?? "room", message: "", gates };
    return { slice: { own: failed === undefined ? own + 1 : own, shared }, effects, decision };
  },
} as unknown as AnyCore;

const rules: BacktestRules = {
  acts: { go: "trip" },
  awaited: "trip",
  limits: { own: "spends" },
  sharedGates: { shared: () => ALL },
  quietEffects: new Set(),
  ownPart: "own",
};
const LIVE = { settings: { max: 2, shared: 5, wait: 1000 }, overrides: {} };
const under = (settings: Partial<Toy>): Backtest =>
  new Backtest(core, rules, { settings: { ...LIVE.settings, ...settings }, overrides: {} } as never);

let nth = 0;
function record(who: string, own: number, shared = 0): DecisionRecord {
  nth += 1;
  const slice = { own, shared };
  const event = { kind: "ask", who, stamp: { id: `s${nth}`, atMs: nth * 1000, monoMs: nth * 1000 } };
  const decided = core.decide(slice, event as never, LIVE as never);
  return {
    ...(decided.decision as NonNullable<typeof decided.decision>),
    ...{ decision_id: `d${nth}`, daemon: "auto-fix", timestamp: "", at_ms: nth * 1000, policy_hash: "h", mode: "live" },
    ...{ slice, event },
  } as unknown as DecisionRecord;
}

function judge(backtest: Backtest, records: readonly DecisionRecord[]): Backtest {
  for (const each of records) backtest.judge(each, LIVE as never);
  return backtest;
}

describe("Backtest", () => {
  test("finds no difference to the policy that was in force", () => {
    const backtest = judge(under({}), [record("a", 0), record("a", 1), record("a", 2), record("b", 0, 5)]);
    expect(backtest).toMatchObject({ decisions: 4, judged: 4, divergences: [], changes: [], unexplained: 0 });
    expect(backtest.otherTimes.total).toBe(2);
  });

  test("drops what a lower limit does not let through, and judges nothing of that subject after it", () => {
    const backtest = judge(under({ max: 1 }), [record("a", 0), record("a", 1), record("a", 2), record("b", 0)]);
    expect(backtest.divergences).toMatchObject([
      { subject: "a", kind: "verdict", live: "go (room)", other: "wait (own)", not_judged: 1 },
    ]);
    expect(backtest.changes).toMatchObject([{ change: "dropped", act: "trip", subject: "a" }]);
    expect(backtest.judged).toBe(3);
  });

  test("adds what a higher limit lets through, and counts how full the limit was by then", () => {
    const backtest = judge(under({ max: 9 }), [record("a", 0), record("a", 1), record("a", 2)]);
    expect(backtest.changes).toMatchObject([{ change: "added", act: "trip", subject: "a" }]);
    expect(backtest.peaks.all).toMatchObject([{ gate: "own", value: 3, limit: 9, subject: "a" }]);
  });

  test("tells another instant of the same wait", () => {
    const backtest = judge(under({ wait: 4000 }), [record("a", 2)]);
    expect(backtest.divergences).toMatchObject([{ kind: "time", later_ms: 3000 }]);
    expect(backtest.changes).toMatchObject([{ change: "later", by_ms: 3000 }]);
  });

  test("does not judge who waits for a shared part after another has diverged, and does before", () => {
    const backtest = judge(under({ max: 1 }), [
      record("b", 0, 5),
      record("a", 1),
      record("c", 0, 5),
      record("c", 0),
      record("d", 0),
    ]);
    expect(backtest.divergences.map(({ subject, kind, not_judged }) => [subject, kind, not_judged])).toEqual([
      ["a", "verdict", 0],
      ["c", "shared", 2],
    ]);
    expect(backtest.judged).toBe(3);
  });

  test("leaves out decisions that do not come out as recorded", () => {
    const backtest = judge(under({}), [{ ...record("a", 0), verdict: "wait" }]);
    expect(backtest).toMatchObject({ judged: 0, unexplained: 1, divergences: [] });
  });

  test("keeps the earliest divergence of a subject that is found from elsewhere", () => {
    const backtest = under({});
    const at = {
      subject: "a",
      worker_type: null,
      kind: "earlier" as const,
      live: "",
      other: "",
      later_ms: null,
      decision_id: null,
    };
    backtest.divergeAt({ ...at, at_ms: 5 });
    backtest.divergeAt({ ...at, at_ms: 9 });
    backtest.divergeAt({ ...at, at_ms: 3 });
    expect(backtest.divergences.map(({ at_ms }) => at_ms)).toEqual([3]);
    expect(backtest.isJudged("a", 2)).toBe(true);
    expect(backtest.isJudged("a", 3)).toBe(false);
  });
});
