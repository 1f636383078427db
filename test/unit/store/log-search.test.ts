/** What logs say of one worker or one id is found from the end, by index and by instant: all of it, and nothing else. */
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { filesOf } from "../../../lib/store/archives.js";
import type { Layout } from "../../../lib/store/layout.js";
import { LogFileReader, parsed } from "../../../lib/store/log-file.js";
import {
  indexPath,
  makeIndex,
  mayName,
  offsetsOf,
  orphanedIndexes,
  withoutIndex,
} from "../../../lib/store/log-index.js";
import { linesWith, recordsBackward, recordsNaming, recordWithId, timeOfId } from "../../../lib/store/log-search.js";
import { temporaryFolder, temporaryLayout } from "./temporary-home.js";

const ALL = { fromMs: 0, untilMs: Number.POSITIVE_INFINITY };
const START_MS = Date.parse("2026-11-21T00:00:00Z");

/** An id as heald makes them. */
const idAt = (atMs: number, nth = 0): string =>
  `${atMs.toString(36).padStart(9, "0")}-abcdefgh-${String(nth).padStart(5, "0")}`;

const line = (worker: string, atMs: number, more: object = {}): string =>
  `${JSON.stringify({ event_id: `${idAt(atMs)}-0`, event_type: "worker_exited", at_ms: atMs, worker_id: worker, ...more })}\n`;

/** Two rotated logs and the log itself; each worker has a line in each minute. */
function threeHours(layout: Layout, workers: readonly string[]): string {
  const path = layout.eventLog("heartbeat");
  for (let hour = 0; hour < 3; hour++) {
    let text = "";
    for (let minute = 0; minute < 60; minute++)
      for (const [nth, worker] of workers.entries())
        text += line(worker, START_MS + hour * 3_600_000 + minute * 60_000 + nth * 100, { note: "x".repeat(300) });
    const name = `heartbeat-events.20261121T0${hour + 1}0000Z.jsonl`;
    writeFileSync(hour === 2 ? path : join(layout.archiveDir, name), text);
  }
  return path;
}

function indexAll(layout: Layout): void {
  for (const { file, field } of withoutIndex(layout, "heartbeat-monitor")) for (const _ of makeIndex(file, field));
}

const WORKERS = ["w-1", "w-10", "w-100", "w-2"];

describe("recordsBackward()", () => {
  test.each(["without an index", "with indexes", "where a rotated log was compressed"])(
    "gives all that is said of a worker, newest first, %s",
    (how) => {
      const layout = temporaryLayout();
      const path = threeHours(layout, WORKERS);
      if (how !== "without an index") indexAll(layout);
      if (how === "where a rotated log was compressed") compress(layout);
      const found = [...recordsBackward(layout, path, { field: "worker_id", value: "w-1" }, ALL)];
      expect(found).toHaveLength(180);
      expect(new Set(found.map((record) => record.worker_id))).toEqual(new Set(["w-1"]));
      const times = found.map((record) => record.at_ms as number);
      expect(times).toEqual([...times].sort((a, b) => b - a));
    },
  );

  test("does not go back beyond the instant that is named", () => {
    const layout = temporaryLayout();
    const path = threeHours(layout, WORKERS);
    indexAll(layout);
    const fromMs = START_MS + 90 * 60_000;
    const found = [...recordsBackward(layout, path, { field: "worker_id", value: "w-2" }, { ...ALL, fromMs })];
    expect(found).toHaveLength(90);
    expect(Math.min(...found.map((record) => record.at_ms as number))).toBeGreaterThanOrEqual(fromMs);
  });

  test.each(["without an index", "with indexes"])("leaves out most of what is newer than the span, %s", (how) => {
    const layout = temporaryLayout();
    const path = threeHours(layout, WORKERS);
    if (how === "with indexes") indexAll(layout);
    const span = { fromMs: START_MS + 30 * 60_000, untilMs: START_MS + 50 * 60_000 };
    const times = [...recordsBackward(layout, path, { field: "worker_id", value: "w-1" }, span)].map(
      (record) => ((record.at_ms as number) - START_MS) / 60_000,
    );
    for (let minute = 30; minute <= 50; minute++) expect(times).toContain(minute);
    expect(Math.max(...times)).toBeLessThan(120);
  });

  test("finds a line that a person wrote with spaces, and passes over a torn one", () => {
    const layout = temporaryLayout();
    const path = layout.eventLog("heartbeat");
    writeFileSync(path, `{ "worker_id": "w-1", "at_ms": 5 }\n{"worker_id":"w-1","at_ms":6,\n{"worker_id":"w-1","at`);
    const found = [...recordsBackward(layout, path, { field: "worker_id", value: "w-1" }, ALL)];
    expect(found.map((record) => record.at_ms)).toEqual([5]);
  });

  test("does not take a worker who is only named in another's record for its subject", () => {
    const layout = temporaryLayout();
    const path = layout.decisions("worker-restart");
    const decision = { decision_id: "d", at_ms: 1, subject: "w-2", slice: { under_way: [{ worker_id: "w-1" }] } };
    writeFileSync(path, `${JSON.stringify(decision)}\n`);
    expect([...recordsBackward(layout, path, { field: "subject", value: "w-1" }, ALL)]).toEqual([]);
    expect([...recordsBackward(layout, path, { field: "subject", value: "w-2" }, ALL)]).toHaveLength(1);
  });
});

