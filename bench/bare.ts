/** A bare Node parent with workers of its own, to be measured in turn with heald. @module */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "../lib/platform/package.js";
import { closedInTheEnd, killIfThere } from "./cleanup.js";
import { Lab } from "./lab.js";

/** Workers that can be killed and are started again, and the lab that hears them. */
export interface Side {
  readonly lab: Lab;
  readonly pids: Map<string, number>;
}

export class BareParent implements Side {
  readonly lab: Lab;
  readonly pids: Map<string, number>;
  readonly #parent: ChildProcess;
  readonly close = closedInTheEnd(() => this.#close());

  private constructor(lab: Lab, pids: Map<string, number>, parent: ChildProcess) {
    this.lab = lab;
    this.pids = pids;
    this.#parent = parent;
  }

  static async open(workers: number): Promise<BareParent> {
    const lab = new Lab();
    const { command, args } = lab.launch();
    const main = join(packageRoot(), "dist", "bench", "baseline-parent.js");
    const parent = spawn(process.execPath, [main, String(workers), command, ...args], { stdio: "ignore" });
    const started = await lab.awaitStarted(workers, 60_000);
    return new BareParent(lab, new Map(started.map(({ id, pid }) => [id, pid])), parent);
  }

  async #close(): Promise<void> {
    this.#parent.kill("SIGKILL");
    // Those whose first words nobody has heard yet; interrupted, one may be dead and not be replaced.
    for (const { id, pid } of this.lab.started()) this.pids.set(id, pid);
    for (const pid of this.pids.values()) killIfThere(pid);
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
