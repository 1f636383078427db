/** The same recovery under others, on the same machine in turn: what a figure is worth is seen beside theirs. @module */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { accessSync, constants, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { packageRoot } from "../lib/platform/package.js";
import { BareParent, killOne, type Side } from "./bare.js";
import { Lab, OPEN_RESTART_POLICY, percentile, round } from "./lab.js";
import type { Result } from "./main.js";

const WORKERS = 12;
const ROUNDS = 10;
const BATCH = 20;
/** runit makes a service wait that ended within a second: each worker lives for twelve of these. */
const BETWEEN_MS = 120;

/** Somebody who brings workers back, and how to be rid of them. */
interface Neighbour {
  readonly side: Side;
  readonly close: () => Promise<void>;
}

export async function neighbours(): Promise<Result> {
  const names = ["heald", "bare", "two_bare", "runit", "pm2"] as const;
  const openings = { heald: openHeald, bare: openBare, two_bare: openTwo, runit: openRunit, pm2: openPm2 };
  const open = new Map<string, Neighbour>();
  const samples = new Map<string, number[]>();
  try {
    for (const name of names) {
      const neighbour = await openings[name]();
      if (neighbour !== null) open.set(name, neighbour);
    }
    await pause(3000);
    for (let nth = 0; nth < ROUNDS; nth++)
      for (const [name, { side }] of open) samples.set(name, [...(samples.get(name) ?? []), ...(await batch(side))]);
  } finally {
    for (const { close } of open.values()) await close();
  }
  const figures = names.flatMap((name) => {
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
    leaves_out: "whoever is not installed (null): runsv, pm2; what they do besides",
    ...Object.fromEntries(figures),
  };
}

async function batch(side: Side): Promise<number[]> {
  const tookMs: number[] = [];
  for (let nth = 0; nth < BATCH; nth++) {
    const ids = [...side.pids.keys()];
    const id = ids[nth % ids.length] as string;
    tookMs.push(await killOne(side, id));
    // Moved to the end, so that the next batch goes on with the one that lives longest.
    const pid = side.pids.get(id) as number;
    side.pids.delete(id);
    side.pids.set(id, pid);
    await pause(BETWEEN_MS);
  }
  return tookMs;
}

async function openHeald(): Promise<Neighbour> {
  const lab = new Lab({ heartbeat: { heartbeat_interval_seconds: 30 }, restart: OPEN_RESTART_POLICY });
  for (const id of ids()) lab.addWorker(id, { launch: true });
  const side = await sideOf(lab);
  await lab.start("heartbeat-monitor", "worker-restart");
  return { side, close: () => lab.close() };
}

async function openBare(): Promise<Neighbour> {
  const bare = await BareParent.open(WORKERS);
  return { side: bare, close: () => bare.close() };
}

async function openTwo(): Promise<Neighbour> {
  const lab = new Lab();
  const [a, b] = ["a", "b"].map((name) => join(lab.folder, name)) as [string, string];
  for (const folder of [a, b]) mkdirSync(folder);
  for (const id of ids()) writeFileSync(join(a, id), id);
  const { command, args } = lab.launch();
  const main = join(packageRoot(), "dist", "bench", "meeting-parent.js");
  const parents = [
    [a, b],
    [b, a],
  ].map((folders) => spawn(process.execPath, [main, ...folders, command, ...args], { stdio: "ignore" }));
  const side = await sideOf(lab);
  return { side, close: () => closeParents(side, parents) };
}

async function openRunit(): Promise<Neighbour | null> {
  if (!isInstalled("runsv")) return null;
  const lab = new Lab();
  const { command, args } = lab.launch();
  const services = ids().map((id) => {
    const folder = join(lab.folder, "services", id);
    mkdirSync(folder, { recursive: true });
    // What the others run as well: one shell that says its word and becomes `sleep`.
    const script = `#!${command}\nHEALD_WORKER_ID=${id}\n${args[1]}\n`;
    writeFileSync(join(folder, "run"), script, { mode: 0o750 });
    return spawn("runsv", [folder], { stdio: "ignore" });
  });
  const side = await sideOf(lab);
  return { side, close: () => closeParents(side, services) };
}

async function openPm2(): Promise<Neighbour | null> {
  if (!isInstalled("pm2")) return null;
  const lab = new Lab();
  const { command, args } = lab.launch();
  const env = { ...process.env, PM2_HOME: join(lab.folder, "pm2") };
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
  execFileSync("pm2", ["start", ecosystem, "--silent"], { env, stdio: "ignore" });
  const side = await sideOf(lab);
  const close = async (): Promise<void> => {
    execFileSync("pm2", ["kill", "--silent"], { env, stdio: "ignore" });
    await lab.close();
  };
  return { side, close };
}

async function sideOf(lab: Lab): Promise<Side> {
  const started = await lab.awaitStarted(WORKERS, 60_000);
  return { lab, pids: new Map(started.map(({ id, pid }) => [id, pid])) };
}

/** Whoever starts workers anew goes first. */
async function closeParents(side: Side, parents: readonly ChildProcess[]): Promise<void> {
  for (const parent of parents) parent.kill("SIGKILL");
  for (const pid of side.pids.values()) process.kill(pid, "SIGKILL");
  await side.lab.close();
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
