import { readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as errors from "../../../lib/errors.js";
import { bootId, now, pidNamespace, utc } from "../../../lib/platform/clock.js";
import { newEventIdBase } from "../../../lib/platform/ids.js";
import { packageRoot } from "../../../lib/platform/package.js";
import { until } from "./helpers.js";

describe("now()", () => {
  test("reads a monotonic clock that does not go back and is shared by all processes", async () => {
    const first = now();
    const shared = Number(process.hrtime.bigint() / 1_000_000n);
    expect(Math.abs(first.monoMs - shared)).toBeLessThan(50);
    expect(Math.abs(first.atMs - Date.now())).toBeLessThan(50);
    await until("it has gone on", () => now().monoMs > first.monoMs + 5);
  });

  test("reads a boot clock that agrees with the kernel's uptime, also between its readings", async () => {
    const begun = now().monoMs;
    await until("more than a reading has passed", () => {
      const uptimeMs = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000;
      expect(Math.abs(now().bootMs - uptimeMs)).toBeLessThan(100);
      return now().monoMs > begun + 1100;
    });
  });
});

describe("the names of this boot and namespace", () => {
  test("are the kernel's", () => {
    expect(bootId()).toBe(readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
    expect(`pid:[${pidNamespace()}]`).toBe(readlinkSync("/proc/self/ns/pid"));
  });
});

describe("utc()", () => {
  test("writes to the second and cuts fractions off", () => {
    expect(utc(Date.UTC(2026, 10, 21, 21, 8, 4, 999))).toBe("2026-11-21T21:08:04Z");
  });
});

describe("newEventIdBase()", () => {
  test("draws ids that sort as they were drawn, and by time, and never twice", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 4e12 }), { minLength: 2, maxLength: 50 }), (times) => {
        const sorted = times.toSorted((a, b) => a - b);
        const ids = sorted.map((atMs) => newEventIdBase(atMs));
        expect(ids.toSorted()).toEqual(ids);
        expect(new Set(ids).size).toBe(ids.length);
      }),
      { numRuns: 50 },
    );
  });

  test("draws ids that are safe as names and of one length", () => {
    const ids = [0, 1, Date.now(), 4e12].map((atMs) => newEventIdBase(atMs));
    for (const id of ids) expect(id).toMatch(/^[0-9a-z]{9}-[0-9a-z]{8}-[0-9a-z]{5}$/);
  });
});

describe("packageRoot()", () => {
  test("is the folder of our own package.json", () => {
    expect(JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8"))).toMatchObject({ name: "heald" });
  });
});

describe("the error classes", () => {
  const samples: readonly errors.HealdError[] = [
    new errors.UsageError("m"),
    new errors.NotFound("m"),
    new errors.Refused("m"),
    new errors.AlreadyRunning("m"),
    new errors.ConfigurationError("m"),
    new errors.FileRefused("symlink", "/p", "a symbolic link"),
    new errors.FileGone("/p"),
    new errors.RecordTooLarge("/p", 2, 1),
    new errors.RecordTorn("/p", 1, 2),
    new errors.LockLost("/p"),
    new errors.LockBusy("/p", 5, "pid 7"),
    new errors.TaskTimedOut(5),
  ];

  test("have the exit codes that the commands promise", () => {
    const codes = Object.fromEntries(samples.map((error) => [error.name, error.exitCode]));
    expect(codes).toMatchObject({ UsageError: 2, NotFound: 3, Refused: 4, AlreadyRunning: 75, ConfigurationError: 78 });
    expect(codes.FileRefused).toBe(1);
  });

  test("have codes that are all in the table, and the table has no code that no class has", () => {
    const used = new Set([...samples.map((error) => error.code), "too_large", "not_a_file", "not_utf8"]);
    expect([...used].sort()).toEqual(Object.keys(errors.ERROR_CODES).sort());
  });

  test("begin their messages with the action and quote their values", () => {
    expect(samples.slice(5).map((error) => error.message)).toEqual([
      'Cannot read "/p": a symbolic link',
      'Cannot move "/p": it is gone',
      'Cannot append to "/p": record of 2 bytes, at most 1',
      'Cannot append to "/p": 1 of 2 bytes written',
      'Lost the lock "/p"',
      'Cannot lock "/p" within 5 ms: held by pid 7',
      "Task not done within 5 ms",
    ]);
  });

  test("keep their cause", () => {
    const cause = new Error("inner");
    expect(new errors.ConfigurationError("outer", { cause }).cause).toBe(cause);
    expect("cause" in new errors.UsageError("outer")).toBe(false);
  });
});
