/**
 * What watching costs when nothing happens: CPU and memory of the daemons with N workers that beat every 30 s.
 *
 * Measured over minutes: with the default thresholds the blocks in the specs are refreshed every 240 s, all within the
 * half minute in which they were first written, and a shorter time would hold this in full or not at all.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { Beating } from "./beating.js";
import { killedInTheEnd } from "./cleanup.js";
import { cpuSeconds, pssMib, round } from "./figures.js";
import { Lab } from "./lab.js";
import type { Result } from "./main.js";

const INTERVAL_SECONDS = 30;
const POLICY = { heartbeat: { heartbeat_interval_seconds: INTERVAL_SECONDS } };
/** Above this number of workers, real sleeping processes would be most of the machine; their specs name no process. */
const REAL_WORKERS_MAX = 2000;

/**
 * @param settleSeconds In 300 every worker has beaten ten times, and V8 has compiled nearly all that runs, as in a daemon that
 *   runs for weeks.
 */
export async function idle(workers: number, seconds: number, settleSeconds: number): Promise<Result> {
  const lab = new Lab(POLICY);
  const ids = Array.from({ length: workers }, (_, nth) => `bench-${nth}`);
  const beating = new Beating(lab.layout, ids, INTERVAL_SECONDS * 1000);
  const real = workers <= REAL_WORKERS_MAX;
  const bare: ChildProcess[] = [];
  const startBare = (): ChildProcess => {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
    bare.push(child);
    return child;
  };
  const endBare = [killedInTheEnd(startBare), killedInTheEnd(startBare)];
  try {
    for (const id of ids) lab.addWorker(id, { launch: real, heartbeat: { mode: "required" } });
    if (real) await lab.awaitStarted(workers, 240_000);
    beating.start();
    await lab.start("heartbeat-monitor", "worker-restart", "failure-pattern", "auto-fix");
    await new Promise((resolve) => setTimeout(resolve, settleSeconds * 1000));
    const two = [lab.pidOf("heartbeat-monitor"), lab.pidOf("worker-restart")];
    const four = [...two, lab.pidOf("failure-pattern"), lab.pidOf("auto-fix")];
    const sum = (pids: readonly number[], read: (pid: number) => number): number =>
      pids.reduce((total, pid) => total + read(pid), 0);
    const before = sum(two, cpuSeconds);
    const monitorBefore = cpuSeconds(two[0] as number);
    const beforeFour = sum(four, cpuSeconds);
    const from = performance.now();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const minutes = (performance.now() - from) / 60_000;
    return {
      name: "idle",
      what: `${workers} workers that beat every ${INTERVAL_SECONDS} s, over ${seconds} s, after ${settleSeconds} s to settle; ${real ? "real sleeping processes" : "no processes, beats only"}`,
      policy: POLICY,
      leaves_out: "the workers and the one process that beats for them",
      cpu_s_per_min: round((sum(two, cpuSeconds) - before) / minutes, 3),
      cpu_s_per_min_monitor: round((cpuSeconds(two[0] as number) - monitorBefore) / minutes, 3),
      cpu_s_per_min_all_four: round((sum(four, cpuSeconds) - beforeFour) / minutes, 3),
      pss_mib: round(sum(two, pssMib), 1),
      pss_mib_all_four: round(sum(four, pssMib), 1),
      baseline_pss_mib: round(
        sum(
          bare.map((child) => child.pid as number),
          pssMib,
        ),
        1,
      ),
    };
  } finally {
    await beating.stop();
    for (const end of endBare) await end();
    await lab.close();
  }
}
