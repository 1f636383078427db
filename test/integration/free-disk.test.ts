/** Disk space is freed from heald's own logs alone, what a reader still needs stays, and nothing else is touched. */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Healing } from "./support/healing.js";
import { until } from "./support/launched.js";

let healing: Healing;

beforeEach(() => {
  healing = new Healing();
  healing.config("auto-fix-registry", {
    fixes: [
      {
        ...{ fix_id: "free-disk-space", category: "resource", name: "Free disk space" },
        ...{ applies_to_patterns: ["systemic:api_error"], safety: { safety_score: 0.95 } },
        actions: [{ type: "free-disk", keep_attempts: 2 }],
      },
    ],
  });
});

afterEach(() => healing.close());

const HOUR = 3600;
const DAY = 24 * HOUR;

function put(path: string, ageSeconds: number, text: string): string {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
  const at = Date.now() / 1000 - ageSeconds;
  utimesSync(path, at, at);
  return path;
}

const event = (nth: number): string =>
  JSON.stringify({
    ...{ event_id: `e-${String(nth).padStart(9, "0")}`, event_type: "heartbeat_missed", worker_id: "press-1" },
    ...{ timestamp: "2026-01-01T00:00:00Z", at_ms: 1_767_225_600_000 + nth, severity: "info", source: "x" },
    ...{ message: "an old one", data: {} },
  });
const events = (from: number, count: number): string =>
  Array.from({ length: count }, (_, nth) => `${event(from + nth)}\n`).join("");
const archive = (name: string): string => healing.line.path("events", "archive", name);
const workerLog = (...parts: string[]): string => join(healing.line.home, "agents", "logs", "workers", ...parts);

async function freed(): Promise<string> {
  healing.template("press");
  healing.publish("press", ["press-1"]);
  await healing.said("fix_applied");
  return String(healing.data("fix_applied").note);
}

test("freeing disk space compresses rotated logs, removes expired ones and logs of old attempts, and says how much", async () => {
  const packed = put(archive("heartbeat-events.20260101T000000Z.jsonl"), 2 * DAY, events(0, 20_000));
  const before = statSync(packed).size;
  const expired = put(archive("heartbeat-events.20250101T000000Z.jsonl"), 8 * DAY, events(0, 5_000));
  const young = put(archive("heartbeat-events.20260102T000000Z.jsonl"), 60, events(20_000, 1_000));
  for (const attempt of [1, 2, 3, 4]) put(workerLog("press-1", `attempt-${attempt}.log`), DAY, "x".repeat(10_000));
  put(workerLog("press-1", "attempt-1.log.1"), DAY, "x".repeat(10_000));
  healing.write(healing.line.path("worker-specs", "zombie", "press-1.attempt-4.json"), { worker_id: "press-1" });
  await healing.start("auto-fix");
  const used = (): number => Number(execFileSync("du", ["-s", "-B1", healing.line.home]).toString().split("\t")[0]);
  const usedBefore = used();
  expect(await freed()).toMatch(
    /^[3-9]\.\d MB are free again: 3 logs of old attempts and 1 expired archives are removed, 1 rotated logs are compressed/,
  );
  expect(usedBefore - used()).toBeGreaterThan(3_000_000);
  expect([existsSync(packed), existsSync(expired), existsSync(young)]).toEqual([false, false, true]);
  expect(gunzipSync(readFileSync(`${packed}.gz`)).length).toBe(before);
  expect(statSync(`${packed}.gz`).size).toBeLessThan(before / 5);
  expect(readdirSync(workerLog("press-1")).sort()).toEqual(["attempt-3.log", "attempt-4.log"]);
  // What is compressed can still be read, in its order.
  const told = await healing.line.heald("events", "--json", "-n", "100000", "--type", "heartbeat_missed");
  expect(told.out.split("\n").filter((line) => line.includes('"e-0000'))).toHaveLength(21_000);
}, 60_000);

test("what a reader has not read yet stays as it is, and so does every file that is not a log of heald's", async () => {
  const read = put(archive("worker-restart-events.20260101T000000Z.jsonl"), 9 * DAY, events(0, 2_000));
  const reading = put(archive("worker-restart-events.20260102T000000Z.jsonl"), 8 * DAY, events(2_000, 2_000));
  const unread = put(archive("worker-restart-events.20260103T000000Z.jsonl"), 8 * DAY, events(4_000, 2_000));
  // failure-pattern is down, and stands in the middle of the second.
  healing.write(healing.line.path("state", "failure-pattern.json"), {
    parts: { "log:worker-restart": { checkpoint: { inode: lstatSync(reading).ino, offset: 100 } } },
  });
  const elsewhere = put(join(healing.line.home, "elsewhere", "attempt-1.log"), DAY, "precious");
  symlinkSync(join(healing.line.home, "elsewhere"), workerLog("link-1"));
  symlinkSync(elsewhere, archive("heartbeat-events.20250101T000000Z.jsonl"));
  const foreign = [
    put(archive("notes.jsonl"), 100 * DAY, "mine"),
    put(archive("heartbeat-events.old.jsonl"), 100 * DAY, "mine"),
    put(workerLog("press-1", "results.log"), 100 * DAY, "mine"),
    put(join(healing.line.home, "agents", "workers", "press-1", "state", "cursor"), 100 * DAY, "mine"),
    elsewhere,
  ];
  const texts = foreign.map((path) => readFileSync(path, "utf8"));
  await healing.start("auto-fix");
  await freed();
  expect([read, reading, unread].map(existsSync)).toEqual([false, true, true]);
  expect(foreign.map((path) => readFileSync(path, "utf8"))).toEqual(texts);
}, 60_000);

test("auto-fix rotates its own logs, and goes on in fresh ones", async () => {
  const log = healing.layout.eventLog("auto-fix");
  put(log, 0, events(0, 6_000));
  await healing.start("auto-fix");
  await freed();
  await until(() => readdirSync(archive("")).some((name) => name.startsWith("auto-fix-events.")), "it is rotated");
  expect(statSync(log).size).toBeLessThan(100_000);
  expect(healing.events("fix_applied")).toHaveLength(1);
}, 60_000);
