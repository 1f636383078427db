/**
 * The monitor's pulse: once a second it looks at itself, and asks the kernel whether every known process is still there.
 *
 * The cheap question (does the pid exist) goes to every process each second in which anything in the kernel was born or
 * has died, the dearer one (is it the same, is it stopped) to a bounded number in turn, so that the cost of a large fleet
 * is spread.
 *
 * @module
 */

import { compareClocks } from "../../lib/domain/local-health.js";
import { type Instant, now } from "../../lib/platform/clock.js";
import { cpuPressure } from "../../lib/platform/host.js";
import { HostWatch, type HostWatchOptions } from "../../lib/platform/host-watch.js";
import { isAlive, isCorpse, memoryOfTree, readStat } from "../../lib/platform/processes.js";
import { everySeconds } from "../../lib/platform/seconds.js";
import { Stillness } from "../../lib/platform/stillness.js";
import type { DaemonContext, Source } from "../../lib/runtime/daemon.js";
import { LoopLag } from "../../lib/runtime/loop-lag.js";
import { piecemeal } from "../../lib/runtime/piecemeal.js";
import type { Event, WorkerPart } from "./facts.js";
import type { HeartbeatSettings } from "./policy.js";
import { Shelter } from "./shelter.js";

const PULSE_SECONDS = 1;
const PULSE_MS = PULSE_SECONDS * 1000;
const LATE_MS = 250;
const STATS_PER_PULSE = 50;
const PRESSURE_EVERY_PULSES = 5;
/** Memory is sampled four times a second above this share of the limit. */
const NEAR_LIMIT = 0.8;
const NEAR_LIMIT_MS = 250;
/** What follows an end comes first. */
const HOST_ASKED_AFTER_MS = 20;
/** Asking fewer than this costs no more than finding out whether anybody has died. */
const STILL_WORKERS_MIN = 200;
/** Every so many pulses all are asked, whatever the kernel's counters say. */
const ASK_ALL_PULSES = 10;

const ASKING = "asking for processes";
const LOOKING = "looking at processes";
const SAMPLING = "sampling memory";

/** A worker and the process that was asked for. */
type Asked = Pick<WorkerPart, "worker_id" | "process">;

export class SweepSource implements Source {
  readonly name = "pulse";
  readonly #context: DaemonContext<Event, HeartbeatSettings>;
  readonly #eachPulse: () => void;
  readonly #shelter: Shelter;
  #endPulses: () => void = () => {};
  #near: NodeJS.Timeout | null = null;
  #last: Instant | null = null;
  readonly #lag = new LoopLag(PULSE_MS);
  #pulses = 0;
  #cursor = 0;
  /** How often all have had their turn. */
  #turns = 0;
  #sweeping = false;
  #pressure: number | null = null;
  readonly #host: HostWatch;
  #hostTimer: NodeJS.Timeout | null = null;
  #stopped = false;
  readonly #stillness: Pick<Stillness, "look">;
  /** Those that were asked for last, and whether all of them were there. */
  #asked: readonly Asked[] = [];
  #areAllThere = false;

  constructor(
    context: DaemonContext<Event, HeartbeatSettings>,
    eachPulse: () => void,
    options: { readonly stillness?: Pick<Stillness, "look">; readonly host?: Omit<HostWatchOptions, "onChange"> } = {},
  ) {
    this.#context = context;
    this.#shelter = new Shelter(context);
    this.#eachPulse = eachPulse;
    this.#stillness = options.stillness ?? new Stillness();
    this.#host = new HostWatch({ ...options.host, onChange: () => this.#offerPulse() });
  }

