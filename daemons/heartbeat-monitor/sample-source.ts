/**
 * Samples: what each worker's processes use and what it reports, one line a minute for each, and its gaps by the hour.
 *
 * A round goes over the fleet once in `sample_interval_seconds`, 100 workers at once or what is due in a twelfth of it, so
 * that a large fleet does not spike. Samples are the first thing to go when the disk fills up.
 *
 * @module
 */
import { cpus, totalmem } from "node:os";
import { thresholdsOf } from "../../lib/domain/thresholds.js";
import { now } from "../../lib/platform/clock.js";
import { freeBytes } from "../../lib/platform/files.js";
import { type TreeUsage, usageOfTree } from "../../lib/platform/processes.js";
import type { DaemonContext, Source } from "../../lib/runtime/daemon.js";
import { piecemeal } from "../../lib/runtime/piecemeal.js";
import { settingsFor } from "../../lib/schema/policy.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { METRICS_MAX } from "../../lib/schema/samples.js";
import { EventLogWriter } from "../../lib/store/logs.js";
import type { BeatSource } from "./beat-source.js";
import type { Event, WorkerPart } from "./facts.js";
import type { HourOfGaps } from "./gap-book.js";
import type { HeartbeatSettings } from "./policy.js";
import { Shelter } from "./shelter.js";

const MIB = 1_048_576;
/** Below so many free bytes no sample is written: what is left is for events. */
const FREE_BYTES_MIN = 1024 * MIB;
const LOG_BYTES_MAX = 64 * MIB;
/** So many are taken together: what a process does once a second it does with cold caches, which costs more than the work. */
const SAMPLES_AT_ONCE = 100;
/** A small fleet's samples wait for each other no longer than this part of a round. */
const SHARE_GATHERED_MAX = 1 / 12;
const WRITING = "writing samples";
/** Hours of gaps that are written in one second at most. */
const GAPS_AT_ONCE = 200;

/** What a worker's tree had used when it was looked at last. */
interface Mark extends TreeUsage {
  readonly monoMs: number;
  readonly start_time: number;
}

export class SampleSource implements Source {
  readonly name = "samples";
  readonly scanEverySeconds = 1;
  readonly #context: DaemonContext<Event, HeartbeatSettings>;
  readonly #beats: BeatSource;
  readonly #freeBytes: (path: string) => number;
  readonly #shelter: Shelter;
  readonly #writer: EventLogWriter;
  readonly #cores = Math.max(1, cpus().length);
  /** The kernel writes a page of text to answer this. */
  #hostBytes = totalmem();
  #marks = new Map<string, Mark>();
  #round: readonly string[] = [];
  #done = 0;
  #startedMonoMs = Number.NEGATIVE_INFINITY;
  #sampledMonoMs = Number.NEGATIVE_INFINITY;
  #hours: HourOfGaps[] = [];
  /** Records that are written with the next write; those of one that fails are lost. */
  readonly #gathered: Record<string, unknown>[] = [];
  #dropping = false;
  /** Some are being taken, piece by piece. */
  #taking = false;
  #stopped = false;

  constructor(
    context: DaemonContext<Event, HeartbeatSettings>,
    beats: BeatSource,
    freeBytesOf: (path: string) => number = freeBytes,
  ) {
    this.#context = context;
    this.#beats = beats;
    this.#freeBytes = freeBytesOf;
    this.#shelter = new Shelter(context);
    const { samples, archiveDir } = context.layout;
    this.#writer = new EventLogWriter(samples, { maxBytes: LOG_BYTES_MAX, archiveDir, owner: true });
  }

  start(): void {
    this.#beginRound(now().monoMs);
  }

  stop(): void {
    this.#stopped = true;
    this.#hours.push(...this.#beats.gaps.takeAll());
    this.#shelter.run(WRITING, () => this.#writeHours(this.#hours.length));
    this.#writer.close();
  }

  reopen(): void {
    this.#writer.reopen();
  }

  /** Each second: the share of the fleet that is due, unless it is so small that it may wait for more. */
  scan(): void {
    if (this.#taking) return;
    const { monoMs } = now();
    const periodMs = this.#context.policy().settings.sample_interval_seconds * 1000;
    const share = (monoMs - this.#startedMonoMs) / periodMs;
    const due = Math.min(this.#round.length, Math.ceil(share * this.#round.length));
    const isFew = due - this.#done < SAMPLES_AT_ONCE;
    // The end of a round waits for nothing: whoever is still due would be left out of it.
    const mayWait = isFew && share < 1 && monoMs - this.#sampledMonoMs < periodMs * SHARE_GATHERED_MAX;
    const dueNow = mayWait ? [] : this.#round.slice(this.#done, due);
    if (!mayWait) this.#sampledMonoMs = monoMs;
    this.#take(dueNow, () => {
      if (share >= 1) this.#beginRound(monoMs);
      this.#hours.push(...this.#beats.gaps.turn(Date.now()));
      this.#writeHours(GAPS_AT_ONCE);
    });
  }

  #take(workerIds: readonly string[], done: () => void): void {
    this.#taking = true;
    piecemeal(workerIds, {
      each: (workerId) => {
        this.#done += 1;
        this.#sample(workerId);
      },
      done: () => {
        this.#taking = false;
        this.#writeGathered();
        done();
        if (workerIds.length > 0) this.#shelter.worked(WRITING);
      },
      within: (piece) => !this.#stopped && this.#shelter.runPiece(WRITING, piece),
      givenUp: () => {
        this.#taking = false;
      },
    });
  }

