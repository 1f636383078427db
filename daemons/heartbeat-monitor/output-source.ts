/** Workers' output is kept within its limits: 300 logs every ten seconds, old attempts' logs every ten minutes. @module */
import { every, type Schedule } from "../../lib/platform/schedule.js";
import { limitLog, pruneLogs } from "../../lib/platform/worker-log.js";
import type { DaemonContext, Source } from "../../lib/runtime/daemon.js";
import { writePrometheus } from "../../lib/store/metrics.js";
import type { Event, WorkerPart } from "./facts.js";
import type { HeartbeatSettings } from "./policy.js";

const MIB = 1_048_576;
/** Logs looked at in one scan; those of a large fleet take several. */
const LOGS_AT_ONCE = 300;

export class OutputSource implements Source {
  readonly name = "output";
  readonly scanEverySeconds = 10;
  readonly #context: DaemonContext<Event, HeartbeatSettings>;
  #schedule: Schedule | null = null;
  #cursor = 0;

  constructor(context: DaemonContext<Event, HeartbeatSettings>) {
    this.#context = context;
  }

  start(): void {
    this.#schedule = every(
      "*/10 * * * *",
      undefined,
      () => this.#prune(),
      (error) => this.#context.log.warn({ cause: String(error) }, "old output could not be looked at"),
    );
  }

  stop(): void {
    this.#schedule?.stop();
  }

  /** Keeps the output of running workers within `log.max_mb`. */
  scan(): void {
    const { layout, log } = this.#context;
    const limits = this.#context.policy().settings.log;
    try {
      const workers = [...this.#context.partsWith<WorkerPart>("worker:")];
      if (this.#cursor >= workers.length) this.#cursor = 0;
      for (const [, worker] of workers.slice(this.#cursor, this.#cursor + LOGS_AT_ONCE)) {
        const path = layout.workerLog(worker.worker_id, worker.spec.attempt);
        if (limitLog(path, limits.max_mb * MIB) !== "fits")
          log.info({ worker_id: worker.worker_id, path }, `output of ${worker.worker_id} was cut to its newest part`);
      }
      this.#cursor += LOGS_AT_ONCE;
      writePrometheus(layout);
    } catch (error) {
      log.warn({ cause: String(error) }, "workers' output could not be looked at; trying again in 10 s");
    }
  }

  #prune(): void {
    const { layout, log } = this.#context;
    const { settings } = this.#context.policy();
    const isRunning = (workerId: string, attempt: number): boolean =>
      this.#context.part<WorkerPart>(`worker:${workerId}`)?.spec.attempt === attempt;
    const pruned = pruneLogs(
      layout.workerLogsDir,
      { keepAttempts: settings.log.keep_attempts, totalBytes: settings.log.total_mb * MIB },
      isRunning,
    );
    if (pruned.removed.length > 0)
      log.info({ removed: pruned.removed.length, freed_bytes: pruned.freedBytes }, "old output of workers was removed");
    for (const failure of pruned.failures)
      log.warn({ path: failure.path, cause: String(failure.cause) }, "old output could not be removed");
  }
}
