/** Guarantee: whatever happens to the queue's folder or to one file in it, the source says it once and reads on when it can. */
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Event } from "../../../daemons/worker-restart/messages.js";
import { adoptOrphans } from "../../../daemons/worker-restart/orphans.js";
import { type Context, QueueSource } from "../../../daemons/worker-restart/queue-source.js";
import type { WorkerPart } from "../../../daemons/worker-restart/state.js";
import { writeInstant } from "../../../lib/schema/primitives.js";
import type { Layout } from "../../../lib/store/layout.js";
import { Mailbox } from "../../../lib/store/mailbox.js";
import { until } from "../../integration/support/launched.js";
import { age, temporaryLayout } from "../store/temporary-home.js";
import { RealLoop } from "./real-loop.js";

class Bench {
  readonly layout: Layout = temporaryLayout();
  readonly offered: string[] = [];
  readonly warned: string[] = [];
  readonly said: string[] = [];
  readonly source: QueueSource;
  readonly waiting = new Map<string, WorkerPart>();

  constructor() {
    const { claimedDir, doneDir, failedRequestsDir, rejectedDir, queueDir } = this.layout;
    const folders = { claimed: claimedDir, done: doneDir, failed: failedRequestsDir, rejected: rejectedDir };
    const context = {
      layout: this.layout,
      log: { info: () => undefined, warn: (_: object, text: string) => this.warned.push(text) },
      reporter: { news: (type: string, { message }: { message: string }) => this.said.push(`${type}: ${message}`) },
      offer: (event: Event) => this.offered.push(`${event.kind} ${"name" in event ? event.name : ""}`),
      part: () => null,
      partsWith: () => this.waiting,
      policy: () => ({ settings: { max_concurrent_restarts: 1 }, overrides: {} }),
    };
    this.source = new QueueSource(context as unknown as Context, new Mailbox(queueDir, folders), () => "unknown");
    onTestFinished(() => this.source.stop());
  }

  request(workerId: string): void {
    const record = { worker_id: workerId, worker_type: "scan", attempt: 1, reason: "killed" };
    writeFileSync(this.layout.queueRequest(workerId), JSON.stringify(record), { mode: 0o640 });
  }
}

test("a queue that was moved away is said once, and read when it is back", () => {
  const bench = new Bench();
  const { queueDir } = bench.layout;
  renameSync(queueDir, `${queueDir}.away`);
  for (let times = 0; times < 3; times++) bench.source.scan();
  expect(bench.warned).toEqual(["looking at the queue does not work just now (ENOENT); it is tried again"]);
  renameSync(`${queueDir}.away`, queueDir);
  bench.request("w-1");
  bench.source.scan();
  expect(bench.offered).toEqual(["request w-1-restart.json"]);
});

test("a request that may not be read is said once, and tried again by one timer however many scans find it", () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const bench = new Bench();
  const path = bench.layout.queueRequest("w-1");
  bench.request("w-1");
  const look = vi.spyOn(bench.source, "look").mockImplementation(() => {
    throw Object.assign(new Error("EACCES: permission denied"), { code: "EACCES", syscall: "open", path });
  });
  for (let times = 0; times < 5; times++) bench.source.scan();
  expect(look).toHaveBeenCalledTimes(5);
  vi.advanceTimersByTime(2000);
  expect(look).toHaveBeenCalledTimes(6);
  vi.advanceTimersByTime(10_000);
  expect(look).toHaveBeenCalledTimes(11);
  expect(bench.said).toEqual([
    'record_refused: Request "w-1-restart.json" waits: "restart/queue/w-1-restart.json" may not be read (EACCES)',
  ]);
  expect(bench.warned).toHaveLength(1);
  look.mockRestore();
  vi.advanceTimersByTime(2000);
  expect(bench.offered).toEqual(["request w-1-restart.json"]);
  vi.advanceTimersByTime(10_000);
  expect(bench.offered).toHaveLength(1);
});

test("a place goes to the oldest that can be read, while those before it cannot be or are still asked about", async () => {
  const bench = new Bench();
  const waits = (id: string, filed_at_ms: number): void => {
    bench.request(id);
    const waiting = { name: `${id}-restart.json`, gate: "concurrency", phase: "waiting", filed_at_ms };
    bench.waiting.set(id, { worker_type: "scan", waiting } as WorkerPart);
  };
  waits("youngest", 4);
  waits("forbidden", 1);
  waits("asked", 2);
  waits("readable", 3);
  const look = bench.source.look.bind(bench.source);
  let answer = (): void => undefined;
  vi.spyOn(bench.source, "look").mockImplementation((name, nowMs) => {
    if (name === "forbidden-restart.json")
      throw Object.assign(new Error("EACCES"), { code: "EACCES", syscall: "open" });
    if (name !== "asked-restart.json") return look(name, nowMs);
    return new Promise((resolve) => {
      answer = () => resolve(look(name, nowMs));
    });
  });
  bench.source.fillPlaces();
  expect(bench.offered).toEqual([]);
  // Its answer may take its time: the place is not kept for it.
  bench.source.fillPlaces();
  expect(bench.offered).toEqual(["request readable-restart.json"]);
  answer();
  await vi.waitUntil(() => bench.offered.length === 2);
  expect(bench.offered[1]).toBe("request asked-restart.json");
});

