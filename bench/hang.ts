/** Hang → verdict: how long after its threshold a silent worker is called a zombie, among many that beat. @module */
import { readFileSync } from "node:fs";
import { Beating } from "./beating.js";
import { Lab, percentile, round, until } from "./lab.js";
import type { Result } from "./main.js";

const INTERVAL_SECONDS = 1;
const THRESHOLD_SECONDS = 4;
const HANGS = 100;

export async function hang(workers: number): Promise<Result> {
  const lab = new Lab({
    heartbeat: {
      heartbeat_interval_seconds: INTERVAL_SECONDS,
      heartbeat_timeout_seconds: 3,
      zombie_threshold_seconds: THRESHOLD_SECONDS,
      verify_delay_seconds: 0.5,
      max_cleanups_per_minute: 10_000,
      mass_failure: { enabled: false },
    },
  });
  const ids = Array.from({ length: workers }, (_, nth) => `bench-${nth}`);
  const beating = new Beating(lab.layout, ids, INTERVAL_SECONDS * 1000);
  try {
    for (const id of ids) lab.addWorker(id, { launch: true, heartbeat: { mode: "required" } });
    await lab.awaitStarted(workers, 120_000);
    beating.start();
    await lab.start("heartbeat-monitor");
    await new Promise((resolve) => setTimeout(resolve, 4000));
    // Workers far from each other in the order of beats: hangs are independent.
    const hung = ids.filter((_, nth) => nth % Math.ceil(ids.length / HANGS) === 0);
    for (const id of hung) {
      beating.silence(id);
      await new Promise((resolve) => setTimeout(resolve, 37));
    }
    const verdicts = (): Map<string, number> => verdictsIn(lab.layout.eventLog("zombie-cleanup"));
    await until(() => verdicts().size >= hung.length, 30_000, `${hung.length} verdicts`);
    const found = verdicts();
    const early = hung.filter(
      (id) => (found.get(id) ?? 0) < (beating.lastAtMs.get(id) ?? 0) + THRESHOLD_SECONDS * 1000 - 2,
    );
    const lags = hung.map(
      (id) => (found.get(id) ?? Number.NaN) - (beating.lastAtMs.get(id) ?? 0) - THRESHOLD_SECONDS * 1000,
    );
    return {
      name: "hang",
      what: `threshold of a silent worker (last beat put in place + ${THRESHOLD_SECONDS} s) until zombie_detected; ${hung.length} hangs among ${workers} beating workers, every ${INTERVAL_SECONDS} s`,
      leaves_out: "the end of the process and its restart; beats come from one process, the workers are real and idle",
      p50_ms: round(percentile(lags, 0.5)),
      p99_ms: round(percentile(lags, 0.99)),
      max_ms: round(Math.max(...lags)),
      early: early.length,
      false_alarms: found.size - hung.length,
      samples: lags.length,
    };
  } finally {
    beating.stop();
    await lab.close();
  }
}

function verdictsIn(path: string): Map<string, number> {
  const verdicts = new Map<string, number>();
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  for (const line of text.split("\n")) {
    if (!line.includes('"zombie_detected"')) continue;
    const event = JSON.parse(line) as { worker_id: string; at_ms: number };
    verdicts.set(event.worker_id, event.at_ms);
  }
  return verdicts;
}