describe("linesWith()", () => {
  test("finds each line that holds the word once, the last first, wherever the pieces are cut", () => {
    const path = join(temporaryFolder(), "log.jsonl");
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 9000 })), { maxLength: 200 }), (lines) => {
        const texts = lines.map(
          ([has, length], nth) => `{"n":${nth},"w":"${has ? "here" : "no"}${"é".repeat(length)}"}`,
        );
        writeFileSync(path, texts.map((text) => `${text}\n`).join(""));
        const reader = LogFileReader.open({ path, rotatedAtMs: null }) as LogFileReader;
        const found = [...linesWith(reader, '"here', 0)].map(({ text }) => parsed(text)?.n);
        reader.close();
        expect(found).toEqual(lines.flatMap(([has], nth) => (has ? [nth] : [])).reverse());
      }),
      { numRuns: 60 },
    );
  });
});

describe("a line of megabytes", () => {
  test.each([5_000_000, 9_000_000, 4 * 1024 * 1024 - 9])("of %i bytes hides none of the lines around it", (length) => {
    const path = join(temporaryFolder(), "log.jsonl");
    writeFileSync(
      path,
      `{"n":1,"w":"here"}\n{"x":"${"z".repeat(length)}"}\n{"n":2,"w":"here"}\n{"y":"${"z".repeat(length)}"}\n`,
    );
    const reader = LogFileReader.open({ path, rotatedAtMs: null }) as LogFileReader;
    const read = vi.spyOn(reader, "bytes");
    // It once went round for ever, and nothing else can end a loop that does not pause.
    const bytes = LogFileReader.prototype.bytes.bind(reader);
    read.mockImplementation((...where) => {
      if (read.mock.calls.length > 100) throw new Error("It goes round for ever");
      return bytes(...where);
    });
    const found = [...linesWith(reader, '"here', 0)].map(({ text }) => parsed(text)?.n);
    reader.close();
    expect(found).toEqual([2, 1]);
  });
});

describe("positionAt()", () => {
  test("gives a place before which all is older, and near to what is sought", () => {
    const path = join(temporaryFolder(), "log.jsonl");
    const times = Array.from({ length: 3000 }, (_, nth) => START_MS + nth * 1000);
    writeFileSync(path, times.map((atMs) => line("w", atMs, { note: "x".repeat(100) })).join(""));
    const reader = LogFileReader.open({ path, rotatedAtMs: null }) as LogFileReader;
    fc.assert(
      fc.property(fc.integer({ min: -5000, max: 3_005_000 }), (afterMs) => {
        const wanted = START_MS + afterMs;
        const position = reader.positionAt(wanted);
        const first = times.findIndex((atMs) => atMs >= wanted);
        const lines = [...reader.lines(position)].map(({ text }) => parsed(text)?.at_ms as number);
        if (first >= 0) expect(lines).toContain(times[first]);
        expect(lines.filter((atMs) => atMs < wanted).length).toBeLessThan(700);
      }),
      { numRuns: 50 },
    );
    reader.close();
  });
});

