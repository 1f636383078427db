/**
 * Guarantee: a step that a kill has cut off from its answer may be made again, forwards and backwards: the second time changes
 * nothing. What is compared is every file of the home.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { Acting } from "../../../daemons/auto-fix/acting.js";
import { planOfFix } from "../../../daemons/auto-fix/plans.js";
import type { RunPart } from "../../../daemons/auto-fix/state.js";
import type { FixAction } from "../../../lib/schema/fix-actions.js";
import type { PatternRecord } from "../../../lib/schema/pattern.js";
import { SHIPPED_FIXES } from "../../../lib/schema/shipped-fixes.js";
import { writeDesired } from "../../../lib/store/desired.js";
import type { Layout } from "../../../lib/store/layout.js";
import { SpecStore } from "../../../lib/store/specs.js";
import { temporaryLayout } from "../store/temporary-home.js";

let layout: Layout;
let acting: Acting;

beforeEach(() => {
  layout = temporaryLayout();
  acting = new Acting(
    layout,
    () => ({ commands: [] }),
    () => ({ tasks: ["task-1"] }) as unknown as PatternRecord,
  );
  const template = {
    worker_type: "press",
    launch: { command: "sleep", args: ["600"] },
    processing: { batch_size: 100 },
  };
  writeFileSync(layout.template("press"), JSON.stringify(template), { mode: 0o640 });
  const specs = new SpecStore(layout);
  for (const id of ["press-1", "worker-press-fix-1"])
    specs.createActive({ worker_id: id, worker_type: "press", attempt: 1, status: "running" });
  writeDesired(layout, "worker-press-fix-1", { state: "running", by: "auto-fix", at: "2026-01-01T00:00:00Z" });
  mkdirSync(join(layout.home.home, "agents/workers/press-1/state"), { recursive: true });
  writeFileSync(join(layout.home.home, "agents/workers/press-1/state/cursor"), "garbage");
});

function runOf(action: FixAction): RunPart {
  const plan = planOfFix(SHIPPED_FIXES[0] as (typeof SHIPPED_FIXES)[number]);
  return {
    ...{ run_id: "run-1", fix_id: "fix-1", subject: "pattern-1", learn: "l", plan: { ...plan, actions: [action] } },
    ...{ phase: "applying", mode: "live", scope: "press", workers: ["press-1"], pattern_id: "pattern-1" },
    ...{ occurrences: 3, last_seen_ms: 0, why: "why", before: [], step: 0, approved_by: null, started_ms: 0 },
    ...{ expires_ms: null, applied_ms: null, ends_ms: null, verdict: null, conflicts: [], undo_reason: null },
    ...{ diff: [{ what: "processing.batch_size", before: 100, after: 50 }], message: "message" },
  };
}

/** Every file with its text, but for the traces of a lock. */
function everything(): Record<string, string> {
  const files = readdirSync(layout.home.home, { recursive: true, withFileTypes: true }).filter(
    (each) => each.isFile() && !each.parentPath.includes(".lock"),
  );
  return Object.fromEntries(
    files.map((each) => [join(each.parentPath, each.name), readFileSync(join(each.parentPath, each.name), "utf8")]),
  );
}

const halve: FixAction = {
  type: "modify-worker-spec",
  changes: [{ field: "processing.batch_size", operation: "multiply", value: 0.5 }],
};

