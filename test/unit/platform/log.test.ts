import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { type LogOptions, openLog } from "../../../lib/platform/log.js";
import { temporaryFolder } from "./helpers.js";

function open(options: Partial<LogOptions> = {}) {
  const file = join(temporaryFolder(), "daemon.log");
  const log = openLog(file, { name: "heartbeat-monitor", ...options });
  onTestFinished(() => log.close());
  return { log, file };
}

function recordsOf(file: string): Record<string, unknown>[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe("openLog()", () => {
  test("writes each line before the call returns, the level as a word and the time in ISO form", () => {
    const { log, file } = open();
    log.info({ worker_id: "w-1" }, "Started");
    expect(recordsOf(file)).toEqual([
      {
        level: "info",
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        pid: process.pid,
        name: "heartbeat-monitor",
        worker_id: "w-1",
        msg: "Started",
      },
    ]);
    expect(log.bytes).toBe(readFileSync(file).length);
  });

  test("leaves out what is below its level, and gives a child's fields to each of its lines", () => {
    const { log, file } = open();
    log.debug({}, "hidden");
    log.child({ incident_id: "i-1" }).warn({ err: new TypeError("no") }, "Odd");
    const [record] = recordsOf(file);
    expect(record).toMatchObject({ level: "warn", incident_id: "i-1", err: { type: "TypeError", message: "no" } });
    expect(recordsOf(file)).toHaveLength(1);
  });

  test("rotates by size and keeps as many files as it is told, losing no line between them", () => {
    const { log, file } = open({ maxBytes: 2000, keep: 2 });
    for (let number = 0; number < 60; number++) log.info({ number }, "x".repeat(50));
    expect(readdirSync(join(file, "..")).sort()).toEqual(["daemon.log", "daemon.log.1", "daemon.log.2"]);
    const numbers = [`${file}.2`, `${file}.1`, file].flatMap((path) => recordsOf(path).map((record) => record.number));
    expect(numbers.at(-1)).toBe(59);
    expect(numbers).toEqual(numbers.map((_, index) => 59 - (numbers.length - 1 - index)));
  });

  test("follows a file that was moved away, at once and on reopen", () => {
    const { log, file } = open();
    log.info({}, "one");
    renameSync(file, `${file}.moved`);
    log.info({}, "two");
    expect(recordsOf(file)).toHaveLength(1);
    rmSync(file);
    log.reopen();
    log.info({}, "three");
    expect(recordsOf(file)).toHaveLength(1);
  });

  test.runIf(process.geteuid?.() === 0)(
    "goes on through a full disk, and says afterwards how many lines were lost",
    () => {
      const folder = temporaryFolder();
      spawnSync("mount", ["-t", "tmpfs", "-o", "size=16k", "tmpfs", folder]);
      onTestFinished(() => {
        spawnSync("umount", ["-l", folder]);
      });
      const log = openLog(join(folder, "daemon.log"), { name: "d" });
      onTestFinished(() => log.close());
      log.info({}, "before");
      writeFileSync(join(folder, "ballast"), "x".repeat(8192));
      for (let number = 0; number < 40; number++) log.info({ number }, "y".repeat(400));
      rmSync(join(folder, "ballast"));
      log.info({}, "after");
      const lines = readFileSync(join(folder, "daemon.log"), "utf8").trimEnd().split("\n");
      expect(JSON.parse(lines.at(-1) as string)).toMatchObject({ msg: "after" });
      const owned = JSON.parse(lines.at(-2) as string) as { lost_lines: number; level: string; msg: string };
      expect(owned.level).toBe("warn");
      // "before", whole lines, perhaps one torn line, the confession, "after": none is uncounted.
      const whole = lines.filter((line) => line.includes('"number"') && line.endsWith("}")).length;
      expect(whole + owned.lost_lines).toBe(40);
      expect(owned.msg).toMatch(/^\d+ log lines were lost \((record_torn|ENOSPC)\)$/);
    },
  );

  test("prints one readable line for a person, or the JSON line as it is", () => {
    const printed: string[] = [];
    vi.spyOn(process.stdout, "write").mockImplementation((text) => printed.push(String(text)) > 0);
    openLog(null, { name: "worker-restart", console: "pretty" }).warn({ worker_id: "w-1", tries: 2 }, "Held\nback");
    openLog(null, { name: "worker-restart", console: "json" }).info({}, "Plain");
    expect(printed[0]).toMatch(/^\d\d:\d\d:\d\d WARN {2}worker-restart: Held back worker_id=w-1 tries=2\n$/);
    expect(JSON.parse(printed[1] as string)).toMatchObject({ level: "info", msg: "Plain" });
    expect(printed).toHaveLength(2);
  });
});
