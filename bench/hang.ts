/** Hang → verdict: how long after its threshold a silent worker is called a zombie, among many that beat; beside a bare watcher. @module */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../lib/platform/package.js";
import { Beating } from "./beating.js";
import { type Close, killedInTheEnd } from "./cleanup.js";
import { compared } from "./figures.js";
import { Lab, until } from "./lab.js";
import type { Result } from "./main.js";

const INTERVAL_SECONDS = 1;
const THRESHOLD_SECONDS = 4;
const POLICY = {
  heartbeat: {
    heartbeat_interval_seconds: INTERVAL_SECONDS,
    heartbeat_timeout_seconds: 3,
    zombie_threshold_seconds: THRESHOLD_SECONDS,
    verify_delay_seconds: 0.5,
    max_cleanups_per_minute: 10_000,
    mass_failure: { enabled: false },
  },
};

/** @param workers At least 2: every second one may be silenced, half of those under the bare watcher. */
export async function hang(workers: number, hangs: number): Promise<Result> {
  const lab = new Lab(POLICY);
  const ids = Array.from({ length: Math.max(2, workers) }, (_, nth) => `bench-${nth}`);
  const beating = new Beating(lab.layout, ids, INTERVAL_SECONDS * 1000);
  const bareLog = join(lab.folder, "bare.jsonl");
  let endBare: Close | null = null;
  try {
    for (const id of ids) lab.addWorker(id, { launch: true, heartbeat: { mode: "required" } });
    await lab.awaitStarted(ids.length, 120_000);
    beating.start();
    await lab.start("heartbeat-monitor");
    await lab.settled("heartbeat-monitor");
    const verdicts = (): Map<string, number> => verdictsIn(lab.layout.eventLog("zombie-cleanup"), '"zombie_detected"');
    const ours = await lagsOf(chosen(ids, hangs, 0), beating, verdicts);
    await lab.stop("heartbeat-monitor");
    const main = join(packageRoot(), "dist", "bench", "baseline-watcher.js");
    const bareArgs = [main, lab.layout.heartbeatsDir, String(THRESHOLD_SECONDS * 1000), bareLog];
    endBare = killedInTheEnd(() => spawn(process.execPath, bareArgs, { stdio: "ignore" }));
    const theirs = await lagsOf(chosen(ids, hangs, 1), beating, () => verdictsIn(bareLog, ""));
    return {
      name: "hang",
      what: `threshold of a silent worker (last beat put in place + ${THRESHOLD_SECONDS} s) until zombie_detected; ${ours.length} hangs among ${ids.length} beating workers, every ${INTERVAL_SECONDS} s; then others under a bare watcher of the same beats`,
      policy: POLICY,
      leaves_out: "the end of the process and its restart; beats come from one process, the workers are real and idle",
      ...compared(ours, theirs),
      early: ours.filter((lag) => lag < -2).length,
      false_alarms: verdicts().size - ours.length,
    };
  } finally {
    await endBare?.();
    await beating.stop();
    await lab.close();
  }
}

/** Workers far from each other in the order of beats, so that hangs are independent; others for each turn. */
function chosen(ids: readonly string[], hangs: number, turn: number): string[] {
  const step = Math.max(2, Math.ceil(ids.length / hangs));
  return ids.filter((_, nth) => nth % step === turn);
}

/** Silences workers one after another, and says how long after its threshold each was said to hang. */
async function lagsOf(
  hung: readonly string[],
  beating: Beating,
  verdicts: () => ReadonlyMap<string, number>,
): Promise<number[]> {
  await new Promise((resolve) => setTimeout(resolve, 4000));
  for (const id of hung) {
    beating.silence(id);
    await new Promise((resolve) => setTimeout(resolve, 37));
  }
  const areThere = (): boolean => {
    const said = verdicts();
    return hung.every((id) => said.has(id));
  };
  await until(areThere, 30_000, `${hung.length} verdicts`);
  const atMs = verdicts();
  return hung.map((id) => (atMs.get(id) ?? Number.NaN) - (beating.lastAtMs.get(id) ?? 0) - THRESHOLD_SECONDS * 1000);
}

/** When each worker was said to hang, by the lines of a log that have a sign. */
function verdictsIn(path: string, sign: string): Map<string, number> {
  const verdicts = new Map<string, number>();
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  for (const line of text.split("\n")) {
    if (line === "" || !line.includes(sign)) continue;
    const event = JSON.parse(line) as { worker_id: string; at_ms: number };
    verdicts.set(event.worker_id, event.at_ms);
  }
  return verdicts;
}
