/** Guarantee: a file that the monitor may not read is said, and nothing is concluded from it. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Event, WorkerPart } from "../../../daemons/heartbeat-monitor/facts.js";
import type { HeartbeatSettings } from "../../../daemons/heartbeat-monitor/policy.js";
import { Remains } from "../../../daemons/heartbeat-monitor/remains.js";
import { SpecSource } from "../../../daemons/heartbeat-monitor/spec-source.js";
import type { DaemonContext } from "../../../lib/runtime/daemon.js";
import type { DesiredState } from "../../../lib/schema/records.js";
import type { Layout } from "../../../lib/store/layout.js";
import { until } from "../../integration/support/launched.js";
import { openScene } from "../../scenario/monitor-world.js";
import { temporaryLayout } from "../store/temporary-home.js";

const IS_ROOT = process.geteuid?.() === 0;

class Bench {
  readonly layout: Layout = temporaryLayout();
  readonly offered: Event[] = [];
  readonly said: string[] = [];
  /** What had been told of each worker when it was met. */
  readonly meetings: string[][] = [];
  /** How often it was told that a person wants something else. */
  wishes = 0;
  readonly #parts = new Map<string, WorkerPart>();
  /** Of workers that are met as soon as their specs are read. */
  readonly #strangers = new Map<string, WorkerPart>();
  readonly #source: SpecSource;

  constructor() {
    const context = {
      layout: this.layout,
      log: { info: () => undefined, warn: (_: object, text: string) => this.said.push(text) },
      reporter: { news: (type: string, { message }: { message: string }) => this.said.push(`${type}: ${message}`) },
      part: (key: string) => this.#parts.get(key) ?? null,
      partsWith: () => new Map([...this.#parts].map(([key, part]) => [key.slice("worker:".length), part])),
      offer: (event: Event) => this.#take(event),
    };
    this.#source = new SpecSource(
      context as unknown as DaemonContext<Event, HeartbeatSettings>,
      new Remains(this.layout),
    );
    this.#source.onMet = (workerId) => this.meetings.push(this.kinds(workerId));
    this.#source.onWish = () => this.wishes++;
    onTestFinished(() => this.#source.stop());
  }

  #take(event: Event): void {
    this.offered.push(event);
    if (event.kind !== "spec") return;
    const stranger = this.#strangers.get(event.worker_id);
    if (stranger !== undefined) this.#parts.set(`worker:${event.worker_id}`, stranger);
  }

  /** A worker that the monitor knows when it has read its spec, and none that it has heard of runs for it. */
  expect(id: string): void {
    this.know(id, "running", false);
    this.#strangers.set(id, this.#parts.get(`worker:${id}`) as WorkerPart);
    this.#parts.delete(`worker:${id}`);
  }

  /** A worker that the monitor knows already, with a process or with none that it has heard of. */
  know(id: string, desired: DesiredState, hasProcess = true): void {
    const { world } = openScene();
    world.add(id);
    world.run(60);
    const part = world.part(id) as WorkerPart;
    const spec = { ...part.spec, has_launch: true };
    this.#parts.set(`worker:${id}`, { ...part, desired, spec, process: hasProcess ? part.process : null });
    writeFileSync(
      this.layout.activeSpec(id),
      JSON.stringify({ worker_id: id, worker_type: id, status: "running", attempt: part.spec.attempt }),
    );
  }

  /** What is known of the worker's process has no identity, against all that the types say. */
  loseIdentity(id: string): void {
    const part = this.#parts.get(`worker:${id}`) as WorkerPart;
    this.#parts.set(`worker:${id}`, { ...part, process: { ...part.process, identity: undefined } as never });
  }

  write(path: string, record: object, mode = 0o644): void {
    writeFileSync(path, typeof record === "string" ? record : JSON.stringify(record));
    chmodSync(path, mode);
  }

  /** Opens all folders to everybody, as those of a home are to the user of the daemons. */
  open(): void {
    spawnSync("find", [this.layout.home.home, "-type", "d", "-exec", "chmod", "a+rx", "{}", "+"]);
    for (const [key] of this.#parts) chmodSync(this.layout.activeSpec(key.slice("worker:".length)), 0o644);
  }

  scan(): void {
    if (IS_ROOT) process.seteuid?.(65534);
    try {
      this.#source.scan();
    } finally {
      if (IS_ROOT) process.seteuid?.(0);
    }
  }

  /** All in one go, as the user who runs the tests. */
  scanUnhindered(): void {
    this.#source.scan();
  }

  scanInTurn(): void {
    this.#source.scanInTurn();
  }

  kinds(workerId: string): string[] {
    return this.offered.filter((event) => "worker_id" in event && event.worker_id === workerId).map(({ kind }) => kind);
  }
}

test.skipIf(!IS_ROOT)("a desired state that may not be read is said once, and the one before holds on", () => {
  const bench = new Bench();
  bench.know("a", "stopped");
  bench.know("b", "running");
  bench.write(bench.layout.desired("a"), { state: "stopped" }, 0o600);
  bench.write(bench.layout.desired("b"), { state: "draining" });
  bench.open();
  bench.scan();
  bench.scan();
  expect(bench.said).toEqual([
    'record_refused: Cannot read desired state "desired/a.json": it may not be read (EACCES)',
  ]);
  expect(bench.kinds("a")).not.toContain("desired");
  expect(bench.offered).toContainEqual({ kind: "desired", worker_id: "b", desired: "draining" });
});

test.skipIf(!IS_ROOT)("an unreadable launch or exit record says nothing of its worker, and the next is read", () => {
  const bench = new Bench();
  for (const id of ["a", "b", "c"]) bench.know(id, "running", id === "b");
  const exit = { ended_at: new Date().toISOString(), exit_code: 1, signal: null, ran_ms: 5 };
  bench.write(bench.layout.launch("a", 1), { worker_id: "a", attempt: 1 }, 0o600);
  bench.write(bench.layout.exit("b", 1), { worker_id: "b", attempt: 1, ...exit }, 0o600);
  bench.write(bench.layout.exit("c", 1), { worker_id: "c", attempt: 1, ...exit });
  bench.open();
  bench.scan();
  expect(bench.said).toHaveLength(2);
  expect(bench.said.join("\n")).toMatch(/launch record.*a\.attempt-1.*\n.*exit record.*b\.attempt-1.*may not be read/);
  expect([bench.kinds("a"), bench.kinds("b"), bench.kinds("c")]).toEqual([["spec"], ["spec"], ["spec", "exit"]]);
});

test("an exit is told also where its last words cannot be read, but not where the monitor itself is wrong", () => {
  const bench = new Bench();
  for (const id of ["a", "b"]) bench.know(id, "running");
  const exit = { ended_at: new Date().toISOString(), exit_code: 1, signal: null, ran_ms: 5 };
  for (const id of ["a", "b"]) bench.write(bench.layout.exit(id, 1), { worker_id: id, attempt: 1, ...exit });
  const logs = dirname(bench.layout.workerLog("a", 1));
  mkdirSync(dirname(logs), { recursive: true });
  symlinkSync(logs, logs);
  bench.loseIdentity("b");
  expect(() => bench.scanUnhindered()).toThrow(TypeError);
  expect(bench.offered.find(({ kind }) => kind === "exit")).not.toHaveProperty("remains");
  expect([bench.kinds("a").at(-1), bench.kinds("b").at(-1)]).toEqual(["exit", "spec"]);
});

test("a wish that was taken back is heard of before anything else of its worker, which might be ended for it", () => {
  const bench = new Bench();
  bench.know("a", "stopped");
  bench.know("b", "running");
  bench.open();
  bench.scan();
  expect(bench.offered.find((event) => "worker_id" in event && event.worker_id === "a")).toEqual({
    kind: "desired",
    worker_id: "a",
    desired: "running",
  });
  expect(bench.kinds("b")).toEqual(["spec"]);
  expect(bench.wishes).toBeGreaterThan(0);
});

test("a desired state that is no JSON is said", () => {
  const bench = new Bench();
  bench.know("a", "running");
  bench.write(bench.layout.desired("a"), "stop" as unknown as object);
  spawnSync("touch", ["-d", "1 hour ago", bench.layout.desired("a")]);
  bench.open();
  bench.scan();
  expect(bench.said).toEqual([expect.stringContaining('record_refused: Cannot read desired state "desired/a.json"')]);
});

test("a scan in turn reads a large fleet's specs in pieces, each once, and a worker whose spec is gone is missed", async () => {
  const bench = new Bench();
  const ids = Array.from({ length: 1000 }, (_, nth) => `w-${nth}`);
  bench.know("wisher", "running");
  bench.know("gone", "running");
  rmSync(bench.layout.activeSpec("gone"));
  for (const worker_id of ids) bench.write(bench.layout.activeSpec(worker_id), { worker_id, status: "running" });
  bench.scanInTurn();
  const count = (): number => bench.offered.filter(({ kind }) => kind === "spec").length;
  expect(count()).toBeLessThan(ids.length);
  // A scan that is under way is not begun again.
  bench.scanInTurn();
  // A wish that comes after the folder was listed is read with the others, which come last.
  bench.write(bench.layout.desired("wisher"), { state: "draining" });
  await until(() => count() >= ids.length, "all were read");
  await until(() => bench.kinds("gone").length > 0, "the one that is gone was missed");
  for (const id of ids) expect(bench.kinds(id)).toEqual(["spec"]);
  expect(bench.offered).toContainEqual({ kind: "desired", worker_id: "wisher", desired: "draining" });
  expect(bench.offered).toContainEqual({ kind: "spec", worker_id: "gone", spec: null });
});

test("a scan in turn that meets an answer nobody expects is left, said once, and begun again", async () => {
  const bench = new Bench();
  const ids = Array.from({ length: 1000 }, (_, nth) => `w-${String(nth).padStart(3, "0")}`);
  for (const worker_id of ids) bench.write(bench.layout.activeSpec(worker_id), { worker_id, status: "running" });
  const pathOf = bench.layout.activeSpec.bind(bench.layout);
  let isStale = true;
  let answers = 0;
  bench.layout.activeSpec = (id) => {
    if (!isStale || id !== "w-900") return pathOf(id);
    answers += 1;
    throw Object.assign(new Error("ESTALE"), { code: "ESTALE", syscall: "open" });
  };
  const sentence = "reading worker-specs/active/ does not work just now (ESTALE); it is tried again";
  for (let turn = 1; turn <= 2; turn++) {
    bench.scanInTurn();
    await until(() => answers === turn, "it is left");
  }
  expect(bench.said).toEqual([sentence]);
  isStale = false;
  bench.scanInTurn();
  await until(() => bench.kinds("w-999").length > 0, "the rest is read");
});

test("the beats of a new worker are read when its launch is known, and before its exit is", () => {
  const bench = new Bench();
  bench.expect("a");
  bench.write(bench.layout.launch("a", 1), { worker_id: "a", attempt: 1 });
  const exit = { ended_at: new Date().toISOString(), exit_code: 1, signal: null, ran_ms: 5 };
  bench.write(bench.layout.exit("a", 1), { worker_id: "a", attempt: 1, ...exit });
  bench.scanInTurn();
  expect(bench.meetings).toEqual([["spec", "launch"]]);
  expect(bench.kinds("a").at(-1)).toBe("exit");
});

test("a stop signal that there is not is SIGTERM, and that is said once, however often the spec is written", () => {
  const bench = new Bench();
  const spec = { worker_id: "w-1", worker_type: "t", status: "running", attempt: 1 };
  for (const score of [90, 91, 92]) {
    const heartbeat = { health_score: score };
    bench.write(bench.layout.activeSpec("w-1"), { ...spec, heartbeat, launch: { stop: { signal: "SIGTEM" } } });
    bench.open();
    bench.scan();
  }
  const specs = bench.offered.filter((event) => event.kind === "spec");
  expect(specs.map(({ spec }) => spec?.stop.signal)).toEqual(["SIGTERM", "SIGTERM", "SIGTERM"]);
  expect(bench.said).toEqual([
    'record_refused: Spec of w-1: launch.stop.signal must be a signal such as SIGTERM, got "SIGTEM"; did you mean SIGTERM; SIGTERM is sent',
  ]);
});

describe("a status that there is not", () => {
  const saidOf = (status: string | null) => {
    const bench = new Bench();
    const spec = { worker_id: "w-1", worker_type: "t", status, attempt: 1 };
    for (const score of [90, 91]) {
      bench.write(bench.layout.activeSpec("w-1"), { ...spec, heartbeat: { health_score: score } });
      bench.open();
      bench.scan();
    }
    const found = bench.offered.find((event) => event.kind === "spec");
    return { said: bench.said, status: found?.spec?.status };
  };

  test("is read as running, and said once with the nearest", () => {
    expect(saidOf("runing")).toEqual({
      status: "running",
      said: [
        'record_refused: Spec of w-1: status must be a known one, got "runing"; did you mean running; it is read as running',
      ],
    });
  });

  test.each(["active", "stuck", "running", "pending", null])("is not %s, of which nothing is said", (status) => {
    expect(saidOf(status).said).toEqual([]);
  });
});
