/** How long `heald why` takes over the recorded history of a fleet: whole processes, with a warm and a cold page cache. @module */
import { spawnSync } from "node:child_process";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../lib/platform/package.js";
import { runProgram } from "../lib/platform/programs.js";
import { filesOf } from "../lib/store/archives.js";
import { namesIn } from "../lib/store/entries.js";
import { fixesIn } from "../lib/store/fix-runs.js";
import type { Layout } from "../lib/store/layout.js";
import { LogFileReader, type LogJson, parsed } from "../lib/store/log-file.js";
import { round } from "./figures.js";
import { type History, readyHistory, type Wanted } from "./history/ready.js";
import type { Result } from "./main.js";

const RUNS = 10;

export async function why(wanted: Wanted): Promise<Result> {
  const history = readyHistory(wanted);
  try {
    const questions = questionsOf(history);
    const figures: Record<string, number> = { ...told("startup", askOften(history, ["--version"])) };
    for (const [name, id] of Object.entries(questions))
      Object.assign(figures, told(name, askOften(history, ["why", id])));
    for (const [name, id] of Object.entries(questions)) {
      await forget(history);
      figures[`${name}_cold_ms`] = ask(history, ["why", id]).ms;
    }
    return {
      name: "why",
      what: `the whole process: median and best of ${RUNS}, its CPU time (a loaded machine makes the rest longer), and once with the logs dropped from the page cache`,
      policy: history.policy,
      home: history.folder,
      leaves_out: "making the history and the indexes of rotated logs, which their daemons make within seconds",
      workers: wanted.workers,
      hours: wanted.hours,
      events: history.events,
      events_mib: history.events_mib,
      decisions_mib: history.decisions_mib,
      ...figures,
    };
  } finally {
    history.remove();
  }
}

/** A worker, one of which nothing was ever written, a decision in the middle of the history with its incident, a run of a fix, and what nobody knows. */
function questionsOf({ layout }: History): Readonly<Record<string, string>> {
  const [oldest] = filesOf(layout.decisions("worker-restart"), layout.archiveDir);
  if (oldest === undefined) throw new Error("There is no decision in the history");
  const decision = middleOf(oldest);
  return {
    worker: "worker-billing-1",
    quiet: quietWorker(layout),
    decision: String(decision.decision_id),
    incident: String(decision.incident_id),
    run: fixesIn(layout, "runs")[0] ?? "run-none",
    unknown: "worker-nobody-1",
  };
}

/** The hardest of the known: every index and the whole of the logs in use are searched. */
function quietWorker(layout: Layout): string {
  const worker_id = "worker-quiet-1";
  const spec = { worker_id, worker_type: "quiet-worker", attempt: 1, status: "running", heartbeat: { mode: "none" } };
  writeFileSync(layout.activeSpec(worker_id), `${JSON.stringify(spec)}\n`, { mode: 0o640 });
  return worker_id;
}

function middleOf(file: Parameters<typeof LogFileReader.open>[0]): LogJson {
  const reader = LogFileReader.open(file);
  if (reader === null) throw new Error(`Cannot read ${file.path}`);
  try {
    for (const { text } of reader.lines(reader.positionAt(timeIn(reader, 0) + 3_600_000))) {
      const record = parsed(text);
      if (typeof record?.incident_id === "string") return record;
    }
    throw new Error(`No decision of ${file.path} has an incident`);
  } finally {
    reader.close();
  }
}

function timeIn(reader: LogFileReader, offset: number): number {
  return (parsed(reader.lineAt(offset) ?? "")?.at_ms as number | undefined) ?? 0;
}

interface Answered {
  readonly ms: number;
  readonly cpuMs: number;
}

function askOften(history: History, args: readonly string[]): Answered[] {
  return Array.from({ length: RUNS }, () => ask(history, args));
}

function told(name: string, runs: readonly Answered[]): Record<string, number> {
  return {
    [`${name}_ms`]: median(runs.map(({ ms }) => ms)),
    [`${name}_best_ms`]: Math.min(...runs.map(({ ms }) => ms)),
    [`${name}_cpu_ms`]: median(runs.map(({ cpuMs }) => cpuMs)),
  };
}

function ask(history: History, args: readonly string[]): Answered {
  const startMs = performance.now();
  const program = join(packageRoot(), "dist", "cli", "main.js");
  const node = [process.execPath, program, ...args, "--home", history.folder];
  // The last line of GNU time is the kernel's account of the process, in hundredths of a second.
  const ran = spawnSync("/usr/bin/time", ["-f", "%U %S", ...node], { stdio: ["ignore", "pipe", "pipe"] });
  const ms = round(performance.now() - startMs);
  if (ran.status !== 0 && ran.status !== 3) throw new Error(`heald ${args.join(" ")}: ${ran.stderr.toString()}`);
  const [user = 0, system = 0] = (ran.stderr.toString().trim().split("\n").at(-1) ?? "").split(" ").map(Number);
  return { ms, cpuMs: Math.round((user + system) * 1000) };
}

/** Has the kernel write back what it holds of the logs, and drop it. */
async function forget({ layout }: History): Promise<void> {
  const folders = [layout.eventsDir, layout.archiveDir, layout.decisionsDir, layout.metricsDir];
  const paths = folders.flatMap((folder) => namesIn(folder).map((name) => join(folder, name)));
  for (const path of paths.filter((each) => statSync(each).isFile()))
    await runProgram("dd", [`of=${path}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0", "status=none"], {
      timeoutMs: 60_000,
    });
}

const median = (values: readonly number[]): number => round([...values].sort((a, b) => a - b)[values.length >> 1] ?? 0);
