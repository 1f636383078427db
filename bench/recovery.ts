/** Crash → replacement process running, one at a time, and many at once; beside a bare Node parent, in turn. @module */
import { BareParent, killAll, killOne, type Side } from "./bare.js";
import { compared, percentile, round } from "./figures.js";
import { Lab, OPEN_RESTART_POLICY, type Policies, STEADY_RESTART_POLICY } from "./lab.js";
import type { Result } from "./main.js";

const BATCH = 20;
/** The most that `standby_launchers` may be. */
const STANDBY_MAX = 256;
const QUIET = { heartbeat_interval_seconds: 30 };

/** Kills single workers, in turn under heald and under the bare parent. */
export async function recovery(workers: number, kills: number): Promise<Result> {
  const policies = { heartbeat: QUIET, restart: OPEN_RESTART_POLICY };
  const pair = await Pair.open(Math.max(2, workers), policies);
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
    for (let nth = 0; nth < kills; nth += BATCH) {
      const end = Math.min(nth + BATCH, kills);
      for (let one = nth; one < end; one++) ours.push(await kill(pair.heald, one));
      for (let one = nth; one < end; one++) theirs.push(await kill(pair.bare, one));
    }
  } finally {
    await pair.close();
  }
  return {
    name: "recovery",
    what: `SIGKILL to a worker until the first instruction of its replacement; ${kills} kills, one after another, ${workers} workers`,
    policy: policies,
    leaves_out: "workers that beat; a worker's own start-up; a policy with pacing, jitter and a first delay",
    ...compared(ours, theirs),
  };
}

/** Kills all at once; with as many launchers standing by as there are workers, and with as many as by default. */
export async function mass(workers: number, waves: number): Promise<Result> {
  const standby = Math.min(STANDBY_MAX, workers);
  const plain = { heartbeat: QUIET, restart: STEADY_RESTART_POLICY };
  const lifted = { heartbeat: QUIET, restart: { ...STEADY_RESTART_POLICY, standby_launchers: standby } };
  const ours: number[] = [];
  const byDefault: number[] = [];
  const theirs: number[] = [];
  for (let turn = 0; turn < waves; turn++) {
    const pair = await Pair.open(workers, lifted);
    try {
      ours.push(await killAll(pair.heald));
      // Other launchers are made to stand by; that is not the bare parent's to pay for.
      await settled();
      theirs.push(await killAll(pair.bare));
    } finally {
      await pair.close();
    }
    const other = await Pair.open(workers, plain);
    try {
      byDefault.push(await killAll(other.heald));
    } finally {
      await other.close();
    }
  }
  return {
    name: "mass",
    what: `SIGKILL to ${workers} of ${workers} workers at once until the last replacement runs; ${waves} times, each the daemons' first, after their warm-up; ${standby} launchers stand by; default_standby: the same with as many as by default`,
    policy: lifted,
    leaves_out:
      "the default pacing and rate limits, lifted by policy; the time in which launchers are made that stand by",
    ...compared(ours, theirs),
    default_standby_p50_ms: round(percentile(byDefault, 0.5)),
  };
}

/** What follows a start or a wave is over by then. */
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2000));

/** heald and a bare parent, each with workers of its own, so that they can be measured in turn. */
class Pair {
  readonly heald: Side;
  readonly bare: BareParent;

  private constructor(heald: Side, bare: BareParent) {
    this.heald = heald;
    this.bare = bare;
  }

  static async open(workers: number, policies: Policies): Promise<Pair> {
    const lab = new Lab(policies);
    for (let nth = 0; nth < workers; nth++) lab.addWorker(`bench-${nth}`, { launch: true });
    const heald = { lab, pids: new Map((await lab.awaitStarted(workers, 60_000)).map((one) => [one.id, one.pid])) };
    await lab.start("heartbeat-monitor", "worker-restart");
    const bare = await BareParent.open(workers);
    await lab.settled("heartbeat-monitor", "worker-restart");
    // Both have just started; what they do for that is not what is measured.
    await settled();
    return new Pair(heald, bare);
  }

  async close(): Promise<void> {
    await Promise.all([this.bare.close(), this.heald.lab.close()]);
  }
}
