/** What worker-restart knows: one part for each worker, worker type and task, and one for the fleet. Plain JSON. @module */
import { BREAKER_CLOSED, type BreakerState } from "../../lib/domain/breaker-state.js";
import { POISON_NONE, type PoisonState } from "../../lib/domain/poison.js";

/** A request that waits, or is being carried out. */
export interface Waiting {
  /** Its file's name in `restart/queue/`. */
  readonly name: string;
  readonly incident_id: string;
  readonly filed_at_ms: number;
  /** `ending`: it has its verdict and is being taken out of the queue. */
  readonly phase: "waiting" | "hook" | "starting" | "ending";
  /** The gate that it waits for; null before the first answer. */
  readonly gate: string | null;
  readonly next_at_ms: number | null;
  /** A start that failed is not tried again before this, also where it spends no retry; missing if there is none. */
  readonly pause_until_ms?: number;
  /** How often it was put off. */
  readonly count: number;
  /** The worker's own files as they were when it was first put off; a change ends the wait for `exit_class`. */
  readonly files: string | null;
  readonly hook_passed: boolean;
  /** Whether a person was told that it is not known how to start the worker. */
  readonly escalated: boolean;
  /** The attempt that is being started, and the id that names the start in its spec. */
  readonly start: Start | null;
  /** Whether its start took something from the worker's account. */
  readonly spent: boolean;
}

export interface Start {
  readonly attempt: number;
  readonly start_id: string;
  /** What it overwrote, so that a start that never was can give it back. Missing in what an older version kept. */
  readonly before?: Before;
}

export interface Before {
  /** When the start was decided upon: what it added to the limits stands there under this. */
  readonly at_ms: number;
  readonly exhausted: WorkerPart["exhausted"];
  readonly last_delay_ms: number;
  readonly task_last_start_ms: number | null;
}

/** The latest attempt that was started from here. */
export interface Run {
  readonly attempt: number;
  readonly claimed: string;
  readonly incident_id: string;
  readonly requested_at_ms: number;
  readonly started_at_ms: number;
  /** When its program was seen to run. */
  readonly launched_at_ms: number | null;
  readonly succeeded_at_ms: number | null;
  readonly looks: number;
}

/** The attempt that we end ourselves because a person wants the worker restarted. */
export interface EndingOld {
  readonly attempt: number;
  /** When that began, to be compared with its launch. */
  readonly since_ms: number;
  /**
   * The same by the clock that never steps, from which its grace is counted. It is good after a restart of the daemon;
   * after one of the host no process of the attempt is left. Missing in what an older version kept, and once the
   * request for it was taken back.
   */
  readonly since_mono_ms?: number;
}

export interface WorkerPart {
  readonly worker_type: string;
  readonly task_id: string | null;
  readonly waiting: Waiting | null;
  readonly run: Run | null;
  /** Automatic restarts since the last stable run. */
  readonly attempts: number;
  /** Automatic restarts ever. */
  readonly lifetime: number;
  /** When the automatic starts within the longest budget's window were. */
  readonly starts: readonly number[];
  /** Since when retries or budgets are spent, and how many probes were made since. */
  readonly exhausted: { readonly at_ms: number; readonly probes: number } | null;
  /** Whether it was said that a budget is spent. */
  readonly told_budget: boolean;
  /** The highest attempt whose death was counted. */
  readonly died: number;
  readonly last_delay_ms: number;
  readonly ending: EndingOld | null;
  /** Until when its start keeps a place among those that are under way; missing if it has none. */
  readonly place_until_ms?: number;
  readonly touched_at_ms: number;
}

/** Up to where the history was counted for a type: one file, one offset. */
export interface ReadTo {
  readonly file: string;
  readonly offset: number;
}

export interface TypePart {
  readonly breaker: BreakerState;
  readonly read_to: ReadTo | null;
  readonly starts: readonly number[];
  /** Whether its file was ever written: a type that never failed has none. */
  readonly has_file: boolean;
}

export interface TaskPart {
  readonly poison: PoisonState;
  readonly quarantined_at_ms: number | null;
  readonly last_start_ms: number | null;
}

/** Starts whose programs are not known to run yet, and which keep their places until the same second. */
export interface UnderWay {
  readonly until_ms: number;
  readonly count?: number;
  /** In what older versions kept: an entry was one start, and it was this worker's. */
  readonly worker_id?: string;
}

export interface FleetPart {
  readonly starts: readonly number[];
  readonly under_way: readonly UnderWay[];
  /** Lifetime totals. */
  readonly attempted: number;
  readonly succeeded: number;
  readonly failed: number;
  /** The latest times from a request to a running program. */
  readonly recoveries_ms: readonly number[];
}

/** The part of the state that a decision reads. */
export interface Slice {
  readonly worker: WorkerPart | null;
  readonly type: TypePart;
  readonly task: TaskPart;
  readonly fleet: FleetPart;
}

export const TYPE_NEW: TypePart = { breaker: BREAKER_CLOSED, read_to: null, starts: [], has_file: false };
export const TASK_NEW: TaskPart = { poison: POISON_NONE, quarantined_at_ms: null, last_start_ms: null };
export const FLEET_NEW: FleetPart = {
  starts: [],
  under_way: [],
  attempted: 0,
  succeeded: 0,
  failed: 0,
  recoveries_ms: [],
};

export const workerNew = (workerType: string, taskId: string | null, atMs: number): WorkerPart => ({
  worker_type: workerType,
  task_id: taskId,
  waiting: null,
  run: null,
  attempts: 0,
  lifetime: 0,
  starts: [],
  exhausted: null,
  told_budget: false,
  died: 0,
  last_delay_ms: 0,
  ending: null,
  touched_at_ms: atMs,
});
