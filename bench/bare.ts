/** A bare Node parent with workers of its own, to be measured in turn with heald. @module */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "../lib/platform/package.js";
import { closedInTheEnd, environmentIn } from "./cleanup.js";
import { Lab } from "./lab.js";

/** Workers that can be killed and are started again, and the lab that hears them. */
export interface Side {
  readonly lab: Lab;
  readonly pids: Map<string, number>;
}

export class BareParent implements Side {
  readonly lab = new Lab();
  readonly pids = new Map<string, number>();
  /** Ends it and its workers, and removes what they wrote. */
  readonly close = closedInTheEnd(() => this.#close());
  readonly #parent: ChildProcess;

  private constructor(workers: number) {
    const { command, args } = this.lab.launch();
    const main = join(packageRoot(), "dist", "bench", "baseline-parent.js");
    const env = environmentIn(this.lab.folder);
    this.#parent = spawn(process.execPath, [main, String(workers), command, ...args], { stdio: "ignore", env });
  }

  static async open(workers: number): Promise<BareParent> {
    const bare = new BareParent(workers);
    for (const { id, pid } of await bare.lab.awaitStarted(workers, 60_000)) bare.pids.set(id, pid);
    return bare;
  }

  async #close(): Promise<void> {
    this.#parent.kill("SIGKILL");
    await this.lab.close();
  }
}

/** Kills one worker. Returns the milliseconds until its replacement has said its first word. */
export async function killOne(side: Side, id: string): Promise<number> {
  const from = performance.now();
  process.kill(side.pids.get(id) as number, "SIGKILL");
  const [started] = await side.lab.awaitStarted(1, 30_000);
  if (started?.id !== id) throw new Error(`${started?.id} came back and not ${id}, which was killed`);
  side.pids.set(id, started.pid);
  return started.atMs - from;
}

/** Kills all workers. Returns the milliseconds until the last replacement has said its first word. */
export async function killAll(side: Side): Promise<number> {
  const from = performance.now();
  for (const pid of side.pids.values()) process.kill(pid, "SIGKILL");
  const all = await side.lab.awaitStarted(side.pids.size, 60_000);
  for (const { id, pid } of all) side.pids.set(id, pid);
  return Math.max(...all.map((one) => one.atMs)) - from;
}
