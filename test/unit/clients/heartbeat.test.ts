import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Heartbeat, startHeartbeat } from "../../../clients/heartbeat.js";

let root: string;
let file: string;
const open: Heartbeat[] = [];
const start: typeof startHeartbeat = (options) => {
  const heartbeat = startHeartbeat(options);
  open.push(heartbeat);
  return heartbeat;
};
const read = () => JSON.parse(readFileSync(file, "utf8"));

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "heald-client-"));
  mkdirSync(join(root, "heartbeats"));
  file = join(root, "heartbeats", "w-1.json");
  vi.stubEnv("HEALD_HEARTBEAT_FILE", file);
  vi.stubEnv("HEALD_WORKER_ID", "w-1");
  vi.stubEnv("HEALD_ATTEMPT", "3");
  vi.stubEnv("HEALD_PID", "4711");
});
afterEach(() => {
  for (const heartbeat of open.splice(0)) heartbeat.stop();
  vi.useRealTimers();
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

describe("startHeartbeat()", () => {
  test("beats at once, with who it is and what it was told", () => {
    start({ health: 90, progress: 5, activity: "reading", metrics: { latency_p99: 12.5 } });
    expect(read()).toEqual({
      worker_id: "w-1",
      attempt: 3,
      pid: 4711,
      sequence: 1,
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      health_score: 90,
      progress: 5,
      activity: "reading",
      metrics: { latency_p99: 12.5 },
    });
    expect(readdirSync(join(root, "heartbeats"))).toEqual(["w-1.json"]);
    expect(statSync(file).mode & 0o777).toBe(0o640);
  });

  test("beats every interval with what was said last, and is silent after stop()", () => {
    vi.useFakeTimers();
    vi.stubEnv("HEALD_HEARTBEAT_INTERVAL_SECONDS", "7");
    const heartbeat = start({ health: 90 });
    heartbeat.beat({ progress: 10 });
    vi.advanceTimersByTime(6_999);
    expect(read().sequence).toBe(2);
    vi.advanceTimersByTime(1);
    expect(read()).toMatchObject({ sequence: 3, health_score: 90, progress: 10 });
    heartbeat.stop();
    heartbeat.stop();
    vi.advanceTimersByTime(70_000);
    expect(heartbeat.beat()).toBe(false);
    expect(heartbeat.isActive()).toBe(false);
    expect(read().sequence).toBe(3);
  });

  test("does nothing when not run under heald", () => {
    vi.stubEnv("HEALD_HEARTBEAT_FILE", "");
    const heartbeat = start({ onError: () => expect.unreachable() });
    expect(heartbeat.beat()).toBe(false);
    expect(heartbeat.isActive()).toBe(false);
    expect(heartbeat.isInFallback()).toBe(false);
    expect(readdirSync(join(root, "heartbeats"))).toEqual([]);
  });

  test("tells onError what went wrong, throws nothing, and recovers by itself", () => {
    const problems: unknown[] = [];
    rmSync(join(root, "heartbeats"), { recursive: true });
    writeFileSync(join(root, "heartbeats"), "in the way");
    const heartbeat = start({
      onError: (error) => {
        problems.push(error);
        throw new Error("the hook fails too");
      },
    });
    expect(heartbeat.beat()).toBe(false);
    expect(problems).toHaveLength(2);
    expect(problems[0]).toMatchObject({ code: "ENOTDIR" });
    rmSync(join(root, "heartbeats"));
    expect(heartbeat.beat()).toBe(true);
    expect(read().sequence).toBe(3);
  });

  test("makes the folder for beats again, but never the coordination folder", () => {
    vi.stubEnv("HEALD_HEARTBEAT_FILE", join(root, "missing", "heartbeats", "w-1.json"));
    const problems: unknown[] = [];
    start({ onError: (error) => problems.push(error) });
    expect(problems[0]).toMatchObject({ code: "ENOENT" });
    expect(existsSync(join(root, "missing"))).toBe(false);
  });

  test("knows when the worker is asked to fall back", () => {
    vi.stubEnv("HEALD_FALLBACK_FILE", join(root, "fallback"));
    const heartbeat = start();
    expect(heartbeat.isInFallback()).toBe(false);
    writeFileSync(join(root, "fallback"), "");
    expect(heartbeat.isInFallback()).toBe(true);
  });

  test("writes a valid beat of at most 64 KiB whatever it is told", () => {
    const heartbeat = start({ onError: (error) => expect.unreachable(String(error)) });
    const number = fc.oneof(fc.double(), fc.constant(Number.NaN), fc.integer({ min: -1000, max: 1000 }));
    const text = fc.string({ unit: "binary", maxLength: 2000 });
    fc.assert(
      fc.property(
        number,
        number,
        text,
        fc.dictionary(fc.string({ maxLength: 20 }), number),
        (health, progress, activity, metrics) => {
          expect(heartbeat.beat({ health, progress, activity, metrics })).toBe(true);
          const beat = read();
          for (const value of [beat.health_score, beat.progress]) {
            expect(value === undefined || (value >= 0 && value <= 100)).toBe(true);
          }
          for (const value of Object.values(beat.metrics)) expect(Number.isFinite(value)).toBe(true);
          expect(beat.activity.length).toBeLessThanOrEqual(1000);
          expect(Buffer.from(readFileSync(file, "utf8"), "utf8").equals(readFileSync(file))).toBe(true);
        },
      ),
      { numRuns: 50 },
    );
    heartbeat.beat({
      metrics: Object.fromEntries(Array.from({ length: 9000 }, (_, index) => [`metric_${index}`, index])),
    });
    expect(statSync(file).size).toBeLessThan(65_536);
    expect(read().metrics).toBeUndefined();
  });

  test("does not keep a process alive, and falls silent with a blocked event loop", () => {
    // Node runs TypeScript only from version 22 on, so the types are stripped by hand the way a build does.
    const script = `
      import { startHeartbeat } from "data:text/javascript;base64,${javascript()}";
      import { readFileSync } from "node:fs";
      startHeartbeat({ intervalSeconds: 0.05 });
      const endsAt = Date.now() + 400;
      while (Date.now() < endsAt);
      process.stdout.write(String(JSON.parse(readFileSync(process.env.HEALD_HEARTBEAT_FILE, "utf8")).sequence));`;
    const { stdout, status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      encoding: "utf8",
      timeout: 10_000,
    });
    expect({ stdout, status, stderr }).toEqual({ stdout: "1", status: 0, stderr: "" });
  });
});

/** The client as JavaScript, through the compiler that builds the package. */
function javascript(): string {
  const out = join(root, "built");
  const tsc = join(import.meta.dirname, "../../../node_modules/.bin/tsc");
  const source = join(import.meta.dirname, "../../../clients/heartbeat.ts");
  const options = [
    "--ignoreConfig",
    "--outDir",
    out,
    "--module",
    "NodeNext",
    "--target",
    "ES2023",
    "--types",
    "node",
    "--skipLibCheck",
  ];
  const { status, stdout } = spawnSync(tsc, [...options, source], {
    encoding: "utf8",
    cwd: join(import.meta.dirname, "../../.."),
  });
  expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
  return Buffer.from(readFileSync(join(out, "heartbeat.js"))).toString("base64");
}
