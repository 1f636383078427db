/** A decision is explained by its record: recomputed from slice, event and policy it comes out the same, or is caught. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { readKeptPolicy, replayDecision } from "../../../lib/runtime/replay.js";
import type { DecisionRecord } from "../../../lib/schema/events.js";

const policy = {
  name: "toy",
  shape: z.strictObject({ limit: z.number().optional() }),
  complete: (explicit: { limit?: number }) => ({ limit: explicit.limit ?? 3 }),
};

/** @param unrecorded What a careless core reads beside its slice. */
const coreThat = (unrecorded: () => number) =>
  ({
    name: "auto-fix",
    address: () => ({ part: "part" }),
    blank: () => null,
    decide: (
      slice: { count: number },
      event: { amount: number; stamp: { atMs: number } },
      { settings }: { settings: { limit: number } },
    ) => {
      const value = slice.count + event.amount + unrecorded();
      const passed = value <= settings.limit;
      const gates = [{ gate: "limit", value, threshold: settings.limit, passed }];
      return {
        slice,
        effects: [],
        decision: { subject: "a", verdict: passed ? "go" : "wait", reason: "limit", message: `${value}`, gates },
      };
    },
    wake: () => ({ kind: "woke" }),
    failed: () => null,
    coalesced: new Set(),
  }) as never;

/** A careless core: one gate's value is how late it is. */
const clockCore = () => {
  const startedMs = Date.now() - 1000;
  return {
    ...(coreThat(() => 0) as object),
    decide: (slice: { count: number }, _event: object, _policy: object) => ({
      slice,
      effects: [],
      decision: {
        ...{ subject: "a", verdict: "go", reason: "limit", message: "2" },
        gates: [{ gate: "age", value: Date.now() - startedMs, threshold: 9999, passed: true }],
      },
    }),
  };
};

const record: DecisionRecord = {
  decision_id: "d1",
  daemon: "auto-fix",
  timestamp: "2026-11-21T21:08:04Z",
  at_ms: 0,
  subject: "a",
  verdict: "go",
  reason: "limit",
  message: "2",
  gates: [{ gate: "limit", value: 2, threshold: 3, passed: true }],
  slice: { count: 1 },
  event: { kind: "add", amount: 1, stamp: { id: "s", atMs: 0, monoMs: 0 } },
  policy_hash: "h",
  mode: "live",
};

const settings = (text: string) => {
  const read = readKeptPolicy({ core: coreThat(() => 0), policy }, text);
  if (!read.ok) throw new Error(read.why);
  return read.policy;
};

const replay = (core: never, of: DecisionRecord, text = "{}") => replayDecision(core, of, settings(text));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("replayDecision()", () => {
  test("finds no difference in a decision that used its record alone", () => {
    expect(
      replay(
        coreThat(() => 0),
        record,
      ),
    ).toBeNull();
  });

  test("catches a decision that used something that is not in its record, and names the field", () => {
    let hidden = 0;
    const core = coreThat(() => hidden++);
    expect(replay(core, record)).toBeNull();
    expect(replay(core, record)).toEqual({ field: "message", recorded: '"2"', recomputed: '"3"' });
  });

  test("catches a decision that read the clock, and names the gate", () => {
    const core = clockCore();
    const made = core.decide({ count: 1 }, record.event as never, settings("{}") as never).decision;
    const kept = { ...record, ...made } as DecisionRecord;
    vi.setSystemTime(Date.now() + 5000);
    expect(replay(core as never, kept)).toEqual({
      field: "gates.0.value",
      recorded: "1000",
      recomputed: "6000",
    });
  });

  test("names the gate and the field in which a record was changed", () => {
    const changed = { ...record, gates: [{ gate: "limit", value: 1, threshold: 3, passed: true }] };
    expect(
      replay(
        coreThat(() => 0),
        changed,
      ),
    ).toEqual({
      field: "gates.0.value",
      recorded: "1",
      recomputed: "2",
    });
  });

  test("catches a record whose slice was changed", () => {
    expect(
      replay(
        coreThat(() => 0),
        { ...record, slice: { count: 7 } },
      ),
    ).toEqual({
      field: "verdict",
      recorded: '"go"',
      recomputed: '"wait"',
    });
  });

  test("catches a record from whose slice something is missing, instead of failing", () => {
    const core = {
      ...(coreThat(() => 0) as object),
      decide: (slice: { list: string[] }) => ({ slice: slice.list[0] }),
    };
    const found = replay(core as never, record);
    expect(found?.field).toBe("verdict");
    expect(found?.recomputed).toContain("an error: Cannot read properties of undefined");
  });

  test("catches a dry run that is recorded as if it was live", () => {
    const dry = { ...(coreThat(() => 0) as { decide: (...of: unknown[]) => { decision: object } }) };
    const core = {
      ...dry,
      decide: (...of: unknown[]) => {
        const { decision, ...rest } = dry.decide(...of);
        return { ...rest, decision: { ...decision, mode: "dry_run" } };
      },
    };
    expect(replay(core as never, record)).toEqual({ field: "mode", recorded: '"live"', recomputed: '"dry_run"' });
    // A shadow's core is the enforced one's: only its record knows that it is a shadow.
    expect(replay(core as never, { ...record, mode: "shadow" })).toBeNull();
  });

  test("recomputes under the policy text of the record, not under another", () => {
    expect(
      replay(
        coreThat(() => 0),
        record,
        '{ "limit": 1 }',
      )?.field,
    ).toBe("verdict");
  });
});

describe("readKeptPolicy()", () => {
  test("says why a kept text is none any more", () => {
    const daemon = { core: coreThat(() => 0), policy };
    expect(readKeptPolicy(daemon, '{ "limit": "many" }')).toEqual({
      ok: false,
      why: 'limit must be a number, got "many"',
    });
    expect(readKeptPolicy(daemon, '{ "limit": ')).toEqual({ ok: false, why: "it is not JSON" });
  });
});
