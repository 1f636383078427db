/** Guarantee: each published pattern is looked at, whoever else reads the file in between. */
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FactReader } from "../../../daemons/auto-fix/facts.js";
import type { Event } from "../../../daemons/auto-fix/messages.js";
import { PatternSource } from "../../../daemons/auto-fix/pattern-source.js";
import type { Context, Rules } from "../../../daemons/auto-fix/rules.js";
import { registryDefinition } from "../../../lib/schema/fix-registry.js";
import { SHIPPED_FIXES } from "../../../lib/schema/shipped-fixes.js";
import type { Layout } from "../../../lib/store/layout.js";
import { PATTERNS_FILE } from "../../../lib/store/patterns.js";
import { temporaryLayout } from "../store/temporary-home.js";

function publish(layout: Layout, id: string): void {
  appendFileSync(
    join(layout.patternsDir, PATTERNS_FILE),
    `${JSON.stringify({
      ...{ pattern_id: id, category: "resource", type: "timeout", worker_type: id, status: "active" },
      ...{ confidence: 0.9, evidence: "exit", severity: "high", signature: id, root_cause: "known", message: id },
      frequency: { total_occurrences: 4, window_occurrences: 4, first_seen: 0, last_seen: 0, rate_per_hour: 4 },
      ...{ example_event_ids: [], updated_at: "2026-01-01T00:00:00Z" },
    })}\n`,
  );
}

test("a pattern that came while another was asked for is looked at with the next scan", () => {
  const layout = temporaryLayout();
  const offered: Event[] = [];
  const context = {
    layout,
    offer: (event: Event) => offered.push(event),
    part: () => null,
    partsWith: () => new Map(),
  } as unknown as Context;
  const rules = registryDefinition(SHIPPED_FIXES).complete({}) as unknown as Rules;
  const source = new PatternSource(
    context,
    rules,
    new FactReader(
      layout,
      () => ({ commands: [] }),
      () => "unknown",
    ),
  );
  publish(layout, "one");
  source.scan();
  publish(layout, "two");
  // As the measuring of a run does.
  source.pattern("one");
  source.scan();
  expect(offered.map((event) => (event.kind === "consider" ? event.subject : event.kind))).toEqual(["one", "two"]);
  source.scan();
  expect(offered).toHaveLength(2);
});

test("a pattern whose facts cannot be read just now does not end the daemon, and is looked at by a later scan", () => {
  const layout = temporaryLayout();
  const offered: string[] = [];
  const warned: string[] = [];
  const context = {
    layout,
    log: { warn: (_: object, text: string) => warned.push(text), info: () => undefined },
    offer: (event: Event) => offered.push(event.kind === "consider" ? event.subject : event.kind),
    part: () => null,
    partsWith: () => new Map(),
  } as unknown as Context;
  const rules = registryDefinition(SHIPPED_FIXES).complete({}) as unknown as Rules;
  const reader = new FactReader(
    layout,
    () => ({ commands: [] }),
    () => "unknown",
  );
  const read = reader.read.bind(reader);
  let isOpen = false;
  reader.read = (...facts) => {
    if (!isOpen && facts[1] === "one")
      throw Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
    return read(...facts);
  };
  const source = new PatternSource(context, rules, reader);
  for (const id of ["one", "two"]) publish(layout, id);
  source.scan();
  source.scan();
  source.lookAtAll();
  expect(offered).toEqual(["two", "two"]);
  expect(warned).toEqual(["looking at one does not work just now (EMFILE); it is tried again"]);
  isOpen = true;
  source.scan();
  expect(offered).toEqual(["two", "two", "one"]);
});
