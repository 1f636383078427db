/** What people steer by (holds, wishes, templates), what becomes of attempts, and the worker's own files. @module */

import { FileWatch } from "../../lib/platform/file-watch.js";
import { weatherCode } from "../../lib/platform/files.js";
import { watchDirectoryAtLeisure } from "../../lib/platform/leisure.js";
import { type Watch, watchDirectory } from "../../lib/platform/watching.js";
import type { Source } from "../../lib/runtime/daemon.js";
import { readAttemptName } from "../../lib/schema/worker-spec.js";
import { rotateHistory } from "../../lib/store/history.js";
import { identityOfLaunch, launchedAtMs, launchOf } from "../../lib/targets/attempts.js";
import { areAllTaken } from "./places.js";
import { type Context, type QueueSource, SPEC_GATES } from "./queue-source.js";
import type { FleetPart, WorkerPart } from "./state.js";

const TICKS_PER_SWEEP = 3600;

export class SteeringSource implements Source {
  readonly name = "steering";
  readonly scanEverySeconds = 1;
  readonly #context: Context;
  readonly #queue: QueueSource;
  #watches: Watch[] = [];
  readonly #files: FileWatch;
  /** Stands only while a request waits for an active spec to go. */
  #specs: Watch | null = null;
  #isDue = false;
  #ticks = 0;

  constructor(context: Context, queue: QueueSource) {
    this.#context = context;
    this.#queue = queue;
    const onError = (error: unknown): void =>
      context.log.warn({ cause: String(error) }, "a worker's files cannot be watched; they are looked at each second");
    this.#files = new FileWatch(() => queue.pollFiles(), onError);
  }

  start(): void {
    const { layout, log } = this.#context;
    const onError = (error: unknown): void =>
      log.warn({ cause: String(error) }, "a folder cannot be watched; it is looked at each minute");
    const steering = [layout.holdsDir, layout.desiredDir, layout.templatesDir];
    this.#watches = [
      ...steering.map((folder) => watchDirectory(folder, () => this.#soon(), onError)),
      watchDirectoryAtLeisure(layout.launchesDir, (name) => this.#launchChanged(name), onError, {
        isUrgent: () => areAllTaken(this.#context.part<FleetPart>("fleet"), this.#context.policy()),
      }),
    ];
    this.#queue.onWaitsForSpec = () => this.#followSpecs();
    if (this.#queue.waitsForSpec()) this.#followSpecs();
    for (const [worker_id, { worker_type, task_id }] of [...this.#workers()])
      this.#context.offer({ kind: "resume", worker_id, worker_type, task_id });
    this.#lookAtLaunches();
  }

  /** Each second: the files of those that wait for a change of them; now and then everything. */
  scan(): void {
    this.#ticks += 1;
    this.#queue.pollFiles();
    this.#files.set(this.#queue.waitedFor());
    if (this.#specs !== null && !this.#queue.waitsForSpec()) this.#leaveSpecs();
    if (this.#ticks % 5 === 0) this.#lookAtLaunches();
    if (this.#ticks % 60 === 0) this.#queue.lookAtWaiting();
    if (this.#ticks % TICKS_PER_SWEEP === 0) this.#sweep();
  }

  stop(): void {
    for (const watch of this.#watches) watch.close();
    this.#leaveSpecs();
    this.#files.close();
  }

  /**
   * Watches the active specs, as long as somebody waits for one of them to go: the folder changes three times with each
   * restart, and every change of a watched folder wakes this process.
   */
  #followSpecs(): void {
    if (this.#specs !== null) return;
    const { layout, log } = this.#context;
    this.#specs = watchDirectory(
      layout.activeDir,
      (name) => this.#activeChanged(name),
      (error) => log.warn({ cause: String(error) }, "a folder cannot be watched; it is looked at each minute"),
    );
    // It may have gone before the watch stood.
    this.#soon();
  }

  #leaveSpecs(): void {
    this.#specs?.close();
    this.#specs = null;
  }

  /** One look for all changes of one moment. */
  #soon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.#queue.lookAtWaiting();
    });
  }

  /** A request may wait for a worker's old spec to go. */
  #activeChanged(name: string | null): void {
    const workerId = name?.replace(/\.json$/, "") ?? null;
    const part = workerId === null ? null : this.#context.part<WorkerPart>(`worker:${workerId}`);
    if (part !== null && SPEC_GATES.has(part.waiting?.gate ?? ""))
      this.#queue.lookAtWaiting((each) => each.waiting?.name === part.waiting?.name);
  }

  #launchChanged(name: string | null): void {
    if (name === null) return this.#lookAtLaunches();
    const attempt = readAttemptName(name);
    const part = attempt === null ? null : this.#context.part<WorkerPart>(`worker:${attempt.workerId}`);
    if (attempt !== null && part !== null && part.run?.attempt === attempt.attempt)
      this.#lookAtLaunch(attempt.workerId, part);
  }

  #lookAtLaunches(): void {
    for (const [workerId, part] of [...this.#workers()]) this.#lookAtLaunch(workerId, part);
  }

  #lookAtLaunch(workerId: string, part: WorkerPart): void {
    const { run, worker_type, task_id } = part;
    if (run === null || run.launched_at_ms !== null) return;
    try {
      const launch = launchOf(this.#context.layout, workerId, run.attempt, Date.now());
      if (launch === null || identityOfLaunch(launch) === null) return;
      const at_ms = launchedAtMs(launch) ?? Date.now();
      this.#context.offer({ kind: "launched", worker_id: workerId, worker_type, task_id, attempt: run.attempt, at_ms });
    } catch (error) {
      // Looked at again within five seconds.
      if (weatherCode(error) === null) throw error;
    }
  }

  #sweep(): void {
    const { layout, log } = this.#context;
    for (const [worker_id, { worker_type, task_id }] of [...this.#workers()])
      this.#context.offer({ kind: "sweep", worker_id, worker_type, task_id });
    try {
      rotateHistory(layout, Date.now());
    } catch (error) {
      log.warn({ cause: String(error) }, "the history could not be rotated; trying again in an hour");
    }
  }

  #workers(): Iterable<readonly [string, WorkerPart]> {
    return this.#context.partsWith<WorkerPart>("worker:");
  }
}
