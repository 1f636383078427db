/** Guarantee: what a person answers while the host goes down is followed after it; what cannot be read is said, and waits for nobody; and bad weather loses neither. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { expect, test, vi } from "vitest";
import { ApprovalSource } from "../../../daemons/auto-fix/approval-source.js";
import type { Event } from "../../../daemons/auto-fix/messages.js";
import type { Context } from "../../../daemons/auto-fix/rules.js";
import type { RunPart } from "../../../daemons/auto-fix/state.js";
import { pendingRecord } from "../../../daemons/auto-fix/telling.js";
import { fixFile, refuseAnswer } from "../../../lib/store/fix-runs.js";
import type { Layout } from "../../../lib/store/layout.js";
import { makeFixing } from "../../scenario/auto-fix-world.js";
import { age, temporaryLayout } from "../store/temporary-home.js";

vi.mock(import("../../../lib/store/fix-runs.js"), { spy: true });

interface World {
  readonly considered?: () => Event | null;
  readonly news?: () => void;
  readonly isStopping?: () => boolean;
}

/** A run that waits for a person, and the source that looks for the answer. */
function makeWaiting(layout: Layout, { considered = () => null, news = () => undefined, isStopping }: World) {
  const { world, simulation } = makeFixing({ categories: { resource: { requires_approval: true } } });
  world.publish("p1");
  const [runId = ""] = world.pending;
  // Still of today, whatever the day of the scenario is.
  const run = { ...(simulation.part<RunPart>(`run:${runId}`) as RunPart), expires_ms: Date.now() + 3_600_000 };
  const parts = new Map([[`run:${runId}`, run]]);
  const offered: Event["kind"][] = [];
  const said: string[] = [];
  const say = (_: object, text: string) => said.push(text);
  const context = {
    layout,
    part: (key: string) => parts.get(key) ?? null,
    partsWith: () => parts,
    offer: (event: Event) => void offered.push(event.kind),
    log: { warn: say, info: say },
    reporter: { news },
  } as unknown as Context;
  const source = new ApprovalSource(context, considered, isStopping ?? (() => false));
  return { source, run, runId, offered, said };
}

const weather = (code: string): Error => Object.assign(new Error(`${code}: simulated`), { code });

test("an approval waits in its place while the host goes down, and counts when that is called off", () => {
  const layout = temporaryLayout();
  let isStopping = true;
  const considered = (): Event => ({ kind: "person-clears-breaker", by: "ann" });
  const { source, run, runId, offered } = makeWaiting(layout, { considered, isStopping: () => isStopping });
  const path = fixFile(layout, "approved", runId);
  writeFileSync(path, JSON.stringify(pendingRecord(run)), { mode: 0o640 });
  source.scan();
  expect([offered, existsSync(`${path}.why`)]).toEqual([[], false]);
  isStopping = false;
  source.scan();
  expect([offered, existsSync(`${path}.why`)]).toEqual([["person-clears-breaker"], false]);
});

test("an approval that bad weather kept from being read is followed at the next scan, and once", () => {
  const layout = temporaryLayout();
  let isStormy = true;
  const considered = (): Event => {
    if (isStormy) throw weather("EMFILE");
    return { kind: "person-clears-breaker", by: "ann" };
  };
  const { source, run, runId, offered, said } = makeWaiting(layout, { considered });
  writeFileSync(fixFile(layout, "approved", runId), JSON.stringify(pendingRecord(run)), { mode: 0o640 });
  // Another's answer is not kept back by it.
  writeFileSync(fixFile(layout, "undo", "resume"), '{"by":"ann"}', { mode: 0o640 });
  for (let times = 0; times < 2; times++) source.scan();
  expect(offered).toEqual(["person-clears-breaker"]);
  isStormy = false;
  for (let times = 0; times < 3; times++) source.scan();
  expect(offered).toEqual(["person-clears-breaker", "person-clears-breaker"]);
  expect(said).toEqual([
    "reading answers does not work just now (EMFILE); it is tried again",
    "reading answers works again",
  ]);
});

test("a refusal that could not be reported is told at the next scan, and is not silenced by what stands beside the file", () => {
  const layout = temporaryLayout();
  let isStormy = true;
  let told = 0;
  const news = (): void => {
    if (isStormy) throw weather("ENOSPC");
    told += 1;
  };
  const { source } = makeWaiting(layout, { news });
  const path = fixFile(layout, "approved", "nobodys");
  writeFileSync(path, "{}", { mode: 0o640 });
  source.scan();
  expect([told, existsSync(`${path}.why`)]).toEqual([0, false]);
  isStormy = false;
  for (let times = 0; times < 3; times++) source.scan();
  expect([told, readFileSync(`${path}.why`, "utf8")]).toEqual([1, "no such run waits for an answer\n"]);
});

test("a refusal that could not be written beside the file is written at the next scan, and not told again", () => {
  const layout = temporaryLayout();
  const told: string[] = [];
  const { source } = makeWaiting(layout, { news: () => void told.push("record_refused") });
  const path = fixFile(layout, "approved", "nobodys");
  writeFileSync(path, "{}", { mode: 0o640 });
  const forbidden = vi.mocked(refuseAnswer).mockImplementation(() => {
    throw weather("ENOSPC");
  });
  for (let times = 0; times < 2; times++) source.scan();
  forbidden.mockRestore();
  for (let times = 0; times < 2; times++) source.scan();
  expect([told, existsSync(`${path}.why`)]).toEqual([["record_refused"], true]);
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