  #beginRound(monoMs: number): void {
    this.#startedMonoMs = monoMs;
    this.#hostBytes = totalmem();
    this.#done = 0;
    const workers = this.#context.partsWith<WorkerPart>("worker:");
    this.#round = [...workers.keys()].filter((workerId) => workers.get(workerId)?.ending === null);
    const present = new Set(workers.keys());
    for (const workerId of this.#marks.keys()) if (!present.has(workerId)) this.#marks.delete(workerId);
    this.#hours.push(...this.#beats.forgetOthers(present));
    this.#judgeSpace();
    if (!this.#dropping) this.#writer.rotateIfLarge(Date.now(), "heartbeat-monitor");
  }

  /** Said when it begins and when it is over. */
  #judgeSpace(): void {
    const free = this.#freeBytes(this.#context.layout.metricsDir);
    const dropping = free < FREE_BYTES_MIN;
    if (dropping === this.#dropping) return;
    this.#dropping = dropping;
    const free_mib = Math.floor(free / MIB);
    if (dropping)
      this.#context.log.warn({ free_mib }, `only ${free_mib} MiB are free: samples are dropped until 1 GiB is`);
    else this.#context.log.info({ free_mib }, "samples are written again");
  }

  #sample(workerId: string): void {
    const worker = this.#context.part<WorkerPart>(`worker:${workerId}`);
    if (worker === null || worker.ending !== null) return;
    const metrics = this.#metrics(workerId, worker);
    if (Object.keys(metrics).length === 0) return;
    const { worker_type, attempt } = worker.spec;
    this.#gather({ worker_id: workerId, worker_type, attempt, metrics });
  }

  /** What the kernel says stands over what the worker says under the same name. */
  #metrics(workerId: string, worker: WorkerPart): Record<string, number> {
    const measured = this.#usage(workerId, worker);
    const numbers = this.#reported(workerId, worker);
    if (numbers === null) return measured;
    const reported = Object.entries(numbers).filter(([name]) => !(name in measured));
    const room = METRICS_MAX - Object.keys(measured).length;
    return { ...measured, ...Object.fromEntries(reported.slice(0, room)) };
  }

  /** The numbers of the latest beat, while they are news: those of a silent worker say nothing about now. */
  #reported(workerId: string, worker: WorkerPart): Readonly<Record<string, number>> | null {
    const beat = worker.last_beat;
    const latest = this.#beats.metricsOf(workerId);
    if (beat === null || latest === null) return null;
    if (latest.attempt !== null && latest.attempt !== worker.spec.attempt) return null;
    const policy = this.#context.policy();
    const { lateMs } = thresholdsOf(settingsFor(policy, worker.spec.worker_type), worker.spec.own);
    const freshMs = Math.max(lateMs, policy.settings.sample_interval_seconds * 1000);
    return now().monoMs - beat.arrived_mono_ms <= freshMs ? latest.numbers : null;
  }

  #usage(workerId: string, { process, spec }: WorkerPart): Record<string, number> {
    const usage = process === null ? null : usageOfTree(process.identity);
    if (process === null || usage === null) {
      this.#marks.delete(workerId);
      return {};
    }
    const { monoMs } = now();
    const { start_time } = process.identity;
    const before = this.#marks.get(workerId);
    this.#marks.set(workerId, { ...usage, monoMs, start_time });
    const limit = spec.memory_limit_bytes ?? this.#hostBytes;
    return {
      ...(before?.start_time === start_time ? { cpu_util: this.#share(before, usage, monoMs) } : {}),
      memory_util: rounded(usage.rssBytes / limit, 4),
      rss_mb: rounded(usage.rssBytes / MIB, 1),
    };
  }

  /** Of all cores of the host. Where a descendant's time was lost the sum fell, and nothing was used as far as is known. */
  #share(before: Mark, usage: TreeUsage, monoMs: number): number {
    const possibleMs = (monoMs - before.monoMs) * this.#cores;
    if (possibleMs <= 0) return 0;
    return rounded(Math.min(1, Math.max(0, usage.cpuMs - before.cpuMs) / possibleMs), 4);
  }

  #writeHours(atMost: number): void {
    for (const hour of this.#hours.splice(0, atMost)) {
      const worker = this.#context.part<WorkerPart>(`worker:${hour.worker_id}`);
      const attempt = hour.attempt ?? worker?.spec.attempt ?? null;
      this.#gather({
        kind: "gaps",
        worker_id: hour.worker_id,
        ...(worker === null ? {} : { worker_type: worker.spec.worker_type }),
        ...(attempt === null ? {} : { attempt }),
        hour: writeInstant(hour.hour_ms),
        interval_seconds: this.#intervalSeconds(worker),
        buckets: hour.buckets,
      });
    }
    this.#writeGathered();
  }

  #intervalSeconds(worker: WorkerPart | null): number {
    const policy = this.#context.policy();
    if (worker === null) return policy.settings.heartbeat_interval_seconds;
    return thresholdsOf(settingsFor(policy, worker.spec.worker_type), worker.spec.own).intervalMs / 1000;
  }

  #gather(record: Readonly<Record<string, unknown>>): void {
    if (this.#dropping) return;
    const atMs = Date.now();
    const { kind, ...rest } = record;
    const first = kind === undefined ? {} : { kind };
    this.#gathered.push({ ...first, timestamp: writeInstant(atMs), at_ms: atMs, ...rest });
  }

  #writeGathered(): void {
    this.#writer.appendAll(this.#gathered.splice(0));
  }
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
