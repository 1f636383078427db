/** How long `heald backtest` takes over the recorded history of a fleet, and what it holds in memory. @module */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../lib/platform/package.js";
import { round } from "./figures.js";
import { type History, readyHistory, type Wanted } from "./history/ready.js";
import type { Result } from "./main.js";

interface Backtested {
  readonly decisions: number;
  readonly judged: number;
  readonly divergences: readonly unknown[];
}

/** What is changed in each policy that was in force: enough that many workers' ways part. */
const CHANGES: Readonly<Record<string, (policy: Record<string, unknown>) => Record<string, unknown>>> = {
  "heartbeat-policy": (policy) => ({
    ...policy,
    zombie_threshold_seconds: Math.round(Number(policy.zombie_threshold_seconds ?? 300) * 0.8),
  }),
  "worker-restart-policy": (policy) => ({ ...policy, max_retries: 2 }),
};

export async function backtest(wanted: Wanted): Promise<Result> {
  const history = readyHistory(wanted);
  try {
    return {
      name: "backtest",
      what: "from the start of the process to its end, another policy over the whole recorded history",
      policy: { in_force: history.policy, tried: "zombie_threshold_seconds 0.8 of that; max_retries 2" },
      home: history.folder,
      leaves_out: "making the history; the first reading of a file from the disk, where the kernel still has it",
      workers: wanted.workers,
      hours: wanted.hours,
      events: history.events,
      events_mib: history.events_mib,
      decisions_mib: history.decisions_mib,
      ...figuresOf(history, "heartbeat-policy", "heartbeat"),
      ...figuresOf(history, "worker-restart-policy", "restart"),
    };
  } finally {
    history.remove();
  }
}

function figuresOf(history: History, name: string, prefix: string): Record<string, number> {
  const inForce = JSON.parse(readFileSync(history.layout.config(name), "utf8")) as Record<string, unknown>;
  const path = join(history.folder, `${name}.json`);
  writeFileSync(path, JSON.stringify(CHANGES[name]?.(inForce)), { mode: 0o640 });
  const args = ["backtest", "--policy", path, "--since", "60d", "--json", "--home", history.folder];
  const startMs = performance.now();
  // GNU time's last line is the largest resident set, in KiB, and the CPU time; the kernel's own account of the process.
  const program = [process.execPath, join(packageRoot(), "dist", "cli", "main.js"), ...args];
  const ran = spawnSync("/usr/bin/time", ["-f", "%M %U", ...program], { maxBuffer: 256 * 1024 * 1024 });
  const seconds = (performance.now() - startMs) / 1000;
  if (ran.status !== 0) throw new Error(`heald backtest ended with ${ran.status}: ${ran.stderr.toString()}`);
  const [kib, cpu] = (ran.stderr.toString().trim().split("\n").at(-1) ?? "").split(" ");
  const { decisions, judged, divergences } = JSON.parse(ran.stdout.toString()) as Backtested;
  return {
    [`${prefix}_decisions`]: decisions,
    [`${prefix}_judged`]: judged,
    [`${prefix}_divergences`]: divergences.length,
    [`${prefix}_seconds`]: round(seconds),
    [`${prefix}_cpu_seconds`]: Number(cpu),
    [`${prefix}_peak_rss_mib`]: Math.round(Number(kib) / 1024),
  };
}
