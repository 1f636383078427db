/** How long a daemon takes to be ready over many specs, and to print its help. @module */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "../lib/platform/package.js";
import { Lab, percentile, round } from "./lab.js";
import type { Result } from "./main.js";

const HELP_RUNS = 11;

export async function startup(workers: number): Promise<Result> {
  const lab = new Lab();
  try {
    for (let nth = 0; nth < workers; nth++)
      lab.addWorker(`bench-${nth}`, { launch: false, heartbeat: { mode: "required" } });
    const monitorMs = await lab.start("heartbeat-monitor");
    const restartMs = await lab.start("worker-restart");
    return {
      name: "startup",
      what: `start of a daemon until its pid file, over ${workers} specs; and --help, median of ${HELP_RUNS}`,
      leaves_out: "specs with processes, whose launch records are read as well",
      monitor_ms: round(monitorMs, 0),
      restart_ms: round(restartMs, 0),
      help_p50_ms: round(helpMs("heartbeat-monitor"), 0),
      cli_help_p50_ms: round(cliHelpMs(), 0),
      bare_node_p50_ms: round(timed([process.execPath, "-e", "0"]), 0),
    };
  } finally {
    await lab.close();
  }
}

function helpMs(daemon: string): number {
  return timed([process.execPath, join(packageRoot(), "dist", "daemons", daemon, "main.js"), "--help"]);
}

function cliHelpMs(): number {
  return timed([process.execPath, join(packageRoot(), "dist", "cli", "main.js"), "--help"]);
}

function timed([command = "", ...args]: readonly string[]): number {
  const samples: number[] = [];
  for (let run = 0; run < HELP_RUNS; run++) {
    const from = performance.now();
    spawnSync(command, args, { stdio: "ignore" });
    samples.push(performance.now() - from);
  }
  return percentile(samples, 0.5);
}
