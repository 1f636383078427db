/**
 * Looks at the beats of a large fleet in rounds.
 *
 * A notification wakes the process several times for one beat, which costs more than the beat itself. Where many beats
 * come, one round every few seconds costs a third of that; and a deadline reads its beat once more before it speaks.
 *
 * @module
 */
import { thresholdsOf } from "../../lib/domain/thresholds.js";
import { now } from "../../lib/platform/clock.js";
import type { DaemonContext } from "../../lib/runtime/daemon.js";
import { piecemeal } from "../../lib/runtime/piecemeal.js";
import { settingsFor } from "../../lib/schema/policy.js";
import type { Event, FleetPart, WorkerPart } from "./facts.js";
import { monitoredCount } from "./fleet.js";
import type { HeartbeatSettings } from "./policy.js";

/** Beats a second above which rounds are cheaper than notifications, for a small fleet and for each worker of a large one. */
const BEATS_PER_SECOND = 3;
const BEATS_PER_SECOND_AND_WORKER = 1 / 100;
/** Seconds over which beats are counted. */
const COUNTED_SECONDS = 10;
/** A round in this part of the shortest interval. */
const SHARE_OF_INTERVAL = 1 / 6;
const EVERY_MS_MIN = 250;
const EVERY_MS_MAX = 5000;
/** A worker that has beaten is given this part of the shortest interval: looks before that would nearly all be in vain. */
const SHARE_LEFT_ALONE = 19 / 20;
/** For how long the period holds before the intervals are looked at again. */
const PERIOD_HOLDS_MS = 30_000;

export class BeatRounds {
  readonly #context: DaemonContext<Event, HeartbeatSettings>;
  readonly #look: (workerId: string) => void;
  #counts: number[] = [];
  #received = 0;
  #timer: NodeJS.Timeout | null = null;
  #stopped = true;
  #everyMs = EVERY_MS_MIN;
  #periodSetMonoMs = 0;
  #shortestMs = 0;
  #startedMonoMs = 0;

  constructor(context: DaemonContext<Event, HeartbeatSettings>, look: (workerId: string) => void) {
    this.#context = context;
    this.#look = look;
  }

  /** Counts the beats of one more second, and says whether they should be looked at in rounds from now on. */
  areWorthwhile(received: number): boolean {
    this.#counts = [...this.#counts, received - this.#received].slice(-COUNTED_SECONDS);
    this.#received = received;
    const fleet = this.#context.part<FleetPart>("fleet");
    const workers = fleet === null ? 0 : monitoredCount(fleet);
    const perSecond = this.#counts.reduce((sum, count) => sum + count, 0) / COUNTED_SECONDS;
    const limit = Math.max(BEATS_PER_SECOND, workers * BEATS_PER_SECOND_AND_WORKER);
    // Half the rate ends what the whole began, so that the two do not take turns.
    return perSecond > (this.#stopped ? limit : limit / 2);
  }

  get running(): boolean {
    return !this.#stopped;
  }

  start(): void {
    this.#stopped = false;
    this.#periodSetMonoMs = 0;
    this.#startedMonoMs = now().monoMs;
    this.#later();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
  }

  /** How long ago a changed beat may have come at most: after the latest look at it, which did not find it. */
  sinceMs(lookedMonoMs: number): number {
    return this.#stopped ? 0 : now().monoMs - Math.max(lookedMonoMs, this.#startedMonoMs);
  }

  #later(): void {
    this.#timer = setTimeout(() => this.#round(), this.#everyMs);
  }

  #round(): void {
    const beganMonoMs = now().monoMs;
    const workers = [...this.#context.partsWith<WorkerPart>("worker:").values()];
    if (beganMonoMs - this.#periodSetMonoMs >= PERIOD_HOLDS_MS) {
      this.#periodSetMonoMs = beganMonoMs;
      this.#everyMs = this.#periodMs(workers);
    }
    const startedMonoMs = this.#startedMonoMs;
    const isOver = (): boolean => this.#stopped || this.#startedMonoMs !== startedMonoMs;
    piecemeal(workers, {
      each: (worker) => {
        if (this.#mayHaveBeaten(worker, beganMonoMs)) this.#look(worker.worker_id);
      },
      done: () => this.#later(),
      within: (piece) => {
        if (isOver()) return false;
        piece();
        return true;
      },
      givenUp: () => undefined,
    });
  }

  #mayHaveBeaten({ last_beat: last }: WorkerPart, nowMonoMs: number): boolean {
    return last === null || nowMonoMs - last.arrived_mono_ms >= this.#shortestMs * SHARE_LEFT_ALONE;
  }

  #periodMs(workers: readonly WorkerPart[]): number {
    const policy = this.#context.policy();
    let shortestMs = EVERY_MS_MAX / SHARE_OF_INTERVAL;
    for (const { spec } of workers)
      shortestMs = Math.min(shortestMs, thresholdsOf(settingsFor(policy, spec.worker_type), spec.own).intervalMs);
    this.#shortestMs = shortestMs;
    return Math.max(EVERY_MS_MIN, Math.min(EVERY_MS_MAX, shortestMs * SHARE_OF_INTERVAL));
  }
}
