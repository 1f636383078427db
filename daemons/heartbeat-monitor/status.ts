/** `status.json`: the whole truth on one line, written on change and at most once a second. @module */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fleetHealth, isWorkerWell } from "../../lib/domain/fleet-health.js";
import { now } from "../../lib/platform/clock.js";
import { isDiskFull, replaceFile } from "../../lib/platform/files.js";
import type { DaemonContext } from "../../lib/runtime/daemon.js";
import { piecemeal } from "../../lib/runtime/piecemeal.js";
import { readInstant, writeInstant } from "../../lib/schema/primitives.js";
import {
  type BreakerRecord,
  breakerRecordSchema,
  type DesiredState,
  restartRequestSchema,
} from "../../lib/schema/records.js";
import { readDaemons } from "../../lib/store/daemons.js";
import { readDesiredRecord } from "../../lib/store/desired.js";
import { waitingFixes } from "../../lib/store/fix-runs.js";
import { MAX_BYTES, readRecord } from "../../lib/store/records.js";
import { healthOf } from "./block.js";
import { BudgetReader } from "./budgets-left.js";
import type { Event, FleetPart, WorkerPart } from "./facts.js";
import type { HeartbeatSettings } from "./policy.js";
import { refusedSentence } from "./refused-beats.js";

const WRITE_EVERY_MS = 1000;
/** Of the monitor's time, what writing takes at most: with ten thousand workers it takes a tenth of a second, in which deaths wait. */
const SHARE_OF_TIME = 1 / 20;
/** What others own (breakers, requests that are new, daemons) is looked at this often even when nothing of ours changed. */
const REFRESH_MS = 5000;
/** A large fleet's refresh costs more and comes less often. */
const REFRESH_MS_PER_WORKER = 10;
const REFRESH_MS_MAX = 30_000;

interface WaitingRequest {
  readonly worker_id: string;
  readonly worker_type: string;
  /** The attempt that ended. */
  readonly attempt: number | null;
  readonly gate: string | null;
  readonly reason: string | null;
  readonly next_at: string | null;
  readonly count: number;
}

/** What is shown of a worker. */
interface Row {
  /** What it was made from: a worker's part is never changed, only replaced. */
  readonly of: WorkerPart;
  readonly text: string;
  readonly isWell: boolean;
  /** The deadline that it shows, on the monotonic clock. */
  readonly due: number | null;
  /** The score that it shows. */
  readonly score: number | null;
}

/** What the status is made from: the monitor's own state, and the home. */
export type StatusContext = Pick<
  DaemonContext<Event, HeartbeatSettings>,
  "layout" | "part" | "partsWith" | "policy" | "wakeOf"
>;

export class StatusFile {
  readonly #context: StatusContext;
  readonly #budgets: BudgetReader;
  #dirty = true;
  /** On a clock that nobody sets: set back by an hour, the wall clock would keep it from being written for that hour. */
  #writtenMonoMs = Number.NEGATIVE_INFINITY;
  #tookMs = 0;
  #last = { head: "", tail: "" };
  #refreshMs = REFRESH_MS;
  #composing = false;
  /** When the restart queue had changed last as it was read; null while nobody waits in it. */
  #queueMs: number | null = null;
  /** Each worker's row, which holds for as long as its part and its deadline do. */
  readonly #rows = new Map<string, Row>();

  constructor(context: StatusContext) {
    this.#context = context;
    this.#budgets = new BudgetReader(context.layout);
  }

  /** Something changed that a person would want to see. */
  touch(): void {
    this.#dirty = true;
  }

