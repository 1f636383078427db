/**
 * Guarantee: the benchmarks of heald's own promises run, in small, and say what, how and where they measured.
 * How fast anything was is never a test's business.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { packageRoot } from "../../lib/platform/package.js";
import { DAEMONS } from "../../lib/schema/records.js";
import { Layout } from "../../lib/store/layout.js";
import { runBuilt } from "./runs.js";

const OF_A_TIME = ["p50_ms", "p99_ms", "max_ms", "baseline_p50_ms", "ratio", "samples"];
const OF_IDLE = ["cpu_s_per_min", "pss_mib", "baseline_pss_mib", "cpu_s_per_min_all_four", "pss_mib_all_four"];

/** The benchmarks' own bounds on what they wait for. */
const LIMIT_MS = 90_000;

const SMALL: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ["recovery", ["--workers", "2", "--samples", "3"], OF_A_TIME],
  ["mass", ["--workers", "3", "--samples", "1"], OF_A_TIME],
  ["hang", ["--workers", "6", "--samples", "2"], OF_A_TIME],
  ["startup", ["--workers", "20", "--samples", "1"], OF_A_TIME],
  ["idle", ["--workers", "3", "--settle", "1", "--seconds", "1"], OF_IDLE],
];

describe("npm run bench", () => {
  test.for(SMALL)(
    "%s ends with one object that holds its figures and states how they came about",
    { timeout: LIMIT_MS },
    async (row) => {
      const [name, options, figures] = row;
      const { code, output } = await runBuilt("bench/main.js", name, ...options, "--json");
      expect({ code, output: code === 0 ? "" : output }).toEqual({ code: 0, output: "" });
      const result = JSON.parse(output.trim().split("\n").at(-1) ?? "") as Record<string, unknown>;
      expect(result).toMatchObject({
        name,
        machine: expect.stringMatching(/^\d+ cores .+ Node v.+; homes in \/.+, where a file is created in \d+ us$/),
        what: expect.stringMatching(/./),
        leaves_out: expect.stringMatching(/./),
        policy: expect.any(Object),
      });
      const isFigure = (key: string): boolean =>
        Number.isFinite(result[key]) || (key === "ratio" && result[key] === null);
      expect(figures.filter((key) => !isFigure(key))).toEqual([]);
    },
  );

  test("ends its daemons and workers, and removes its home, when it is told to end", async () => {
    const folder = mkdtempSync(join(tmpdir(), "heald-bench-test-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const args = [join(packageRoot(), "dist", "bench", "main.js"), "idle", "--workers", "2", "--settle", "1000"];
    const child = spawn(process.execPath, args, { env: { ...process.env, TMPDIR: folder }, stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    onTestFinished(async () => {
      if (child.kill("SIGTERM")) await ended;
    });
    const running = await vi.waitUntil(() => startedIn(folder), 20_000);
    expect(running).toHaveLength(4 + 2);
    child.kill("SIGTERM");
    expect(await ended).toBe(143);
    expect(readdirSync(folder)).toEqual([]);
    await vi.waitFor(() => expect(running.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]), 5000);
  });

  test("refuses a number that is none, and a benchmark that there is not", async () => {
    const number = await runBuilt("bench/main.js", "recovery", "--samples", "many");
    expect(number).toMatchObject({ code: 2, output: '--samples must be a whole number from 1 on, got "many"\n' });
    const name = await runBuilt("bench/main.js", "speed");
    expect(name.code).toBe(2);
    expect(name.output).toMatch(/^Unknown benchmark "speed": one of recovery, mass, /);
  });
});

/** The pids of four daemons and of all workers of the one home in a folder; null while not all are there. */
function startedIn(folder: string): number[] | null {
  const [home] = readdirSync(folder).filter((name) => name.startsWith("heald-bench-"));
  if (home === undefined) return null;
  const path = join(folder, home);
  const logs = join(path, "agents", "logs");
  const layout = new Layout({ home: path, coordination: join(path, "coordination"), logs, namedBy: "flag" });
  const launches = layout.launchesDir;
  const files = DAEMONS.map((name) => layout.pidFile(name));
  if (!files.every((file) => existsSync(file))) return null;
  const daemons = files.map((file) => Number(readFileSync(file, "utf8")));
  const workers = readdirSync(launches).map(
    (name) => /"pid":(\d+)/.exec(readFileSync(join(launches, name), "utf8"))?.[1],
  );
  return workers.length < 2 || workers.includes(undefined) ? null : [...daemons, ...workers.map(Number)];
}
