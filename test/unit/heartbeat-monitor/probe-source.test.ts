/** Guarantee: a worker that is probed is asked at its interval, whatever the wall clock does. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Event, WorkerPart } from "../../../daemons/heartbeat-monitor/facts.js";
import type { HeartbeatSettings } from "../../../daemons/heartbeat-monitor/policy.js";
import { ProbeSource } from "../../../daemons/heartbeat-monitor/probe-source.js";
import type { DaemonContext } from "../../../lib/runtime/daemon.js";
import { openHome, resolveHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";
import { SpecStore } from "../../../lib/store/specs.js";
import { openScene, policyOf } from "../../scenario/monitor-world.js";

const HOUR_MS = 3_600_000;
const INTERVAL_SECONDS = 10;

let folder: string;
let layout: Layout;
let source: ProbeSource;
let beats: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "heald-probes-"));
  const home = resolveHome({}, folder, folder);
  if (home === null) throw new Error("No home");
  openHome(home, { create: true, claimOwnership: false });
  layout = new Layout(home);
  writeFileSync(join(folder, "sign-of-life"), "");
  const probe = {
    kind: "file" as const,
    path: "sign-of-life",
    max_age_seconds: 86_400,
    interval_seconds: INTERVAL_SECONDS,
  };
  new SpecStore(layout).createActive({ worker_id: "a", worker_type: "t", status: "running", attempt: 1, probe });
  const { world } = openScene();
  world.add("a");
  world.run(5);
  const known = world.part("a") as WorkerPart;
  const worker = { ...known, spec: { ...known.spec, probe: true } };
  beats = 0;
  source = new ProbeSource({
    layout,
    policy: () => policyOf(),
    partsWith: () => new Map([["a", worker]]),
    offer: (event: Event) => {
      if (event.kind === "beat") beats += 1;
    },
  } as unknown as DaemonContext<Event, HeartbeatSettings>);
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "Date", "hrtime"] });
});

afterEach(() => {
  source.stop();
  vi.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

/** What is asked answers in turns of its own, which no timer drives. */
const beaten = (count: number) => vi.waitFor(() => expect(beats).toBe(count));

test.each([
  ["back", -HOUR_MS],
  ["forward", HOUR_MS],
])("also when that is set %s by an hour", async (_, step) => {
  source.start();
  vi.advanceTimersByTime(1000);
  await beaten(1);
  vi.setSystemTime(Date.now() + step);
  vi.advanceTimersByTime((INTERVAL_SECONDS - 1) * 1000);
  expect(beats).toBe(1);
  vi.advanceTimersByTime(2000);
  await beaten(2);
});
