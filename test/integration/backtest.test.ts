/** Guarantee: what real daemons recorded tells what another policy would have done, and a policy is put in force with its way back. */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, readFileSync, statSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { stretch } from "../../lib/domain/local-health.js";
import { packageRoot } from "../../lib/platform/package.js";
import { until } from "./support/command-line.js";
import { Monitored } from "./support/monitored.js";

const LIVE = {
  heartbeat_interval_seconds: 1,
  heartbeat_timeout_seconds: 3,
  zombie_threshold_seconds: 8,
  verify_delay_seconds: 0.5,
  // A busy host doubles the thresholds, and by then a decayed score would decide.
  health_score_decay_rate: 0,
};
const RESTARTS = {
  max_retries: 2,
  retry_interval_seconds: 1,
  jitter: "none",
  fast_exit_seconds: 0,
  success_after_seconds: 30,
  poison_task: { deaths: 0 },
  rate_limits: { per_task_min_interval_seconds: 0 },
};
const RESTARTER = join(packageRoot(), "dist", "daemons", "worker-restart", "main.js");
const REQUIRED = { heartbeat: { mode: "required" as const } };

interface Report {
  readonly decisions: number;
  readonly judged: number;
  readonly changes: readonly Record<string, unknown>[];
  readonly divergences: readonly Record<string, unknown>[];
  readonly detection: {
    readonly ended: { readonly live: number; readonly other: number };
    readonly would_have_killed: readonly Record<string, unknown>[];
    readonly zombies: { readonly seen: number; readonly sooner: number[]; readonly later: number[] };
  };
  readonly peaks: readonly Record<string, unknown>[];
}

let home: Monitored;
beforeEach(() => {
  home = new Monitored(LIVE);
});
afterEach(() => home.close());

function file(name: string, policy: unknown): string {
  const path = join(home.line.home, name);
  writeFileSync(path, typeof policy === "string" ? policy : JSON.stringify(policy), { mode: 0o640 });
  return path;
}

const backtest = (policy: unknown, daemon = "heartbeat-monitor"): Promise<Report> =>
  home.line.json<Report>("backtest", "--policy", file("next.json", policy), "--daemon", daemon);

/** One worker that was silent for more than four seconds and went on, and one that hung and was ended after eight. */
async function recordSilences(): Promise<void> {
  await home.start();
  for (const id of ["back", "gone"]) await home.spawn(id, "exec sleep 600", REQUIRED);
  await until(() => ["back", "gone"].every((id) => home.types(id).includes("worker_registered")), "both are watched");
  const beat = (id: string, sequence: number): void => home.beat(id, { sequence, attempt: 1 });
  const beatsFromMs = Date.now();
  beat("back", 1);
  beat("gone", 1);
  await until(() => home.state("back") === "healthy" && home.state("gone") === "healthy", "both beat");
  // Twice the shorter threshold of the tests: on a busy host the monitor doubles it.
  const isLongEnough = (): boolean => Date.now() - beatsFromMs > 4500;
  await until(() => home.types("back").includes("heartbeat_timeout") && isLongEnough(), "one of them is timed out");
  beat("back", 2);
  await until(() => home.types("back").includes("heartbeat_resumed"), "it beats again");
  await until(() => {
    beat("back", 3 + Date.now());
    return home.zombies().length === 1;
  }, "the other one is ended");
}

