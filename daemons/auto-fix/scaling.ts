/**
 * One more worker of a type, or one less: never a worker that somebody else has started is stopped.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import type { ActionOf } from "../../lib/schema/fix-actions.js";
import { isId, readInstant, writeInstant } from "../../lib/schema/primitives.js";
import type { Desired } from "../../lib/schema/records.js";
import type { WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import { readDesired, removeDesired, writeDesired } from "../../lib/store/desired.js";
import type { Layout } from "../../lib/store/layout.js";
import { SpecStore } from "../../lib/store/specs.js";
import { resolveAttempt, TemplateStore } from "../../lib/store/templates.js";
import { startAttempt } from "../../lib/targets/process.js";
import { ActionFailed } from "./action-failed.js";
import { askStartAgain } from "./requests.js";
import type { BeforeImage, RunPart } from "./state.js";

const OURS = "auto-fix";
/** Without a bound of its own a type grows to so many times the workers that people have started. */
const GROWTH_MAX = 2;
const LEAST = 1;
/** A worker that is being stopped has its own grace time; so long over it is waited for. */
const STOP_SLACK_MS = 10_000;
const GRACE_SECONDS = 30;
const LOOK_MS = 100;

type Scale = ActionOf<"scale-up"> | ActionOf<"scale-down">;

/** Why a type has no room for one worker more or less; null if it has. `workers`: those of the type that are wanted. */
export function whyNotScaled(action: Scale, scope: string, workers: readonly WorkerSpecRecord[]): string | null {
  const count = workers.length;
  const ours = workers.filter((spec) => spec.created_by === OURS).length;
  if (action.type === "scale-up") {
    const most = action.max_workers ?? Math.max(1, (count - ours) * GROWTH_MAX);
    return count < most ? null : `${count} workers of ${scope} run, and ${most} is the most`;
  }
  if (ours === 0) return `no worker of ${scope} was started by scale-up, and others are not ours to stop`;
  const least = action.min_workers ?? LEAST;
  return count > least ? null : `${count} workers of ${scope} run, and ${least} is the least`;
}

/** Those that should be alive: a worker that somebody wants stopped is none any more. */
export function wantedOf(layout: Layout, specs: readonly WorkerSpecRecord[], nowMs: number): WorkerSpecRecord[] {
  return specs.filter((spec) => (readDesired(layout, spec.worker_id, nowMs)?.state ?? "running") === "running");
}

export class Scaling {
  readonly #layout: Layout;
  readonly #specs: SpecStore;
  readonly #templates: TemplateStore;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.#specs = new SpecStore(layout);
    this.#templates = new TemplateStore(layout);
  }

  /** Whom the action is about. @throws {ActionFailed} If there is no room by now. */
  before(action: Scale, scope: string): BeforeImage {
    const workers = this.#wanted(scope);
    const why = whyNotScaled(action, scope, workers);
    if (why !== null) throw new ActionFailed(why);
    return { worker_id: action.type === "scale-up" ? this.#freeId(scope) : newest(workers) };
  }

  up(run: RunPart, before: BeforeImage): string {
    const workerId = String(before.worker_id);
    const found = this.#templates.resolve(run.scope);
    if (found.kind !== "ok") throw new ActionFailed(`nothing says how to start a ${run.scope}`);
    const record: WorkerSpecRecord = {
      worker_id: workerId,
      worker_type: run.scope,
      task_id: null,
      status: "pending",
      attempt: 1,
      created_at: writeInstant(Date.now()),
      created_by: OURS,
      run_id: run.run_id,
      ...resolveAttempt(found.template, { worker_id: workerId }),
    };
    const reading = this.#specs.createActive(record) ? null : this.#specs.readActive(workerId, Date.now());
    if (reading !== null && (reading.kind !== "ok" || reading.value.run_id !== run.run_id))
      throw new ActionFailed(`${workerId} is active already`);
    startAttempt(this.#layout, record);
    return `${workerId} is started`;
  }

  /** As a person would with `heald stop`: its stop signal, its grace time. */
  down(run: RunPart, before: BeforeImage): string {
    const id = String(before.worker_id);
    this.#want(id, run, "scale-down");
    return `${id} is to stop`;
  }

  undoUp(run: RunPart, before: BeforeImage): readonly string[] {
    const id = String(before.worker_id);
    const wish = readDesired(this.#layout, id, Date.now());
    if (wish !== null && wish.by !== OURS) return [`the wish for ${id}`];
    this.#want(id, run, "undo");
    return [];
  }

  /** Takes the wish back, and asks for the next attempt once the last one is over. */
  async undoDown(run: RunPart, before: BeforeImage): Promise<readonly string[]> {
    const id = String(before.worker_id);
    const wish = readDesired(this.#layout, id, Date.now());
    if (wish !== null && !isOf(wish, run)) return [`the wish for ${id}`];
    const graceMs = await this.#stopped(id);
    if (graceMs !== null) return [`${id}, which does not stop within ${Math.round(graceMs / 1000)} s,`];
    removeDesired(this.#layout, id);
    askStartAgain(this.#layout, { workerId: id, workerType: run.scope }, this.#specs.highestAttempt(id), run.run_id);
    return [];
  }

  /** Null once it is gone; else for how long it was waited. */
  async #stopped(id: string): Promise<number | null> {
    const reading = this.#specs.readActive(id, Date.now());
    if (reading.kind !== "ok") return null;
    const limitMs = (reading.value.launch?.stop?.grace_seconds ?? GRACE_SECONDS) * 1000 + STOP_SLACK_MS;
    const untilMs = performance.now() + limitMs;
    while (performance.now() < untilMs) {
      if (this.#specs.readActive(id, Date.now()).kind === "absent") return null;
      // Nobody waits for a daemon that is told to stop: the step is made again at its next start.
      await pause(LOOK_MS, undefined, { ref: false });
    }
    return limitMs;
  }

  #want(id: string, run: RunPart, what: string): void {
    const wish = readDesired(this.#layout, id, Date.now());
    if (wish?.state === "stopped") return;
    const why = `${what} of ${run.run_id}`;
    writeDesired(this.#layout, id, { state: "stopped", by: OURS, why, at: writeInstant(Date.now()) });
  }

  #wanted(scope: string): WorkerSpecRecord[] {
    const nowMs = Date.now();
    const typed = this.#specs.listActive().flatMap((id) => {
      const reading = this.#specs.readActive(id, nowMs);
      return reading.kind === "ok" && reading.value.worker_type === scope ? [reading.value] : [];
    });
    return wantedOf(this.#layout, typed, nowMs);
  }

  #freeId(scope: string): string {
    const stem = `worker-${scope.replace(/-worker$/, "")}-fix-`;
    for (let number = 1; ; number++) {
      const id = `${stem}${number}`;
      if (!isId(id)) throw new ActionFailed(`${scope} is too long for another worker's id`);
      if (this.#specs.highestAttempt(id) === 0) return id;
    }
  }
}

const isOf = (wish: Desired, run: RunPart): boolean => wish.by === OURS && wish.why === `scale-down of ${run.run_id}`;

/** The worker of ours that was started last; of two in the same second the one with the higher number. */
function newest(workers: readonly WorkerSpecRecord[]): string {
  const numberOf = (spec: WorkerSpecRecord): number => Number(/\d+$/.exec(spec.worker_id)?.[0] ?? 0);
  const ours = workers
    .filter((spec) => spec.created_by === OURS)
    .sort((a, b) => numberOf(a) - numberOf(b) || (readInstant(a.created_at) ?? 0) - (readInstant(b.created_at) ?? 0));
  return ours.at(-1)?.worker_id ?? "";
}
