/** The same recovery under others, on the same machine in turn: what a figure is worth is seen beside theirs. @module */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { accessSync, constants, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { packageRoot } from "../lib/platform/package.js";
import { BareParent, killOne, type Side } from "./bare.js";
import { type Close, closedInTheEnd, environmentIn } from "./cleanup.js";
import { percentile, round } from "./figures.js";
import { Lab, OPEN_RESTART_POLICY } from "./lab.js";
import type { Result } from "./main.js";

const WORKERS = 12;
const POLICY = { heartbeat: { heartbeat_interval_seconds: 30 }, restart: OPEN_RESTART_POLICY };
const ROUNDS = 10;
const BATCH = 20;
/** runit makes a service wait that ended within a second: each worker lives for twelve of these. */
const BETWEEN_MS = 120;

/** Told how to be rid of somebody, as soon as there is something to be rid of. */
type OnOpen = (close: Close) => void;

export async function neighbours(): Promise<Result> {
  const openings = { heald: openHeald, bare: openBare, two_bare: openTwo, runit: openRunit, pm2: openPm2 };
  const open = new Map<string, Side>();
  const samples = new Map<string, number[]>();
  const closing: Close[] = [];
  try {
    for (const [name, opening] of Object.entries(openings)) {
      const side = await opening((close) => closing.push(closedInTheEnd(close)));
      if (side !== null) open.set(name, side);
    }
    await pause(3000);
    for (let nth = 0; nth < ROUNDS; nth++)
      for (const [name, side] of open) samples.set(name, [...(samples.get(name) ?? []), ...(await batch(side))]);
  } finally {
    const failures = (await Promise.allSettled(closing.map((close) => close()))).filter(isRejected);
    for (const { reason } of failures) process.stderr.write(`Not everything could be ended: ${String(reason)}\n`);
  }
  const figures = Object.keys(openings).flatMap((name) => {
    const tookMs = samples.get(name);
    const figure = (share: number): number | null => (tookMs ? round(percentile(tookMs, share)) : null);
    return [
      [`${name}_p50_ms`, figure(0.5)],
      [`${name}_p99_ms`, figure(0.99)],
    ];
  });
  return {
    name: "neighbours",
    what: `SIGKILL to a worker until the first instruction of its replacement; ${ROUNDS * BATCH} kills each, one after another, ${WORKERS} workers each, in turn`,
    policy: POLICY,
    others: "pm2: min_uptime 0; runit: as it comes",
    leaves_out: "whoever is not installed (null): runsv, pm2; what they do besides",
    ...Object.fromEntries(figures),
  };
}

const isRejected = (result: PromiseSettledResult<void>): result is PromiseRejectedResult =>
  result.status === "rejected";

/** Kills those first that have lived longest. */
async function batch(side: Side): Promise<number[]> {
  const tookMs: number[] = [];
  for (let nth = 0; nth < BATCH; nth++) {
    const [id] = side.pids.keys();
    if (id === undefined) throw new Error("There is nobody to kill");
    tookMs.push(await killOne(side, id));
    const pid = side.pids.get(id) as number;
    side.pids.delete(id);
    side.pids.set(id, pid);
    await pause(BETWEEN_MS);
  }
  return tookMs;
}

async function openHeald(onOpen: OnOpen): Promise<Side> {
  const lab = new Lab(POLICY);
  onOpen(() => lab.close());
  for (const id of ids()) lab.addWorker(id, { launch: true });
  const side = await sideOf(lab);
  await lab.start("heartbeat-monitor", "worker-restart");
  await lab.settled("heartbeat-monitor", "worker-restart");
  return side;
}

async function openBare(onOpen: OnOpen): Promise<Side> {
  const bare = await BareParent.open(WORKERS);
  onOpen(() => bare.close());
  return bare;
}

function openTwo(onOpen: OnOpen): Promise<Side> {
  const lab = new Lab();
  const [a, b] = ["a", "b"].map((name) => join(lab.folder, name)) as [string, string];
  for (const folder of [a, b]) mkdirSync(folder);
  for (const id of ids()) writeFileSync(join(a, id), id);
  const { command, args } = lab.launch();
  const main = join(packageRoot(), "dist", "bench", "meeting-parent.js");
  const start = (folders: string[]): ChildProcess =>
    spawn(process.execPath, [main, ...folders, command, ...args], { stdio: "ignore", env: environmentIn(lab.folder) });
  return sideUnder(lab, [start([a, b]), start([b, a])], onOpen);
}

function openRunit(onOpen: OnOpen): Promise<Side> | null {
  if (!isInstalled("runsv")) return null;
  const lab = new Lab();
  const { command, args } = lab.launch();
  const services = ids().map((id) => {
    const folder = join(lab.folder, "services", id);
    mkdirSync(folder, { recursive: true });
    // What the others run as well: one shell that says its word and becomes `sleep`.
    const script = `#!${command}\nHEALD_WORKER_ID=${id}\n${args[1]}\n`;
    writeFileSync(join(folder, "run"), script, { mode: 0o750 });
    return spawn("runsv", [folder], { stdio: "ignore", env: environmentIn(lab.folder) });
  });
  return sideUnder(lab, services, onOpen);
}

function openPm2(onOpen: OnOpen): Promise<Side> | null {
  if (!isInstalled("pm2")) return null;
  const lab = new Lab();
  const { command, args } = lab.launch();
  const env = { ...environmentIn(lab.folder), PM2_HOME: join(lab.folder, "pm2") };
  const apps = ids().map((id) => ({
    name: id,
    script: command,
    args,
    interpreter: "none",
    min_uptime: 0,
    max_restarts: 1_000_000,
    env: { HEALD_WORKER_ID: id },
  }));
  const ecosystem = join(lab.folder, "bench.config.json");
  writeFileSync(ecosystem, JSON.stringify({ apps }));
  onOpen(() => {
    execFileSync("pm2", ["kill", "--silent"], { env, stdio: "ignore" });
    return lab.close();
  });
  execFileSync("pm2", ["start", ecosystem, "--silent"], { env, stdio: "ignore" });
  return sideOf(lab);
}

async function sideOf(lab: Lab): Promise<Side> {
  const started = await lab.awaitStarted(WORKERS, 60_000);
  return { lab, pids: new Map(started.map(({ id, pid }) => [id, pid])) };
}

/** The workers of parents that are children of this process. Whoever starts workers anew goes first. */
async function sideUnder(lab: Lab, parents: readonly ChildProcess[], onOpen: OnOpen): Promise<Side> {
  onOpen(async () => {
    for (const parent of parents) parent.kill("SIGKILL");
    await lab.close();
  });
  return sideOf(lab);
}

function ids(): string[] {
  return Array.from({ length: WORKERS }, (_, nth) => `bench-${nth}`);
}

function isInstalled(program: string): boolean {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