describe("a step", () => {
  test.each<FixAction>([
    halve,
    { type: "restart-worker" },
    { type: "scale-up", max_workers: 9 },
    { type: "scale-down" },
    { type: "enable-circuit-breaker" },
    { type: "fallback-mode" },
    { type: "quarantine" },
    { type: "clean-state", paths: ["agents/workers/{worker_id}/state"] },
    { type: "free-disk" },
  ])("of $type that is made again changes nothing, and neither does its undo", async (action) => {
    const untouched = everything();
    const prepared = runOf(action);
    const run = { ...prepared, before: acting.prepare(prepared) };
    expect(everything()).toEqual(untouched);
    await acting.apply(run, 0);
    const once = everything();
    await acting.apply(run, 0);
    expect(everything()).toEqual(once);
    // A worker that stops is waited for: it is gone by now.
    if (action.type === "scale-down") new SpecStore(layout).removeActive("worker-press-fix-1", 1);
    expect(await acting.undo(run, 0)).toEqual([]);
    const back = everything();
    expect(await acting.undo(run, 0)).toEqual([]);
    expect(everything()).toEqual(back);
  });

  test("that opens a circuit breaker keeps what a person has added to its file, and so does its undo", async () => {
    const inFile = () => JSON.parse(readFileSync(layout.breaker("press"), "utf8")) as Record<string, unknown>;
    writeFileSync(layout.breaker("press"), '{"worker_type":"press","state":"closed","ticket":"OPS-7"}');
    const prepared = runOf({ type: "enable-circuit-breaker" });
    const run = { ...prepared, before: acting.prepare(prepared) };
    await acting.apply(run, 0);
    expect(inFile()).toMatchObject({ state: "open", ticket: "OPS-7" });
    expect(await acting.undo(run, 0)).toEqual([]);
    expect(inFile()).toMatchObject({ state: "closed", reason: "undone run-1", ticket: "OPS-7" });
  });

  test("that holds a task replaces a hold of heald's that is over, and none of a person's", async () => {
    const path = join(layout.holdsDir, "task-task-1.json");
    const over = { scope: "target", name: "task-1", acts: ["restart"], expires_at: "2026-01-01T00:00:00Z" };
    writeFileSync(path, JSON.stringify({ ...over, by: "worker-restart" }));
    const prepared = runOf({ type: "quarantine" });
    const run = { ...prepared, before: acting.prepare(prepared) };
    expect(await acting.apply(run, 0)).toBe("the task is held");
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ by: "auto-fix" });
    expect(await acting.undo(run, 0)).toEqual([]);
    expect(readdirSync(layout.holdsDir)).toEqual([]);

    writeFileSync(path, JSON.stringify({ ...over, by: "anna" }));
    const second = { ...prepared, before: acting.prepare(prepared) };
    await expect(acting.apply(second, 0)).rejects.toThrow(
      "a person's hold task-task-1.json that is over is in the way",
    );
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ by: "anna" });
  });

  test("that restarts a worker of a pattern takes that in which it was seen last, of those that run", async () => {
    const specs = new SpecStore(layout);
    for (const id of ["press-9", "press-3"])
      specs.createActive({ worker_id: id, worker_type: "press", attempt: 1, status: "running" });
    const prepared = { ...runOf({ type: "restart-worker" }), workers: ["press-9", "press-1", "press-3", "press-gone"] };
    const run = { ...prepared, before: acting.prepare(prepared) };
    expect(await acting.apply(run, 0)).toBe("the restart of press-3 is asked for");
    expect(readdirSync(layout.queueDir)).toEqual(["press-3-restart.json"]);
  });

  describe("that restarts a worker says what is so:", () => {
    const made = async (more: Partial<RunPart> = {}, between = (): void => undefined): Promise<string> => {
      const prepared = { ...runOf({ type: "restart-worker" }), ...more };
      const run = { ...prepared, before: acting.prepare(prepared) };
      between();
      return acting.apply(run, 0);
    };

    test("it is asked for, also by the same step made again", async () => {
      for (const _ of ["first", "again"]) expect(await made()).toBe("the restart of press-1 is asked for");
    });

    test("a restart waits already, as it was asked for by somebody else", async () => {
      const request = JSON.stringify({ worker_id: "press-1", worker_type: "press", requested_by: "ann" });
      writeFileSync(layout.queueRequest("press-1"), request);
      expect(await made()).toBe("a restart of press-1 waits already");
      expect(readFileSync(layout.queueRequest("press-1"), "utf8")).toBe(request);
    });

    test("it was restarted since it was decided, or does not run any more", async () => {
      const specs = new SpecStore(layout);
      const end = (): void => void specs.removeActive("press-1", 1);
      const restart = (): void => {
        end();
        specs.createActive({ worker_id: "press-1", worker_type: "press", attempt: 2, status: "running" });
      };
      expect(await made({}, restart)).toBe("press-1 was restarted since");
      specs.removeActive("press-1", 2);
      specs.createActive({ worker_id: "press-1", worker_type: "press", attempt: 1, status: "running" });
      expect(await made({}, end)).toBe("press-1 does not run any more");
      expect(readdirSync(layout.queueDir)).toEqual([]);
    });

    test("it cannot be asked for where the spec names no worker type", async () => {
      new SpecStore(layout).createActive({ worker_id: "lathe-1", attempt: 1, status: "running" });
      await expect(made({ scope: "lathe-1", pattern_id: null, workers: [] })).rejects.toThrow(
        "the spec of lathe-1 names no worker type, without which no restart can be asked for",
      );
      expect(readdirSync(layout.queueDir)).toEqual([]);
    });
  });

  test("that restarts a service asks only for workers that run in the attempt in which they ran", async () => {
    const prepared = runOf({ type: "restart-service", timeout_seconds: 0.3 });
    const run = { ...prepared, before: acting.prepare(prepared) };
    const specs = new SpecStore(layout);
    specs.removeActive("press-1", 1);
    specs.createActive({ worker_id: "press-1", worker_type: "press", attempt: 2, status: "running" });
    const proved = { worker_type: "press", result: "success", timestamp: "2026-01-01T00:00:00Z" };
    writeFileSync(layout.history, `${JSON.stringify({ ...proved, worker_id: "press-1", attempt: 2 })}\n`);
    const stopped =
      "worker-press-fix-1 is not well after 1 s (1 before it are restarted, those after it are left alone)";
    for (const _ of ["first", "again"]) {
      await expect(acting.apply(run, 0)).rejects.toThrow(stopped);
      expect(readdirSync(layout.queueDir)).toEqual(["worker-press-fix-1-restart.json"]);
    }
  });

  test("whose folder is behind a link moves none of its folders", async () => {
    const second = join(layout.home.home, "agents/workers/press-1/link");
    // A small one: newer Nodes follow links when everything is listed.
    const outside = mkdtempSync(join(tmpdir(), "heald-outside-"));
    onTestFinished(() => rmSync(outside, { recursive: true }));
    symlinkSync(outside, second);
    const paths = ["agents/workers/{worker_id}/state", "agents/workers/{worker_id}/link"];
    const prepared = runOf({ type: "clean-state", paths });
    const run = { ...prepared, before: acting.prepare(prepared) };
    const before = everything();
    await expect(acting.apply(run, 0)).rejects.toThrow(/is a link, or leads out of the home/);
    expect(everything()).toEqual(before);
  });
});
