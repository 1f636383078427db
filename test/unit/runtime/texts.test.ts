import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JournalEntry } from "../../../lib/runtime/journal.js";
import type { DecisionEffect } from "../../../lib/runtime/loop.js";
import { textOfDecision, textOfEntry } from "../../../lib/runtime/texts.js";

const member = fc.option(fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constant(undefined)), { nil: null });
const record = fc.dictionary(fc.string({ maxLength: 12 }), member, { maxKeys: 6 });
const stamp = fc.record({
  id: fc.string(),
  atMs: fc.nat(),
  monoMs: fc.double({ noNaN: true, noDefaultInfinity: true }),
});

const draft = fc.record(
  { subject: fc.string(), verdict: fc.string(), gates: fc.array(record, { maxLength: 3 }), incident_id: member },
  { requiredKeys: ["subject"] },
);
const decision = fc.record({
  kind: fc.constant("decision"),
  draft,
  slice: record,
  event: record,
  policyHash: fc.string(),
});
const effect = fc.oneof(
  decision,
  record.map((fields) => ({ ...fields, kind: "report" })),
);

const entry = fc.record(
  {
    seq: fc.nat(),
    lane: fc.string(),
    stamp,
    parts: record,
    effects: fc.array(effect, { maxLength: 4 }),
    progress: fc.record({ seq: fc.nat(), next: fc.nat() }),
    done: fc.array(fc.nat()),
  },
  { requiredKeys: ["seq", "lane", "stamp", "parts", "effects"] },
) as unknown as fc.Arbitrary<JournalEntry>;

describe("textOfEntry() and textOfDecision()", () => {
  test("write exactly what JSON makes of an entry, a decision's slice and event in it or not", () => {
    fc.assert(
      fc.property(entry, (each) => {
        expect(textOfEntry(each)).toBe(JSON.stringify(each));
      }),
    );
  });

  test("write it again where parts of it were written before, in whatever place", () => {
    fc.assert(
      fc.property(entry, record, (each, event) => {
        textOfEntry(each);
        const slice = { ...each.parts, more: each.parts };
        const gates = [{ gate: "holds", value: each.parts, threshold: null, passed: true }];
        const decided = {
          kind: "decision",
          draft: { subject: "s", gates },
          slice,
          event,
          policyHash: "x",
        } as unknown as DecisionEffect;
        const next = { ...each, effects: [decided, ...each.effects] };
        expect(textOfEntry(next)).toBe(JSON.stringify(next));
        const recorded = { decision_id: "d", gates, slice, event, mode: "live" };
        expect(textOfDecision(recorded)).toBe(JSON.stringify(recorded));
      }),
    );
  });

  test("know a part that was changed into another from the one that it was", () => {
    const before = { worker: { attempts: 1 } };
    const after = { worker: { ...before.worker, attempts: 2 } };
    const line = (parts: Record<string, unknown>): string =>
      textOfEntry({ seq: 1, lane: "worker:w", stamp: { id: "s", atMs: 1, monoMs: 1 }, parts, effects: [] });
    expect(line({ "worker:w": before.worker })).toContain('"worker:w":{"attempts":1}');
    expect(line({ "worker:w": after.worker })).toContain('"worker:w":{"attempts":2}');
    expect(line({ "worker:w": null })).toContain('"worker:w":null');
  });
});
