import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import type { BeatSource } from "../../../daemons/heartbeat-monitor/beat-source.js";
import type { Event, WorkerPart } from "../../../daemons/heartbeat-monitor/facts.js";
import { GapBook } from "../../../daemons/heartbeat-monitor/gap-book.js";
import type { HeartbeatSettings } from "../../../daemons/heartbeat-monitor/policy.js";
import { SampleSource } from "../../../daemons/heartbeat-monitor/sample-source.js";
import { now } from "../../../lib/platform/clock.js";
import { identityOf } from "../../../lib/platform/processes.js";
import type { DaemonContext } from "../../../lib/runtime/daemon.js";
import { readAs } from "../../../lib/schema/problems.js";
import { gapsSchema, sampleSchema } from "../../../lib/schema/samples.js";
import { openHome, resolveHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";
import { until } from "../../integration/support/launched.js";
import { openScene, policyOf } from "../../scenario/monitor-world.js";

const GIB = 2 ** 30;

let folder: string;
let layout: Layout;
let workers: Map<string, WorkerPart>;
let numbers: Record<string, number>;
let said: string[];
let gaps: GapBook;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "heald-samples-"));
  const home = resolveHome({}, folder, folder);
  if (home === null) throw new Error("No home");
  openHome(home, { create: true, claimOwnership: false });
  layout = new Layout(home);
  workers = new Map();
  numbers = {};
  said = [];
  gaps = new GapBook(Date.now());
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A worker whose process is this very test. */
function addOwn(id: string, limitBytes: number | null = null): void {
  const { world } = openScene();
  world.add(id);
  world.run(60);
  const part = world.part(id) as WorkerPart;
  const identity = identityOf(process.pid);
  if (part.process === null || part.last_beat === null || identity === null) throw new Error("No process");
  workers.set(id, {
    ...part,
    process: { ...part.process, identity },
    last_beat: { ...part.last_beat, arrived_mono_ms: now().monoMs },
    spec: { ...part.spec, memory_limit_bytes: limitBytes },
  });
}

function source(freeBytes = (): number => 2 * GIB): SampleSource {
  const say = (_: object, sentence: string): void => void said.push(sentence);
  const context = {
    layout,
    log: { info: say, warn: say },
    policy: () => policyOf({ sample_interval_seconds: 1 }),
    part: (key: string) => workers.get(key.slice("worker:".length)) ?? null,
    partsWith: () => workers,
  };
  const beats = {
    gaps,
    metricsOf: () => ({ attempt: null, numbers }),
    forgetOthers: (present: ReadonlySet<string>) => gaps.forgetOthers(present),
  };
  return new SampleSource(
    context as unknown as DaemonContext<Event, HeartbeatSettings>,
    beats as unknown as BeatSource,
    freeBytes,
  );
}

