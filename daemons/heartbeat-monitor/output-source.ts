/** Workers' output is kept within its limits: 300 logs every ten seconds, old attempts' logs every ten minutes. @module */
import { systemCode } from "../../lib/errors.js";
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
  /** Workers whose log could not be cut, and the code that was said of it. */
  readonly #troubles = new Map<string, string>();

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
    const workers = [...this.#context.partsWith<WorkerPart>("worker:").values()];
    if (this.#cursor >= workers.length) this.#cursor = 0;
    const looked = workers.slice(this.#cursor, this.#cursor + LOGS_AT_ONCE);
    this.#cursor += LOGS_AT_ONCE;
    for (const worker of looked) this.#limit(worker);
    this.#guarded("heald.prom", "heald.prom could not be written", () => writePrometheus(this.#context.layout));
    if (this.#cursor < workers.length) return;
    const present = new Set(workers.map(({ worker_id }) => worker_id));
    for (const what of this.#troubles.keys())
      if (what !== "heald.prom" && !present.has(what)) this.#troubles.delete(what);
  }

  #limit({ worker_id, spec }: WorkerPart): void {
    const { layout, log } = this.#context;
    const path = layout.workerLog(worker_id, spec.attempt);
    this.#guarded(worker_id, `output of ${worker_id} cannot be kept within its limit`, () => {
      if (limitLog(path, this.#context.policy().settings.log.max_mb * MIB) !== "fits")
        log.info({ worker_id, path }, `output of ${worker_id} was cut to its newest part`);
    });
  }

  /** What is in one log's way must not stop the others. Said once for each code, and tried again in 10 s. */
  #guarded(what: string, sentence: string, action: () => void): void {
    try {
      action();
      this.#troubles.delete(what);
    } catch (error) {
      const code = systemCode(error);
      if (code === null) throw error;
      if (this.#troubles.get(what) !== code)
        this.#context.log.warn({ what, code, cause: String(error) }, `${sentence}; trying again in 10 s`);
      this.#troubles.set(what, code);
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
