/** Crash → replacement process running, one at a time, and many at once; beside a bare Node parent, in turn. @module */
import { BareParent, killAll, killOne, type Side } from "./bare.js";
import { Lab, OPEN_RESTART_POLICY, percentile, round, STEADY_RESTART_POLICY } from "./lab.js";
import type { Result } from "./main.js";

const ROUNDS = 200;
const BATCH = 20;
const TURNS = 5;
/** The most that `standby_launchers` may be. */
const STANDBY_MAX = 256;
const QUIET = { heartbeat_interval_seconds: 30 };

/** Kills single workers, in turn under heald and under the bare parent. */
export async function recovery(workers: number): Promise<Result> {
  const pair = await Pair.open(Math.max(2, workers), OPEN_RESTART_POLICY);
  const ours: number[] = [];
  const theirs: number[] = [];
  const kill = async (side: Side, nth: number): Promise<number> => {
    const ids = [...side.pids.keys()];
    const tookMs = await killOne(side, ids[nth % ids.length] as string);
    // The daemons finish what follows a restart, and another launcher is made to stand by; the next death is one of an idle system.
    await new Promise((resolve) => setTimeout(resolve, 60));
    return tookMs;
  };
  try {
    for (let nth = 0; nth < ROUNDS; nth += BATCH) {
      for (let one = 0; one < BATCH; one++) ours.push(await kill(pair.heald, nth + one));
      for (let one = 0; one < BATCH; one++) theirs.push(await kill(pair.bare, nth + one));
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

/** Kills all at once; with as many launchers standing by as there are workers, and with as many as by default. */
export async function mass(workers: number): Promise<Result> {
  const standby = Math.min(STANDBY_MAX, workers);
  const ours: number[] = [];
  const byDefault: number[] = [];
  const theirs: number[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    const lifted = await Pair.open(workers, { ...STEADY_RESTART_POLICY, standby_launchers: standby });
    try {
      ours.push(await killAll(lifted.heald));
      // Other launchers are made to stand by; that is not the bare parent's to pay for.
      await settled();
      theirs.push(await killAll(lifted.bare));
    } finally {
      await lifted.close();
    }
    const plain = await Pair.open(workers, STEADY_RESTART_POLICY);
    try {
      byDefault.push(await killAll(plain.heald));
    } finally {
      await plain.close();
    }
  }
  return {
    name: "mass",
    what: `SIGKILL to ${workers} of ${workers} workers at once until the last replacement runs; ${TURNS} times, each the daemons' first; ${standby} launchers stand by`,
    leaves_out:
      "the default pacing and rate limits, lifted by policy; the time in which launchers are made that stand by",
    ...figures(ours, theirs),
    default_standby_p50_ms: round(percentile(byDefault, 0.5)),
  };
}

/** What follows a start or a wave is over by then. */
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2000));

function figures(ours: readonly number[], theirs: readonly number[]) {
  const p50 = percentile(ours, 0.5);
  const baseline = percentile(theirs, 0.5);
  return {
    p50_ms: round(p50),
    p99_ms: round(percentile(ours, 0.99)),
    max_ms: round(Math.max(...ours)),
    baseline_p50_ms: round(baseline),
    baseline_p99_ms: round(percentile(theirs, 0.99)),
    ratio: round(p50 / baseline),
    samples: ours.length,
  };
}

/** heald and a bare parent, each with workers of its own, so that they can be measured in turn. */
class Pair {
  readonly heald: Side;
  readonly bare: BareParent;

  private constructor(heald: Side, bare: BareParent) {
    this.heald = heald;
    this.bare = bare;
  }

  static async open(workers: number, restart: object): Promise<Pair> {
    const lab = new Lab({ heartbeat: QUIET, restart });
    for (let nth = 0; nth < workers; nth++) lab.addWorker(`bench-${nth}`, { launch: true });
    const heald = { lab, pids: new Map((await lab.awaitStarted(workers, 60_000)).map((one) => [one.id, one.pid])) };
    await lab.start("heartbeat-monitor", "worker-restart");
    const bare = await BareParent.open(workers);
    // Both have just started; what they do for that is not what is measured.
    await settled();
    return new Pair(heald, bare);
  }

  async close(): Promise<void> {
    await this.bare.close();
    await this.heald.lab.close(process.env.KEEP === "1");
  }
}
