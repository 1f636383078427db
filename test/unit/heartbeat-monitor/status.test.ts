import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { BLANK_FLEET } from "../../../daemons/heartbeat-monitor/decide.js";
import type { Event, FleetPart, WorkerPart } from "../../../daemons/heartbeat-monitor/facts.js";
import type { HeartbeatSettings } from "../../../daemons/heartbeat-monitor/policy.js";
import { readyFacts } from "../../../daemons/heartbeat-monitor/recount.js";
import { StatusFile } from "../../../daemons/heartbeat-monitor/status.js";
import { now } from "../../../lib/platform/clock.js";
import { type Identity, identityOf } from "../../../lib/platform/processes.js";
import type { DaemonContext } from "../../../lib/runtime/daemon.js";
import { writeRunFile } from "../../../lib/runtime/identity-files.js";
import { openHome, resolveHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";
import { openScene, policyOf } from "../../scenario/monitor-world.js";

const NOW = Date.parse("2026-11-21T21:08:04Z");

let folder: string;
let layout: Layout;
let workers: WorkerPart[];
let fleet: FleetPart;
/** Deadlines on this host's own monotonic clock. */
let wakes: Map<string, number>;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "heald-status-"));
  const home = resolveHome({}, folder, folder);
  if (home === null) throw new Error("No home");
  openHome(home, { create: true, claimOwnership: false });
  layout = new Layout(home);
  workers = [];
  wakes = new Map();
  fleet = BLANK_FLEET;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Parts as the core makes them: a small scene, frozen. */
function watched(): WorkerPart[] {
  const { world } = openScene();
  for (const id of ["b", "a"]) world.add(id);
  world.run(60);
  world.silence("a");
  world.run(150);
  return ["b", "a"].map((id) => world.part(id) as WorkerPart);
}

const atOnce = (piece: () => void): boolean => {
  piece();
  return true;
};

function status(): StatusFile {
  const policy = policyOf();
  const context = {
    layout,
    policy: () => policy,
    part: (key: string) => (key === "fleet" ? fleet : null),
    wakeOf: (key: string) => wakes.get(key) ?? null,
    partsWith: <T>() => new Map(workers.map((worker) => [worker.worker_id, worker as T])),
  };
  return new StatusFile(context as unknown as DaemonContext<Event, HeartbeatSettings>);
}

