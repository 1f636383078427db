/**
 * Counts the gaps between the beats of each worker, by the hour: what a backtest of other thresholds needs.
 *
 * A few dozen counters for each worker at most: gaps fall into the buckets of the phi detector's histogram.
 *
 * @module
 */
import { gapBucketMs, gapBucketOf } from "../../lib/domain/phi.js";

/** What one hour of one worker was. */
export interface HourOfGaps {
  readonly worker_id: string;
  readonly attempt: number | null;
  readonly hour_ms: number;
  /** The shortest gap of each bucket, in milliseconds, and how many gaps fell into it. */
  readonly buckets: readonly (readonly [fromMs: number, count: number])[];
}

interface Page {
  attempt: number | null;
  sequence: number | null;
  arrivedMonoMs: number;
  counts: Map<number, number>;
}

/** A beat, as far as gaps are concerned. */
export interface Arrival {
  readonly attempt: number | null;
  readonly sequence: number | null;
  readonly arrivedMonoMs: number;
  /** From when on the monitor has watched without a stall of its own; null where this beat was not seen arriving. */
  readonly watchedFromMonoMs: number | null;
}

const HOUR_MS = 3_600_000;
/** A jump in the sequence by more than this is a new count, not beats that went by between two looks. */
const SKIPPED_MAX = 1000;

export class GapBook {
  readonly #pages = new Map<string, Page>();
  #hourMs: number;

  constructor(nowMs: number) {
    this.#hourMs = hourOf(nowMs);
  }

  note(workerId: string, beat: Arrival): void {
    const page = this.#pages.get(workerId);
    if (page === undefined) {
      const { attempt, sequence, arrivedMonoMs } = beat;
      this.#pages.set(workerId, { attempt, sequence, arrivedMonoMs, counts: new Map() });
      return;
    }
    const gapMs = beat.arrivedMonoMs - page.arrivedMonoMs;
    const watched = beat.watchedFromMonoMs !== null && page.arrivedMonoMs >= beat.watchedFromMonoMs;
    if (watched && beat.attempt === page.attempt && gapMs > 0) {
      const beats = beatsBetween(page.sequence, beat.sequence);
      const bucket = gapBucketOf(gapMs / beats);
      page.counts.set(bucket, (page.counts.get(bucket) ?? 0) + beats);
    }
    Object.assign(page, { attempt: beat.attempt, sequence: beat.sequence, arrivedMonoMs: beat.arrivedMonoMs });
  }

  /** Forgets workers that are gone; what was counted of them is given back. */
  forgetOthers(present: ReadonlySet<string>): HourOfGaps[] {
    const hours: HourOfGaps[] = [];
    for (const [workerId, page] of this.#pages) {
      if (present.has(workerId)) continue;
      this.#pages.delete(workerId);
      if (page.counts.size > 0) hours.push(this.#hourOf(workerId, page));
    }
    return hours;
  }

  /** Takes out the counts of the hour that is over; none while it lasts. */
  turn(nowMs: number): HourOfGaps[] {
    if (hourOf(nowMs) === this.#hourMs) return [];
    const hours = this.takeAll();
    this.#hourMs = hourOf(nowMs);
    return hours;
  }

  /** Takes out all counts, as at the end. */
  takeAll(): HourOfGaps[] {
    const hours: HourOfGaps[] = [];
    for (const [workerId, page] of this.#pages) {
      if (page.counts.size === 0) continue;
      hours.push(this.#hourOf(workerId, page));
      page.counts = new Map();
    }
    return hours;
  }

  #hourOf(workerId: string, page: Page): HourOfGaps {
    const buckets = [...page.counts]
      .sort(([a], [b]) => a - b)
      .map(([bucket, count]) => [Math.round(gapBucketMs(bucket)), count] as const);
    return { worker_id: workerId, attempt: page.attempt, hour_ms: this.#hourMs, buckets };
  }
}

/** Of several beats between two looks only the last is seen; its sequence tells how many there were. */
function beatsBetween(before: number | null, after: number | null): number {
  if (before === null || after === null) return 1;
  const beats = after - before;
  return Number.isInteger(beats) && beats > 1 && beats <= SKIPPED_MAX ? beats : 1;
}

function hourOf(nowMs: number): number {
  return Math.floor(nowMs / HOUR_MS) * HOUR_MS;
}
