import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { DaemonName } from "../../../lib/schema/records.js";
import { partsOf } from "../../../lib/store/archives.js";
import type { Layout } from "../../../lib/store/layout.js";
import { type Expired, expiring, type RetentionLimits } from "../../../lib/store/retention.js";
import { SpecStore } from "../../../lib/store/specs.js";
import { atOnce } from "./steps.js";
import { age, temporaryLayout } from "./temporary-home.js";

const HOUR = 3600;
const DAY = 24 * HOUR;

function put(path: string, ageSeconds: number, text = "{}"): string {
  writeFileSync(path, text);
  age(path, ageSeconds);
  return path;
}

function expire(layout: Layout, daemon: DaemonName, limits: Partial<RetentionLimits>, nowMs: number): Expired {
  return atOnce(expiring(layout, daemon, limits, nowMs));
}

describe("expiring()", () => {
  test("moves old zombies to the archive of their day, where they can still be found", () => {
    const layout = temporaryLayout();
    const old = put(layout.zombieSpec("w", 1), 73 * HOUR, '{"worker_id":"w","attempt":1}');
    const young = put(layout.zombieSpec("w2", 1), 71 * HOUR);
    const day = new Date(Date.now() - 73 * HOUR * 1000).toISOString().slice(0, 10);
    expect(expire(layout, "heartbeat-monitor", {}, Date.now())).toEqual({
      removed: 1,
      why: ["zombies archived: 1"],
      more: false,
    });
    expect([existsSync(old), existsSync(young)]).toEqual([false, true]);
    expect(readdirSync(join(layout.archivedDir, day))).toEqual(["w.attempt-1.json"]);
    expect(new SpecStore(layout).latestEvidence("w")).toMatchObject({ attempt: 1 });
  });

  test("removes archived specs in the end, but not those of workers that wait for their restart", () => {
    const layout = temporaryLayout();
    put(layout.zombieSpec("gone", 1), 31 * DAY);
    put(layout.zombieSpec("waits", 1), 31 * DAY);
    put(layout.completedSpec("gone", 2), 31 * DAY);
    writeFileSync(layout.queueRequest("waits"), "{}");
    expire(layout, "heartbeat-monitor", {}, Date.now());
    const store = new SpecStore(layout);
    expect([store.highestAttempt("gone"), store.highestAttempt("waits")]).toEqual([0, 1]);
    expect(readdirSync(layout.archivedDir)).toHaveLength(1);
  });

  test("removes records of attempts that are over, never those of an active one", () => {
    const layout = temporaryLayout();
    const store = new SpecStore(layout);
    store.createActive({ worker_id: "w", attempt: 2 });
    writeFileSync(layout.activeSpec("spoilt"), "{");
    const over = [
      put(layout.launch("w", 1), 80 * HOUR),
      put(layout.exit("w", 1), 80 * HOUR),
      put(layout.heartbeat("gone"), 80 * HOUR),
    ];
    const kept = [
      put(layout.launch("w", 2), 80 * HOUR),
      put(layout.launch("spoilt", 1), 80 * HOUR),
      put(layout.exit("young", 1), 2 * HOUR),
      put(layout.heartbeat("w"), 80 * HOUR),
      put(layout.activeSpec("silent"), 400 * DAY, '{"worker_id":"silent"}'),
    ];
    expire(layout, "heartbeat-monitor", {}, Date.now());
    expect(over.filter((path) => existsSync(path))).toEqual([]);
    expect(kept.filter((path) => !existsSync(path))).toEqual([]);
  });

  test("leaves to each daemon what it owns", () => {
    const layout = temporaryLayout();
    const done = put(join(layout.doneDir, "w-restart.1.2-3-00000000.json"), 31 * DAY);
    const why = put(join(layout.rejectedDir, "evil.json.why"), 31 * DAY);
    const waiting = put(layout.queueRequest("w"), 31 * DAY);
    const own = put(join(layout.archiveDir, "worker-restart-events.20260101T000000Z.jsonl"), 31 * DAY);
    const other = put(join(layout.archiveDir, "heartbeat-events.20260101T000000Z.jsonl"), 31 * DAY);
    expire(layout, "heartbeat-monitor", {}, Date.now());
    expect([done, why, waiting, own, other].map(existsSync)).toEqual([true, true, true, true, false]);
    expire(layout, "worker-restart", {}, Date.now());
    expect([done, why, waiting, own].map(existsSync)).toEqual([false, false, true, false]);
  });

  test("removes rotated logs that were compressed like any other, and their indexes after them", () => {
    const layout = temporaryLayout();
    const name = "heartbeat-events.20260101T000000Z.jsonl";
    const old = put(join(layout.archiveDir, `${name}.gz`), 31 * DAY);
    const index = put(join(layout.archiveDir, `${name}.index`), 31 * DAY);
    const young = put(join(layout.archiveDir, "heartbeat-events.20260130T000000Z.jsonl.gz"), DAY);
    expire(layout, "heartbeat-monitor", {}, Date.now());
    expect([old, index, young].map(existsSync)).toEqual([false, false, true]);
  });

  test("removes what killed writers left, and does a bounded part of the work at a call", () => {
    const layout = temporaryLayout();
    const left = put(join(layout.activeDir, ".w.json.17.1.tmp"), 2 * HOUR);
    const beingWritten = put(join(layout.activeDir, ".w.json.18.1.tmp"), 1);
    for (let index = 0; index < 10; index++) put(layout.exit("w", index), 80 * HOUR);
    expect(expire(layout, "heartbeat-monitor", { entriesMax: 4 }, Date.now())).toMatchObject({
      removed: 4,
      more: true,
    });
    expect([existsSync(left), existsSync(beingWritten)]).toEqual([false, true]);
    expect(readdirSync(layout.exitsDir)).toHaveLength(7);
    expire(layout, "heartbeat-monitor", {}, Date.now());
    expect(readdirSync(layout.exitsDir)).toEqual([]);
  });

  test("removes rotated logs that were packed at the same age, and two halves of one that a kill has left count once", () => {
    const layout = temporaryLayout();
    const name = (day: string): string => join(layout.archiveDir, `heartbeat-events.202601${day}T000000Z.jsonl`);
    const old = put(`${name("01")}.gz`, 31 * DAY);
    const kept = [put(`${name("02")}.gz`, 29 * DAY), put(name("03"), DAY), put(`${name("03")}.gz`, DAY)];
    expect(partsOf(layout.eventLog("heartbeat"), layout.archiveDir)).toEqual([old, `${name("02")}.gz`, name("03")]);
    expect(expire(layout, "heartbeat-monitor", {}, Date.now()).removed).toBe(1);
    expect([old, ...kept].map((path) => existsSync(path))).toEqual([false, true, true, true]);
  });

  test("keeps the rotated logs of a daemon for as long as that daemon says, and of all others for 30 days", () => {
    const layout = temporaryLayout();
    const rotated = (log: string): string =>
      put(join(layout.archiveDir, `${log}-events.20260101T000000Z.jsonl`), 31 * DAY);
    const logs = ["heartbeat", "worker-restart", "auto-fix", "failure-pattern"].map(rotated);
    for (const daemon of ["heartbeat-monitor", "worker-restart", "auto-fix"] as const)
      expire(layout, daemon, {}, Date.now());
    expire(layout, "failure-pattern", { logDays: 90 }, Date.now());
    expect(logs.map((path) => existsSync(path))).toEqual([false, false, false, true]);
  });

  test("removes holds that have been over for a week, and no other", () => {
    const layout = temporaryLayout();
    const hold = (name: string, text: string) => writeFileSync(join(layout.holdsDir, name), text);
    const at = (days: number) => new Date(Date.now() + days * DAY * 1000).toISOString();
    hold("task-old.json", JSON.stringify({ by: "worker-restart", expires_at: at(-7.1) }));
    hold("task-over.json", JSON.stringify({ by: "worker-restart", expires_at: at(-6.9) }));
    hold("scan", JSON.stringify({ by: "anna", expires_at: at(-8) }));
    hold("all", "");
    hold("spoilt", "{");
    age(join(layout.holdsDir, "spoilt"), 30 * DAY);
    expect(expire(layout, "heartbeat-monitor", {}, Date.now()).why).toEqual(["holds that are over: 2"]);
    expect(readdirSync(layout.holdsDir).sort()).toEqual(["all", "spoilt", "task-over.json"]);
  });
});
