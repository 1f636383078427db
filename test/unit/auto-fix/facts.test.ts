/** Guarantee: what a fix is told of the home is what stands there. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FactReader } from "../../../daemons/auto-fix/facts.js";
import { whyAsk } from "../../../daemons/auto-fix/gate-question.js";
import { autoFixPolicy } from "../../../daemons/auto-fix/policy.js";
import type { Plan } from "../../../daemons/auto-fix/state.js";
import type { PatternRecord } from "../../../lib/schema/pattern.js";
import { SHIPPED_FIXES } from "../../../lib/schema/shipped-fixes.js";
import { openHome, resolveHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";

let root: string;
let layout: Layout;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "heald-facts-"));
  const home = resolveHome({}, root, root);
  if (home === null) throw new Error("no home");
  openHome(home, { create: true, claimOwnership: false });
  layout = new Layout(home);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("a worker type without a template", () => {
  const plan = { actions: [{ type: "restart-worker" }], target: "process" } as unknown as Plan;
  const pattern = { worker_type: "scan-worker", workers: ["scan-1"] } as unknown as PatternRecord;
  const isKnown = (): boolean =>
    new FactReader(
      layout,
      () => ({ commands: [] }) as never,
      () => "unknown",
    ).read(plan, "scan-worker", pattern, {}, Date.now()).component.is_known;

  test("is not known while nothing is there of it", () => {
    expect(isKnown()).toBe(false);
  });

  test("is known while a worker of it waits for its restart, which has no active spec then", () => {
    const request = { worker_id: "scan-1", worker_type: "scan-worker", attempt: 1, reason: "killed" };
    writeFileSync(layout.queueRequest("scan-1"), JSON.stringify(request), { mode: 0o640 });
    expect(isKnown()).toBe(true);
  });
});

describe("a spec that may not be read", () => {
  test.skipIf(process.geteuid?.() !== 0)("hides its own worker alone", () => {
    const plan = { actions: [{ type: "restart-service" }], target: "process" } as unknown as Plan;
    const specs = ["scan-1", "scan-2"];
    for (const worker_id of specs)
      writeFileSync(layout.activeSpec(worker_id), JSON.stringify({ worker_id, worker_type: "scan-worker" }));
    spawnSync("chmod", ["-R", "a+rX", root]);
    chmodSync(layout.activeSpec("scan-1"), 0o600);
    const reader = new FactReader(
      layout,
      () => ({ commands: [] }) as never,
      () => "unknown",
    );
    process.seteuid?.(65534);
    try {
      // A scope that is no id has no template to look for in this checkout, which may be closed to that user.
      expect(reader.read(plan, "no id", null, {}, Date.now()).fleet).toBe(1);
    } finally {
      process.seteuid?.(0);
    }
  });
});

describe("a hold on one worker", () => {
  const cleaning = { actions: [{ type: "clean-state", paths: ["state/{worker_id}"] }], target: "process" };
  const restarting = { actions: [{ type: "restart-worker" }], target: "process" };
  const changing = { actions: [{ type: "restart-service" }], target: "process" };
  const pattern = { worker_type: "scan-worker", workers: ["scan-2", "scan-1"] } as unknown as PatternRecord;
  const heldBy = (plan: object): string | null =>
    new FactReader(
      layout,
      () => ({ commands: [] }) as never,
      () => "unknown",
    ).read(plan as Plan, "scan-worker", pattern, {}, Date.now()).hold?.name ?? null;
  const hold = (scope: string, name: string): void =>
    writeFileSync(
      join(layout.holdsDir, "by-hand.json"),
      JSON.stringify({ scope, name, acts: ["fix"], by: "ann", why: "I look at it" }),
      { mode: 0o640 },
    );

  beforeEach(() => {
    const spec = { worker_id: "scan-1", worker_type: "scan-worker", task_id: "task-1", status: "running" };
    writeFileSync(layout.activeSpec("scan-1"), JSON.stringify(spec), { mode: 0o640 });
  });

  test.each([
    ["the worker", "worker", "scan-1"],
    ["its task", "target", "task-1"],
  ])("keeps a fix from moving its state and from restarting it: on %s", (_, scope, name) => {
    hold(scope, name);
    expect([heldBy(cleaning), heldBy(restarting)]).toEqual(["by-hand.json", "by-hand.json"]);
  });

  test("keeps a fix from restarting it where the pattern was seen in it last, whatever its name", () => {
    const other = { worker_id: "scan-2", worker_type: "scan-worker", task_id: "task-2", status: "running" };
    writeFileSync(layout.activeSpec("scan-2"), JSON.stringify(other), { mode: 0o640 });
    hold("worker", "scan-2");
    expect(heldBy(restarting)).toBeNull();
    hold("worker", "scan-1");
    expect(heldBy(restarting)).toBe("by-hand.json");
  });

  test("does not hold a fix of others", () => {
    hold("worker", "scan-2");
    expect([heldBy(cleaning), heldBy(restarting)]).toEqual([null, null]);
  });

  test("does not hold a fix of the whole type, which worker-restart then leaves it out of", () => {
    hold("worker", "scan-1");
    expect(heldBy(changing)).toBeNull();
  });
});

describe("a fix of the heartbeat of a type", () => {
  const action = SHIPPED_FIXES.find((each) => each.fix_id === "adjust-heartbeat-interval")?.actions[0];
  const plan = { actions: [action], target: "process" } as unknown as Plan;
  const facts = () =>
    new FactReader(
      layout,
      () => ({ commands: [] }) as never,
      () => "unknown",
    ).read(plan, "scan-worker", null, {}, Date.now());
  const changes = (): unknown => facts().fields.map(({ before, after }) => [before, after]);
  const policy = (text: object): void =>
    writeFileSync(layout.config("heartbeat-policy"), JSON.stringify(text), { mode: 0o640 });
  const template = (heartbeat: object): void =>
    writeFileSync(layout.template("scan-worker"), JSON.stringify({ heartbeat }), { mode: 0o640 });

  test("begins from the policy in force for the type, where the template is silent", () => {
    expect(changes()).toEqual([
      [30, 45],
      [120, 180],
      [300, 450],
    ]);
    policy({
      zombie_threshold_seconds: 900,
      overrides: { "scan-worker": { heartbeat_interval_seconds: 5, zombie_threshold_seconds: 50 } },
    });
    expect(changes()).toEqual([
      [5, 7.5],
      [20, 30],
      [50, 75],
    ]);
  });

  test("begins from what follows from the template, where that says a part of it", () => {
    template({ timeout_seconds: 20 });
    expect(changes()).toEqual([
      [5, 7.5],
      [20, 30],
      [50, 75],
    ]);
  });

  test("is held to the largest change from there", () => {
    policy({ heartbeat_interval_seconds: 5 });
    const asked = {
      slice: { healer: { baselines: {} } },
      event: { scope: "scan-worker", facts: facts(), plan: { ...plan, category: "configuration", risk: "low" } },
      settings: autoFixPolicy.complete({ limits: { max_change_from_baseline: 1.4 } }),
    } as unknown as Parameters<typeof whyAsk>[0];
    expect(whyAsk(asked)).toBe("a value would be 1.50 times from where it began");
  });
});
