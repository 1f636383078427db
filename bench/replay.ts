/** How long `heald replay` takes over the recorded history of a fleet, and what it holds in memory. @module */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "../lib/platform/package.js";
import { round } from "./figures.js";
import { readyHistory, type Wanted } from "./history/ready.js";
import type { Result } from "./main.js";

interface Replayed {
  readonly ok: boolean;
  readonly daemons: readonly { readonly decisions: number; readonly differing: number; readonly unreadable: number }[];
}

export async function replay(wanted: Wanted): Promise<Result> {
  const history = readyHistory(wanted);
  try {
    const startMs = performance.now();
    const args = [join(packageRoot(), "dist", "cli", "main.js"), "replay", "--json", "--home", history.folder];
    // GNU time's last line is the largest resident set, in KiB; the kernel's own account of the process.
    const ran = spawnSync("/usr/bin/time", ["-f", "%M", process.execPath, ...args], { maxBuffer: 256 * 1024 * 1024 });
    const seconds = (performance.now() - startMs) / 1000;
    const { daemons } = JSON.parse(ran.stdout.toString()) as Replayed;
    const sum = (field: "decisions" | "differing" | "unreadable"): number =>
      daemons.reduce((total, each) => total + each[field], 0);
    return {
      name: "replay",
      what: "from the start of the process to its end, every recorded decision computed again",
      policy: history.policy,
      home: history.folder,
      leaves_out: "making the history; the first reading of a file from the disk, where the kernel still has it",
      workers: wanted.workers,
      hours: wanted.hours,
      events: history.events,
      decisions: sum("decisions"),
      decisions_mib: history.decisions_mib,
      differences: sum("differing"),
      unreadable: sum("unreadable"),
      seconds: round(seconds),
      decisions_per_second: Math.round(sum("decisions") / seconds),
      peak_rss_mib: Math.round(Number(ran.stderr.toString().trim().split("\n").at(-1)) / 1024),
    };
  } finally {
    history.remove();
  }
}
