/** How long a daemon takes to be ready over many specs, and to print its help. @module */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "../lib/platform/package.js";
import { compared, percentile, round } from "./figures.js";
import { Lab } from "./lab.js";
import type { Result } from "./main.js";

const HELP_RUNS = 11;

/** Homes are made anew each time: a start that finds no state of its own has everything to read. */
export async function startup(workers: number, starts: number): Promise<Result> {
  const monitor: number[] = [];
  const restart: number[] = [];
  const bare: number[] = [];
  for (let turn = 0; turn < starts; turn++) {
    const lab = new Lab();
    try {
      for (let nth = 0; nth < workers; nth++)
        lab.addWorker(`bench-${nth}`, { launch: false, heartbeat: { mode: "required" } });
      monitor.push(await lab.start("heartbeat-monitor"));
      restart.push(await lab.start("worker-restart"));
      await Promise.all([lab.stop("heartbeat-monitor"), lab.stop("worker-restart")]);
      bare.push(bareMs(lab));
    } finally {
      await lab.close();
    }
  }
  const helpMs = timed([process.execPath, daemonMain("heartbeat-monitor"), "--help"]);
  const bareNodeMs = timed([process.execPath, "-e", "0"]);
  return {
    name: "startup",
    what: `start of the monitor until its pid file, over ${workers} specs, ${starts} times; of worker-restart; --help, median of ${HELP_RUNS}; beside a bare Node that reads and parses the specs`,
    policy: {},
    leaves_out: "specs with processes, whose launch records are read as well; a start that finds its own checkpoint",
    ...compared(monitor, bare),
    restart_p50_ms: round(percentile(restart, 0.5), 0),
    help_p50_ms: round(helpMs, 0),
    cli_help_p50_ms: round(timed([process.execPath, join(packageRoot(), "dist", "cli", "main.js"), "--help"]), 0),
    bare_node_p50_ms: round(bareNodeMs, 0),
    help_ratio: round(helpMs / bareNodeMs),
  };
}

const daemonMain = (name: string): string => join(packageRoot(), "dist", "daemons", name, "main.js");

/** Milliseconds in which a bare Node program reads the same specs and says so in a file. */
function bareMs(lab: Lab): number {
  const main = join(packageRoot(), "dist", "bench", "baseline-reader.js");
  const from = performance.now();
  const { status, stderr } = spawnSync(process.execPath, [main, lab.layout.activeDir, join(lab.folder, "bare")]);
  if (status !== 0) throw new Error(`The bare reader ended with ${status}: ${stderr.toString()}`);
  return performance.now() - from;
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
