/** Probes for programs that cannot beat: each success counts as a beat, each failure as silence. @module */
import { statSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import { isAbsolute, join } from "node:path";
import { now } from "../../lib/platform/clock.js";
import { runProgram } from "../../lib/platform/programs.js";
import { everySeconds } from "../../lib/platform/seconds.js";
import { type Bulkhead, bulkhead } from "../../lib/platform/tasks.js";
import type { DaemonContext, Source } from "../../lib/runtime/daemon.js";
import { settingsFor } from "../../lib/schema/policy.js";
import type { Probe } from "../../lib/schema/worker-spec.js";
import { SpecStore } from "../../lib/store/specs.js";
import type { Event, WorkerPart } from "./facts.js";
import type { HeartbeatSettings } from "./policy.js";
import { Shelter } from "./shelter.js";

const ROUND_SECONDS = 1;
const CONCURRENT_PROBES = 8;
const TIMEOUT_SECONDS = 5;

export class ProbeSource implements Source {
  readonly name = "probes";
  readonly #context: DaemonContext<Event, HeartbeatSettings>;
  readonly #specs: SpecStore;
  readonly #shelter: Shelter;
  readonly #pool: Bulkhead = bulkhead(CONCURRENT_PROBES);
  /** When each worker is asked next, on the clock that nobody sets: its silence counts on it too. */
  readonly #nextMonoMs = new Map<string, number>();
  #endRounds: () => void = () => {};
  #sequence = 0;

  constructor(context: DaemonContext<Event, HeartbeatSettings>) {
    this.#context = context;
    this.#specs = new SpecStore(context.layout);
    this.#shelter = new Shelter(context);
  }

  start(): void {
    this.#endRounds = everySeconds(ROUND_SECONDS, () => this.#shelter.run("asking probes", () => this.#round()));
  }

  stop(): void {
    this.#endRounds();
  }

  #round(): void {
    const { monoMs, atMs } = now();
    const asked = new Set<string>();
    for (const worker of this.#context.partsWith<WorkerPart>("worker:").values()) {
      if (!worker.spec.probe) continue;
      const workerId = worker.worker_id;
      asked.add(workerId);
      if (worker.ending !== null || monoMs < (this.#nextMonoMs.get(workerId) ?? 0)) continue;
      const reading = this.#specs.readActive(workerId, atMs);
      const probe = reading.kind === "ok" ? reading.value.probe : null;
      if (!probe) continue;
      const interval =
        probe.interval_seconds ??
        settingsFor(this.#context.policy(), worker.spec.worker_type).heartbeat_interval_seconds;
      this.#nextMonoMs.set(workerId, monoMs + interval * 1000);
      void this.#pool.run(() => this.#ask(workerId, worker.spec.attempt, probe));
    }
    for (const workerId of this.#nextMonoMs.keys()) if (!asked.has(workerId)) this.#nextMonoMs.delete(workerId);
  }

  async #ask(workerId: string, attempt: number, probe: Probe): Promise<void> {
    const answered = await probeOnce(probe, this.#context.layout.home.home);
    if (!answered) return;
    this.#sequence += 1;
    const beat = {
      attempt,
      sequence: this.#sequence,
      reported: null,
      progress: null,
      pid: null,
      age_ms: 0,
      key: `probe:${this.#sequence}`,
    };
    this.#context.offer({ kind: "beat", worker_id: workerId, beat });
  }
}

/** Asks once. Never throws: a program that does not answer is what a probe is for, and so is one that cannot be asked. */
export async function probeOnce(probe: Probe, home: string): Promise<boolean> {
  try {
    return await ask(probe, home);
  } catch {
    return false; // An address that is none, a port out of range, a path that may not be read: no answer.
  }
}

async function ask(probe: Probe, home: string): Promise<boolean> {
  const timeoutMs = (probe.timeout_seconds ?? TIMEOUT_SECONDS) * 1000;
  switch (probe.kind) {
    case "http":
      return probe.url ? askHttp(probe.url, timeoutMs) : false;
    case "tcp":
      return probe.address ? askTcp(probe.address, timeoutMs) : false;
    case "command": {
      if (!probe.command) return false;
      const result = await runProgram(probe.command, probe.args ?? [], { cwd: home, timeoutMs });
      return result.exitCode === 0;
    }
    case "file": {
      if (!probe.path) return false;
      const stat = statSync(isAbsolute(probe.path) ? probe.path : join(home, probe.path), { throwIfNoEntry: false });
      return stat !== undefined && Date.now() - stat.mtimeMs <= (probe.max_age_seconds ?? 60) * 1000;
    }
  }
}

function askHttp(url: string, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const send = url.startsWith("https:") ? httpsRequest : httpRequest;
    const request = send(url, { timeout: timeoutMs, headers: { connection: "close" } }, (response) => {
      response.resume();
      resolve((response.statusCode ?? 500) < 400);
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(false));
    request.end();
    setTimeout(() => request.destroy(), timeoutMs).unref();
  });
}

function askTcp(address: string, timeoutMs: number): Promise<boolean> {
  const colon = address.lastIndexOf(":");
  return new Promise((resolve) => {
    const socket = connect({
      host: address.slice(0, colon).replace(/^\[|\]$/g, ""),
      port: Number(address.slice(colon + 1)),
      timeout: timeoutMs,
    });
    const finish = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.on("connect", () => finish(true));
    socket.on("timeout", () => finish(false));
    socket.on("error", () => finish(false));
  });
}
