/** The four daemons as real processes: started, killed, started again, stopped. @module */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readTail } from "../../lib/platform/files.js";
import { DAEMONS, type DaemonName } from "../../lib/schema/records.js";
import type { Stage } from "./stage.js";
import { waitFor } from "./waiting.js";

const READY_MS = 20_000;
const STOP_MS = 5000;

export class Daemons {
  readonly #stage: Stage;
  readonly #running = new Map<DaemonName, ChildProcess>();
  /** Ends that the example did not bring about. */
  readonly unexpected: string[] = [];
  starts = 0;
  #closed = false;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** Starts all four, and waits until each has written its pid file, which is the last thing it does before it is ready. */
  async start(): Promise<void> {
    if (this.#closed) throw new Error("Cannot start daemons: the example is over");
    for (const name of DAEMONS) this.#startOne(name);
    this.starts += 1;
    const areReady = await waitFor(() => DAEMONS.every((name) => this.#isReady(name)), READY_MS);
    if (areReady) return;
    const late = DAEMONS.filter((name) => !this.#isReady(name));
    throw new Error(`Cannot start ${late.join(", ")}: ${late.map((name) => this.#lastWords(name)).join(" ")}`);
  }

  /** kill -9 for all four, before this returns. */
  async kill(): Promise<void> {
    const killed = [...this.#running.values()];
    this.#running.clear();
    for (const child of killed) child.kill("SIGKILL");
    await waitFor(() => killed.every(hasEnded), STOP_MS);
  }

  /** Stops all four for good, as an operator would; those that do not stop are killed. Returns who had to be. */
  async stop(): Promise<readonly DaemonName[]> {
    this.#closed = true;
    const stopping = [...this.#running];
    this.#running.clear();
    for (const [, child] of stopping) child.kill("SIGTERM");
    await waitFor(() => stopping.every(([, child]) => hasEnded(child)), STOP_MS);
    const stubborn = stopping.filter(([, child]) => !hasEnded(child));
    for (const [, child] of stubborn) child.kill("SIGKILL");
    return stubborn.map(([name]) => name);
  }

  #startOne(name: DaemonName): void {
    const program = fileURLToPath(new URL(`../../daemons/${name}/main.js`, import.meta.url));
    const output = openSync(this.#outputOf(name), "a", 0o640);
    // Detached: ^C in the terminal is the example's to handle, in its own order.
    const child = spawn(process.execPath, [program, "--console", "none"], {
      cwd: this.#stage.home,
      env: this.#stage.env,
      stdio: ["ignore", output, output],
      detached: true,
    });
    closeSync(output);
    this.#running.set(name, child);
    child.once("exit", (code, signal) => {
      if (this.#running.get(name) !== child) return;
      this.#running.delete(name);
      this.unexpected.push(`${name} ended by itself (${signal ?? code}) ${this.#lastWords(name)}`.trim());
    });
  }

  #isReady(name: DaemonName): boolean {
    const pid = this.#running.get(name)?.pid;
    return pid !== undefined && pidIn(this.#stage.layout.pidFile(name)) === pid;
  }

  #outputOf(name: DaemonName): string {
    return join(this.#stage.home, `${name}.output.txt`);
  }

  #lastWords(name: DaemonName): string {
    return readTail(this.#outputOf(name), 1000).trim();
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function pidIn(path: string): number | null {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    // Not written yet.
    return null;
  }
}