function lines(): Record<string, unknown>[] {
  if (!existsSync(layout.samples)) return [];
  return readFileSync(layout.samples, "utf8")
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Scans, a hundred times a second as no daemon does, until there are so many lines. */
async function scanUntil(samples: SampleSource, count: number): Promise<void> {
  for (let tries = 0; tries < 500 && lines().length < count; tries++) {
    samples.scan();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("SampleSource", () => {
  test("writes what the tree uses, of the host's cores and of the worker's limit, and what the worker reports", async () => {
    addOwn("a", 64 * GIB);
    numbers = { latency_p99: 120.5, memory_util: 99 };
    const samples = source();
    samples.start();
    await scanUntil(samples, 2);
    const [first, second] = lines();
    expect(first).toMatchObject({ worker_id: "a", worker_type: "test-worker", attempt: 1 });
    expect(readAs(sampleSchema, second).ok).toBe(true);
    const metrics = second?.metrics as Record<string, number>;
    const rss = process.memoryUsage.rss();
    expect(metrics.rss_mb).toBeGreaterThan(rss / 2 ** 20 / 2);
    expect(metrics.memory_util).toBeCloseTo(((metrics.rss_mb as number) * 2 ** 20) / (64 * GIB), 3);
    expect(metrics.latency_p99).toBe(120.5);
    expect(metrics.cpu_util).toBeGreaterThan(0);
    expect(metrics.cpu_util).toBeLessThanOrEqual(1);
    expect(first?.metrics).not.toHaveProperty("cpu_util");
    samples.stop();
  });

  test("leaves out what a silent worker reported last", async () => {
    addOwn("a");
    const part = workers.get("a") as WorkerPart;
    const beat = part.last_beat as NonNullable<WorkerPart["last_beat"]>;
    workers.set("a", { ...part, last_beat: { ...beat, arrived_mono_ms: now().monoMs - 600_000 } });
    numbers = { latency_p99: 120.5 };
    const samples = source();
    samples.start();
    await scanUntil(samples, 1);
    expect(Object.keys(lines()[0]?.metrics as object)).toEqual(["memory_util", "rss_mb"]);
    samples.stop();
  });

  test("takes each worker once in a period, spread over it", async () => {
    for (let nth = 0; nth < 40; nth++) addOwn(`w-${nth}`);
    const samples = source();
    samples.start();
    samples.scan();
    expect(lines().length).toBeLessThan(10);
    await scanUntil(samples, 40);
    expect(new Set(lines().map((line) => line.worker_id)).size).toBe(40);
    samples.stop();
  });

  test("leaves nobody out at the end of a period, however few are still due", async () => {
    for (let nth = 0; nth < 40; nth++) addOwn(`w-${nth}`);
    vi.useFakeTimers({ toFake: ["hrtime"] });
    onTestFinished(() => void vi.useRealTimers());
    const samples = source();
    samples.start();
    const taken = (): number => new Set(lines().map((line) => line.worker_id)).size;
    vi.advanceTimersByTime(970);
    samples.scan();
    await until(() => taken() === 39, "all that are due are taken");
    vi.advanceTimersByTime(40);
    samples.scan();
    await until(() => taken() === 40, "the last is taken");
    samples.stop();
  });

  test("takes several workers at once, where few are due in each second", async () => {
    for (let nth = 0; nth < 20; nth++) addOwn(`w-${nth}`);
    const samples = source();
    samples.start();
    let writes = 0;
    for (let seen = 0; seen < 20; await new Promise((resolve) => setTimeout(resolve, 1))) {
      samples.scan();
      const count = lines().length;
      if (count > seen) writes += 1;
      seen = count;
    }
    // A twelfth of the period each, and the first of all.
    expect(writes).toBeLessThanOrEqual(14);
    samples.stop();
  });

  test("drops samples below 1 GiB of free disk and says so once, also when it is over", async () => {
    addOwn("a");
    let free = GIB - 1;
    const samples = source(() => free);
    samples.start();
    for (let round = 0; round < 3; round++) samples.scan();
    expect(lines()).toEqual([]);
    expect(said).toEqual(["only 1023 MiB are free: samples are dropped until 1 GiB is"]);
    free = GIB;
    await scanUntil(samples, 1);
    expect(lines()).toHaveLength(1);
    expect(said.slice(1)).toEqual(["samples are written again"]);
    samples.stop();
  });

  test("writes the gaps of the hour that has begun when the monitor stops", () => {
    addOwn("a");
    for (const arrivedMonoMs of [0, 30_000, 60_000])
      gaps.note("a", { attempt: null, sequence: null, arrivedMonoMs, watchedFromMonoMs: 0 });
    const samples = source();
    samples.start();
    samples.stop();
    const [line] = lines();
    expect(line).toMatchObject({ kind: "gaps", worker_id: "a", attempt: 1, interval_seconds: 30 });
    expect(line?.buckets).toEqual([[27_554, 2]]);
    expect(readAs(gapsSchema, line).ok).toBe(true);
  });
});