  /** Writes it if it is due; called once a second. The rows of a large fleet are made piece by piece, each within what is given. */
  pulse(within: (piece: () => void) => boolean, written: () => void = () => {}): void {
    const sinceMs = performance.now() - this.#writtenMonoMs;
    const isStale = sinceMs >= this.#refreshMs;
    if (this.#composing || sinceMs < Math.max(WRITE_EVERY_MS, this.#tookMs / SHARE_OF_TIME)) return;
    if (!this.#dirty && !isStale && !this.#hasQueueMoved()) return;
    this.#composing = true;
    this.#dirty = false;
    const rows: Row[] = [];
    piecemeal(this.#workers(), {
      each: (worker) => rows.push(this.#rowOf(worker)),
      done: (tookMs) => {
        this.#write(rows, isStale, tookMs);
        this.#composing = false;
        written();
      },
      within,
      givenUp: () => {
        this.#composing = false;
        this.#dirty = true;
      },
    });
  }

  /** Writes it at once. */
  write(): void {
    this.#write(
      this.#workers().map((worker) => this.#rowOf(worker)),
      true,
      0,
    );
  }

  #write(rows: readonly Row[], isStale: boolean, tookMs: number): void {
    const begunMs = performance.now();
    const nowMs = Date.now();
    const { ok, summary, home, at, daemons, workers: waiting, ...rest } = this.#composeAround(rows, nowMs);
    const workers = [...rows.map(({ text }) => text), ...waiting.map((row) => JSON.stringify(row))];
    const head = JSON.stringify({ ok, summary, home }).slice(0, -1);
    const tail = `"daemons":${JSON.stringify(daemons)},"workers":[${workers.join(",")}],${JSON.stringify(rest).slice(1)}`;
    this.#writtenMonoMs = begunMs;
    // Compared without the time, and put together from what was compared: a large fleet makes a long text.
    if (head !== this.#last.head || tail !== this.#last.tail || isStale) {
      replaceFile(this.#context.layout.status, `${head},"at":${JSON.stringify(at)},${tail}\n`);
      this.#last = { head, tail };
    }
    this.#tookMs = tookMs + performance.now() - begunMs;
  }

  /** All of it as it is now. */
  compose(nowMs: number): Record<string, unknown> {
    const rows = this.#workers().map((worker) => this.#rowOf(worker));
    const { workers: waiting, ...around } = this.#composeAround(rows, nowMs);
    return { ...around, workers: [...rows.map(({ text }) => JSON.parse(text) as unknown), ...waiting] };
  }

  /** One wish that may not be read must not keep all of it from being written; whoever acts on it says so. */
  #desiredOf(workerId: string, nowMs: number): DesiredState {
    const reading = readDesiredRecord(this.#context.layout, workerId, nowMs, { refusesForbidden: true });
    return reading.kind === "ok" ? reading.value.state : "running";
  }

  /** All but the rows; `workers` has those that only wait for a restart. */
  #composeAround(rows: readonly Row[], nowMs: number) {
    const { layout } = this.#context;
    const fleet = this.#context.part<FleetPart>("fleet");
    const queue = this.#waiting();
    const workers = queue
      .filter((one) => !existsSync(layout.activeSpec(one.worker_id)))
      .map((one) => waitingWorker(one, this.#desiredOf(one.worker_id, nowMs)));
    const daemons = readDaemons(layout).map(({ alive, presence: _, ...daemon }) => ({ ...daemon, running: alive }));
    const breakers = this.#breakers();
    const holds = (fleet?.holds ?? []).filter((hold) => hold.starts_at_ms <= nowMs && nowMs < hold.expires_at_ms);
    const pending = waitingFixes(layout, nowMs).map((name) => `${name}.json`);
    const guard = fleet?.guard ?? null;
    const heldBecause = guard?.state === "holding" ? guard.reason : null;
    const counts = {
      workers: rows.length + workers.length,
      workersInTrouble: [...rows, ...workers].filter(({ isWell }) => !isWell).length,
      breakersNotClosed: breakers.filter((breaker) => breaker.state !== "closed").length,
      daemonsDown: daemons.filter((daemon) => !daemon.running).length,
      fixesPending: pending.length,
      // Of one that is full to the last byte this cannot be said; of one that is nearly full it can.
      isDiskFull: isDiskFull(layout.coordination),
    };
    return {
      ...fleetHealth(counts, heldBecause),
      home: layout.home.home,
      at: writeInstant(nowMs),
      daemons,
      workers: workers.map(({ row }) => row),
      holds: holds.map((hold) => ({
        name: hold.name,
        scope: hold.scope,
        target: hold.target,
        acts: hold.acts,
        expires_at: writeInstant(hold.expires_at_ms),
      })),
      breakers: breakers.map(({ worker_type, state, failure_count, next_probe_at }) => ({
        worker_type,
        state,
        failure_count: failure_count ?? 0,
        next_probe_at: next_probe_at ?? null,
      })),
      pending,
      restart_queue: queue,
      detector: {
        trusted: fleet?.suspect_because === null,
        because: fleet?.suspect_because ?? null,
        local_health: fleet?.local_health ?? 0,
        guard: guard?.state ?? "clear",
        held_because: heldBecause,
      },
      budgets: {
        cleanups_left_this_minute: Math.max(
          0,
          this.#context.policy().settings.max_cleanups_per_minute - (fleet?.cleanups.length ?? 0),
        ),
        ...this.#budgets.read(daemons.some(({ name, running }) => running && name === "worker-restart")),
      },
    };
  }

  #workers(): WorkerPart[] {
    const workers: WorkerPart[] = [];
    for (const worker of this.#context.partsWith<WorkerPart>("worker:").values()) workers.push(worker);
    if (workers.length < this.#rows.size) this.#forgetOthers();
    this.#refreshMs = Math.min(REFRESH_MS_MAX, Math.max(REFRESH_MS, workers.length * REFRESH_MS_PER_WORKER));
    return workers.sort((a, b) => (a.worker_id < b.worker_id ? -1 : 1));
  }

  #forgetOthers(): void {
    for (const id of this.#rows.keys()) if (this.#context.part(`worker:${id}`) === null) this.#rows.delete(id);
  }

  #rowOf(worker: WorkerPart): Row {
    // Of one that beats in time the next deadline is only when it would be late, and moves with each beat.
    const due = worker.state === "healthy" ? null : this.#context.wakeOf(`worker:${worker.worker_id}`);
    const score = this.#scoreOf(worker);
    const known = this.#rows.get(worker.worker_id);
    if (known?.of === worker && known.due === due && known.score === score) return known;
    const text = JSON.stringify(workerRow(worker, due === null ? null : writeInstant(wallOf(due)), score));
    const made = { of: worker, text, isWell: isWorkerWell(worker), due, score };
    this.#rows.set(worker.worker_id, made);
    return made;
  }

  /** As the spec has it, and fresh: it decays while nothing else of the worker changes. */
  #scoreOf(worker: WorkerPart): number | null {
    if (worker.last_beat === null) return null;
    // One that beats in time has missed none.
    const silentMs = worker.state === "healthy" ? 0 : now().monoMs - worker.silent_from_mono_ms;
    return healthOf(worker, this.#context.policy(), silentMs).score;
  }

  /** The queue is another's: only while somebody waits in it, it is asked whether anything of it has changed. */
  #hasQueueMoved(): boolean {
    if (this.#queueMs === null) return false;
    try {
      return changedAtMs(this.#context.layout.queueDir) !== this.#queueMs;
    } catch {
      // Whoever reads it says what is wrong with it.
      return true;
    }
  }

  #waiting(): WaitingRequest[] {
    const { layout } = this.#context;
    const waiting: WaitingRequest[] = [];
    const queueMs = changedAtMs(layout.queueDir);
    for (const name of namesIn(layout.queueDir)) {
      const reading = readRecord(join(layout.queueDir, name), restartRequestSchema, {
        maxBytes: MAX_BYTES.request,
        nowMs: Date.now(),
      });
      if (reading.kind !== "ok") continue;
      const { worker_id, worker_type, attempt, deferred } = reading.value;
      const nextAtMs = readInstant(deferred?.next_at);
      waiting.push({
        worker_id,
        worker_type,
        attempt: attempt ?? null,
        gate: deferred?.gate ?? null,
        reason: deferred?.reason ?? null,
        next_at: nextAtMs === null ? null : writeInstant(nextAtMs),
        count: deferred?.count ?? 0,
      });
    }
    this.#queueMs = waiting.length === 0 ? null : queueMs;
    return waiting;
  }

  #breakers(): BreakerRecord[] {
    const { layout } = this.#context;
    return namesIn(layout.breakersDir).flatMap((name) => {
      const reading = readRecord(join(layout.breakersDir, name), breakerRecordSchema, {
        maxBytes: MAX_BYTES.breaker,
        nowMs: Date.now(),
      });
      return reading.kind === "ok" ? [reading.value] : [];
    });
  }
}

/** The wall clock at an instant of the monotonic one. */
function wallOf(monoMs: number): number {
  const { atMs, monoMs: nowMonoMs } = now();
  return atMs + monoMs - nowMonoMs;
}

function workerRow(worker: WorkerPart, nextAt: string | null, score: number | null): Record<string, unknown> {
  return {
    worker_id: worker.worker_id,
    worker_type: worker.spec.worker_type,
    task_id: worker.spec.task_id,
    status: worker.spec.status,
    state: worker.state,
    attempt: worker.spec.attempt,
    pid: worker.process?.identity.pid ?? null,
    desired: worker.desired,
    why: worker.ending?.reason ?? worker.held_by ?? refusedWhy(worker) ?? worker.said_verdict,
    since: writeInstant(worker.state_since_at_ms),
    next_at: nextAt,
    health_score: score,
    last_seen: worker.last_beat === null ? null : writeInstant(worker.last_beat.arrived_at_ms),
  };
}

function refusedWhy({ beats_refused: why }: WorkerPart): string | null {
  return why == null ? null : refusedSentence(why);
}

function waitingWorker(request: WaitingRequest, desired: DesiredState) {
  const row = {
    worker_id: request.worker_id,
    worker_type: request.worker_type,
    status: "zombie",
    state: "exited",
    attempt: request.attempt,
    pid: null,
    desired,
    why: request.gate ?? "restart",
    since: null,
    next_at: request.next_at,
  };
  return { row, isWell: isWorkerWell(row) };
}

/** Of a folder: when a file in it was last made, replaced or taken away. */
function changedAtMs(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? null;
}

function namesIn(path: string): string[] {
  return existsSync(path) ? readdirSync(path).filter((name) => name.endsWith(".json") && !name.startsWith(".")) : [];
}
