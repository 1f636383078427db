/** The workers as their files show them: specs, launches, requests; and an example's hand on them. @module */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Identity } from "../../lib/platform/identity.js";
import { signalIdentity } from "../../lib/platform/signals.js";
import { readAttemptName, type WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import type { Stage } from "./stage.js";

type Json = Readonly<Record<string, unknown>>;

/** One worker of the fleet. */
export interface Player {
  readonly id: string;
  readonly type: string;
  readonly task: string;
}

export interface LaunchFacts extends Identity {
  readonly attempt: number;
  readonly started_at_ms: number;
  readonly memory_limit_enforced_by: string | null;
  readonly memory_folder: string | null;
}

/** The `heald` command. */
export const CLI = fileURLToPath(new URL("../../cli/main.js", import.meta.url));
const COMMAND_MS_MAX = 20_000;

export class Fleet {
  readonly #stage: Stage;
  #closed = false;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** Runs a command as a person would, and returns what it prints. */
  heald(...args: readonly string[]): Promise<string> {
    if (this.#closed) return Promise.reject(new Error("Cannot run heald: the example is over"));
    const options = { env: this.#stage.env, cwd: this.#stage.home, timeout: COMMAND_MS_MAX };
    return new Promise((resolve, reject) => {
      execFile(process.execPath, [CLI, ...args], options, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`Cannot run heald ${args.join(" ")}: ${stderr.trim() || error.message}`));
      });
    });
  }

  async spawn({ id, type, task }: Player): Promise<void> {
    await this.heald("spawn", "--type", type, "--task-id", task, "--id", id);
  }

  /** From now on nothing is started: a story that was broken off may still be under way. */
  close(): void {
    this.#closed = true;
  }

  /** Signals the program of the worker's latest attempt, and only that very process. */
  signal(workerId: string, signal: NodeJS.Signals): void {
    const launch = this.launches(workerId).at(-1);
    const outcome = launch === undefined ? null : signalIdentity(launch, signal, "main");
    if (outcome?.answer !== "sent")
      throw new Error(`Cannot send ${signal} to ${workerId}: ${outcome?.why ?? outcome?.answer ?? "it never ran"}`);
  }

  /** Tells a worker to fail, once. */
  order(workerId: string): void {
    writeFileSync(join(this.#stage.ordersDir, workerId), "");
  }

  /** The active spec, or null. */
  spec(workerId: string): WorkerSpecRecord | null {
    return readJson(this.#stage.layout.activeSpec(workerId)) as WorkerSpecRecord | null;
  }

  /** What the monitor says of the worker, in its spec: healthy, busy, paused, … */
  state(workerId: string): string | null {
    return this.spec(workerId)?.heartbeat?.status ?? null;
  }

  isHealthy(workerId: string): boolean {
    return this.state(workerId) === "healthy";
  }

  /** The attempts that have ever run, oldest first. */
  launches(workerId: string): readonly LaunchFacts[] {
    const { launchesDir } = this.#stage.layout;
    return namesIn(launchesDir)
      .filter((name) => readAttemptName(name)?.workerId === workerId)
      .map((name) => readJson(join(launchesDir, name)))
      .filter((record) => typeof record?.pid === "number")
      .map((record) => record as unknown as LaunchFacts)
      .sort((a, b) => a.attempt - b.attempt);
  }

  /** All launches of all workers. */
  everyLaunch(): readonly LaunchFacts[] {
    const ids = new Set(namesIn(this.#stage.layout.launchesDir).map((name) => readAttemptName(name)?.workerId ?? ""));
    return [...ids].flatMap((id) => this.launches(id));
  }

  /** The requests to restart a worker, wherever they are by now: the attempt that ended, and what became of it. */
  requests(workerId: string): readonly { readonly attempt: number; readonly verdict: string | null }[] {
    const { queueDir, claimedDir, doneDir, failedRequestsDir, rejectedDir } = this.#stage.layout;
    return [queueDir, claimedDir, doneDir, failedRequestsDir, rejectedDir]
      .flatMap((folder) => namesIn(folder).map((name) => readJson(join(folder, name))))
      .filter((record) => record?.worker_id === workerId)
      .map((record) => ({
        attempt: Number(record?.attempt),
        verdict: typeof record?.verdict === "string" ? record.verdict : null,
      }));
  }

  /** The attempts whose outcome stands in the restart history. */
  history(workerId: string): readonly { readonly attempt: number; readonly result: string }[] {
    const { history } = this.#stage.layout;
    if (!existsSync(history)) return [];
    const lines = readFileSync(history, "utf8").split("\n").filter(Boolean);
    return lines
      .map((line) => JSON.parse(line) as { worker_id: string; attempt: number; result: string })
      .filter((line) => line.worker_id === workerId);
  }

  holds(): readonly string[] {
    return readdirSync(this.#stage.layout.holdsDir).filter((name) => !name.startsWith("."));
  }
}

function namesIn(folder: string): string[] {
  return existsSync(folder)
    ? readdirSync(folder).filter((name) => name.endsWith(".json") && !name.startsWith("."))
    : [];
}

/** The record, or null where there is none, or not yet a whole one. */
function readJson(path: string): Json | null {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Json;
  } catch {
    return null;
  }
}
