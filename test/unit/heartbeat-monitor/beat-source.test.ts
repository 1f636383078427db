import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { BeatSource } from "../../../daemons/heartbeat-monitor/beat-source.js";
import type { Event, WorkerPart } from "../../../daemons/heartbeat-monitor/facts.js";
import type { HeartbeatSettings } from "../../../daemons/heartbeat-monitor/policy.js";
import { now } from "../../../lib/platform/clock.js";
import type { DaemonContext } from "../../../lib/runtime/daemon.js";
import { openHome, resolveHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";
import { until } from "../../integration/support/launched.js";
import { openScene, policyOf } from "../../scenario/monitor-world.js";

const WORKERS = Array.from({ length: 50 }, (_, nth) => `w-${nth}`);

/** A source over 50 workers that have all just beaten, which is enough for rounds. */
function sourceInRounds(
  settings: Readonly<Record<string, unknown>> = {},
  arrivedMonoMs = now().monoMs,
): {
  readonly layout: Layout;
  readonly source: BeatSource;
  /** What was said of beats. */
  readonly said: string[];
  readonly offered: readonly Event[];
} {
  const folder = mkdtempSync(join(tmpdir(), "heald-beats-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const home = resolveHome({}, folder, folder);
  if (home === null) throw new Error("No home");
  openHome(home, { create: true, claimOwnership: false });
  const layout = new Layout(home);
  const { world } = openScene();
  world.add("w-0");
  world.run(60);
  const part = world.part("w-0") as WorkerPart;
  const beat = part.last_beat as NonNullable<WorkerPart["last_beat"]>;
  const last_beat = { ...beat, arrived_mono_ms: arrivedMonoMs };
  const workers = new Map(WORKERS.map((id) => [id, { ...part, worker_id: id, last_beat }]));
  const said: string[] = [];
  const offered: Event[] = [];
  const context = {
    layout,
    reporter: { news: (type: string, { message }: { message: string }) => said.push(`${type}: ${message}`) },
    log: { info: () => undefined, warn: () => undefined },
    policy: () => policyOf(settings),
    part: (key: string) => workers.get(key.slice("worker:".length)) ?? null,
    partsWith: () => workers,
    offer: (event: Event) => offered.push(event),
  };
  for (const id of WORKERS) writeFileSync(layout.heartbeat(id), JSON.stringify({ worker_id: id, sequence: 1 }));
  const source = new BeatSource(context as unknown as DaemonContext<Event, HeartbeatSettings>);
  onTestFinished(() => source.stop());
  source.start();
  source.check();
  return { layout, source, said, offered };
}

test("a beat that is found in a round has come when it was put in its place, however long before it was written", async () => {
  const { layout, source } = sourceInRounds();
  const begunMs = performance.now();
  await until(() => performance.now() - begunMs > 900, "the latest round is long ago");
  const temporary = join(layout.heartbeatsDir, ".w-7.tmp");
  writeFileSync(temporary, JSON.stringify({ worker_id: "w-7", sequence: 2 }));
  const longAgo = Date.now() / 1000 - 60;
  utimesSync(temporary, longAgo, longAgo);
  renameSync(temporary, layout.heartbeat("w-7"));
  expect(source.freshBeatOf("w-7")?.ago_ms).toBeLessThan(250);
});

test("a beat of a worker that the latest rounds passed over is dated by its file", async () => {
  // Rounds of a quarter of a second, to which all seem to have beaten only now for an hour.
  const { layout, source } = sourceInRounds({ heartbeat_interval_seconds: 1 }, now().monoMs + 3_600_000);
  const temporary = join(layout.heartbeatsDir, ".w-9.tmp");
  writeFileSync(temporary, JSON.stringify({ worker_id: "w-9", sequence: 2 }));
  renameSync(temporary, layout.heartbeat("w-9"));
  const begunMs = performance.now();
  await until(() => performance.now() - begunMs > 600, "two rounds have passed it over");
  expect(source.freshBeatOf("w-9")?.ago_ms).toBeGreaterThan(500);
});

test("a beat whose own time is in the future has come now", async () => {
  const { layout, source } = sourceInRounds();
  const path = layout.heartbeat("w-8");
  writeFileSync(path, JSON.stringify({ worker_id: "w-8", sequence: 2 }));
  utimesSync(path, Date.now() / 1000 + 3600, Date.now() / 1000 + 3600);
  expect(source.freshBeatOf("w-8")?.ago_ms).toBe(0);
});

function beat(layout: Layout, more: object): void {
  const temporary = join(layout.heartbeatsDir, ".beat.tmp");
  writeFileSync(temporary, JSON.stringify(more));
  renameSync(temporary, layout.heartbeat("w-3"));
}

test("a beat with a fault in what is only shown counts without that, and each fault is said once", () => {
  const { layout, source, said } = sourceInRounds();
  for (let sequence = 2; sequence < 6; sequence++) {
    beat(layout, { worker_id: "w-3", sequence, progress: 100 + sequence / 10, activity: 5, health_score: 80 });
    expect(source.freshBeatOf("w-3")).toMatchObject({ sequence, progress: null });
  }
  expect(said).toHaveLength(1);
  expect(said[0]).toMatch(
    /^record_refused: .*progress must be .* 100, got 100\.2; activity .*; the rest of it counts$/,
  );
});

test("beats that do not say whose they are count as silence, however many come, and are said once", () => {
  const { layout, source, said } = sourceInRounds();
  for (let sequence = 2; sequence < 6; sequence++) {
    beat(layout, { worker_id: "w-4", sequence });
    expect(source.freshBeatOf("w-3")).toBeNull();
  }
  beat(layout, { worker_id: "w-3", attempt: "1" });
  expect(source.freshBeatOf("w-3")).toBeNull();
  expect(said).toHaveLength(2);
});

test("beats with two faults by turns are said twice, and not at each beat", () => {
  const { layout, source, said } = sourceInRounds();
  for (let sequence = 2; sequence < 10; sequence++) {
    beat(layout, { worker_id: "w-3", sequence, ...(sequence % 2 === 0 ? { progress: 101 } : { activity: 5 }) });
    expect(source.freshBeatOf("w-3")).toMatchObject({ sequence });
  }
  expect(said).toHaveLength(2);
});

test("a refused beat that stays is not read again at every look", () => {
  const { layout, source, said } = sourceInRounds();
  beat(layout, { worker_id: "w-4", sequence: 2 });
  source.freshBeatOf("w-3");
  const wasReadAgain = vi.spyOn(JSON, "parse");
  onTestFinished(() => wasReadAgain.mockRestore());
  expect(source.freshBeatOf("w-3")).toBeNull();
  expect(wasReadAgain).not.toHaveBeenCalled();
  expect(said).toHaveLength(1);
});

test("a beat with bytes that are no UTF-8 is heard", () => {
  const { layout, source, said } = sourceInRounds();
  const bytes = Buffer.from('{"worker_id":"w-3","sequence":2,"activity":"\xfcber.csv"}', "latin1");
  const temporary = join(layout.heartbeatsDir, ".beat.tmp");
  writeFileSync(temporary, bytes);
  renameSync(temporary, layout.heartbeat("w-3"));
  expect(source.freshBeatOf("w-3")).toMatchObject({ sequence: 2 });
  expect(said).toEqual([
    'record_refused: Cannot read heartbeat "heartbeats/w-3.json": not UTF-8 text; the rest of it counts',
  ]);
});

test("a worker whose beat does not count is told of it, with what is wrong", () => {
  const { layout, source, offered } = sourceInRounds();
  beat(layout, { worker_id: "w-2", sequence: 2 });
  expect(source.freshBeatOf("w-3")).toBeNull();
  const why = 'worker_id must be the file\'s name, got "w-2"';
  expect(offered.at(-1)).toMatchObject({ kind: "beats_refused", worker_id: "w-3", why });
});