describe("recordWithId()", () => {
  test("finds what has an id by the instant in it, in rotated logs too", () => {
    const layout = temporaryLayout();
    const path = threeHours(layout, WORKERS);
    for (const minute of [0, 59, 61, 119, 120, 179]) {
      const atMs = START_MS + minute * 60_000;
      expect(recordWithId(layout, path, ["event_id"], `${idAt(atMs)}-0`)).toMatchObject({
        at_ms: atMs,
        worker_id: "w-1",
      });
    }
    expect(recordWithId(layout, path, ["event_id"], `${idAt(START_MS + 5)}-0`)).toBeNull();
    expect(recordWithId(layout, path, ["event_id"], "somebody-elses")).toBeNull();
  });

  test("reads the instant from the ids that heald makes, and from no others", () => {
    expect(timeOfId(idAt(START_MS))).toBe(START_MS);
    expect(timeOfId(`inc-${idAt(START_MS)}-fleet`)).toBe(START_MS);
    expect(timeOfId(`run-${idAt(START_MS)}`)).toBe(START_MS);
    for (const id of ["worker-scan-1", "pattern-a78c", "inc-1", "d-1", ""]) expect(timeOfId(id)).toBeNull();
  });
});

describe("recordsNaming()", () => {
  test.each(["without an index", "with indexes", "where a rotated log was compressed"])(
    "gives every record that has the name, of all files, newest first, %s",
    (how) => {
      const layout = temporaryLayout();
      const path = threeHours(layout, WORKERS);
      if (how !== "without an index") indexAll(layout);
      if (how === "where a rotated log was compressed") compress(layout);
      const found = [...recordsNaming(layout, path, "w-10")];
      expect(found).toHaveLength(180);
      const times = found.map((record) => record.at_ms as number);
      expect(times).toEqual([...times].sort((a, b) => b - a));
      expect([...recordsNaming(layout, path, "nobody")]).toEqual([]);
    },
  );

  test("passes over a rotated log that cannot have the name, without reading it", () => {
    const layout = temporaryLayout();
    const path = threeHours(layout, WORKERS);
    indexAll(layout);
    const [first, second] = filesOf(path, layout.archiveDir);
    if (first === undefined || second === undefined) throw new Error("There are two rotated logs");
    expect([mayName(first, "w-1"), mayName(first, "nobody")]).toEqual([true, false]);
    // The same bytes, after the index was made of others: found only if the log is read.
    const text = readFileSync(first.path, "utf8");
    writeFileSync(first.path, text.replace('"w-100"', '"other"'));
    expect([...recordsNaming(layout, path, "other")]).toEqual([]);
    rmSync(indexPath(first.path));
    expect([...recordsNaming(layout, path, "other")]).toHaveLength(1);
  });
});

