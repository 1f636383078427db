/** A home of its own, the compiled `heald` run in it as a person would, and an end of everything that was started. @module */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { packageRoot } from "../../../lib/platform/package.js";
import { openHome, resolveHome } from "../../../lib/store/home.js";
import { startedHere } from "./launched.js";

export const MAIN = join(packageRoot(), "dist", "cli", "main.js");

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export class CommandLine {
  readonly home: string;
  readonly coordination: string;

  /** Makes the layout as `heald init` would, without the cost of a process. */
  constructor() {
    this.home = mkdtempSync(join(tmpdir(), "heald-cli-"));
    this.coordination = join(this.home, "coordination");
    const home = resolveHome({}, this.home, this.home);
    if (home !== null) openHome(home, { create: true, claimOwnership: false });
  }

  /** Runs `heald` with the home in the environment. */
  heald(...args: string[]): Promise<Ran> {
    return this.run(process.execPath, [MAIN, ...args]);
  }

  async json<T>(...args: string[]): Promise<T> {
    const { out, err } = await this.heald(...args, "--json");
    if (out === "") throw new Error(`heald ${args.join(" ")} printed nothing: ${err}`);
    return JSON.parse(out) as T;
  }

  run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
    return finished(this.start(program, args, env));
  }

  start(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    return spawn(program, args, {
      cwd: this.home,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...this.environment(), ...env },
    });
  }

  environment(): NodeJS.ProcessEnv {
    const env: NodeJS.ProcessEnv = { PATH: process.env.PATH, TZ: "UTC", HEALD_HOME: this.home };
    return env;
  }

  path(...parts: string[]): string {
    return join(this.coordination, ...parts);
  }

  read(...parts: string[]): Record<string, unknown> {
    return JSON.parse(readFileSync(this.path(...parts), "utf8")) as Record<string, unknown>;
  }

  lines(...parts: string[]): Record<string, unknown>[] {
    const path = this.path(...parts);
    const text = existsSync(path) ? readFileSync(path, "utf8") : "";
    return text
      .split("\n")
      .filter((line) => line !== "")
      .flatMap((line) => parsed(line));
  }

  /** What is in a folder, without the temporary files that a daemon leaves when it is killed while it writes. */
  list(...parts: string[]): string[] {
    const names = existsSync(this.path(...parts)) ? readdirSync(this.path(...parts)) : [];
    return names.filter((name) => !name.startsWith(".")).sort();
  }

  /** Ends every process that carries this home in its environment, by pid, and removes the folder. */
  async close(): Promise<void> {
    let emptyLooks = 0;
    await until(() => {
      const pids = startedHere(this.home);
      for (const pid of pids) kill(pid);
      emptyLooks = pids.length === 0 ? emptyLooks + 1 : 0;
      return emptyLooks === 3;
    }, "everything started in this home has ended");
    rmSync(this.home, { recursive: true, force: true });
  }
}

function parsed(line: string): Record<string, unknown>[] {
  try {
    return [JSON.parse(line) as Record<string, unknown>];
  } catch {
    return []; // Torn on purpose by a test.
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

export function finished(child: ChildProcess): Promise<Ran> {
  let out = "";
  let err = "";
  child.stdout?.on("data", (text) => {
    out += String(text);
  });
  child.stderr?.on("data", (text) => {
    err += String(text);
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

/** Waits for a condition, at most 15 s. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = performance.now() + 15_000; !holds(); ) {
    if (performance.now() >= end) throw new Error(`Not within 15 s: ${what}`);
    await pause(20);
  }
}
