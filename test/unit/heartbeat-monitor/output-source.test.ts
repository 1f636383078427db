/** Guarantee: output is kept within its limits, and what is in the way of one worker's log stops neither the others' nor the metrics. */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import type { Event, WorkerPart } from "../../../daemons/heartbeat-monitor/facts.js";
import { OutputSource } from "../../../daemons/heartbeat-monitor/output-source.js";
import type { HeartbeatSettings } from "../../../daemons/heartbeat-monitor/policy.js";
import type { DaemonContext } from "../../../lib/runtime/daemon.js";
import { openScene, policyOf } from "../../scenario/monitor-world.js";
import { temporaryLayout } from "../store/temporary-home.js";

test("a log that cannot be cut is said once, and the next is cut", () => {
  const layout = temporaryLayout();
  const { world } = openScene();
  const workers = new Map<string, WorkerPart>();
  const warned: string[] = [];
  for (const id of ["a", "b"]) {
    world.add(id);
    world.run(60);
    const part = world.part(id) as WorkerPart;
    workers.set(id, part);
    const path = layout.workerLog(id, part.spec.attempt);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, "a line of output\n".repeat(50_000));
  }
  const context = {
    layout,
    log: { info: () => undefined, warn: (_: object, text: string) => warned.push(text) },
    policy: () => policyOf({ log: { max_mb: 1 } }),
    partsWith: () => workers,
  };
  const source = new OutputSource(context as unknown as DaemonContext<Event, HeartbeatSettings>);
  const sizeOf = (id: string): number => statSync(layout.workerLog(id, 1)).size;
  const inTheWay = `${layout.workerLog("a", 1)}.1`;
  mkdirSync(join(inTheWay, "folder"), { recursive: true });
  source.scan();
  source.scan();
  expect([sizeOf("a"), sizeOf("b")]).toEqual([850_000, 0]);
  expect(warned).toEqual([
    "keeping the output of a within its limit does not work just now (EISDIR); it is tried again",
  ]);
  expect(existsSync(join(layout.metricsDir, "heald.prom"))).toBe(true);
  rmSync(inTheWay, { recursive: true });
  source.scan();
  expect(sizeOf("a")).toBe(0);
});

test("old output is looked through when an attempt was started or the limits have changed, else once an hour", async () => {
  const layout = temporaryLayout();
  const { world } = openScene();
  world.add("a");
  world.run(60);
  const part = world.part("a") as WorkerPart;
  const workers = new Map<string, WorkerPart>([["a", part]]);
  let limits = { keep_attempts: 1, total_mb: 1 };
  const context = {
    layout,
    log: { info: () => undefined, warn: () => undefined },
    policy: () => policyOf({ log: limits }),
    partsWith: () => workers,
    part: () => workers.get("a"),
  };
  const source = new OutputSource(context as unknown as DaemonContext<Event, HeartbeatSettings>);
  const folder = dirname(layout.workerLog("a", 1));
  mkdirSync(folder, { recursive: true });
  const put = (...attempts: number[]): void => {
    for (const attempt of attempts) writeFileSync(layout.workerLog("a", attempt), "output\n");
  };
  const left = async (): Promise<number> => {
    await source.prune();
    return readdirSync(folder).length;
  };
  put(1, 2, 3);
  // The running attempt's is never removed, nor is the newest.
  expect(await left()).toBe(2);
  put(2);
  expect(await left()).toBe(3);
  workers.set("a", { ...part, spec: { ...part.spec, attempt: 3 } });
  expect(await left()).toBe(1);
  put(1, 2);
  const counts = [];
  for (let turn = 0; turn < 6; turn++) counts.push(await left());
  expect(counts).toEqual([3, 3, 3, 3, 3, 1]);
  put(1, 2);
  limits = { ...limits, keep_attempts: 2 };
  expect(await left()).toBe(2);
  // Another worker of the same attempts; and a fleet whose output has more than half of what it may.
  put(1);
  workers.set("b", { ...part, worker_id: "b" });
  workers.delete("c");
  expect(await left()).toBe(2);
  writeFileSync(layout.workerLog("a", 3), "output\n".repeat(100_000));
  workers.delete("b");
  await source.prune();
  for (let turn = 0; turn < 2; turn++) {
    put(1);
    expect(await left()).toBe(2);
  }
});
