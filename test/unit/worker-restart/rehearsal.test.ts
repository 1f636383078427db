/** Guarantee: a restart that is thought through beforehand is the one that will come, and leaves no trace. */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { FactReader } from "../../../daemons/worker-restart/facts.js";
import type { Event } from "../../../daemons/worker-restart/messages.js";
import type { Context } from "../../../daemons/worker-restart/queue-source.js";
import { Rehearsal } from "../../../daemons/worker-restart/rehearsal.js";
import type { Layout } from "../../../lib/store/layout.js";
import { SpecStore } from "../../../lib/store/specs.js";
import { until } from "../platform/helpers.js";
import { temporaryLayout } from "../store/temporary-home.js";

interface Rehearsed {
  readonly layout: Layout;
  readonly events: Event[];
  readonly warnings: string[];
}

function rehearsing(fail = false): Rehearsed {
  const layout = temporaryLayout();
  const events: Event[] = [];
  const warnings: string[] = [];
  const rehearse = (event: Event): void => {
    if (fail) throw new TypeError("simulated");
    events.push(event);
  };
  const log = { warn: (_fields: object, sentence: string) => void warnings.push(sentence) };
  const context = { layout, log, rehearse } as unknown as Context;
  const rehearsal = new Rehearsal(context, new FactReader(layout, () => "unknown"));
  mkdirSync(layout.exitsDir, { recursive: true });
  rehearsal.start();
  onTestFinished(() => rehearsal.stop());
  return { layout, events, warnings };
}

const filesOf = (layout: Layout): string[] => readdirSync(layout.coordination, { recursive: true, encoding: "utf8" });

function spec(layout: Layout, workerId: string, more: object = {}): void {
  const launch = { command: "sleep", args: ["1"] };
  const record = { worker_id: workerId, worker_type: "scan", task_id: "t-1", status: "running", attempt: 3, launch };
  new SpecStore(layout).createActive({ ...record, ...more } as Parameters<SpecStore["createActive"]>[0]);
}

describe("Rehearsal", () => {
  test("thinks of the request that the monitor will file, and writes nothing", async () => {
    const { layout, events, warnings } = rehearsing();
    spec(layout, "w-1");
    const before = filesOf(layout);
    writeFileSync(layout.exit("w-1", 3), "{}\n");
    await until("it has rehearsed", () => events.length > 0);
    expect(events[0]).toMatchObject({
      kind: "request",
      worker_id: "w-1",
      worker_type: "scan",
      task_id: "t-1",
      name: "w-1-restart.json",
      request: { attempt: 3, reason: "killed", by_person: false, spends: true },
      facts: { active: null, survivors: [], unlaunchable: null, next_exists: false },
    });
    expect(filesOf(layout).filter((path) => !before.includes(path))).toEqual(["exits/w-1.attempt-3.json"]);
    expect(warnings).toEqual([]);
  });

  test("leaves out deaths that follow closely, and what is no exit record", async () => {
    const { layout, events } = rehearsing();
    for (const id of ["w-1", "w-2"]) spec(layout, id);
    writeFileSync(`${dirname(layout.exit("w-1", 3))}/notes.txt`, "x");
    for (const id of ["w-1", "w-2"]) writeFileSync(layout.exit(id, 3), "{}\n");
    await until("it has rehearsed", () => events.length > 0);
    expect(events.map((event) => "worker_id" in event && event.worker_id)).toEqual(["w-1"]);
  });

  test("asks nobody for what a worker requires", async () => {
    const { layout, events } = rehearsing();
    spec(layout, "w-1", { requires: [{ type: "file", path: "/nowhere" }] });
    spec(layout, "w-2");
    writeFileSync(layout.exit("w-1", 3), "{}\n");
    let writtenMs = performance.now();
    await until("it has rehearsed", () => {
      // Far enough apart to be no wave.
      if (performance.now() - writtenMs > 60) {
        writtenMs = performance.now();
        writeFileSync(layout.exit("w-2", 3), "{}\n");
      }
      return events.length > 0;
    });
    expect(events.map((event) => "worker_id" in event && event.worker_id)).toEqual(["w-2"]);
  });

  test("survives whatever goes wrong, and says so", async () => {
    const { layout, warnings } = rehearsing(true);
    spec(layout, "w-1");
    writeFileSync(layout.exit("w-1", 3), "{}\n");
    await until("it is said", () => warnings.length > 0);
    expect(warnings).toEqual(["A restart could not be rehearsed"]);
  });
});
