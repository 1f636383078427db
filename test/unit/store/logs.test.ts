import { spawn } from "node:child_process";
import {
  appendFileSync,
  copyFileSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import type { Layout } from "../../../lib/store/layout.js";
import { EventLogWriter, type TailCheckpoint, Tailer } from "../../../lib/store/logs.js";
import { compiled } from "./compiled.js";
import { temporaryLayout } from "./temporary-home.js";

const LINE = { maxLineBytes: 65_536 };

function writer(layout: Layout, maxBytes = 200, owner = true): EventLogWriter {
  return new EventLogWriter(layout.eventLog("heartbeat"), { maxBytes, archiveDir: layout.archiveDir, owner });
}

/** Everything a tailer delivers now, as the numbers of the records; others by their event type. */
function drain(tailer: Tailer): { readonly found: unknown[]; readonly gaps: string[]; readonly torn: boolean } {
  const found: unknown[] = [];
  const gaps: string[] = [];
  for (;;) {
    const read = tailer.read();
    if (read.gap !== undefined) gaps.push(read.gap.reason);
    for (const line of read.lines) {
      const record = JSON.parse(line.text) as { n?: number; event_type?: string };
      found.push(record.n ?? record.event_type);
    }
    if (!read.more) return { found, gaps, torn: read.torn !== undefined };
  }
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

describe("EventLogWriter", () => {
  test("writes compact lines, one for each record", () => {
    const layout = temporaryLayout();
    const log = writer(layout);
    log.append({ event_type: "worker_hung", data: { a: [1, 2] } });
    log.append({ n: 2 });
    log.close();
    expect(readFileSync(log.path, "utf8")).toBe('{"event_type":"worker_hung","data":{"a":[1,2]}}\n{"n":2}\n');
  });

  test("closes the torn line that a killed writer left", () => {
    const layout = temporaryLayout();
    const log = writer(layout);
    writeFileSync(log.path, '{"n":1}\n{"n":');
    log.append({ n: 2 });
    expect(readFileSync(log.path, "utf8")).toBe('{"n":1}\n{"n":\n{"n":2}\n');
  });

  test("appends once by id, and is not deceived by an id inside another record or by a torn line", () => {
    const layout = temporaryLayout();
    const log = writer(layout, 1e6);
    log.append({ event_id: "other", data: { event_id: "x-0" } });
    appendFileSync(log.path, '{"event_id":"x-0","mess');
    expect(log.appendOnce({ event_id: "x-0", n: 1 }, "event_id")).toBe(true);
    expect(log.appendOnce({ event_id: "x-0", n: 1 }, "event_id")).toBe(false);
    expect(log.appendOnce({ event_id: "x-00", n: 1 }, "event_id")).toBe(true);
    expect(() => log.appendOnce({ n: 1 }, "event_id")).toThrow(RangeError);
  });

  test("finds an id in the log that was rotated right after it was written", () => {
    const layout = temporaryLayout();
    const log = writer(layout, 10);
    log.append({ event_id: "x-0", n: 1 });
    expect(log.rotateIfLarge(Date.now(), "heartbeat-monitor")).not.toBeNull();
    expect(log.appendOnce({ event_id: "x-0", n: 1 }, "event_id")).toBe(false);
  });

  test("rotates into the archive with log_rotated as the last line, and goes on in a fresh file", () => {
    const layout = temporaryLayout();
    const log = writer(layout);
    expect(log.rotateIfLarge(Date.now(), "heartbeat-monitor")).toBeNull();
    for (const n of numbers(0, 30)) log.append({ n });
    const archived = log.rotateIfLarge(Date.parse("2026-11-21T21:08:04Z"), "heartbeat-monitor");
    expect(archived).toBe(join(layout.archiveDir, "heartbeat-events.20261121T210804Z.jsonl"));
    const last = readFileSync(archived as string, "utf8")
      .trimEnd()
      .split("\n")
      .at(-1) as string;
    expect(JSON.parse(last)).toMatchObject({ event_type: "log_rotated", source: "heartbeat-monitor" });
    expect(readFileSync(log.path, "utf8")).toBe("");
    log.append({ n: 30 });
    expect(readFileSync(log.path, "utf8")).toBe('{"n":30}\n');
  });

  test("never puts one archive over another, however fast it rotates", () => {
    const layout = temporaryLayout();
    const log = writer(layout, 1);
    const nowMs = Date.now();
    for (const n of numbers(0, 12)) {
      log.append({ n });
      log.rotateIfLarge(nowMs, "x");
    }
    expect(readdirSync(layout.archiveDir)).toHaveLength(12);
    const tailer = new Tailer(log.path, checkpointInFirstArchive(layout), LINE);
    expect(drain(tailer).found.filter((each) => typeof each === "number")).toEqual(numbers(0, 12));
  });

  test("completes a rotation that was cut off after its last line, without a second one", () => {
    const layout = temporaryLayout();
    const log = writer(layout);
    for (const n of numbers(0, 30)) log.append({ n });
    log.append({ event_type: "log_rotated", message: "written, then killed" });
    const archived = log.rotateIfLarge(Date.now(), "x") as string;
    expect(readFileSync(archived, "utf8").match(/log_rotated/g)).toHaveLength(1);
  });

  test("leaves rotation to the owner, and follows it", () => {
    const layout = temporaryLayout();
    const owner = writer(layout);
    const guest = writer(layout, 200, false);
    for (const n of numbers(0, 30)) guest.append({ n });
    expect(guest.rotateIfLarge(Date.now(), "guest")).toBeNull();
    expect(owner.rotateIfLarge(Date.now(), "owner")).not.toBeNull();
    guest.append({ n: 30 });
    expect(readFileSync(owner.path, "utf8")).toBe('{"n":30}\n');
  });
});

function checkpointInFirstArchive(layout: Layout): TailCheckpoint {
  const first = readdirSync(layout.archiveDir).sort()[0] as string;
  const tailer = new Tailer(join(layout.archiveDir, first), null, LINE);
  tailer.read(1);
  tailer.close();
  return { ...(tailer.checkpoint() as TailCheckpoint), offset: 0, head_hash: headOfNothing() };
}

/** What a checkpoint holds before anything was read. */
function headOfNothing(): string {
  const layout = temporaryLayout();
  writeFileSync(layout.eventLog("daemon"), "");
  const tailer = new Tailer(layout.eventLog("daemon"), null, LINE);
  tailer.read();
  return (tailer.checkpoint() as TailCheckpoint).head_hash;
}

describe("Tailer", () => {
  test("delivers each line once, and a torn one only when its newline has come", () => {
    const layout = temporaryLayout();
    const path = layout.eventLog("heartbeat");
    const tailer = new Tailer(path, null, LINE);
    expect(tailer.read()).toEqual({ lines: [], more: false });
    expect(tailer.checkpoint()).toBeNull();
    writeFileSync(path, '{"n":0}\n{"n":1}\n{"n"');
    expect(tailer.read().torn).toEqual({ offset: 16, bytes: 4 });
    appendFileSync(path, ':2}\n\n  \n{"n":3}\n');
    expect(tailer.read().lines).toEqual([
      { text: '{"n":2}', offset: 16 },
      { text: '{"n":3}', offset: 28 },
    ]);
    expect(drain(tailer).found).toEqual([]);
  });

  test("passes over a line that is too long, also one longer than a whole read, and names it", () => {
    const layout = temporaryLayout();
    const path = layout.eventLog("heartbeat");
    writeFileSync(path, `{"n":0}\n${"x".repeat(100)}\n{"n":1}\n${"y".repeat(3_000_000)}`);
    const tailer = new Tailer(path, null, { maxLineBytes: 64 });
    const first = tailer.read(1000);
    expect(first.lines.map((line) => line.text)).toEqual(['{"n":0}', '{"n":1}']);
    expect(first.tooLong).toEqual([{ offset: 8, bytes: 100 }]);
    const waiting = tailer.read(1000);
    expect(waiting).toMatchObject({ lines: [], more: false, torn: { offset: 117, bytes: 3_000_000 } });
    appendFileSync(path, '\n{"n":2}\n');
    expect(tailer.read(1000).tooLong).toEqual([{ offset: 117, bytes: 3_000_000 }]);
    expect(tailer.read(1000).lines.map((line) => line.text)).toEqual(['{"n":2}']);
  });

  test("reads the rest of a rotated file before the fresh one", () => {
    const layout = temporaryLayout();
    const log = writer(layout, 10);
    const tailer = new Tailer(log.path, null, LINE);
    for (const n of numbers(0, 5)) log.append({ n });
    expect(drain(tailer).found).toEqual(numbers(0, 5));
    for (const n of numbers(5, 10)) log.append({ n });
    log.rotateIfLarge(Date.now(), "x");
    for (const n of numbers(10, 12)) log.append({ n });
    expect(drain(tailer)).toEqual({ found: [...numbers(5, 10), "log_rotated", 10, 11], gaps: [], torn: false });
  });

  test("reads every file of several rotations that happened while it did not look", () => {
    const layout = temporaryLayout();
    const log = writer(layout, 10);
    const tailer = new Tailer(log.path, null, LINE);
    log.append({ n: 0 });
    drain(tailer);
    for (const n of numbers(1, 6)) {
      log.append({ n });
      log.rotateIfLarge(Date.now(), "x");
    }
    const { found, gaps } = drain(tailer);
    expect(found.filter((each) => typeof each === "number")).toEqual(numbers(1, 6));
    expect(gaps).toEqual([]);
  });

  test("goes on in the archive after a restart during which the log was rotated twice", () => {
    const layout = temporaryLayout();
    const log = writer(layout, 10);
    for (const n of numbers(0, 3)) log.append({ n });
    const before = new Tailer(log.path, null, LINE);
    drain(before);
    const checkpoint = before.checkpoint();
    before.close();
    for (const n of numbers(3, 6)) {
      log.append({ n });
      log.rotateIfLarge(Date.now(), "x");
    }
    log.append({ n: 6 });
    const { found, gaps } = drain(new Tailer(log.path, checkpoint, LINE));
    expect(found.filter((each) => typeof each === "number")).toEqual(numbers(3, 7));
    expect(gaps).toEqual([]);
  });

  test("delivers what a writer appends late to the file that was rotated away", () => {
    const layout = temporaryLayout();
    const log = writer(layout, 1);
    const tailer = new Tailer(log.path, null, LINE);
    log.append({ n: 0 });
    const archived = log.rotateIfLarge(Date.now(), "x") as string;
    log.append({ n: 2 });
    expect(drain(tailer).found).toEqual([2]);
    tailer.close();

    const second = new Tailer(log.path, null, LINE);
    expect(drain(second).found).toEqual([2]);
    const next = log.rotateIfLarge(Date.now(), "x") as string;
    expect(drain(second).found).toEqual(["log_rotated"]);
    appendFileSync(next, '{"n":3}\n');
    expect(drain(second).found).toEqual([3]);
    expect(archived).not.toBe(next);
  });

  test("says that a log was truncated, and begins again at its start", () => {
    const layout = temporaryLayout();
    const path = layout.eventLog("heartbeat");
    writeFileSync(path, '{"n":0}\n{"n":1}\n');
    const tailer = new Tailer(path, null, LINE);
    drain(tailer);
    truncateSync(path, 0);
    appendFileSync(path, '{"n":7}\n');
    expect(drain(tailer)).toEqual({ found: [7], gaps: ["truncated"], torn: false });
  });

  test("notices a truncated log that has grown beyond the old offset since", () => {
    const layout = temporaryLayout();
    const path = layout.eventLog("heartbeat");
    writeFileSync(path, '{"n":0}\n');
    const tailer = new Tailer(path, null, LINE);
    drain(tailer);
    writeFileSync(path, '{"n":8}\n{"n":9}\n');
    expect(drain(tailer)).toEqual({ found: [8, 9], gaps: ["truncated"], torn: false });
  });

  test("goes on behind the known lines when an editor wrote the file anew with more at its end", () => {
    const layout = temporaryLayout();
    const path = layout.eventLog("heartbeat");
    writeFileSync(path, '{"n":0}\n{"n":1}\n');
    const tailer = new Tailer(path, null, LINE);
    drain(tailer);
    const checkpoint = tailer.checkpoint();
    copyFileSync(path, `${path}.new`);
    appendFileSync(`${path}.new`, '{"n":2}\n');
    renameSync(`${path}.new`, path);
    expect(drain(tailer)).toEqual({ found: [2], gaps: [], torn: false });
    expect(drain(new Tailer(path, checkpoint, LINE))).toEqual({ found: [2], gaps: [], torn: false });
  });

  test("reads a replaced log from its start and says so, also where the inode is the old one's", () => {
    const layout = temporaryLayout();
    const path = layout.eventLog("heartbeat");
    writeFileSync(path, '{"n":0}\n');
    const tailer = new Tailer(path, null, LINE);
    drain(tailer);
    const checkpoint = tailer.checkpoint() as TailCheckpoint;
    unlinkSync(path);
    writeFileSync(path, '{"n":4}\n{"n":5}\n');
    expect(drain(tailer)).toEqual({ found: [4, 5], gaps: ["replaced"], torn: false });
    const { found, gaps } = drain(new Tailer(path, checkpoint, LINE));
    expect(found).toEqual([4, 5]);
    expect(gaps).toHaveLength(1);
  });

  test("waits where it is while the log is away", () => {
    const layout = temporaryLayout();
    const path = layout.eventLog("heartbeat");
    writeFileSync(path, '{"n":0}\n');
    const tailer = new Tailer(path, null, LINE);
    drain(tailer);
    renameSync(path, `${path}.away`);
    expect(drain(tailer)).toEqual({ found: [], gaps: [], torn: false });
    renameSync(`${path}.away`, path);
    appendFileSync(path, '{"n":1}\n');
    expect(drain(tailer)).toEqual({ found: [1], gaps: [], torn: false });
  });

  test("says of which file the lines are, also at the end of one that was rotated, and of those that come late", () => {
    const layout = temporaryLayout();
    const log = writer(layout, 1);
    const told: unknown[] = [];
    const tailer = new Tailer(log.path, null, LINE);
    const read = () => {
      for (let more = true; more; ) {
        const { lines, file, isLate, ...rest } = tailer.read();
        for (const { text } of lines) told.push([(JSON.parse(text) as { n?: number }).n ?? "rotated", file, isLate]);
        more = rest.more;
      }
    };
    const fileOf = (path: string): object => {
      const { ino, birthtimeMs } = statSync(path);
      return { inode: ino, birth_ms: birthtimeMs };
    };
    log.append({ n: 0 });
    read();
    log.append({ n: 1 });
    const archived = log.rotateIfLarge(Date.now(), "x") as string;
    log.append({ n: 2 });
    read();
    appendFileSync(archived, '{"n":3}\n');
    log.append({ n: 4 });
    read();
    tailer.close();
    const [old, fresh] = [fileOf(archived), fileOf(log.path)];
    expect(old).not.toEqual(fresh);
    expect(told).toEqual([
      [0, old, undefined],
      [1, old, undefined],
      ["rotated", old, undefined],
      [2, fresh, undefined],
      [3, old, true],
      [4, fresh, undefined],
    ]);
  });

  test("misses nothing while another process writes and rotates as fast as it can", async () => {
    const layout = temporaryLayout();
    const path = layout.eventLog("heartbeat");
    const count = 20_000;
    // The log is followed from its first file on: without a checkpoint, nothing says that there were others.
    writeFileSync(path, "");
    let tailer = new Tailer(path, null, LINE);
    tailer.read();
    const child = spawn(process.execPath, [compiled("writing-process.ts"), path, layout.archiveDir, String(count)], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    const seen: number[] = [];
    await vi.waitUntil(
      () => {
        for (let more = true; more; ) {
          const found = tailer.read(4096);
          expect(found.gap).toBeUndefined();
          for (const line of found.lines) {
            const { n } = JSON.parse(line.text) as { n?: number };
            if (n !== undefined) seen.push(n);
          }
          more = found.more;
        }
        const checkpoint = tailer.checkpoint();
        tailer.close();
        tailer = new Tailer(path, checkpoint, LINE);
        return seen.length >= count;
      },
      { timeout: 20_000, interval: 5 },
    );
    tailer.close();
    expect(await ended).toBe(0);
    expect(readdirSync(layout.archiveDir).length).toBeGreaterThan(5);
    expect(seen).toEqual(numbers(0, count));
  });

  test("delivers every line once, in order, however appends, rotations, reads and restarts fall", () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.constant("append" as const) },
      { weight: 1, arbitrary: fc.constant("rotate" as const) },
      { weight: 2, arbitrary: fc.constant("read" as const) },
      { weight: 1, arbitrary: fc.constant("restart" as const) },
      { weight: 1, arbitrary: fc.constant("tear" as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const layout = temporaryLayout();
        const log = writer(layout, 1);
        log.append({ n: -1 });
        let tailer = new Tailer(log.path, null, LINE);
        const seen: unknown[] = [];
        let appended = 0;
        const read = () => {
          for (let more = true; more; ) {
            const found = tailer.read(40);
            expect(found.gap).toBeUndefined();
            for (const line of found.lines) {
              const match = /^\{"n":(\d+)\}$/.exec(line.text);
              if (match !== null) seen.push(Number(match[1]));
            }
            more = found.more;
          }
        };
        read();
        for (const each of steps) {
          if (each === "append") log.append({ n: appended++ });
          else if (each === "rotate") log.rotateIfLarge(Date.now(), "x");
          else if (each === "tear") appendFileSync(log.path, '{"torn');
          else if (each === "read") read();
          else {
            const checkpoint = tailer.checkpoint();
            tailer.close();
            tailer = new Tailer(log.path, checkpoint, LINE);
          }
        }
        read();
        tailer.close();
        log.close();
        expect(seen).toEqual(numbers(0, appended));
      }),
      { numRuns: 60 },
    );
  });
});
