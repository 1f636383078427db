/** Guarantee: each known process is asked about, piece by piece, and what was overtaken meanwhile is not called gone. */
import { spawnSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Event, WorkerPart } from "../../../daemons/heartbeat-monitor/facts.js";
import type { HeartbeatSettings } from "../../../daemons/heartbeat-monitor/policy.js";
import { SweepSource } from "../../../daemons/heartbeat-monitor/sweep-source.js";
import { now } from "../../../lib/platform/clock.js";
import { identityOf } from "../../../lib/platform/processes.js";
import type { DaemonContext } from "../../../lib/runtime/daemon.js";
import { until } from "../../integration/support/launched.js";
import { openScene } from "../../scenario/monitor-world.js";

let workers: Map<string, WorkerPart>;
let offered: Event[];
let pulses: number;
let sweep: SweepSource;
let isStill: boolean;
let said: string[];

beforeEach(() => {
  isStill = false;
  said = [];
  const say = (_: object, text: string): void => void said.push(text);
  workers = new Map();
  offered = [];
  pulses = 0;
  const context = {
    log: { info: say, warn: say },
    reporter: { news: () => undefined },
    offer: (event: Event) => void offered.push(event),
    part: (key: string) => workers.get(key.slice("worker:".length)) ?? null,
    partsWith: () => workers,
  };
  const eachPulse = (): void => {
    pulses += 1;
  };
  const stillness = { look: () => isStill };
  sweep = new SweepSource(context as unknown as DaemonContext<Event, HeartbeatSettings>, eachPulse, {
    stillness,
    host: { ask: () => Promise.resolve("running"), hint: () => 1 },
  });
});
afterEach(() => {
  sweep.stop();
  vi.useRealTimers();
});

/** A worker of which the monitor knows a process: that of this test, or one that has ended. */
function add(id: string, isAlive: boolean): void {
  const { world } = openScene();
  world.add(id);
  world.run(60);
  const part = world.part(id) as WorkerPart;
  const own = identityOf(process.pid);
  if (part.process === null || own === null) throw new Error("No process");
  const identity = isAlive ? own : { ...own, pid: spawnSync("true").pid };
  workers.set(id, { ...part, process: { ...part.process, identity } });
}

/** Lets a pulse come to its end, which goes on in pieces. */
async function settled(): Promise<void> {
  for (let piece = 0; piece < 20; piece++) await new Promise((resolve) => setImmediate(resolve));
}

/** Lets seconds of faked time pass. */
async function seconds(count: number): Promise<void> {
  for (let nth = 0; nth < count; nth++) {
    vi.advanceTimersByTime(1000);
    await settled();
  }
}

const gone = (): string[] => offered.flatMap((event) => (event.kind === "vanished" ? [event.worker_id] : []));