describe("heald backtest of a heartbeat policy", () => {
  test("tells whom a shorter threshold would have killed, and how much sooner it sees a zombie", async () => {
    await recordSilences();
    const [resumed] = home.events("heartbeat").filter(({ event_type }) => event_type === "heartbeat_resumed");
    expect(resumed?.data).toMatchObject({ verdict: "hung", interval_seconds: 1 });
    // On a busy host the monitor is patient, and would be as patient under any policy.
    const ofBack = stretch(1, (resumed?.data as { local_health?: number } | undefined)?.local_health ?? 0);
    const [zombie] = home.line.lines("decisions", "heartbeat-monitor.jsonl") as {
      slice: { fleet: { local_health: number } };
    }[];
    const ofGone = stretch(1, zombie?.slice.fleet.local_health ?? 0);
    const same = await backtest(LIVE);
    expect(same).toMatchObject({ decisions: 1, judged: 1, changes: [], divergences: [] });
    expect(same.detection.ended).toEqual({ live: 0, other: 0 });

    const hasty = await backtest({ ...LIVE, heartbeat_timeout_seconds: 2, zombie_threshold_seconds: 2 });
    expect(hasty.detection.ended).toEqual({ live: 0, other: 1 });
    expect(hasty.detection.would_have_killed).toMatchObject([
      { worker_id: "back", after_ms: Math.ceil(2000 * ofBack) },
    ]);
    expect(hasty.detection.zombies).toMatchObject({ seen: 1, sooner: [expect.any(Number)], later: [] });
    expect(Math.abs((hasty.detection.zombies.sooner[0] as number) - 6000 * ofGone)).toBeLessThanOrEqual(1);
    expect(hasty.changes).toMatchObject([
      { change: "added", act: "kill", times: 1, by_subject: { back: 1 } },
      { change: "sooner", act: "kill", times: 1, by_subject: { gone: 1 } },
    ]);

    const patient = await backtest({ ...LIVE, zombie_threshold_seconds: 12 });
    expect(patient.detection.zombies).toMatchObject({ seen: 1, sooner: [], later: [expect.any(Number)] });
    expect(Math.abs((patient.detection.zombies.later[0] as number) - 4000 * ofGone)).toBeLessThanOrEqual(1);
    expect(patient.changes).toMatchObject([{ change: "later", act: "kill", times: 1, by_subject: { gone: 1 } }]);

    const { code, err } = await home.line.heald(
      "backtest",
      "--policy",
      file("heartbeat-policy.json", { heartbeat_timeout_seconds: 1.2, heartbeat_interval_seconds: 0.5 }),
    );
    expect(code).toBe(4);
    expect(err).toContain("heartbeat_timeout_seconds is 1.2, and the recording has silences from 1.5 s on");
  });
});

