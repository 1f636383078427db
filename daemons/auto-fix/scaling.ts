/**
 * One more worker of a type, or one less: never a worker that somebody else has started is stopped.
 *
 * A worker is ours for as long as the wish that it runs is ours. Who writes another wish, with `heald stop` or by hand, has
 * taken the worker over. It is worker-restart that starts it, through its gates, and in its own control group.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import type { ActionOf } from "../../lib/schema/fix-actions.js";
import { isId, readInstant, writeInstant } from "../../lib/schema/primitives.js";
import type { WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import { readDesired, writeDesired } from "../../lib/store/desired.js";
import type { Layout } from "../../lib/store/layout.js";
import { SpecStore } from "../../lib/store/specs.js";
import { TemplateStore } from "../../lib/store/templates.js";
import { ActionFailed } from "./action-failed.js";
import { askFirstStart, askStartAgain } from "./requests.js";
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

/** Workers of one type that should be alive, and which of them are ours. */
export interface Wanted {
  readonly all: readonly WorkerSpecRecord[];
  readonly ours: readonly WorkerSpecRecord[];
}

/** Why a type has no room for one worker more or less; null if it has. */
export function whyNotScaled(action: Scale, scope: string, { all, ours }: Wanted): string | null {
  const count = all.length;
  if (action.type === "scale-up") {
    const most = action.max_workers ?? Math.max(1, (count - ours.length) * GROWTH_MAX);
    return count < most ? null : `${count} workers of ${scope} run, and ${most} is the most`;
  }
  if (ours.length === 0) return `no worker of ${scope} was started by scale-up, and others are not ours to stop`;
  const least = action.min_workers ?? LEAST;
  return count > least ? null : `${count} workers of ${scope} run, and ${least} is the least`;
}

/** A worker that somebody wants stopped is none any more. */
export function wantedOf(layout: Layout, specs: readonly WorkerSpecRecord[], nowMs: number): Wanted {
  const wishes = new Map(specs.map((spec) => [spec.worker_id, readDesired(layout, spec.worker_id, nowMs)]));
  const all = specs.filter((spec) => (wishes.get(spec.worker_id)?.state ?? "running") === "running");
  return { all, ours: all.filter((spec) => wishes.get(spec.worker_id)?.by === OURS) };
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
    const wanted = this.#wanted(scope);
    const why = whyNotScaled(action, scope, wanted);
    if (why !== null) throw new ActionFailed(why);
    return { worker_id: action.type === "scale-up" ? this.#freeId(scope) : newest(wanted.ours) };
  }

  up(run: RunPart, before: BeforeImage): string {
    const id = String(before.worker_id);
    if (this.#templates.resolve(run.scope).kind !== "ok")
      throw new ActionFailed(`nothing says how to start a ${run.scope}`);
    this.#want(id, "running", run, "scale-up");
    // Done again after a kill: it may have started by now.
    if (this.#specs.highestAttempt(id) === 0)
      askFirstStart(this.#layout, { workerId: id, workerType: run.scope }, run.run_id);
    return `${id} is asked for`;
  }

  /** As a person would with `heald stop`: its stop signal, its grace time. */
  down(run: RunPart, before: BeforeImage): string {
    const id = String(before.worker_id);
    this.#want(id, "stopped", run, "scale-down");
    return `${id} is to stop`;
  }

  undoUp(run: RunPart, before: BeforeImage): readonly string[] {
    const id = String(before.worker_id);
    const wish = readDesired(this.#layout, id, Date.now());
    if (wish !== null && wish.by !== OURS) return [`the desired state of ${id}`];
    this.#want(id, "stopped", run, "undo");
    return [];
  }

  /** Takes the wish back, and asks for the next attempt once the last one is over. */
  async undoDown(run: RunPart, before: BeforeImage): Promise<readonly string[]> {
    const id = String(before.worker_id);
    const wish = readDesired(this.#layout, id, Date.now());
    if (wish !== null && wish.by !== OURS) return [`the desired state of ${id}`];
    const graceMs = await this.#stopped(id);
    if (graceMs !== null) return [`${id}, which does not stop within ${Math.round(graceMs / 1000)} s,`];
    this.#want(id, "running", run, "undo");
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

  #want(id: string, state: "running" | "stopped", run: RunPart, what: string): void {
    if (readDesired(this.#layout, id, Date.now())?.state === state) return;
    const why = `${what} of ${run.run_id}`;
    writeDesired(this.#layout, id, { state, by: OURS, why, at: writeInstant(Date.now()) });
  }

  #wanted(scope: string): Wanted {
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
      const isFree = this.#specs.highestAttempt(id) === 0 && readDesired(this.#layout, id, Date.now()) === null;
      if (isFree) return id;
    }
  }
}

/** The one with the highest number, which is the one that was added last; a restart does not make a worker newer. */
function newest(ours: readonly WorkerSpecRecord[]): string {
  const numberOf = (spec: WorkerSpecRecord): number => Number(/\d+$/.exec(spec.worker_id)?.[0] ?? 0);
  const sorted = [...ours].sort(
    (a, b) => numberOf(a) - numberOf(b) || (readInstant(a.created_at) ?? 0) - (readInstant(b.created_at) ?? 0),
  );
  return sorted.at(-1)?.worker_id ?? "";
}
