/** A decision is explained by its record: recomputed from slice, event and policy it comes out the same, or is caught. */
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { replayDecision } from "../../../lib/runtime/replay.js";
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

describe("replayDecision()", () => {
  test("finds no difference in a decision that used its record alone", () => {
    expect(replayDecision({ core: coreThat(() => 0), policy }, record, "{}")).toBeNull();
  });

  test("catches a decision that used something that is not in its record", () => {
    let hidden = 0;
    const core = coreThat(() => hidden++);
    expect(replayDecision({ core, policy }, record, "{}")).toBeNull();
    expect(replayDecision({ core, policy }, record, "{}")).toEqual({
      field: "message",
      recorded: '"2"',
      recomputed: '"3"',
    });
  });

  test("names the gate and the field in which a record was changed", () => {
    const changed = { ...record, gates: [{ gate: "limit", value: 1, threshold: 3, passed: true }] };
    expect(replayDecision({ core: coreThat(() => 0), policy }, changed, "{}")).toEqual({
      field: "gates.0.value",
      recorded: "1",
      recomputed: "2",
    });
  });

  test("recomputes under the policy text of the record, not under another", () => {
    expect(replayDecision({ core: coreThat(() => 0), policy }, record, '{ "limit": 1 }')?.field).toBe("verdict");
  });
});