describe("the names in an index", () => {
  const FIELDS = ["worker_id", "worker_type", "task_id", "incident_id", "subject", "event_id", "decision_id"];

  test("never rule out a name that stands in the log, whatever its characters, also in a part of a record", () => {
    const folder = temporaryFolder();
    const name = fc.oneof(
      fc.string({ minLength: 1, unit: "grapheme" }),
      fc.constantFrom('a"b', "a\\b", "é\n", "__proto__"),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...FIELDS), name, fc.boolean()), { maxLength: 60 }), (fields) => {
        const path = join(folder, "log.20261121T010000Z.jsonl");
        const records = fields.map(([field, value, isDeep]) =>
          isDeep ? { data: { [field]: value } } : { [field]: value },
        );
        writeFileSync(path, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
        const file = { path, rotatedAtMs: START_MS };
        for (const _ of makeIndex(file, "worker_id"));
        for (const [, value] of fields) expect(mayName(file, value)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test("rule out 98 of 100 names of nobody, in a log of short lines", () => {
    const path = join(temporaryFolder(), "log.20261121T010000Z.jsonl");
    const lines = Array.from({ length: 5000 }, (_, nth) =>
      line(`w-${nth}`, START_MS + nth, { incident_id: `inc-${idAt(START_MS + nth)}`, note: "x".repeat(150) }),
    );
    writeFileSync(path, lines.join(""));
    const file = { path, rotatedAtMs: START_MS };
    for (const _ of makeIndex(file, "worker_id"));
    const passed = Array.from({ length: 2000 }, (_, nth) => `nobody-${nth}`).filter((name) => mayName(file, name));
    expect(passed.length).toBeLessThan(40);
    expect(statSync(indexPath(path)).size).toBeLessThan(statSync(path).size / 10);
  });

  test("rule nothing out where the index is cut off, is of another log, or has none", () => {
    const layout = temporaryLayout();
    const path = threeHours(layout, WORKERS);
    indexAll(layout);
    const [first] = filesOf(path, layout.archiveDir);
    if (first === undefined) throw new Error("There is a rotated log");
    const whole = readFileSync(indexPath(first.path), "utf8");
    const lines = whole.split("\n");
    const head = JSON.parse(lines[0] as string) as object;
    for (const spoiled of [
      "",
      "{",
      whole.slice(0, -100),
      whole.slice(0, whole.length / 2),
      [JSON.stringify({ ...head, bytes: 1 }), ...lines.slice(1)].join("\n"),
      [JSON.stringify({ ...head, names: undefined }), ...lines.slice(1, -2), ""].join("\n"),
    ]) {
      writeFileSync(indexPath(first.path), spoiled);
      expect([spoiled.slice(0, 80), mayName(first, "nobody")]).toEqual([spoiled.slice(0, 80), true]);
    }
  });
});

describe("an index", () => {
  test("knows where each worker's lines are, and is made for rotated logs only", () => {
    const layout = temporaryLayout();
    const path = threeHours(layout, WORKERS);
    expect(withoutIndex(layout, "heartbeat-monitor")).toHaveLength(2);
    indexAll(layout);
    expect(withoutIndex(layout, "heartbeat-monitor")).toEqual([]);
    for (const file of filesOf(path, layout.archiveDir).slice(0, 2)) {
      const reader = LogFileReader.open(file) as LogFileReader;
      const offsets = offsetsOf(file, "w-10") ?? [];
      expect(offsets.map((offset) => parsed(reader.lineAt(offset) ?? "")?.worker_id)).toEqual(Array(60).fill("w-10"));
      expect(offsetsOf(file, "nobody")).toEqual([]);
      reader.close();
    }
  });

  test("that was removed, damaged or is of another log is as good as none", () => {
    const layout = temporaryLayout();
    const path = threeHours(layout, WORKERS);
    indexAll(layout);
    const [first, second] = filesOf(path, layout.archiveDir);
    if (first === undefined || second === undefined) throw new Error("There are two rotated logs");
    appendFileSync(first.path, line("w-1", START_MS));
    expect(offsetsOf(first, "w-1")).toBeNull();
    writeFileSync(indexPath(second.path), "not an index");
    expect(offsetsOf(second, "w-1")).toBeNull();
    rmSync(indexPath(second.path));
    expect(offsetsOf(second, "w-1")).toBeNull();
    expect([...recordsBackward(layout, path, { field: "worker_id", value: "w-1" }, ALL)]).toHaveLength(181);
  });

  test("goes when its log is gone, and stays when its log is compressed", () => {
    const layout = temporaryLayout();
    threeHours(layout, WORKERS);
    indexAll(layout);
    const names = (): string[] => readdirSync(layout.archiveDir).sort();
    compress(layout);
    expect(orphanedIndexes(layout.archiveDir)).toEqual([]);
    rmSync(join(layout.archiveDir, names()[0] as string));
    expect(orphanedIndexes(layout.archiveDir)).toHaveLength(1);
  });
});

/** As the healer does when the disk is full. */
function compress(layout: Layout): void {
  const [oldest] = filesOf(layout.eventLog("heartbeat"), layout.archiveDir);
  if (oldest === undefined) throw new Error("There is a rotated log");
  const text = LogFileReader.open(oldest)?.bytes(0, statSync(oldest.path).size) ?? Buffer.alloc(0);
  writeFileSync(`${oldest.path}.gz`, gzipSync(text));
  rmSync(oldest.path);
  expect(existsSync(oldest.path)).toBe(false);
}
