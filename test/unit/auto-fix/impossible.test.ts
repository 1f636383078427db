/** Guarantee: what an action cannot do as things stand is known before it is tried. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Situation, whyImpossible } from "../../../daemons/auto-fix/impossible.js";
import type { FixAction } from "../../../lib/schema/fix-actions.js";
import type { WorkerSpecRecord } from "../../../lib/schema/worker-spec.js";
import { resolveHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";

let root: string;
let layout: Layout;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "heald-impossible-"));
  const home = resolveHome({}, root, root);
  if (home === null) throw new Error("no home");
  layout = new Layout(home);
  mkdirSync(layout.breakersDir, { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const workers = (count: number): WorkerSpecRecord[] =>
  Array.from({ length: count }, (_, nth) => ({ worker_id: `w-${nth}`, worker_type: "scan-worker" }));

const why = (action: FixAction, more: Partial<Situation> = {}): string | null =>
  whyImpossible(action, {
    ...{ layout, allowed: { commands: [] }, scope: "scan-worker", pattern: null, workers: [], holds: [], args: [] },
    ...{ nowMs: Date.now(), ...more },
  });

describe("whyImpossible()", () => {
  test("lets a scale-up through below its maximum, and says why not at it", () => {
    const up = { type: "scale-up", max_workers: 3 } as const;
    expect(why(up, { workers: workers(2) })).toBeNull();
    expect(why(up, { workers: workers(3) })).toBe("3 workers run, at most 3 may");
    expect(why({ type: "scale-up" }, { workers: workers(99) })).toBeNull();
  });

  test("lets a scale-down through above its minimum, which is none unless given", () => {
    const down = { type: "scale-down", min_workers: 2 } as const;
    expect(why(down, { workers: workers(3) })).toBeNull();
    expect(why(down, { workers: workers(2) })).toBe("2 workers run, at least 2 must stay");
    expect(why({ type: "scale-down" }, { workers: workers(1) })).toBeNull();
    expect(why({ type: "scale-down" })).toBe("0 workers run, at least 0 must stay");
  });

  test("does not half-open a breaker that is not open", () => {
    const halfOpen = { type: "enable-circuit-breaker", state: "half-open" } as const;
    const breaker = (state: string): void =>
      writeFileSync(layout.breaker("scan-worker"), `${JSON.stringify({ worker_type: "scan-worker", state })}\n`);
    expect(why(halfOpen)).toBe("the circuit breaker is closed, not open");
    breaker("half-open");
    expect(why(halfOpen)).toBe("the circuit breaker is half-open, not open");
    breaker("open");
    expect(why(halfOpen)).toBeNull();
    expect(why({ type: "enable-circuit-breaker" })).toBeNull();
  });
});
