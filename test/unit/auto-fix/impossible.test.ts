/** Guarantee: what an action cannot do as things stand is known before it is tried. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { whyNoQuarantine, whyNotOpen } from "../../../daemons/auto-fix/impossible.js";
import type { PatternRecord } from "../../../lib/schema/pattern.js";
import { resolveHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";

let root: string;
let layout: Layout;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "heald-impossible-"));
  const home = resolveHome({}, root, root);
  if (home === null) throw new Error("no home");
  layout = new Layout(home);
  for (const folder of [layout.breakersDir, layout.holdsDir]) mkdirSync(folder, { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("a breaker", () => {
  const breaker = (state: string): void =>
    writeFileSync(layout.breaker("scan-worker"), `${JSON.stringify({ worker_type: "scan-worker", state })}\n`);

  test("is half-opened only where it is open; without a file it is closed", () => {
    const why = (): string | null => whyNotOpen(layout, "scan-worker", Date.now());
    expect(why()).toBe("the circuit breaker is closed, not open");
    breaker("half-open");
    expect(why()).toBe("the circuit breaker is half-open, not open");
    breaker("open");
    expect(why()).toBeNull();
  });
});

describe("a quarantine", () => {
  const why = (tasks: string[] | undefined): string | null =>
    whyNoQuarantine(layout, { tasks } as PatternRecord, Date.now());
  const hold = (file: string, scope: string, name: string): void =>
    writeFileSync(
      join(layout.holdsDir, file),
      JSON.stringify({ scope, name, acts: ["restart"], by: "ann", why: "w", created_at: new Date().toISOString() }),
      { mode: 0o640 },
    );

  test("needs one task, and none that is held already", () => {
    expect(why(undefined)).toBe("no single task is known");
    expect(why(["task-1", "task-2"])).toBe("no single task is known");
    expect(why(["task-1"])).toBeNull();
    hold("task-task-1.json", "target", "task-1");
    expect(why(["task-1"])).toMatch(/^the task is held already, by the hold "/);
    expect(why(["task-2"])).toBeNull();
  });

  test("is not kept back by a hold on everything, which says nothing of the task", () => {
    hold("all.json", "all", "all");
    expect(why(["task-1"])).toBeNull();
  });
});
