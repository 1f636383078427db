import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Hold, heldBy, readHolds } from "../../../lib/store/holds.js";
import type { Layout } from "../../../lib/store/layout.js";
import { age, temporaryLayout } from "./temporary-home.js";

const HOUR_MS = 3_600_000;

function put(layout: Layout, name: string, text: string, ageSeconds = 0): void {
  writeFileSync(join(layout.holdsDir, name), text);
  if (ageSeconds !== 0) age(join(layout.holdsDir, name), ageSeconds);
}

function one(layout: Layout, nowMs = Date.now()): Hold {
  const holds = readHolds(layout, nowMs);
  expect(holds).toHaveLength(1);
  return holds[0] as Hold;
}

describe("readHolds()", () => {
  test("takes an empty holds/all for a stop button of one hour", () => {
    const layout = temporaryLayout();
    put(layout, "all", "");
    const hold = one(layout);
    expect(hold).toMatchObject({ scope: "all", acts: ["kill", "restart", "fix"], defaulted: true });
    expect(hold.expiresAtMs - Date.now()).toBeGreaterThan(HOUR_MS - 10_000);
    expect(hold.expiresAtMs - Date.now()).toBeLessThanOrEqual(HOUR_MS);
    for (const act of ["kill", "restart", "fix"] as const) expect(heldBy([hold], act, {}, Date.now())).toBe(hold);
    expect(heldBy([hold], "kill", {}, hold.expiresAtMs)).toBeNull();
  });

  test("holds whatever has the name of an empty file", () => {
    const layout = temporaryLayout();
    put(layout, "worker-7", "");
    const hold = one(layout);
    const now = Date.now();
    expect(heldBy([hold], "kill", { worker_id: "worker-7" }, now)).toBe(hold);
    expect(heldBy([hold], "kill", { worker_type: "worker-7" }, now)).toBe(hold);
    expect(heldBy([hold], "kill", { worker_id: "worker-8" }, now)).toBeNull();
  });

  test("counts an hour from the file's time where no expiry is given, and says so", () => {
    const layout = temporaryLayout();
    put(
      layout,
      "calm.json",
      '{"scope":"worker_type","name":"scan-worker","acts":["kill"],"by":"me","why":"look"}',
      1800,
    );
    const hold = one(layout);
    expect(hold).toMatchObject({ target: "scan-worker", acts: ["kill"], by: "me", why: "look", defaulted: true });
    expect(Math.round((hold.expiresAtMs - Date.now()) / 60_000)).toBe(30);
    expect(heldBy([hold], "restart", { worker_type: "scan-worker" }, Date.now())).toBeNull();
  });

  test("obeys start and end, and lets none last longer than seven days", () => {
    const layout = temporaryLayout();
    const startsAtMs = Date.now() + HOUR_MS;
    const given = { scope: "worker", name: "w", starts_at: new Date(startsAtMs).toISOString() };
    put(layout, "w", JSON.stringify({ ...given, expires_at: "2190-01-01T00:00:00Z" }));
    const hold = one(layout);
    expect(hold.defaulted).toBe(false);
    expect(hold.expiresAtMs).toBe(startsAtMs + 7 * 24 * HOUR_MS);
    expect(heldBy([hold], "kill", { worker_id: "w" }, startsAtMs - 1)).toBeNull();
    expect(heldBy([hold], "kill", { worker_id: "w" }, startsAtMs)).toBe(hold);
  });

  test("does not let a file that is dated years ahead hold for years", () => {
    const layout = temporaryLayout();
    put(layout, "all", "");
    utimesSync(join(layout.holdsDir, "all"), Date.now() / 1000 + 1e8, Date.now() / 1000 + 1e8);
    expect(one(layout).expiresAtMs).toBeLessThan(Date.now() + HOUR_MS + 1000);
  });

  test("holds everything for an hour when a file cannot be read, and says why", () => {
    const layout = temporaryLayout();
    put(layout, "typo", '{"scope":"worker",', 5);
    const hold = one(layout);
    expect(hold.unreadable).toBe('Cannot read hold "holds/typo": line 1, column 19: not valid JSON');
    expect(heldBy([hold], "kill", { worker_id: "anybody" }, Date.now())).toBe(hold);
    expect(heldBy([hold], "kill", { worker_id: "anybody" }, Date.now() + HOUR_MS)).toBeNull();
  });

  test.each([
    ["a wrong word", (path: string) => writeFileSync(path, '{"acts":["kil"]}')],
    ["a folder", (path: string) => mkdirSync(path)],
    ["a link", (path: string) => symlinkSync("/etc/hostname", path)],
    ["a list", (path: string) => writeFileSync(path, "[]")],
  ])("holds everything for %s", (_name, make) => {
    const layout = temporaryLayout();
    make(join(layout.holdsDir, "doubtful"));
    expect(one(layout)).toMatchObject({
      scope: "all",
      defaulted: true,
      unreadable: expect.stringMatching(/^Cannot read hold/),
    });
  });

  test("holds everything for one that is still being written, until it can be read or is refused", () => {
    const layout = temporaryLayout();
    put(layout, "new", '{"scope":');
    const nowMs = Date.now();
    const hold = one(layout, nowMs);
    expect(hold).toMatchObject({ scope: "all", why: "it is still being written" });
    expect(hold.unreadable).toBeUndefined();
    for (const act of ["kill", "restart", "fix"] as const)
      expect(heldBy([hold], act, { worker_id: "anybody" }, nowMs + 2000)).toBe(hold);
    expect(heldBy([hold], "kill", { worker_id: "anybody" }, nowMs + 3500)).toBeNull();
    expect(one(layout, nowMs + 2500).unreadable).toMatch(/^Cannot read hold/);
    put(layout, "new", '{"scope":"worker","name":"w"}');
    expect(heldBy([one(layout)], "kill", { worker_id: "anybody" }, nowMs)).toBeNull();
  });

  test("passes over temporary files and an editor's copies", () => {
    const layout = temporaryLayout();
    put(layout, ".all.swp", "x", 10);
    put(layout, "all~", "", 10);
    expect(readHolds(layout, Date.now())).toEqual([]);
  });
});

describe("heldBy()", () => {
  test("names the hold that ends last", () => {
    const layout = temporaryLayout();
    put(layout, "a", '{"scope":"all","expires_at":"2190-01-01T00:00:00Z"}');
    put(layout, "b", '{"scope":"worker","name":"w"}');
    put(layout, "c", '{"scope":"target","name":"task-1"}');
    const holds = readHolds(layout, Date.now());
    expect(heldBy(holds, "fix", { worker_id: "w" }, Date.now())?.name).toBe("a");
    expect(heldBy(holds.slice(1), "fix", { worker_id: "x", task_id: "task-1" }, Date.now())?.name).toBe("c");
  });
});
