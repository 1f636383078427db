/** What people are told of patterns: the sentence, the cause, the picture, the report. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { reportOf } from "../../../daemons/failure-pattern/report.js";
import { patternSentence, rootCauseOf, spanInWords, sparkline } from "../../../lib/domain/pattern-words.js";
import { FAILURE_TYPES } from "../../../lib/schema/failure-rules.js";
import type { PatternRecord } from "../../../lib/schema/pattern.js";

const clock = (atMs: number): string => new Date(atMs).toISOString().slice(11, 16);
const at = (time: string): number => Date.parse(`2026-11-21T${time}:00Z`);
const facts = {
  type: "out_of_memory",
  workerType: "scan-worker",
  isActive: true,
  total: 14,
  share: { occurrences: 14, of: 16 },
  sinceMs: at("14:02"),
  lastSeenMs: at("15:01"),
  meanGapSeconds: 9 * 60,
  expectedBeforeMs: at("15:10"),
};

describe("patternSentence()", () => {
  test("says what a person would say", () => {
    expect(patternSentence(facts, clock)).toBe(
      "scan-worker runs out of memory (14 of the last 16 failures, since 14:02, about every 9 minutes; next expected before 15:10)",
    );
  });

  test("says of a pattern that is over when it was", () => {
    expect(patternSentence({ ...facts, isActive: false, expectedBeforeMs: null }, clock)).toBe(
      "scan-worker runs out of memory (14 of the last 16 failures, from 14:02 to 15:01, over now, about every 9 minutes)",
    );
  });

  test.each(Object.values(FAILURE_TYPES).flat())("has words of its own for %s", (type) => {
    expect(patternSentence({ ...facts, type }, clock)).not.toContain(`fails (${type})`);
    expect(rootCauseOf({ cause: null, type, workers: [], tasks: [], occurrences: 3 })).not.toContain(
      "Failures of type",
    );
  });
});

describe("rootCauseOf()", () => {
  test("takes the rule's sentence, and names the one task that several workers died of", () => {
    const task = {
      cause: "The heap is full",
      type: "out_of_memory",
      workers: ["a", "b"],
      tasks: ["t-1"],
      occurrences: 3,
    };
    expect(rootCauseOf(task)).toBe("The heap is full; all of it with one task, t-1");
    expect(rootCauseOf({ ...task, workers: ["a"] })).toBe("The heap is full");
    expect(rootCauseOf({ ...task, tasks: ["t-1", "t-2"] })).toBe("The heap is full");
  });
});

describe("spanInWords()", () => {
  test.each([
    [1, "second"],
    [40, "40 seconds"],
    [9 * 60, "9 minutes"],
    [3 * 3600, "3 hours"],
    [90 * 60, "2 hours"],
    [3 * 86_400, "3 days"],
  ])("of %d s is %s", (seconds, wanted) => {
    expect(spanInWords(seconds)).toBe(wanted);
  });
});

describe("sparkline()", () => {
  test("shows the highest full, the least still there, and nothing as nothing", () => {
    expect(sparkline([0, 1, 4, 8])).toBe("·▁▄█");
  });

  test("has a mark for each count", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(100_000), { maxLength: 48 }), (counts) => {
        expect(sparkline(counts)).toHaveLength(counts.length);
        for (const [index, mark] of [...sparkline(counts)].entries()) expect(mark === "·").toBe(counts[index] === 0);
      }),
    );
  });
});

const record = (more: Partial<PatternRecord> = {}): PatternRecord => ({
  pattern_id: "pattern-1",
  category: "resource",
  type: "out_of_memory",
  worker_type: "scan-worker",
  status: "active",
  confidence: 0.99,
  evidence: "kernel",
  severity: "high",
  signature: "out_of_memory",
  frequency: {
    total_occurrences: 14,
    window_occurrences: 14,
    first_seen: "2026-11-21T14:02:00Z",
    last_seen: "2026-11-21T15:01:00Z",
    rate_per_hour: 14,
    by_hour: [0, 14],
  },
  root_cause: "The workers need more memory than their limit gives them",
  message: "scan-worker runs out of memory (14 of the last 16 failures)",
  updated_at: "2026-11-21T15:01:00Z",
  ...more,
});

describe("reportOf()", () => {
  const figures = { failures: 20, ignored: 3, lagBytes: 0 };
  const report = (...records: PatternRecord[]): string => reportOf("2026-11-21", records, figures, at("16:00"));

  test("names the active patterns, worst first, and those that ended since yesterday", () => {
    const text = report(
      record({ pattern_id: "pattern-low", severity: "low" }),
      record({ pattern_id: "pattern-worst", severity: "critical" }),
      record({ pattern_id: "pattern-over", status: "resolved" }),
    );
    expect(text).toContain("2 patterns are active, 1 ended in the last day.");
    expect(text.indexOf("pattern-worst")).toBeLessThan(text.indexOf("pattern-low"));
    expect(text.indexOf("pattern-low")).toBeLessThan(text.indexOf("pattern-over"));
    expect(text).toContain("| ·█ | 14 |");
  });

  test("says so when there is nothing to say", () => {
    expect(report()).toContain("Nothing fails again and again.");
  });

  test("lets no stranger's text become markup", () => {
    const evil = "<img src=x onerror=alert(1)> | `x` [link](javascript:1)\n# Title";
    const text = report(record({ message: evil, root_cause: evil, example: evil, signature: evil }));
    expect(text).not.toMatch(/^# Title/m);
    expect(
      text
        .split("\n")
        .filter((line) => line.startsWith("|"))
        .every((line) => !/[^\\]</.test(line)),
    ).toBe(true);
  });
});
