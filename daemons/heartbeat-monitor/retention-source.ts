/** What grows is kept within its limits: workers' output every ten seconds, expired records every ten minutes. @module */
import { every, type Schedule } from "../../lib/platform/schedule.js";
import { limitLog, pruneLogs } from "../../lib/platform/worker-log.js";
import type { DaemonContext, Source } from "../../lib/runtime/daemon.js";
import { writePrometheus } from "../../lib/store/metrics.js";
import { expire } from "../../lib/store/retention.js";
import type { Event, WorkerPart } from "./facts.js";
import type { HeartbeatSettings } from "./policy.js";

const MIB = 1_048_576;

export class RetentionSource implements Source {
  readonly name = "retention";
  readonly scanEverySeconds = 10;
  readonly #context: DaemonContext<Event, HeartbeatSettings>;
  #schedule: Schedule | null = null;

  constructor(context: DaemonContext<Event, HeartbeatSettings>) {
    this.#context = context;
  }

  start(): void {
    this.#schedule = every(
      "*/10 * * * *",
      undefined,
      () => this.#expire(),
      (error) => this.#context.log.warn({ cause: String(error) }, "what has expired could not be removed"),
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
      for (const [, worker] of this.#context.partsWith<WorkerPart>("worker:")) {
        const path = layout.workerLog(worker.worker_id, worker.spec.attempt);
        if (limitLog(path, limits.max_mb * MIB) !== "fits")
          log.info({ worker_id: worker.worker_id, path }, `output of ${worker.worker_id} was cut to its newest part`);
      }
      writePrometheus(layout);
    } catch (error) {
      log.warn({ cause: String(error) }, "workers' output could not be looked at; trying again in 10 s");
    }
  }

  #expire(): void {
    const { layout, log } = this.#context;
    const { settings } = this.#context.policy();
    const expired = expire(layout, "heartbeat-monitor", { zombieHours: settings.zombie_retention_hours }, Date.now());
    if (expired.removed > 0) log.info({ removed: expired.removed, why: expired.why }, "expired records were removed");
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
