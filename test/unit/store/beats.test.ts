/** Guarantee: whatever stands in a beat beside its worker's id and its attempt, the beat counts, and what is wrong is named. */
import { symlinkSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type BeatReading, readBeat, whyRefused } from "../../../lib/store/beats.js";
import { age, temporaryLayout } from "./temporary-home.js";

function read(content: string | Buffer | object): BeatReading {
  const layout = temporaryLayout();
  const path = layout.heartbeat("w-1");
  writeFileSync(path, typeof content === "string" || Buffer.isBuffer(content) ? content : JSON.stringify(content));
  age(path, 10);
  return readBeat(layout, "w-1", { nowMs: Date.now() });
}

const beat = { worker_id: "w-1", attempt: 2, sequence: 7 };

describe("a beat with a wrong field counts without it, and the field is named", () => {
  test.each([
    ["progress", 100.4, "must be <= 100, got 100.4"],
    ["health_score", 101, "must be <= 100, got 101"],
    ["timestamp", "now", 'must be an instant such as 2026-11-21T21:08:04Z, got "now"'],
    ["activity", 5, "must be a string, got 5"],
    ["pid", "123", 'must be a number, got "123"'],
    ["metrics", [1], "must be a record, got [1]"],
  ])("%s", (field, value, words) => {
    const reading = read({ ...beat, more: 1, [field]: value });
    const kept = { ...beat, more: 1 } as Record<string, unknown>;
    delete kept[field];
    expect(reading).toMatchObject({ kind: "ok", value: kept });
    expect(reading.kind === "ok" && (reading.value as Record<string, unknown>)[field]).toBeUndefined();
    expect(reading).toHaveProperty("fault", {
      code: "wrong_field",
      sentence: `Cannot read heartbeat "heartbeats/w-1.json": ${field} ${words}; the rest of it counts`,
    });
  });
});

test("a beat with bytes that are no UTF-8 counts, with the bytes replaced", () => {
  const reading = read(Buffer.from('{"worker_id":"w-1","sequence":7,"activity":"\xfcber.csv"}', "latin1"));
  expect(reading).toMatchObject({ kind: "ok", value: { worker_id: "w-1", sequence: 7, activity: "\ufffdber.csv" } });
  expect(reading).toHaveProperty("fault", {
    code: "not_utf8",
    sentence: 'Cannot read heartbeat "heartbeats/w-1.json": not UTF-8 text; the rest of it counts',
  });
});

test("a beat with several faults counts, and all are named", () => {
  const reading = read(Buffer.from('{"worker_id":"w-1","progress":200,"activity":"\xfc"}', "latin1"));
  expect(reading).toMatchObject({ kind: "ok", value: { worker_id: "w-1", activity: "\ufffd" } });
  expect(reading).toHaveProperty(
    "fault.sentence",
    'Cannot read heartbeat "heartbeats/w-1.json": not UTF-8 text; progress must be <= 100, got 200; the rest of it counts',
  );
});

test("a faultless beat is given as it is, and nothing is said of it", () => {
  expect(read({ ...beat, activity: "über" })).not.toHaveProperty("fault");
});

describe("a beat speaks for nobody", () => {
  test.each([
    ["without a worker", { sequence: 1 }, "worker_id must be a string, got nothing"],
    ["of another worker", { worker_id: "w-2" }, 'worker_id must be the file\'s name, got "w-2"'],
    ["of an attempt that is no number", { ...beat, attempt: "2" }, 'attempt must be a number, got "2"'],
    ["with a sequence that is no number", { ...beat, sequence: "7" }, 'sequence must be a number, got "7"'],
    ["that is no object", "[1]", "must be an object, got [1]"],
    ["that is no JSON", '{"worker_id":', "line 1, column 14: not valid JSON"],
    ["that is too large", { ...beat, activity: "x".repeat(70_000) }, "70058 bytes, at most 65536"],
  ])("%s", (_, content, why) => {
    const reading = read(content);
    expect(reading.kind === "bad" && whyRefused(reading)).toBe(why);
  });

  test("behind a link", () => {
    const layout = temporaryLayout();
    writeFileSync(layout.heartbeat("w-2"), '{"worker_id":"w-1"}');
    symlinkSync(layout.heartbeat("w-2"), layout.heartbeat("w-1"));
    const reading = readBeat(layout, "w-1", { nowMs: Date.now() });
    expect(reading.kind === "bad" && whyRefused(reading)).toBe("a symbolic link");
  });
});
