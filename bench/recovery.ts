/** Crash → replacement process running, one at a time, and many at once; beside a bare Node parent, in turn. @module */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "../lib/platform/package.js";
import { Lab, percentile, round } from "./lab.js";
import type { Result } from "./main.js";

const ROUNDS = 200;
const BATCH = 20;
const QUIET = { heartbeat_interval_seconds: 30 };

/** Kills single workers, in turn under heald and under the bare parent. */
export async function recovery(workers: number): Promise<Result> {
  const pair = await Pair.open(Math.max(2, workers));
  const ours: number[] = [];
  const theirs: number[] = [];
  try {
    for (let nth = 0; nth < ROUNDS; nth += BATCH) {
      for (let one = 0; one < BATCH; one++) ours.push(await pair.killOne(pair.heald, nth + one));
      for (let one = 0; one < BATCH; one++) theirs.push(await pair.killOne(pair.bare, nth + one));
    }
  } finally {
    await pair.close();
  }
  return {
    name: "recovery",
    what: `SIGKILL to a worker until the first instruction of its replacement; ${ROUNDS} kills, one after another, ${workers} workers`,
    leaves_out: "workers that beat; a worker's own start-up; policy with pacing, jitter and a first delay",
    ...figures(ours, theirs),
  };
}

/** Kills all at once. */
export async function mass(workers: number): Promise<Result> {
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let turn = 0; turn < 5; turn++) {
    const pair = await Pair.open(workers);
    try {
      ours.push(await pair.killAll(pair.heald));
      theirs.push(await pair.killAll(pair.bare));
    } finally {
      await pair.close();
    }
  }
  return {
    name: "mass",
    what: `SIGKILL to ${workers} of ${workers} workers at once until the last replacement runs; 5 times`,
    leaves_out: "the default pacing and rate limits, lifted by policy",
    ...figures(ours, theirs),
  };
}

function figures(ours: readonly number[], theirs: readonly number[]) {
  const p50 = percentile(ours, 0.5);
  const baseline = percentile(theirs, 0.5);
  return {
    p50_ms: round(p50),
    p99_ms: round(percentile(ours, 0.99)),
    max_ms: round(Math.max(...ours)),
    baseline_p50_ms: round(baseline),
    ratio: round(p50 / baseline),
    samples: ours.length,
  };
}

interface Side {
  readonly lab: Lab;
  readonly pids: Map<string, number>;
}

/** heald and a bare parent, each with workers of its own, so that they can be measured in turn. */
class Pair {
  readonly heald: Side;
  readonly bare: Side;
  readonly #parent: ChildProcess;

  private constructor(heald: Side, bare: Side, parent: ChildProcess) {
    this.heald = heald;
    this.bare = bare;
    this.#parent = parent;
  }

  static async open(workers: number): Promise<Pair> {
    const lab = new Lab({ heartbeat: QUIET });
    for (let nth = 0; nth < workers; nth++) lab.addWorker(`bench-${nth}`, { launch: true });
    const heald = { lab, pids: new Map((await lab.awaitStarted(workers, 60_000)).map((one) => [one.id, one.pid])) };
    await lab.start("heartbeat-monitor", "worker-restart");
    const other = new Lab({ heartbeat: QUIET });
    const { command, args } = other.launch();
    const parent = spawn(
      process.execPath,
      [join(packageRoot(), "dist", "bench", "baseline-parent.js"), String(workers), command, ...args],
      { stdio: "ignore" },
    );
    const bare = {
      lab: other,
      pids: new Map((await other.awaitStarted(workers, 60_000)).map((one) => [one.id, one.pid])),
    };
    // Both have just started; what they do for that is not what is measured.
    await new Promise((resolve) => setTimeout(resolve, 2000));
    return new Pair(heald, bare, parent);
  }

  async killOne(side: Side, nth: number): Promise<number> {
    const ids = [...side.pids.keys()];
    const id = ids[nth % ids.length] as string;
    const from = performance.now();
    process.kill(side.pids.get(id) as number, "SIGKILL");
    const [started] = await side.lab.awaitStarted(1, 20_000);
    side.pids.set(id, started?.pid ?? 0);
    // The daemons finish what follows a restart; the next death is one of an idle system.
    await new Promise((resolve) => setTimeout(resolve, 20));
    return (started?.atMs ?? Number.NaN) - from;
  }

  async killAll(side: Side): Promise<number> {
    const from = performance.now();
    for (const pid of side.pids.values()) process.kill(pid, "SIGKILL");
    const all = await side.lab.awaitStarted(side.pids.size, 60_000);
    for (const { id, pid } of all) side.pids.set(id, pid);
    return Math.max(...all.map((one) => one.atMs)) - from;
  }

  async close(): Promise<void> {
    this.#parent.kill("SIGKILL");
    for (const pid of this.bare.pids.values()) process.kill(pid, "SIGKILL");
    await this.bare.lab.close();
    await this.heald.lab.close(process.env.KEEP === "1");
  }
}
