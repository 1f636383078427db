/** Guarantee: what workers print stays within its limits, and the newest of it is there to read. */
import { execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type LogLimits, limitLog, type Pruned, pruningLogs } from "../../lib/platform/worker-log.js";
import { atOnce } from "../unit/store/steps.js";
import { isAlive, mountSmall, until } from "./support/launched.js";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "heald-log-"));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

describe("limitLog()", () => {
  test("leaves a log alone that is within its half of the limit", () => {
    const log = join(root, "attempt-1.log");
    writeFileSync(log, "x".repeat(50));
    expect(limitLog(log, 100)).toBe("fits");
    expect(limitLog(join(root, "missing.log"), 100)).toBe("fits");
    expect(readdirSync(root)).toEqual(["attempt-1.log"]);
  });

  test("keeps the newest whole lines beside the emptied log", () => {
    const log = join(root, "attempt-1.log");
    const lines = Array.from({ length: 1000 }, (_, index) => `line ${index}\n`);
    writeFileSync(log, lines.join(""));
    expect(limitLog(log, 2000)).toBe("cut");
    expect(statSync(log).size).toBe(0);
    const kept = readFileSync(`${log}.1`, "utf8");
    expect(kept.length).toBeLessThanOrEqual(1000);
    expect(kept.length).toBeGreaterThan(980);
    expect(lines.join("").endsWith(kept)).toBe(true);
    expect(kept).toMatch(/^line /);
    expect(statSync(`${log}.1`).mode & 0o777).toBe(0o640);
  });

  test("keeps a line that is longer than what may be kept, from its middle", () => {
    const log = join(root, "attempt-1.log");
    writeFileSync(log, "y".repeat(100_000));
    expect(limitLog(log, 20_000)).toBe("cut");
    expect(statSync(`${log}.1`).size).toBe(10_000);
  });

  test("lets a program go on writing into the log that it holds, and loses at most a moment", async () => {
    const log = join(root, "attempt-1.log");
    const script = 'i=0; while [ $i -lt 30000 ]; do echo "line $i"; i=$((i+1)); done';
    writeFileSync(log, "");
    const program = spawn("sh", ["-c", `exec >>"$1"; ${script}`, "sh", log], { stdio: "ignore" });
    const seen = new Set<string>();
    let cuts = 0;
    const collect = (path: string) => {
      for (const line of readFileSync(path, "utf8").split("\n")) seen.add(line);
    };
    await until(
      () => {
        if (limitLog(log, 40_000) === "cut") {
          cuts += 1;
          collect(`${log}.1`);
        }
        return program.pid === undefined || !isAlive(program.pid);
      },
      "the program has written all its lines",
      25_000,
    );
    collect(log);
    expect(cuts).toBeGreaterThan(2);
    expect(readFileSync(log, "utf8")).not.toContain("\0");
    expect(seen.has("line 29999")).toBe(true);
    const whole = Array.from({ length: 30_000 }, (_, index) => `line ${index}`).filter((line) => seen.has(line));
    // Bursts between two looks may be larger than what is kept; the newest half is what is promised.
    expect(whole.length).toBeGreaterThan(1000);
  });

  test("does not follow a link, nor touch what is not a file", () => {
    const other = join(root, "other");
    writeFileSync(other, "z".repeat(1000));
    symlinkSync(other, join(root, "attempt-1.log"));
    execFileSync("mkfifo", [join(root, "attempt-2.log")]);
    expect(limitLog(join(root, "attempt-1.log"), 10)).toBe("fits");
    expect(limitLog(join(root, "attempt-2.log"), 10)).toBe("fits");
    expect(statSync(other).size).toBe(1000);
  });

  test("makes room on a full disk and still keeps the last words", (context) => {
    const small = mountSmall(512);
    if (small === null) return context.skip("needs the right to mount a tmpfs");
    try {
      const log = join(small.folder, "attempt-1.log");
      expect(() => {
        for (let index = 0; ; index += 1) writeFileSync(log, `line ${index} ${"w".repeat(80)}\n`, { flag: "a" });
      }).toThrow("ENOSPC");
      expect(limitLog(log, 800_000)).toBe("cut_short");
      expect(statSync(log).size).toBe(0);
      expect(readFileSync(`${log}.1`, "utf8")).toMatch(/^line \d+ w+\n/);
      expect(statSync(`${log}.1`).size).toBeGreaterThan(60_000);
      expect(readdirSync(small.folder).sort()).toEqual(["attempt-1.log", "attempt-1.log.1"]);
    } finally {
      small.unmount();
    }
  });
});

