/** The published patterns: room for new ones, compaction, and an index that counts what is active. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { addFailures, blankPattern } from "../../../daemons/failure-pattern/counting.js";
import { Library } from "../../../daemons/failure-pattern/library.js";
import type { Event } from "../../../daemons/failure-pattern/messages.js";
import { readFailurePatternPolicy } from "../../../daemons/failure-pattern/policy.js";
import type { PatternPart } from "../../../daemons/failure-pattern/state.js";
import type { Log } from "../../../lib/platform/log.js";
import { openHome, resolveHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";
import { readPatterns } from "../../../lib/store/patterns.js";

const HOUR_MS = 3_600_000;
let folder: string;
let layout: Layout;
let parts: Map<string, PatternPart>;
let library: Library;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "heald-library-"));
  const home = resolveHome({}, folder, folder) as NonNullable<ReturnType<typeof resolveHome>>;
  openHome(home, { create: true, claimOwnership: false });
  layout = new Layout(home);
  parts = new Map();
  const policy = readFailurePatternPolicy({ storage: { max_patterns: 20, pattern_retention_days: 2 } });
  if (!policy.ok) throw new Error("The policy is good");
  const host = {
    layout,
    log: { warn: () => {}, info: () => {} } as unknown as Log,
    part: <T>(key: string) => (parts.get(key) as T | undefined) ?? null,
    partsWith: <T>(prefix: string): ReadonlyMap<string, T> =>
      new Map(
        [...parts].flatMap(([key, part]) => (key.startsWith(prefix) ? [[key.slice(prefix.length), part as T]] : [])),
      ),
    offer: (event: Event) => {
      if (event.kind === "forget") parts.delete(`pattern:${event.pattern_id}`);
    },
    policy: () => policy.value.policy,
  };
  library = new Library(host, () => true);
});

afterEach(() => {
  library.stop();
  rmSync(folder, { recursive: true, force: true });
});

function add(id: string, status: PatternPart["status"], countedMs: number): void {
  const counted = {
    kind: "counted" as const,
    pattern_id: id,
    category: "resource",
    type: "out_of_memory",
    worker_type: "constructor",
    signature: "out_of_memory",
    template: "out_of_memory",
    example: "",
    root_cause: null,
    occurrences: [
      {
        event_id: id,
        at_ms: countedMs,
        worker_id: "worker-1",
        task_id: null,
        evidence: "kernel" as const,
        confidence: 0.99,
        weight: 1,
      },
    ],
    purity: 1,
    recent: { occurrences: 1, of: 1 },
    follows: [],
  };
  library.makeRoom(id);
  const options = { horizonMs: HOUR_MS, gapsMin: 5, level: 0.05 };
  parts.set(`pattern:${id}`, { ...addFailures(blankPattern(counted), counted, countedMs, options), status });
}

describe("the library of patterns", () => {
  test("keeps what is active when room must be made for a flood of patterns", () => {
    const now = Date.now();
    add("pattern-active", "active", now - 10 * HOUR_MS);
    for (let nth = 0; nth < 500; nth++) add(`pattern-${nth}`, "candidate", now - HOUR_MS + nth);
    expect(parts.size).toBeLessThanOrEqual(24);
    expect(parts.has("pattern:pattern-active")).toBe(true);
    expect(parts.has("pattern:pattern-499")).toBe(true);
  });

  test("writes the file anew where somebody removed it, with a line for each published pattern", () => {
    add("pattern-a", "active", Date.now());
    add("pattern-b", "resolved", Date.now());
    add("pattern-c", "candidate", Date.now());
    library.scan();
    expect(readPatterns(layout).map(({ pattern_id }) => pattern_id)).toEqual(["pattern-a", "pattern-b"]);
  });

  test("compacts a file that is mostly out of date, and leaves the last word of each pattern", () => {
    add("pattern-a", "active", Date.now());
    library.scan();
    const [record] = readPatterns(layout);
    if (record === undefined) throw new Error("There is a record");
    const path = join(layout.patternsDir, "failure-patterns.jsonl");
    for (let nth = 0; nth < 2000; nth++) library.publish({ ...record, example: "x".repeat(400) });
    expect(readFileSync(path).length).toBeGreaterThan(1024 * 1024);
    library.scan();
    expect(readFileSync(path).length).toBeLessThan(2000);
    expect(readPatterns(layout)).toHaveLength(1);
  });

  test("takes the last good line of a pattern, past one that is torn", () => {
    add("pattern-a", "active", Date.now());
    library.scan();
    const path = join(layout.patternsDir, "failure-patterns.jsonl");
    writeFileSync(path, `${readFileSync(path, "utf8")}{"pattern_id":"pattern-a","stat`, { mode: 0o640 });
    expect(readPatterns(layout)).toMatchObject([{ pattern_id: "pattern-a", status: "active" }]);
  });

  test("lets go of what was over for longer than it is kept, and never of what is active", () => {
    const longAgo = Date.now() - 72 * HOUR_MS;
    add("pattern-a", "active", longAgo);
    add("pattern-b", "resolved", longAgo);
    library.scan();
    expect([...parts.keys()]).toEqual(["pattern:pattern-a"]);
  });

  test("counts in its index what is active, whatever a worker type is called", () => {
    add("pattern-a", "active", Date.now());
    add("pattern-b", "resolved", Date.now());
    library.publish(library.records()[0] as ReturnType<Library["records"]>[number]);
    library.scan();
    const index = JSON.parse(readFileSync(join(layout.patternsDir, "pattern-index.json"), "utf8"));
    expect(index).toMatchObject({ patterns: 2, active: 1, by_type: { "resource:out_of_memory": 1 } });
    expect(index.by_worker_type).toEqual({ constructor: 1 });
  });
});
