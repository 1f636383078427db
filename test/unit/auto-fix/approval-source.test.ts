/** Guarantee: what a person answers while the host goes down is followed after it; what cannot be read is said, and waits for nobody. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ApprovalSource } from "../../../daemons/auto-fix/approval-source.js";
import type { Event } from "../../../daemons/auto-fix/messages.js";
import type { Context } from "../../../daemons/auto-fix/rules.js";
import type { RunPart } from "../../../daemons/auto-fix/state.js";
import { pendingRecord } from "../../../daemons/auto-fix/telling.js";
import { fixFile } from "../../../lib/store/fix-runs.js";
import { openHome, resolveHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";
import { makeFixing } from "../../scenario/auto-fix-world.js";
import { age, temporaryLayout } from "../store/temporary-home.js";

test("an approval waits in its place while the host goes down, and counts when that is called off", () => {
  const root = mkdtempSync(join(tmpdir(), "heald-approvals-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const home = resolveHome({}, root, root);
  if (home === null) throw new Error("no home");
  openHome(home, { create: true, claimOwnership: false });
  const layout = new Layout(home);
  const { world, simulation } = makeFixing({ categories: { resource: { requires_approval: true } } });
  world.publish("p1");
  const [runId = ""] = world.pending;
  const run = simulation.part<RunPart>(`run:${runId}`) as RunPart;
  // Still of today, whatever the day of the scenario is.
  const parts = new Map([[`run:${runId}`, { ...run, expires_ms: Date.now() + 3_600_000 }]]);
  const offered: Event["kind"][] = [];
  const context = {
    layout,
    part: (key: string) => parts.get(key) ?? null,
    partsWith: () => parts,
    offer: (event: Event) => void offered.push(event.kind),
    log: { warn: () => undefined },
    reporter: { news: () => undefined },
  } as unknown as Context;
  let isStopping = true;
  const considered = (): Event => ({ kind: "person-clears-breaker", by: "ann" });
  const source = new ApprovalSource(context, considered, () => isStopping);
  const path = fixFile(layout, "approved", runId);
  writeFileSync(path, JSON.stringify(pendingRecord(run)), { mode: 0o640 });
  source.scan();
  expect([offered, existsSync(`${path}.why`)]).toEqual([[], false]);
  isStopping = false;
  source.scan();
  expect([offered, existsSync(`${path}.why`)]).toEqual([["person-clears-breaker"], false]);
});

test("a proposal that cannot be read is refused once, as an answer is, and not any more when it can be read", () => {
  const layout = temporaryLayout();
  const said: string[] = [];
  const context = {
    layout,
    part: () => null,
    partsWith: () => new Map(),
    log: { warn: () => undefined },
    reporter: { news: (type: string, { message }: { message: string }) => said.push(`${type}: ${message}`) },
  } as unknown as Context;
  const source = new ApprovalSource(
    context,
    () => null,
    () => false,
  );
  const path = fixFile(layout, "pending", "b");
  writeFileSync(path, "{", { mode: 0o640 });
  source.scan();
  expect(said).toEqual([]);
  age(path, 10);
  for (let times = 0; times < 3; times++) source.scan();
  expect(said).toEqual(["record_refused: auto-fix/pending/b.json is refused: line 1, column 2: not valid JSON"]);
  expect(readFileSync(`${path}.why`, "utf8")).toBe("line 1, column 2: not valid JSON\n");
  writeFileSync(path, "{}", { mode: 0o640 });
  source.scan();
  expect([existsSync(`${path}.why`), existsSync(path), said.length]).toEqual([false, true, 1]);
});

test("what is said beside a proposal goes with it", () => {
  const layout = temporaryLayout();
  const context = {
    layout,
    part: () => null,
    partsWith: () => new Map(),
    log: {},
    reporter: { news: () => undefined },
  };
  const source = new ApprovalSource(
    context as unknown as Context,
    () => null,
    () => false,
  );
  const path = fixFile(layout, "pending", "b");
  writeFileSync(path, "[", { mode: 0o640 });
  age(path, 10);
  source.scan();
  expect(existsSync(`${path}.why`)).toBe(true);
  rmSync(path);
  source.scan();
  expect(existsSync(`${path}.why`)).toBe(false);
});