test("a request that is nobody's is looked at again by the next scan: it came while its worker was being started for another", () => {
  const bench = new Bench();
  for (const id of ["w-1", "w-2"]) bench.request(id);
  bench.source.scan();
  bench.waiting.set("worker:w-2", { waiting: { name: "w-2-restart.json" } } as WorkerPart);
  bench.offered.length = 0;
  bench.source.scan();
  expect(bench.offered).toEqual(["request w-1-restart.json"]);
});

test("a request that names another type than its worker's spec is refused, for its id may be a slip", () => {
  const bench = new Bench();
  const spec = { worker_id: "w-1", worker_type: "scan", status: "running", attempt: 1 };
  writeFileSync(bench.layout.activeSpec("w-1"), JSON.stringify(spec), { mode: 0o640 });
  const record = { worker_id: "w-1", worker_type: "other", reason: "x", force: true };
  writeFileSync(bench.layout.queueRequest("w-1"), JSON.stringify(record), { mode: 0o640 });
  expect(bench.source.look("w-1-restart.json")).toMatchObject({
    kind: "request-unreadable",
    why: expect.stringMatching(/worker_type must be "scan", as its spec says, got "other"$/),
  });
  writeFileSync(bench.layout.queueRequest("w-1"), JSON.stringify({ ...record, worker_type: "scan" }), { mode: 0o640 });
  expect(bench.source.look("w-1-restart.json")).toMatchObject({ kind: "request" });
});

test("a request that claims to be of the future is said once for all looks at it", () => {
  const bench = new Bench();
  const record = { worker_id: "w-1", worker_type: "scan", created_at: "2099-01-01T00:00:00Z" };
  writeFileSync(bench.layout.queueRequest("w-1"), JSON.stringify(record), { mode: 0o640 });
  for (let times = 0; times < 3; times++) bench.source.look("w-1-restart.json");
  expect(bench.said).toEqual([
    'record_refused: Request "w-1-restart.json": created_at must not be in the future, got "2099-01-01T00:00:00Z"; it counts as made when its file was written',
  ]);
});

test("a person's request that claims to be of the future expires an hour after it was filed, however often it is deferred", () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  const real = new RealLoop();
  const hold = { acts: ["restart"], by: "person:anna", expires_at: new Date(Date.now() + 5_400_000).toISOString() };
  writeFileSync(join(real.layout.holdsDir, "scan-1"), JSON.stringify(hold));
  const base = { worker_id: "scan-1", worker_type: "scan", attempt: 1 };
  real.specs.createActive({ ...base, status: "running", launch: { command: "sleep", args: ["600"] } });
  const path = real.layout.queueRequest("scan-1");
  writeFileSync(path, JSON.stringify({ ...base, requested_by: "person:anna", created_at: "2099-01-01T00:00:00Z" }));
  const filedMs = statSync(path).mtimeMs;
  real.queue.scan();
  const kept = JSON.parse(readFileSync(path, "utf8")) as { created_at: string; deferred: { gate: string } };
  expect(kept).toMatchObject({ created_at: writeInstant(filedMs), deferred: { gate: "holds" } });
  vi.setSystemTime(Date.now() + 7_200_000);
  real.queue.lookAtWaiting();
  expect(real.loop.part<WorkerPart>("worker:scan-1")?.waiting ?? null).toBeNull();
  expect(real.reported.at(-1)).toMatchObject({ event_type: "worker_restart_refused", reason: "expired" });
  expect(real.launched).toEqual([]);
});

test("a person's request that claims to be of the future keeps the time of its file also when its start has failed", async () => {
  const real = new RealLoop();
  const base = { worker_id: "scan-1", worker_type: "scan", attempt: 1 };
  real.specs.fileZombie({ ...base, status: "zombie", launch: { command: "sleep", args: ["600"] } }, 1);
  const path = real.layout.queueRequest("scan-1");
  writeFileSync(path, JSON.stringify({ ...base, requested_by: "person:anna", created_at: "2099-01-01T00:00:00Z" }));
  age(path, 60);
  const filedMs = statSync(path).mtimeMs;
  real.launch = () => {
    throw new Error("No such luck");
  };
  real.queue.scan();
  await until(() => real.loop.idle && existsSync(path), "it waits again");
  const kept = JSON.parse(readFileSync(path, "utf8"));
  expect(kept).toMatchObject({
    created_at: writeInstant(filedMs),
    deferred: { gate: "backoff" },
  });
});

test("a request whose claimer died waits again with the time at which it was made", () => {
  const { queueDir, claimedDir, doneDir, failedRequestsDir, rejectedDir } = temporaryLayout();
  const folders = { claimed: claimedDir, done: doneDir, failed: failedRequestsDir, rejected: rejectedDir };
  const claimed = join(claimedDir, `w-1-restart.1.1-1-${"0".repeat(8)}.json`);
  writeFileSync(claimed, JSON.stringify({ worker_id: "w-1", worker_type: "scan", created_at: "2099-01-01T00:00:00Z" }));
  age(claimed, 60);
  const filedMs = statSync(claimed).mtimeMs;
  expect(adoptOrphans(new Mailbox(queueDir, folders), new Set())).toEqual(["w-1-restart.json"]);
  const kept = JSON.parse(readFileSync(join(queueDir, "w-1-restart.json"), "utf8"));
  expect(kept).toMatchObject({ created_at: writeInstant(filedMs) });
});