  /** Whoever starts while the host goes down must know it before it hears of those that have ended. */
  async start(): Promise<void> {
    this.#host.look();
    await this.#host.first;
    if (this.#stopped) return;
    this.#pulse();
    this.#lag.begin(now().monoMs);
    this.#endPulses = everySeconds(PULSE_SECONDS, () => {
      this.#lag.pulse(now().monoMs);
      this.#pulse();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#endPulses();
    if (this.#near) clearTimeout(this.#near);
    if (this.#hostTimer) clearTimeout(this.#hostTimer);
    this.#host.close();
  }

  /** A worker has ended: perhaps because the host goes down, and then nobody is to be brought back. */
  noteEnd(): void {
    this.#hostTimer ??= setTimeout(() => {
      this.#hostTimer = null;
      this.#host.want();
    }, HOST_ASKED_AFTER_MS);
  }

  #pulse(): void {
    if (this.#pulses++ % PRESSURE_EVERY_PULSES === 0)
      this.#shelter.run("reading cpu pressure", () => {
        this.#pressure = cpuPressure();
      });
    this.#offerPulse();
    this.#eachPulse();
    this.#sweep();
    this.#host.look();
  }

  /** The gap is looked at before anything else: after a stall nothing else may be believed. */
  #offerPulse(): void {
    const current = now();
    const { gapMs, suspendedMs, steppedMs } =
      this.#last === null ? { gapMs: 0, suspendedMs: 0, steppedMs: 0 } : compareClocks(this.#last, current);
    this.#last = current;
    this.#context.offer({
      kind: "pulse",
      gap_ms: Math.round(gapMs),
      expected_ms: PULSE_MS,
      suspended_ms: Math.round(suspendedMs),
      stepped_ms: Math.round(steppedMs),
      late: gapMs > PULSE_MS + LATE_MS,
      loop_delay_ms: this.#lag.take(),
      cpu_pressure: this.#pressure,
      host: this.#host.state,
    });
  }

  #sweep(): void {
    if (this.#sweeping) return;
    if (!this.#mayHaveDied()) return this.#lookCloser();
    this.#sweeping = true;
    this.#areAllThere = false;
    let isAnyGone = false;
    const workers: WorkerPart[] = [];
    for (const worker of this.#workers()) if (isToAsk(worker)) workers.push(worker);
    piecemeal(workers, {
      each: (worker) => {
        if (isAlive(worker.process?.identity.pid ?? 0)) return;
        isAnyGone = true;
        this.#vanished(worker);
      },
      done: () => {
        this.#sweeping = false;
        this.#shelter.worked(ASKING);
        this.#asked = workers.map(({ worker_id, process }) => ({ worker_id, process }));
        this.#areAllThere = !isAnyGone;
        this.#lookCloser();
      },
      within: (piece) => !this.#stopped && this.#shelter.runPiece(ASKING, piece),
      givenUp: () => {
        this.#sweeping = false;
      },
    });
  }

  #workers(): Iterable<WorkerPart> {
    return this.#context.partsWith<WorkerPart>("worker:").values();
  }

  /** Not if these are the processes that were all found last, and nobody in the kernel has died since. */
  #mayHaveDied(): boolean {
    if (!this.#areAllThere || this.#asked.length < STILL_WORKERS_MIN) return true;
    if (!this.#stillness.look() || this.#pulses % ASK_ALL_PULSES === 0) return true;
    let nth = 0;
    for (const worker of this.#workers())
      if (isToAsk(worker) && worker.process !== this.#asked[nth++]?.process) return true;
    return nth !== this.#asked.length;
  }

  /** At some, and at those whose memory is measured. */
  #lookCloser(): void {
    let isAnyRead = false;
    piecemeal(this.#inTurn(), {
      each: (asked) => {
        isAnyRead = this.#examine(asked) || isAnyRead;
      },
      done: () => {
        if (isAnyRead) this.#shelter.worked(LOOKING);
        this.#shelter.run(SAMPLING, () => this.#sampleMemory());
      },
      within: (piece) => !this.#stopped && this.#shelter.runPiece(LOOKING, piece),
      givenUp: () => undefined,
    });
  }

  /** Never beyond the end: whoever is looked at there has its turn, and not the next one's. */
  #inTurn(): readonly Asked[] {
    if (this.#cursor >= this.#asked.length) {
      this.#cursor = 0;
      this.#turns += 1;
    }
    const from = this.#cursor;
    this.#cursor += STATS_PER_PULSE;
    return this.#asked.slice(from, this.#cursor);
  }

  /** Unless what was seen has been overtaken: another process, or an end that is known. */
  #vanished(worker: WorkerPart): void {
    const current = this.#context.part<WorkerPart>(`worker:${worker.worker_id}`);
    if (current?.process?.identity !== worker.process?.identity || current?.ending !== null) return;
    this.#context.offer({ kind: "vanished", worker_id: worker.worker_id, attempt: worker.spec.attempt });
  }

  /** Whether its process had to be looked at. */
  #examine({ worker_id }: Asked): boolean {
    const worker = this.#context.part<WorkerPart>(`worker:${worker_id}`);
    const identity = worker?.process?.identity;
    if (worker === null || identity === undefined || worker.ending !== null) return false;
    if (this.#hasBeatenSinceLastTurn(worker)) return false;
    const stat = readStat(identity.pid);
    const paused = stat?.state === "T";
    if (stat === null || stat.start_time !== identity.start_time || isCorpse(stat)) this.#vanished(worker);
    else if (paused !== (worker.state === "paused"))
      this.#context.offer({ kind: "stat", worker_id: worker.worker_id, attempt: worker.spec.attempt, paused });
    return true;
  }

  /**
   * A beat says nearly as much as a look: that it runs. Not so where something else beats for it, which may be a child; so
   * each is looked at in every other turn all the same, and in a small fleet in each, since that costs little.
   */
  #hasBeatenSinceLastTurn({ last_beat: beat, state, spec }: WorkerPart): boolean {
    if (this.#asked.length < STILL_WORKERS_MIN || this.#turns % 2 === 0) return false;
    if (beat === null || spec.probe || state === "paused") return false;
    const turnMs = (this.#asked.length / STATS_PER_PULSE) * PULSE_MS;
    return now().monoMs - beat.arrived_mono_ms < turnMs;
  }

  /** Only where no kernel limit could be set; a tree near its limit is looked at more often. */
  #sampleMemory(): void {
    let near = false;
    for (const worker of this.#workers()) {
      const limit = worker.spec.memory_limit_bytes;
      if (limit === null || worker.process?.memory_limit_enforced_by !== "sampling" || worker.ending !== null) continue;
      const rss = memoryOfTree(worker.process.identity);
      if (rss === null) continue;
      if (rss > limit)
        this.#context.offer({
          kind: "memory",
          worker_id: worker.worker_id,
          attempt: worker.spec.attempt,
          rss_bytes: rss,
        });
      else if (rss > limit * NEAR_LIMIT) near = true;
    }
    if (!near || this.#near !== null || this.#stopped) return;
    this.#near = setTimeout(() => {
      this.#near = null;
      this.#shelter.run(SAMPLING, () => this.#sampleMemory());
    }, NEAR_LIMIT_MS);
  }
}

function isToAsk({ process, ending }: WorkerPart): boolean {
  return process !== null && ending === null;
}
