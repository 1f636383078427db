/**
 * Workers' output is kept within its limits: 300 logs every ten seconds, old attempts' logs every ten minutes, or
 * every hour while nobody is started or ends and there is much room.
 *
 * @module
 */
import { systemCode } from "../../lib/errors.js";
import { every, type Schedule } from "../../lib/platform/schedule.js";
import { limitLog, pruningLogs } from "../../lib/platform/worker-log.js";
import type { DaemonContext, Source } from "../../lib/runtime/daemon.js";
import { inPieces } from "../../lib/runtime/piecemeal.js";
import { Shelter } from "../../lib/runtime/shelter.js";
import { writePrometheus } from "../../lib/store/metrics.js";
import type { Event, WorkerPart } from "./facts.js";
import type { HeartbeatSettings } from "./policy.js";

const MIB = 1_048_576;
/** Of so many times ten minutes in which nothing has changed old output is looked through once. */
const PASSED_OVER_MAX = 6;
/** Running workers' output grows too: above this share of its limit all is looked through each time. */
const NEAR_LIMIT = 1 / 2;
/** Logs looked at in one scan; those of a large fleet take several. */
const LOGS_AT_ONCE = 300;

const WRITING_PROM = "writing heald.prom";

function keepingLogOf(workerId: string): string {
  return `keeping the output of ${workerId} within its limit`;
}

export class OutputSource implements Source {
  readonly name = "output";
  readonly scanEverySeconds = 10;
  readonly #context: DaemonContext<Event, HeartbeatSettings>;
  #schedule: Schedule | null = null;
  #stopped = false;
  #cursor = 0;
  /** The fleet and its limits when old output was last asked for, and how often that was since they changed. */
  #known = "";
  #passedOver = 0;
  /** All output together may be too much soon, or could not be made less. */
  #isNearLimit = false;
  /** What is in one log's way, whatever it is, must not stop the others. */
  readonly #shelter: Shelter;

  constructor(context: DaemonContext<Event, HeartbeatSettings>) {
    this.#context = context;
    this.#shelter = new Shelter(context.log, systemCode);
  }

  start(): void {
    this.#schedule = every(
      "*/10 * * * *",
      undefined,
      () => this.prune(),
      (error) => this.#context.log.warn({ cause: String(error) }, "old output could not be looked at"),
    );
  }

  stop(): void {
    this.#stopped = true;
    this.#schedule?.stop();
  }

  /** Keeps the output of running workers within `log.max_mb`. */
  scan(): void {
    const workers = [...this.#context.partsWith<WorkerPart>("worker:").values()];
    if (this.#cursor >= workers.length) this.#cursor = 0;
    const looked = workers.slice(this.#cursor, this.#cursor + LOGS_AT_ONCE);
    this.#cursor += LOGS_AT_ONCE;
    for (const worker of looked) this.#limit(worker);
    this.#shelter.run(WRITING_PROM, () => writePrometheus(this.#context.layout));
    if (this.#cursor < workers.length) return;
    const present = new Set([WRITING_PROM, ...workers.map(({ worker_id }) => keepingLogOf(worker_id))]);
    this.#shelter.forget((what) => !present.has(what));
  }

  #limit({ worker_id, spec }: WorkerPart): void {
    const { layout, log } = this.#context;
    const path = layout.workerLog(worker_id, spec.attempt);
    this.#shelter.run(keepingLogOf(worker_id), () => {
      if (limitLog(path, this.#context.policy().settings.log.max_mb * MIB) !== "fits")
        log.info({ worker_id, path }, `output of ${worker_id} was cut to its newest part`);
    });
  }

  /** Old output comes with new attempts. To look through it costs as much as ten seconds of all else, and mostly finds nothing. */
  #mayBeTooMuch(): boolean {
    const attempts: string[] = [];
    for (const { worker_id, spec } of this.#context.partsWith<WorkerPart>("worker:").values())
      attempts.push(`${worker_id} ${spec.attempt}`);
    const known = JSON.stringify([attempts.sort(), this.#context.policy().settings.log]);
    this.#passedOver = known === this.#known ? this.#passedOver + 1 : 0;
    this.#known = known;
    return this.#isNearLimit || this.#passedOver % PASSED_OVER_MAX === 0;
  }

  /** Every ten minutes: removes old output that is too much, if there may be any. */
  async prune(): Promise<void> {
    if (!this.#mayBeTooMuch()) return;
    const { layout, log } = this.#context;
    const { settings } = this.#context.policy();
    const isRunning = (workerId: string, attempt: number): boolean =>
      this.#context.part<WorkerPart>(`worker:${workerId}`)?.spec.attempt === attempt;
    const limits = { keepAttempts: settings.log.keep_attempts, totalBytes: settings.log.total_mb * MIB };
    // Until it was done without fault, it is to be done at the next time.
    this.#isNearLimit = true;
    const pruned = await inPieces(pruningLogs(layout.workerLogsDir, limits, isRunning), () => this.#stopped);
    if (pruned === null) return;
    this.#isNearLimit = pruned.failures.length > 0 || pruned.leftBytes > limits.totalBytes * NEAR_LIMIT;
    if (pruned.removed.length > 0)
      log.info({ removed: pruned.removed.length, freed_bytes: pruned.freedBytes }, "old output of workers was removed");
    for (const failure of pruned.failures)
      log.warn({ path: failure.path, cause: String(failure.cause) }, "old output could not be removed");
  }
}