describe("heald backtest of a restart policy", () => {
  let restarter: ChildProcess | null = null;
  afterEach(() => {
    restarter?.kill("SIGKILL");
  });

  test("tells which retries fewer would have held back, and more would have made", async () => {
    writeFileSync(home.layout.config("worker-restart-policy"), JSON.stringify(RESTARTS), { mode: 0o640 });
    restarter = spawn(process.execPath, [RESTARTER, "--home", home.line.home, "--console", "none"], {
      stdio: "ignore",
      env: home.line.environment(),
    });
    await until(() => existsSync(home.layout.pidFile("worker-restart")), "worker-restart is ready");
    await home.start();
    await home.line.heald(
      ...["spawn", "--type", "crash-worker", "--task-id", "t1", "--id", "crash", "--", "sh", "-c", "exit 1"],
    );
    const decisions = (): string[] =>
      home.line
        .lines("decisions", "worker-restart.jsonl")
        .map(({ verdict, reason }) => `${String(verdict)} ${String(reason)}`);
    await until(() => decisions().includes("defer retries"), "its retries are spent");
    expect(decisions()).toEqual(["start exited", "defer backoff", "start exited", "defer retries"]);

    expect(await backtest(RESTARTS, "worker-restart")).toMatchObject({
      decisions: 4,
      judged: 4,
      changes: [],
      divergences: [],
    });
    const fewer = await backtest({ ...RESTARTS, max_retries: 1 }, "worker-restart");
    expect(fewer.divergences).toMatchObject([{ subject: "crash", kind: "verdict", not_judged: 2 }]);
    expect(fewer.changes).toMatchObject([{ change: "later", act: "restart", times: 1 }]);
    expect(fewer.peaks).toContainEqual(expect.objectContaining({ gate: "retries", value: 1, limit: 1 }));
    const more = await backtest({ ...RESTARTS, max_retries: 5 }, "worker-restart");
    expect(more.divergences).toMatchObject([
      {
        live: expect.stringMatching(/^defer \(retries/),
        other: expect.stringMatching(/^defer \(backoff/),
        not_judged: 0,
      },
    ]);
    expect(more.peaks).toContainEqual(expect.objectContaining({ gate: "budgets", value: 2, limit: 5 }));
    const { out } = await home.line.heald(
      "backtest",
      "--policy",
      file("worker-restart-policy.json", { ...RESTARTS, max_retries: 1 }),
    );
    expect(out).toMatch(/crash diverges at [\d:]+: live said defer \(backoff/);
    expect(out).toMatch(/2\s+later\s+decisions\s+are\s+not\s+judged/);
  });

  test("names what it cannot judge", async () => {
    const refused = async (name: string, text: unknown): Promise<[number | null, string]> => {
      const { code, err } = await home.line.heald("backtest", "--policy", file(name, text));
      return [code, err];
    };
    expect(await refused("healing-policies.json", {})).toEqual([
      4,
      expect.stringContaining("its conditions are asked of samples over time"),
    ]);
    expect(await refused("some.json", {})).toEqual([2, expect.stringContaining("name the daemon with --daemon")]);
    expect(await refused("worker-restart-policy.json", { max_retrys: 1 })).toEqual([
      78,
      expect.stringContaining("max_retries"),
    ]);
  });
});

describe("heald policy apply", () => {
  test("asks when a worker that went on would have been ended, and is done and undone with --yes", async () => {
    await recordSilences();
    const target = home.layout.config("heartbeat-policy");
    const next = { ...LIVE, heartbeat_timeout_seconds: 2, zombie_threshold_seconds: 2 };
    const path = file("heartbeat-policy.json", next);
    const asked = await home.line.heald("policy", "apply", path);
    expect(asked.code).toBe(4);
    expect(asked.err).toContain("it would have ended a worker that went on");
    expect(asked.out).toMatch(/zombie_threshold_seconds +8 +2/);
    expect(JSON.parse(readFileSync(target, "utf8"))).toEqual(LIVE);

    const done = await home.line.json<{ back: string; applied: boolean }>("policy", "apply", path, "--yes");
    expect(done.applied).toBe(true);
    expect(readFileSync(target, "utf8")).toBe(readFileSync(path, "utf8"));
    expect(statSync(target).mode & 0o777).toBe(0o640);
    await until(
      () => home.events("daemon").filter(({ event_type }) => event_type === "policy_loaded").length === 2,
      "it is in force",
    );

    const back = await home.line.heald(...done.back.split(" ").slice(1), "--yes");
    expect(back.code).toBe(0);
    expect(JSON.parse(readFileSync(target, "utf8"))).toEqual(LIVE);
    expect((await home.line.heald("policy", "apply", target)).out).toContain("is in force as it is");
  });

  test("refuses a file that others may write, one that is unsound, and a link in its place", async () => {
    const path = file("heartbeat-policy.json", LIVE);
    chmodSync(path, 0o666);
    const unsafe = await home.line.heald("policy", "apply", path, "--yes");
    expect([unsafe.code, unsafe.err]).toEqual([78, expect.stringContaining("writ")]);
    const unsound = await home.line.heald("policy", "apply", file("heartbeat-policy.json", { zombie: 1 }), "--yes");
    expect(unsound.code).toBe(78);
    const target = home.layout.config("heartbeat-policy");
    unlinkSync(target);
    symlinkSync(path, target);
    const linked = await home.line.heald(
      "policy",
      "apply",
      file("other.json", LIVE),
      "--as",
      "heartbeat-policy",
      "--yes",
    );
    expect([linked.code, linked.err]).toEqual([4, expect.stringContaining("it is a link")]);
  });
});