describe("the pulse", () => {
  test("finds each worker whose process is gone, and no other", async () => {
    for (const id of ["a", "b", "c"]) add(id, id !== "b");
    await sweep.start();
    // By both questions.
    expect(new Set(gone())).toEqual(new Set(["b"]));
    expect(pulses).toBe(1);
  });

  test("tells how late the loop came to it, once", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "setTimeout", "clearInterval", "clearTimeout"] });
    await sweep.start();
    // The clock is the real one: as if the timer had been due after a second, and the loop had been busy since.
    for (const end = performance.now() + 1300; performance.now() < end; );
    await seconds(2);
    const delays = offered.flatMap((event) => (event.kind === "pulse" ? [event.loop_delay_ms] : []));
    const late = delays.filter((ms) => ms !== 0);
    expect(late).toEqual([expect.any(Number)]);
    expect(late[0]).toBeGreaterThanOrEqual(290);
  });

  test("asks nobody while nobody dies, but all when there is another process, and every tenth time", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "setTimeout", "clearInterval", "clearTimeout"] });
    for (let nth = 0; nth < 1000; nth++) add(`w-${nth}`, true);
    await sweep.start();
    await settled();
    expect(pulses).toBe(1);
    isStill = true;
    // As if it had died unnoticed. It is too far from the first for the dearer question to come to it.
    const lost = workers.get("w-999") as WorkerPart;
    const identity = lost.process?.identity as { pid: number };
    identity.pid = spawnSync("true").pid;
    await seconds(5);
    expect(gone()).toEqual([]);
    await seconds(5);
    expect(gone()).toContain("w-999");
    workers.delete("w-999");
    await seconds(1);
    offered = [];
    add("late", false);
    await seconds(1);
    expect(gone()).toEqual(["late"]);
  });

  test("asks all as soon as anybody has died, and again and again one that is gone", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "setTimeout", "clearInterval", "clearTimeout"] });
    for (let nth = 0; nth < 300; nth++) add(`w-${nth}`, true);
    await sweep.start();
    const lost = workers.get("w-299") as WorkerPart;
    (lost.process?.identity as { pid: number }).pid = spawnSync("true").pid;
    await seconds(1);
    expect(gone()).toEqual(["w-299"]);
    isStill = true;
    await seconds(1);
    expect(gone()).toEqual(["w-299", "w-299"]);
  });

  test("looks closer at each in turn, of a large fleet in every other turn at one that beats without a probe", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "setTimeout", "clearInterval", "clearTimeout"] });
    // So many that turns end in the middle of what is looked at together.
    for (let nth = 0; nth < 200; nth++) add(`w-${nth}`, true);
    for (const id of ["beats", "is-silent", "is-probed"]) add(id, true);
    for (let nth = 200; nth < 300; nth++) add(`w-${nth}`, true);
    // As if their pids had been given to others: only the dearer question tells.
    for (const id of ["beats", "is-silent", "is-probed"]) {
      const part = workers.get(id) as WorkerPart;
      const process = part.process as NonNullable<WorkerPart["process"]>;
      const identity = { ...process.identity, start_time: 1 };
      const arrived_mono_ms = now().monoMs - (id === "is-silent" ? 60_000 : 0);
      const last_beat = { ...(part.last_beat as NonNullable<WorkerPart["last_beat"]>), arrived_mono_ms };
      const spec = { ...part.spec, probe: id === "is-probed" };
      workers.set(id, { ...part, spec, last_beat, process: { ...process, identity } });
    }
    isStill = true;
    await sweep.start();
    await seconds(100);
    const looks = (id: string): number => gone().filter((each) => each === id).length;
    expect(looks("is-silent")).toBeGreaterThan(10);
    expect(looks("is-probed")).toBe(looks("is-silent"));
    expect(Math.abs(looks("beats") * 2 - looks("is-silent"))).toBeLessThanOrEqual(1);
  });

  test("says once that processes cannot be looked at, and once that they can again, and nothing after it is stopped", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "setTimeout", "clearInterval", "clearTimeout"] });
    for (let nth = 0; nth < 300; nth++) add(`w-${nth}`, true);
    let isBroken = true;
    for (const [id, part] of workers) {
      const process = {
        ...part.process,
        get identity() {
          // The cheap question needs no descriptor, the dearer one does.
          if (isBroken && new Error().stack?.includes("#examine"))
            throw Object.assign(new Error("too many open files"), { code: "EMFILE" });
          return part.process?.identity;
        },
      };
      workers.set(id, { ...part, process: process as WorkerPart["process"] });
    }
    await sweep.start();
    await seconds(10);
    isStill = true;
    await seconds(10);
    expect(said).toEqual(["looking at processes does not work just now (EMFILE); it is tried again"]);
    isBroken = false;
    await seconds(10);
    expect(said.slice(1)).toEqual(["looking at processes works again"]);
    isBroken = true;
    sweep.stop();
    await seconds(10);
    expect(said).toHaveLength(2);
  });

  test("lives through bad weather also while nobody dies", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "setTimeout", "clearInterval", "clearTimeout"] });
    for (let nth = 0; nth < 300; nth++) add(`w-${nth}`, true);
    const part = workers.get("w-0") as WorkerPart;
    const { process } = part;
    let isBroken = false;
    const broken = {
      ...process,
      get identity() {
        if (isBroken) throw Object.assign(new Error("a failing disk"), { code: "EIO" });
        return process?.identity;
      },
    };
    workers.set("w-0", { ...part, process: broken as WorkerPart["process"] });
    await sweep.start();
    [isStill, isBroken] = [true, true];
    await seconds(8);
    expect(pulses).toBe(9);
  });

  test("lets the loop go on between workers, and says nothing of one that was started anew meanwhile", async () => {
    add("first", false);
    const first = workers.get("first") as WorkerPart;
    // So many that they take more than one piece.
    for (let nth = 0; nth < 30_000; nth++) workers.set(`other-${nth}`, first);
    add("last", false);
    const last = workers.get("last") as WorkerPart;
    await sweep.start();
    expect(gone().at(-1)).not.toBe("last");
    workers.set("last", { ...last, process: { ...last.process } as WorkerPart["process"] });
    const renewed = workers.get("last") as { process: { identity: object } };
    Object.assign(renewed.process, { identity: { ...renewed.process.identity, pid: process.pid } });
    await until(() => gone().length >= 30_001, "all were asked about");
    await new Promise((resolve) => setImmediate(resolve));
    expect(gone()).not.toContain("last");
  });
});