function pruneLogs(folder: string, limits: LogLimits, isRunning: (id: string, attempt: number) => boolean): Pruned {
  return atOnce(pruningLogs(folder, limits, isRunning));
}

describe("pruningLogs()", () => {
  const put = (path: string, bytes: number, ageSeconds: number) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), "p".repeat(bytes));
    const at = Date.now() / 1000 - ageSeconds;
    utimesSync(join(root, path), at, at);
  };
  const never = () => false;

  test("keeps each worker's newest attempts, by number and not by age", () => {
    for (let attempt = 1; attempt <= 12; attempt += 1) put(`w-1/attempt-${attempt}.log`, 10, attempt);
    put("w-1/attempt-1.log.1", 10, 1);
    put("w-1/.attempt-2.log.1.tmp", 10, 1); // Left by a crash in the middle of a cut.
    put("w-2/attempt-1.log", 10, 1);
    const { removed, freedBytes, failures } = pruneLogs(root, { keepAttempts: 10, totalBytes: 1e6 }, never);
    expect([...removed].sort()).toEqual(
      [".attempt-2.log.1.tmp", "attempt-1.log", "attempt-1.log.1", "attempt-2.log"].map((name) =>
        join(root, "w-1", name),
      ),
    );
    expect(freedBytes).toBe(40);
    expect(failures).toEqual([]);
    expect(existsSync(join(root, "w-2/attempt-1.log"))).toBe(true);
  });

  test("removes the longest untouched until all fit together", () => {
    put("w-1/attempt-1.log", 400, 300);
    put("w-2/attempt-1.log", 400, 100);
    put("w-3/attempt-1.log", 400, 200);
    pruneLogs(root, { keepAttempts: 10, totalBytes: 500 }, never);
    expect(readdirSync(root)).toEqual(["w-2"]);
  });

  test("never removes what a running attempt writes, whatever it takes", () => {
    put("w-1/attempt-1.log", 4000, 900);
    put("w-1/attempt-2.log", 4000, 10);
    put("w-1/attempt-3.log", 4000, 5);
    const { removed } = pruneLogs(
      root,
      { keepAttempts: 1, totalBytes: 100 },
      (id, attempt) => id === "w-1" && attempt === 1,
    );
    expect([...removed].sort()).toEqual([join(root, "w-1/attempt-2.log"), join(root, "w-1/attempt-3.log")]);
    expect(readdirSync(join(root, "w-1"))).toEqual(["attempt-1.log"]);
  });

  test("leaves foreign files alone, and the folder that holds them", () => {
    put("w-1/attempt-1.log", 10, 5);
    put("w-1/notes.txt", 10, 900);
    put("readme", 10, 900);
    pruneLogs(root, { keepAttempts: 0, totalBytes: 0 }, never);
    expect(readdirSync(root).sort()).toEqual(["readme", "w-1"]);
    expect(readdirSync(join(root, "w-1"))).toEqual(["notes.txt"]);
  });

  test("finds nothing to do in a folder that does not exist", () => {
    expect(pruneLogs(join(root, "missing"), { keepAttempts: 1, totalBytes: 1 }, never)).toEqual({
      removed: [],
      freedBytes: 0,
      leftBytes: 0,
      failures: [],
    });
  });
});
