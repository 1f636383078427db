/** What is counted after a fix, from the records of real folders. */
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { measure } from "../../../daemons/auto-fix/measuring.js";
import { planOfFix } from "../../../daemons/auto-fix/plans.js";
import type { RunPart } from "../../../daemons/auto-fix/state.js";
import { SHIPPED_FIXES } from "../../../lib/schema/shipped-fixes.js";
import { openHome, resolveHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";

const APPLIED_MS = 1_800_000_000_000;
const WINDOW_MS = 60_000;

let folder: string;
let layout: Layout;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "heald-measuring-"));
  const home = resolveHome({}, folder, folder);
  if (home === null) throw new Error("no home");
  openHome(home, { create: true, claimOwnership: false });
  layout = new Layout(home);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function put(path: string, record: object, atMs: number): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(record), { mode: 0o640 });
  utimesSync(path, atMs / 1000, atMs / 1000);
}

/** An attempt that lived for a second. */
function death(attempt: number, endedMs: number): void {
  const names = { worker_id: "mill-1", attempt };
  put(layout.launch("mill-1", attempt), names, endedMs - 1000);
  put(layout.exit("mill-1", attempt), { ...names, exit_code: 75 }, endedMs);
  const spec = { ...names, worker_type: "mill-worker", status: "zombie" };
  put(join(layout.zombieDir, `mill-1.attempt-${attempt}.json`), spec, endedMs);
}

const run: RunPart = {
  ...{ run_id: "run-1", fix_id: "fix-1", subject: "pattern-1", learn: "fix-1:transient:resource_contention" },
  plan: planOfFix(SHIPPED_FIXES[0] as (typeof SHIPPED_FIXES)[number]),
  ...{ phase: "verifying", mode: "live", scope: "mill-worker", workers: ["mill-1"], pattern_id: "pattern-1" },
  ...{ occurrences: 3, last_seen_ms: APPLIED_MS - 5000, why: "why", diff: [], before: [], step: 1, approved_by: null },
  ...{ started_ms: APPLIED_MS, expires_ms: null, applied_ms: APPLIED_MS, ends_ms: APPLIED_MS + WINDOW_MS },
  ...{ verdict: null, conflicts: [], undo_reason: null, message: "message" },
};

describe("measure()", () => {
  beforeEach(() => {
    for (const nth of [1, 2, 3]) death(nth, APPLIED_MS - 10_000 + nth * 2000);
    for (const nth of [4, 5, 6]) death(nth, APPLIED_MS + (nth - 3) * 2000);
  });

  const otherAt = (nowMs: number): number => measure(layout, run, null, nowMs).after.other_failures;

  test("calls a death that may not be classified yet no failure of another kind", () => {
    expect(otherAt(APPLIED_MS + 6500)).toBe(0);
    expect(otherAt(APPLIED_MS + 11_500)).toBe(2);
  });

  test("calls it one when its pattern has had the time to count it and has not", () => {
    expect(otherAt(APPLIED_MS + 13_500)).toBe(3);
  });

  test("leaves no death out at the end of the window", () => {
    death(7, APPLIED_MS + WINDOW_MS - 500);
    expect(otherAt(APPLIED_MS + WINDOW_MS - 1)).toBe(3);
    expect(otherAt(APPLIED_MS + WINDOW_MS)).toBe(4);
  });
});
