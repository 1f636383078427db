import { describe, expect, test } from "vitest";
import { Collector, type Log } from "../../../cli/story/steps.js";
import { Layout } from "../../../lib/store/layout.js";

const MADE_BY = "0mx1s5g9s-8tv7oqbq-00007";
const EVENTS: Log = { kind: "event", name: "auto-fix", path: "" };
const DECISIONS: Log = { kind: "decision", name: "auto-fix", path: "" };

function storyOf(numbers: readonly number[]): string[] {
  const layout = new Layout({ home: "/nowhere", coordination: "/nowhere", logs: "/nowhere", namedBy: "flag" });
  const collector = new Collector({ layout, id: "x", limit: 100, only_live: false });
  const newestFirst = [...numbers].reverse().map((nth) => ({ event_id: `${MADE_BY}-${nth}`, at_ms: 1000 }));
  collector.take(EVENTS, newestFirst);
  collector.take(DECISIONS, [{ decision_id: MADE_BY, at_ms: 1000 }]);
  return (
    collector.story("other", "x", null)?.steps.map(({ record }) => String(record.event_id ?? record.decision_id)) ?? []
  );
}

describe("The steps of a story", () => {
  test("stand after the decision that they came from, and beyond ten in the order of their numbers", () => {
    const numbers = Array.from({ length: 12 }, (_, nth) => nth);
    expect(storyOf(numbers)).toEqual([MADE_BY, ...numbers.map((nth) => `${MADE_BY}-${nth}`)]);
  });
});
