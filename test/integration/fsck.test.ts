/**
 * Guarantee: `heald fsck` calls a living fleet sound, whatever is killed in it and whenever, once its daemons have come
 * back; and what is derived comes back the same, by a repair or by a start.
 */
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { packageRoot } from "../../lib/platform/package.js";
import { DAEMONS } from "../../lib/schema/records.js";
import { CommandLine, type Ran, until } from "./support/command-line.js";

let at: CommandLine;

beforeEach(() => {
  at = new CommandLine();
  policy("worker-restart-policy", {
    retry_interval_seconds: 1,
    first_retry_delay_seconds: 0,
    fast_exit_seconds: 0,
    success_after_seconds: 1,
    max_retries: 100,
    jitter: "none",
    rate_limits: { per_task_min_interval_seconds: 0 },
  });
  policy("heartbeat-policy", {
    heartbeat_interval_seconds: 1,
    heartbeat_timeout_seconds: 2,
    zombie_threshold_seconds: 3,
  });
});

afterEach(() => at.close());

function policy(name: string, settings: object): void {
  writeFileSync(at.path("config", `${name}.json`), `${JSON.stringify(settings)}\n`, { mode: 0o640 });
}

/** One second is bound enough: what is on its way to its outcome is known to be. */
function fsck(...args: string[]): Promise<Ran> {
  return at.heald("fsck", "--within", "1s", "--settle", "1s", ...args);
}

async function expectSound(...args: string[]): Promise<void> {
  const { code, out, err } = await fsck(...args);
  expect({ code, said: code === 0 ? "" : out + err }).toEqual({ code: 0, said: "" });
  expect(out).toMatch(/Sound: \d+ invariants over \d+ files and \d+ lines hold\.\n$|\d+ note; /);
}

function workers(count: number): Promise<Ran[]> {
  const start = (nth: number) =>
    at.heald("spawn", "--type", "mill-worker", "--task-id", `t-${nth}`, "--id", `mill-${nth}`, "--", "sleep", "600");
  return Promise.all(Array.from({ length: count }, (_, nth) => start(nth)));
}

function pidOf(id: string): number | null {
  try {
    const { execution } = at.read("worker-specs", "active", `${id}.json`) as { execution?: { pid?: number } };
    return execution?.pid ?? null;
  } catch {
    return null; // Between two attempts.
  }
}

function attemptOf(id: string): number {
  try {
    return at.read("worker-specs", "active", `${id}.json`).attempt as number;
  } catch {
    return 0; // Between two attempts.
  }
}

function killWorker(id: string): void {
  const pid = pidOf(id);
  if (pid !== null) process.kill(pid, "SIGKILL");
}

function killDaemons(): void {
  for (const daemon of DAEMONS) {
    const pid = Number(readFileSync(at.path("run", `${daemon}.pid`), "utf8"));
    process.kill(pid, "SIGKILL");
  }
}

