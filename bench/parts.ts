/** The parts of which a recovery is made, each alone: the launcher's start and end, reading and writing specs. @module */
import { existsSync, readFileSync } from "node:fs";
import { SpecStore } from "../lib/store/specs.js";
import { startAttempt } from "../lib/targets/process.js";
import { percentile, round } from "./figures.js";
import { Lab } from "./lab.js";
import type { Result } from "./main.js";

const STARTS = 50;
const SPECS = 10_000;
const MERGES = 1000;

export async function parts(): Promise<Result> {
  const lab = new Lab();
  try {
    const { starts, ends } = await launches(lab);
    const { readMs, merges } = specs(lab);
    return {
      name: "parts",
      what: `launcher: start until its identity is on disk, death until the exit record is, median of ${STARTS}; ${SPECS} specs listed, read and checked; median of ${MERGES} merges`,
      leaves_out: "everything in between, which recovery measures",
      launch_p50_ms: round(percentile(starts, 0.5)),
      launch_best_ms: round(Math.min(...starts)),
      exit_record_p50_ms: round(percentile(ends, 0.5)),
      exit_record_best_ms: round(Math.min(...ends)),
      read_10k_specs_ms: round(readMs, 0),
      merge_p50_us: round(percentile(merges, 0.5) * 1000, 0),
    };
  } finally {
    await lab.close();
  }
}

async function launches(lab: Lab): Promise<{ readonly starts: number[]; readonly ends: number[] }> {
  const starts: number[] = [];
  const ends: number[] = [];
  for (let nth = 0; nth < STARTS; nth++) {
    const id = `part-${nth}`;
    const startedAt = performance.now();
    startAttempt(lab.layout, { worker_id: id, worker_type: "part", attempt: 1, launch: lab.launch() });
    const claim = lab.layout.launch(id, 1);
    lookUntil(() => hasPid(claim), claim);
    starts.push(performance.now() - startedAt);
    const [started] = await lab.awaitStarted(1, 5000);
    const killedAt = performance.now();
    process.kill(started?.pid as number, "SIGKILL");
    lookUntil(() => isComplete(lab.layout.exit(id, 1)), lab.layout.exit(id, 1));
    ends.push(performance.now() - killedAt);
  }
  return { starts, ends };
}

/** Looks again and again without letting go of the processor, which would be measured as well. */
function lookUntil(isThere: () => boolean, path: string): void {
  const end = performance.now() + 5000;
  while (!isThere()) if (performance.now() > end) throw new Error(`Not within 5 s: ${path} is whole`);
}

const hasPid = (path: string): boolean => existsSync(path) && readFileSync(path, "utf8").includes('"pid":');
const isComplete = (path: string): boolean => existsSync(path) && readFileSync(path, "utf8").endsWith("}\n");

function specs(lab: Lab): { readonly readMs: number; readonly merges: number[] } {
  for (let nth = 0; nth < SPECS; nth++)
    lab.addWorker(`bench-${nth}`, { launch: false, heartbeat: { mode: "required" } });
  const store = new SpecStore(lab.layout);
  const from = performance.now();
  for (const id of store.listActive()) store.readActive(id, Date.now());
  const readMs = performance.now() - from;
  const merges: number[] = [];
  for (let nth = 0; nth < MERGES; nth++) {
    const before = performance.now();
    store.mergeActive(`bench-${nth}`, 1, { heartbeat: { sequence: nth, status: "healthy" } });
    merges.push(performance.now() - before);
  }
  return { readMs, merges };
}
