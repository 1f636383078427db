/**
 * Restarts workers one after another; the first that is not well is the last.
 *
 * Nothing is remembered of how far it came: a worker whose attempt was made from the template as it is now, or that is in
 * another attempt than when the fix was decided, needs no restart. So what a kill has cut off goes on where it was.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { readTail } from "../../lib/platform/files.js";
import { isId } from "../../lib/schema/primitives.js";
import type { WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import { readDesired } from "../../lib/store/desired.js";
import { jsonNamesIn, namesIn } from "../../lib/store/entries.js";
import type { Layout } from "../../lib/store/layout.js";
import { attemptOf, SpecStore } from "../../lib/store/specs.js";
import { TemplateStore } from "../../lib/store/templates.js";
import { ActionFailed } from "./action-failed.js";
import { askRestart, letThrough } from "./requests.js";
import { wantedOf } from "./scaling.js";

/** A worker that is not well by then holds the roll up: its grace time, its start, and the time in which it proves itself. */
export const ROLL_MS_MAX = 180_000;
const LOOK_MS = 250;
const HISTORY_TAIL_BYTES = 256 * 1024;

/** In which attempt each worker ran when the fix was decided. */
export type Attempts = Readonly<Record<string, number>>;

export interface Round {
  readonly run_id: string;
  readonly attempts: Attempts;
  /** For each worker, milliseconds. */
  readonly limitMs: number;
}

export interface Roll {
  readonly run_id: string;
  readonly scope: string;
  /** For each worker, milliseconds. */
  readonly limitMs: number;
  /** Asked before each worker: whether the fix is taken back meanwhile. */
  readonly isOff: () => boolean;
}

/** A worker that was just started is well for a moment, whatever becomes of it: what counts is that its attempt has proved itself. */
type Outcome = "well" | "failed" | "left";

export class Rolling {
  readonly #layout: Layout;
  readonly #specs: SpecStore;
  readonly #templates: TemplateStore;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.#specs = new SpecStore(layout);
    this.#templates = new TemplateStore(layout);
  }

  /** How many workers it restarted. @throws {ActionFailed} At the first that is not well; those after it are left as they are. */
  async roll(roll: Roll): Promise<number> {
    const seen = new Set<string>();
    for (let count = 0; ; count++) {
      const next = roll.isOff() ? undefined : this.#behind(roll.scope).find((spec) => !seen.has(spec.worker_id));
      if (next === undefined) return count;
      seen.add(next.worker_id);
      await this.#restart(next, roll, count);
    }
  }

  /**
   * Lets those through that have used up their restarts with a template that is not the one of now: they died of a change that
   * was taken back.
   */
  release(runId: string, scope: string): void {
    const hash = this.#hashOf(scope);
    for (const name of jsonNamesIn(this.#layout.queueDir)) {
      const id = name.replace(/-restart\.json$/, "");
      const last = isId(id) ? this.#specs.latestEvidence(id) : null;
      if (last?.worker_type === scope && last.template_hash !== hash)
        letThrough(this.#layout, id, runId, "fix_undone", Date.now());
    }
  }

  /** Restarts each worker that is still in its attempt. @throws {ActionFailed} As `roll`. */
  async round({ attempts, ...round }: Round): Promise<void> {
    for (const [count, [id, attempt]] of Object.entries(attempts).entries()) {
      const reading = this.#specs.readActive(id, Date.now());
      // Between two attempts, and asked for before a kill: it is waited for all the same.
      if (reading.kind !== "ok" && !this.#isAskedFor(id)) continue;
      const spec = { ...(reading.kind === "ok" ? reading.value : { worker_id: id }), attempt };
      await this.#restart(spec, { ...round, isOff: () => false }, count);
    }
  }

  async #restart(
    spec: WorkerSpecRecord,
    roll: Pick<Roll, "run_id" | "limitMs" | "isOff">,
    before: number,
  ): Promise<void> {
    const { worker_id: id } = spec;
    const attempt = attemptOf(spec);
    const isNext = this.#specs.highestAttempt(id) > attempt;
    if (!isNext) askRestart(this.#layout, spec, roll.run_id, "auto_fix", Date.now());
    const untilMs = performance.now() + roll.limitMs;
    while (performance.now() < untilMs) {
      const outcome = this.#outcomeOf(id, attempt);
      if (outcome === "well" || outcome === "left") return;
      if (outcome === "failed") throw new ActionFailed(stopped(`${id} did not come back well`, before));
      if (roll.isOff()) return;
      // Nobody waits for a daemon that is told to stop: the roll goes on at its next start.
      await pause(LOOK_MS, undefined, { ref: false });
    }
    throw new ActionFailed(stopped(`${id} is not well after ${Math.ceil(roll.limitMs / 1000)} s`, before));
  }

  /** Workers that run, and whose attempt was made from another template than there is now. */
  #behind(scope: string): WorkerSpecRecord[] {
    const nowMs = Date.now();
    const hash = this.#hashOf(scope);
    const typed = this.#specs.listActive().flatMap((id) => {
      const reading = this.#specs.readActive(id, nowMs);
      return reading.kind === "ok" && reading.value.worker_type === scope ? [reading.value] : [];
    });
    return wantedOf(this.#layout, typed, nowMs).all.filter((spec) => spec.template_hash !== hash);
  }

  #hashOf(scope: string): string | null {
    const found = this.#templates.resolve(scope, Date.now());
    return found.kind === "ok" ? found.hash : null;
  }

  /** What became of the attempts after `attempt`; null while it is not known. */
  #outcomeOf(id: string, attempt: number): Outcome | null {
    for (const line of readTail(this.#layout.history, HISTORY_TAIL_BYTES).split("\n").reverse()) {
      const told = line.includes(id) ? parsed(line) : null;
      if (told?.worker_id !== id || Number(told.attempt) <= attempt) continue;
      return told.result === "success" ? "well" : "failed";
    }
    const nowMs = Date.now();
    // Finished, or stopped by a person: nobody waits for it.
    if ((readDesired(this.#layout, id, nowMs)?.state ?? "running") !== "running") return "left";
    return this.#isAskedFor(id) || this.#specs.readActive(id, nowMs).kind !== "absent" ? null : "left";
  }

  #isAskedFor(id: string): boolean {
    const name = `${id}-restart`;
    return (
      existsSync(this.#layout.queueRequest(id)) ||
      namesIn(this.#layout.claimedDir).some((each) => each === `${name}.json` || each.startsWith(`${name}.`))
    );
  }
}

function stopped(why: string, before: number): string {
  const done = before === 0 ? "it was the first" : `${before} before it are restarted`;
  return `the rolling restart has stopped: ${why} (${done}, those after it are left alone)`;
}

interface Told {
  readonly worker_id?: unknown;
  readonly attempt?: unknown;
  readonly result?: unknown;
}

function parsed(line: string): Told | null {
  try {
    return JSON.parse(line) as Told;
  } catch {
    return null; // Cut by the limit, or torn.
  }
}