describe("heald fsck", () => {
  test("calls a living fleet sound while its workers are killed, its daemons are killed, and all come back", {
    timeout: 120_000,
  }, async () => {
    expect((await at.heald("daemons", "start")).code).toBe(0);
    await workers(4);
    await until(() => pidOf("mill-3") !== null, "all workers run");
    for (let round = 0; round < 2; round++) {
      killWorker("mill-0");
      await expectSound();
      killWorker("mill-1");
      // Somewhere between the death and the next attempt: where, differs from run to run.
      await until(
        () => at.lines("events", "heartbeat-events.jsonl").some(({ event_type }) => event_type === "worker_exited"),
        "a death was seen",
      );
      killDaemons();
      killWorker("mill-2");
      expect((await at.heald("daemons", "start")).code).toBe(0);
      await until(() => ["mill-0", "mill-1", "mill-2"].every((id) => attemptOf(id) >= round + 2), "all are back");
      await expectSound();
    }
    await at.heald("stop", "--all", "--yes");
    await until(() => at.list("worker-specs", "active").length === 0, "the workers are stopped");
    expect((await at.heald("daemons", "stop")).code).toBe(0);
    await expectSound("--once");
  });

  test("makes what is derived the same again, and so does a start", { timeout: 90_000 }, async () => {
    policy("worker-restart-policy", {
      circuit_breaker_threshold: 2,
      retry_interval_seconds: 1,
      success_after_seconds: 600,
    });
    expect((await at.heald("daemons", "start")).code).toBe(0);
    const lines = Array.from(
      { length: 2 },
      () => `{"worker_type":"mill-worker","result":"failure","timestamp":"${new Date().toISOString()}"}\n`,
    );
    writeFileSync(at.path("metrics", "worker-restart-history.jsonl"), lines.join(""), { mode: 0o640 });
    await workers(1);
    const breaker = at.path("circuit-breakers", "mill-worker.json");
    await until(() => existsSync(breaker) && readFileSync(breaker, "utf8").includes('"open"'), "the breaker opens");
    await until(() => existsSync(at.path("metrics", "heald.prom")), "the figures are written");
    await until(() => existsSync(at.path("patterns", "pattern-index.json")), "the index is written");
    expect((await at.heald("daemons", "stop")).code).toBe(0);
    await expectSound("--once");
    const index = counts();
    const opened = readFileSync(breaker, "utf8");
    const derived = ["status.json", "patterns/pattern-index.json", "circuit-breakers/mill-worker.json"];
    const forget = (): void => {
      for (const path of derived) rmSync(at.path(path), { force: true });
      // A breaker that is removed while worker-restart remembers it is a person's reset.
      for (const name of ["worker-restart.json", "worker-restart.journal.jsonl"]) rmSync(at.path("state", name));
    };
    forget();
    const { code, out } = await fsck("--repair", "--yes", "--once");
    expect({ code, out }).toMatchObject({ code: 0 });
    expect(out).toContain(
      "circuit-breakers/mill-worker.json: write it from the restart history (worker-restart must be down)",
    );
    expect([counts(), readFileSync(breaker, "utf8")]).toEqual([index, opened]);
    expect(at.read("status.json")).toMatchObject({ workers: [{ worker_id: "mill-0" }] });
    rmSync(at.path("state", "worker-restart.json"), { force: true });
    expect((await at.heald("daemons", "start")).code).toBe(0);
    await until(() => existsSync(at.path("state", "worker-restart.journal.jsonl")), "worker-restart runs");
    // What the repair wrote is what the daemon makes of the same lines: it is no order of a person.
    expect(readFileSync(breaker, "utf8")).toBe(opened);
    expect(
      at.lines("events", "daemon-events.jsonl").filter(({ event_type }) => event_type === "person_changed_file"),
    ).toEqual([]);
    expect((await at.heald("daemons", "stop")).code).toBe(0);
    forget();
    expect((await at.heald("daemons", "start")).code).toBe(0);
    await until(() => derived.every((path) => existsSync(at.path(path))), "a start brings all of it back");
    expect([counts(), readFileSync(breaker, "utf8")]).toEqual([index, opened]);
  });

  test("names what is wrong with the files of another system, and does not stumble", async () => {
    const field = join(packageRoot(), "test", "fixtures", "field-like");
    for (const [from, to] of [
      ["active", "worker-specs/active"],
      ["heartbeats", "heartbeats"],
    ] as const)
      for (const name of readdirSync(join(field, from))) {
        const path = at.path(to, name.replace(/\.txt$/, ""));
        cpSync(join(field, from, name), path);
        chmodSync(path, 0o640);
      }
    const { code, out } = await fsck("--once");
    expect(code).toBe(1);
    expect(out).toContain("names: worker-specs/active/two words.json has a name that nobody reads here");
    expect(out).toMatch(
      /records: worker-specs\/active\/worker-cut-106\.json cannot be read: line \d+, column \d+: not valid JSON/,
    );
    expect(out).toMatch(/spec-names: worker-specs\/active\/worker-other-109\.json its worker_id is "/);
  });

  test("shows its plan and asks; nobody there is a no", async () => {
    writeFileSync(at.path("launches", "notes.txt"), "mine", { mode: 0o640 });
    const asked = await fsck("--repair", "--once");
    expect(asked).toMatchObject({ code: 4, err: "heald: Refused to repair without --yes\n" });
    expect(asked.out).toContain("Plan:\n  -  launches/notes.txt: move it to aside/\n");
    expect(readFileSync(at.path("launches", "notes.txt"), "utf8")).toBe("mine");
    const done = await fsck("--repair", "--yes", "--once");
    expect(done.code).toBe(0);
    expect(done.out).toContain("done        launches/notes.txt\n");
    expect(readFileSync(at.path("aside", "launches", "notes.txt"), "utf8")).toBe("mine");
  });

  test("says in JSON what it found, and what it did", async () => {
    writeFileSync(at.path("launches", "notes.txt"), "mine", { mode: 0o640 });
    const found = JSON.parse((await fsck("--once", "--json")).out) as Record<string, unknown>;
    expect(found).toMatchObject({
      ok: false,
      looks: 1,
      running: [],
      findings: [{ invariant: "names", severity: "warning", about: "launches/notes.txt", repair: "set-aside" }],
    });
    const mended = JSON.parse((await fsck("--once", "--json", "--repair", "--yes")).out) as Record<string, unknown>;
    expect(mended).toMatchObject({ done: [{ kind: "set-aside", outcome: "done" }], left: [] });
    const listed = JSON.parse((await fsck("--list", "--json")).out) as { readonly name: string }[];
    expect(listed.length).toBeGreaterThan(40);
  });

  test("refuses a newer format, and what is no home", async () => {
    writeFileSync(at.path("VERSION"), '{"format":9,"heald":"9.0.0"}\n', { mode: 0o640 });
    expect(await fsck()).toMatchObject({ code: 78, err: expect.stringContaining("its format is 9") });
    expect(await at.heald("fsck", "--home", join(at.home, "nowhere"))).toMatchObject({ code: 78 });
  });
});

/** The index without the time at which it was written. */
function counts(): Record<string, unknown> {
  const { updated_at: _, ...rest } = at.read("patterns", "pattern-index.json");
  return rest;
}