describe("status.json", () => {
  test("says of a worker whose beats do not count that they are refused, and why", () => {
    workers = watched().map((worker) => ({ ...worker, beats_refused: "it is no JSON" }));
    const { workers: rows } = status().compose(NOW);
    expect(rows).toMatchObject([{ why: "its beats are refused: it is no JSON" }, { worker_id: "b" }]);
  });

  test("shows every worker, sorted, with its state, and is not ok while one is in trouble", () => {
    workers = watched();
    const composed = status().compose(NOW);
    expect(composed).toMatchObject({
      ok: false,
      at: "2026-11-21T21:08:04Z",
      workers: [
        { worker_id: "a", state: "hung", desired: "running", why: "hung", attempt: 1 },
        { worker_id: "b", state: "healthy", why: null, health_score: 100 },
      ],
    });
    expect(composed.summary).toMatch(/^2 workers, 1 in trouble/);
  });

  test("shows when a worker that is not in time is looked at next, as it moves, and nothing of that for a healthy one", () => {
    workers = watched();
    const file = status();
    const nextAt = () => (file.compose(NOW).workers as { next_at: string | null }[]).map((row) => row.next_at);
    expect(nextAt()).toEqual([null, null]);
    for (const seconds of [60, 90]) {
      for (const id of ["a", "b"]) wakes.set(`worker:${id}`, now().monoMs + seconds * 1000);
      const expectedMs = Date.now() + seconds * 1000;
      const [ill, healthy] = nextAt();
      expect(Math.abs(Date.parse(ill as string) - expectedMs)).toBeLessThan(2000);
      expect(healthy).toBeNull();
    }
    wakes.clear();
    expect(nextAt()).toEqual([null, null]);
  });

  test("shows the score as the spec has it: the reported one, less the decay for each interval that was missed since", () => {
    vi.useFakeTimers({ toFake: ["hrtime"] });
    onTestFinished(() => void vi.useRealTimers());
    const [b, a] = watched() as [WorkerPart, WorkerPart];
    workers = [{ ...a, silent_from_mono_ms: now().monoMs }, b];
    const file = status();
    const scores = () =>
      (file.compose(NOW).workers as { health_score: number | null }[]).map((row) => row.health_score);
    expect(scores()).toEqual([100, 100]);
    for (const [seconds, score] of [
      [44, 100],
      [2, 95],
      [100, 80],
      [600, 0],
    ] as const) {
      vi.advanceTimersByTime(seconds * 1000);
      expect(scores()).toEqual([score, 100]);
    }
    workers = [{ ...a, last_beat: null }];
    expect(scores()).toEqual([null]);
  });

  test("shows who waits for a restart, behind which gate and until when", () => {
    const request = {
      worker_id: "c",
      worker_type: "t",
      attempt: 1,
      deferred: { gate: "backoff", reason: "waits", next_at: "2026-11-21T22:00:00Z", count: 2 },
    };
    writeFileSync(join(layout.queueDir, "c-restart.json"), JSON.stringify(request));
    expect(status().compose(NOW)).toMatchObject({
      ok: false,
      workers: [{ worker_id: "c", state: "exited", why: "backoff", next_at: "2026-11-21T22:00:00Z" }],
    });
  });

  test("has no trouble with a worker that waits for its restart while a person wants it down", () => {
    for (const id of ["c", "d", "e"])
      writeFileSync(join(layout.queueDir, `${id}-restart.json`), JSON.stringify({ worker_id: id, worker_type: "t" }));
    writeFileSync(layout.desired("c"), JSON.stringify({ state: "stopped" }));
    writeFileSync(layout.desired("d"), JSON.stringify({ state: "draining" }));
    const composed = status().compose(NOW);
    expect(composed.summary).toMatch(/^3 workers, 1 in trouble/);
    expect(composed.workers).toMatchObject([{ desired: "stopped" }, { desired: "draining" }, { desired: "running" }]);
  });

  test("shows breakers, holds and what is left of the minute's cleanups; one that is broken hides nothing else", () => {
    writeFileSync(join(layout.breakersDir, "t.json"), '{"worker_type":"t","state":"open","failure_count":5}');
    writeFileSync(join(layout.breakersDir, "bad.json"), "{");
    const hold = { name: "all", scope: "all", target: "", acts: ["kill"], starts_at_ms: 0 } as const;
    fleet = {
      ...BLANK_FLEET,
      cleanups: [1, 2],
      holds: [
        { ...hold, expires_at_ms: NOW + 1 },
        { ...hold, expires_at_ms: NOW },
        { ...hold, starts_at_ms: NOW + 1, expires_at_ms: NOW + 2 },
      ],
    };
    expect(status().compose(NOW)).toMatchObject({
      ok: false,
      breakers: [{ worker_type: "t", state: "open", failure_count: 5 }],
      holds: [{ name: "all", expires_at: "2026-11-21T21:08:04Z" }],
      budgets: { cleanups_left_this_minute: 18 },
      detector: { trusted: true, guard: "clear" },
    });
  });

  test("shows what is left of others' budgets while it is known, and null where there is no limit", () => {
    const file = status();
    const left = (): unknown => file.compose(NOW).budgets;
    expect(left()).toMatchObject({ restarts_left_this_minute: null, tokens_left: null });
    writeFileSync(layout.metrics("worker-restart"), '{"restarts_left_this_minute":58}');
    writeFileSync(layout.tokenBudget, '{"total_budget":1000,"total_used":400}');
    expect(left()).toMatchObject({ restarts_left_this_minute: null, tokens_left: 600 });
    const identity = identityOf(process.pid) as Identity;
    const run = { ...identity, version: "1", started_at: NOW, policy_hash: "x", loop_lag_ms: 0 };
    writeRunFile(layout, "worker-restart", run);
    writeFileSync(layout.tokenBudget, '{"total_budget":1000,"total_used":1000}');
    expect(left()).toMatchObject({ restarts_left_this_minute: 58, tokens_left: 0 });
    // As an operator's editor leaves it for a moment, or for good.
    writeFileSync(layout.tokenBudget, "{");
    expect(left()).toMatchObject({ tokens_left: null });
  });

  test("is one compact line, written on change and at most once a second", () => {
    workers = watched();
    const file = status();
    file.pulse(atOnce);
    const text = readFileSync(layout.status, "utf8");
    expect(text.split("\n")).toHaveLength(2);
    expect(text).not.toMatch(/": /);
    workers = [];
    file.touch();
    file.pulse(atOnce);
    expect(readFileSync(layout.status, "utf8")).toBe(text);
  });

  test("is written also after the wall clock was set back by an hour", () => {
    vi.useFakeTimers({ toFake: ["Date", "performance"] });
    onTestFinished(() => void vi.useRealTimers());
    workers = watched();
    const file = status();
    file.pulse(atOnce);
    vi.setSystemTime(Date.now() - 3_600_000);
    vi.advanceTimersByTime(2000);
    workers = [];
    file.touch();
    file.pulse(atOnce);
    expect(JSON.parse(readFileSync(layout.status, "utf8"))).toMatchObject({ workers: [] });
  });

  test("follows the restart queue each second while somebody waits in it, and each five seconds while nobody does", () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());
    let nth = 0;
    /** As worker-restart does it: another file in the place of the last, at another time. */
    const wait = (deferred: object | null): void => {
      const path = join(layout.queueDir, "c-restart.json");
      if (deferred === null) rmSync(path);
      else writeFileSync(path, JSON.stringify({ worker_id: "c", worker_type: "t", attempt: 1, deferred }));
      utimesSync(layout.queueDir, ++nth, nth);
    };
    const file = status();
    const shownAfter = (ms: number): unknown[] => {
      vi.advanceTimersByTime(ms);
      file.pulse(atOnce);
      return (JSON.parse(readFileSync(layout.status, "utf8")) as { workers: { why: string }[] }).workers.map(
        ({ why }) => why,
      );
    };
    expect(shownAfter(0)).toEqual([]);
    wait({ gate: "backoff" });
    expect(shownAfter(1100)).toEqual([]);
    expect(shownAfter(5000)).toEqual(["backoff"]);
    wait({ gate: "rate_limits" });
    expect(shownAfter(500)).toEqual(["backoff"]);
    expect(shownAfter(600)).toEqual(["rate_limits"]);
    wait(null);
    expect(shownAfter(1100)).toEqual([]);
  });

  test("has a line that says the same as what it is made from, the workers' rows included", () => {
    workers = watched();
    const file = status();
    file.write();
    const { at, ...written } = JSON.parse(readFileSync(layout.status, "utf8")) as Record<string, unknown>;
    const { at: _, ...composed } = file.compose(Date.now());
    expect(written).toEqual(composed);
    expect(at).toMatch(/Z$/);
  });

  test("is tried again at the next pulse when a piece came to nothing", () => {
    workers = watched();
    const file = status();
    file.pulse(() => false);
    expect(existsSync(layout.status)).toBe(false);
    file.pulse(atOnce);
    expect(existsSync(layout.status)).toBe(true);
  });
});

describe("readyFacts()", () => {
  test("counts workers and suspects by type, without those whose end is being filed", () => {
    const [b, a] = watched() as [WorkerPart, WorkerPart];
    const filing = { ...b, ending: { phase: "filing" } } as WorkerPart;
    expect(readyFacts([a, b, filing])).toEqual({
      monitored: { "test-worker": 2 },
      suspects: { "test-worker": { [String(a.suspect_bucket)]: 1 } },
    });
  });
});
