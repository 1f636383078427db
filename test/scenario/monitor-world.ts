/**
 * The heartbeat monitor's world in memory: specs, processes, beats, exits, and a stand-in for worker-restart.
 *
 * It answers looks, signals and gatherings as the kernel would, and it finds again after a crash what files would hold.
 * Hints of watched folders arrive with the next second, as late as a busy host would deliver them.
 *
 * @module
 */

import { blockKey } from "../../daemons/heartbeat-monitor/block.js";
import { core } from "../../daemons/heartbeat-monitor/decide.js";
import type {
  BeatFacts,
  Effect,
  Event,
  ExitFacts,
  FleetPart,
  HoldFacts,
  KnownProcess,
  Looked,
  RemainsFacts,
  Slice,
  SpecFacts,
  WorkerPart,
} from "../../daemons/heartbeat-monitor/facts.js";
import { type HeartbeatPolicy, readHeartbeatPolicy } from "../../daemons/heartbeat-monitor/policy.js";
import { readyFacts } from "../../daemons/heartbeat-monitor/recount.js";
import type { ProcessLook } from "../../lib/domain/verdict.js";
import type { Answer, PerformContext } from "../../lib/runtime/core.js";
import type { DecisionEffect } from "../../lib/runtime/loop.js";
import type { EventRecord } from "../../lib/schema/events.js";
import type { DesiredState } from "../../lib/schema/records.js";
import { Simulation, type World, withEveryCrash } from "./simulation.js";

type MonitorSimulation = Simulation<Slice, Event, Effect, HeartbeatPolicy>;

/** A process as the kernel knows it; shares are of one core. */
export class FakeProcess {
  alive = true;
  state: "S" | "R" | "D" | "T" | "t" = "S";
  frozen = false;
  traced = false;
  ignoresTerm = false;
  /** Processes of its group that outlive it. */
  children = 0;
  childrenIgnoreTerm = false;
  launcherAlive = true;
  foreign: "none" | "host" | "namespace" = "none";
  otherBoot = false;
  #rates = { own: 0, child: 0, io: 0, log: 0 };
  #sums = { own: 0, child: 0, io: 0, log: 0 };
  #sinceMs = 0;

  readonly known: KnownProcess;
  readonly #clock: () => number;

  constructor(known: KnownProcess, clock: () => number) {
    this.known = known;
    this.#clock = clock;
    this.#sinceMs = clock();
  }

  /** From now on it uses this much in each second of time. */
  use(rates: Partial<{ own: number; child: number; io: number; log: number }>): void {
    this.#sums = this.used();
    this.#sinceMs = this.#clock();
    this.#rates = { own: 0, child: 0, io: 0, log: 0, ...rates };
  }

  used(): { own: number; child: number; io: number; log: number } {
    const ms = this.#clock() - this.#sinceMs;
    const sum = (key: "own" | "child" | "io" | "log"): number => this.#sums[key] + this.#rates[key] * ms;
    return { own: sum("own"), child: sum("child"), io: sum("io"), log: sum("log") };
  }
}

export interface Plan {
  readonly worker_type?: string;
  readonly task_id?: string;
  readonly mode?: SpecFacts["mode"];
  readonly has_heartbeat?: boolean;
  readonly own?: SpecFacts["own"];
  readonly stop?: SpecFacts["stop"];
  readonly restart_when?: SpecFacts["restart_when"];
  readonly max_runtime_ms?: number;
  readonly memory_limit_bytes?: number;
  /** Seconds between its beats; 0 for none. */
  readonly beatEvery?: number;
  readonly health?: number;
  /** Whether it has a process that heald started (true), one that was adopted, or none. */
  readonly process?: "launched" | "adopted" | "adopted_without_leave" | "none";
  /** Beats in the first second already. */
  readonly beatsAtOnce?: boolean;
}

interface Worker {
  readonly plan: Plan;
  spec: SpecFacts;
  process: FakeProcess | null;
  /** Claimed by a launcher that died before the program ran. */
  deadClaim: boolean;
  launched: boolean;
  beating: boolean;
  beatEvery: number;
  nextBeatMs: number;
  sequence: number;
  health: number | null;
  progress: number | null;
  beat: { readonly facts: BeatFacts; readonly writtenMs: number } | null;
  /** What is wrong with the beats that it writes. */
  beatsRefused?: string;
}

const START_TIME = 5000;
const PULSE_MS = 1000;

export class MonitorWorld implements World<Event, Effect> {
  readonly workers = new Map<string, Worker>();
  readonly exits = new Map<string, ExitFacts>();
  readonly events = new Map<string, EventRecord>();
  readonly decisions = new Map<string, string>();
  /** Name in zombie/ or completed/ and what was filed. */
  readonly evidence = new Map<string, Readonly<Record<string, unknown>>>();
  readonly queue = new Map<string, Readonly<Record<string, unknown>>>();
  /** Every request ever filed, by worker and attempt: filing one again is the duplicate that worker-restart drops. */
  readonly requested = new Map<string, number>();
  readonly signals: { readonly worker_id: string; readonly signal: string; readonly atMs: number }[] = [];
  readonly hooks: string[] = [];
  /** Adopted workers that worker-restart ends for a person's request with force. */
  readonly forced = new Set<string>();
  readonly tokensReturned = new Set<string>();
  holds: HoldFacts[] = [];
  readonly desired = new Map<string, DesiredState>();
  hookAnswersLater = false;
  host: "running" | "stopping" = "running";
  /** What becomes of the next attempts: they beat again, never beat, end at once with 1 or with 0. */
  restarts: "none" | "well" | "silent" | "crashing" | "finishing" = "none";
  heartbeatsUnreadable = "";
  /** What happened while the monitor was down. */
  beforeScan: () => void = () => {};
  readonly #simulation: MonitorSimulation;
  #seenBeats = new Map<string, string>();
  #lastPulseMs: number | null = null;
  #hints: (() => Event | null)[] = [];
  #pids = 100;
  #saidUnreadable = "";

  constructor(simulation: MonitorSimulation) {
    this.#simulation = simulation;
  }

  // ---- what a scenario does to the world -----------------------------------------------------------------------

  add(id: string, plan: Plan = {}): Worker {
    const nowMs = this.#simulation.monoMs;
    const worker: Worker = {
      plan,
      spec: this.#specOf(id, plan, 1),
      process: null,
      deadClaim: false,
      launched: false,
      beating: (plan.beatEvery ?? 30) > 0,
      beatEvery: plan.beatEvery ?? 30,
      nextBeatMs: nowMs + ((plan.beatsAtOnce ?? true) ? 0 : (plan.beatEvery ?? 30) * 1000),
      sequence: 0,
      health: plan.health ?? 100,
      progress: null,
      beat: null,
    };
    this.workers.set(id, worker);
    this.#launch(id, worker);
    this.#hintSpec(id);
    this.#hintLaunch(id, worker);
    return worker;
  }

  get(id: string): Worker {
    const worker = this.workers.get(id);
    if (worker === undefined) throw new Error(`No worker ${id}`);
    return worker;
  }

  processOf(id: string): FakeProcess {
    const { process } = this.get(id);
    if (process === null) throw new Error(`No process of ${id}`);
    return process;
  }

  silence(...ids: readonly string[]): void {
    for (const id of ids) this.get(id).beating = false;
  }

  /** It beats on, and its beats do not count any more. */
  refuseBeats(id: string, why: string): void {
    this.silence(id);
    this.get(id).beatsRefused = why;
    this.#hint(() => ({ kind: "beats_refused", worker_id: id, why, age_ms: 0 }));
  }

  beatAgain(...ids: readonly string[]): void {
    for (const id of ids) {
      this.get(id).beating = true;
      this.get(id).nextBeatMs = this.#simulation.monoMs;
    }
  }

  /** The program ends; its launcher, if it lives, writes how. */
  end(id: string, how: { readonly code?: number; readonly signal?: string; readonly oom?: number } = {}): void {
    const worker = this.get(id);
    const process = this.processOf(id);
    process.alive = false;
    worker.beating = false;
    if (!process.launcherAlive) return;
    const exit: ExitFacts = {
      exit_code: how.signal ? (how.code ?? 137) : (how.code ?? 0),
      signal: how.signal ?? null,
      signal_inferred: how.signal !== undefined,
      wait_status: null,
      ended_at_ms: this.#simulation.nowMs,
      oom_kills: how.oom ?? 0,
    };
    this.exits.set(`${id}.${worker.spec.attempt}`, exit);
    process.launcherAlive = false;
    const { attempt } = worker.spec;
    this.#hint(() => this.#exitEvent(id, attempt, exit));
  }

  removeSpec(id: string): void {
    const worker = this.get(id);
    this.workers.delete(id);
    this.gone.set(id, worker);
    this.#hintSpec(id);
  }

  /** Workers whose spec is no longer there. */
  readonly gone = new Map<string, Worker>();

  editSpec(id: string, patch: Partial<SpecFacts>): void {
    const worker = this.get(id);
    worker.spec = { ...worker.spec, ...patch };
    this.#hintSpec(id);
  }

  want(id: string, desired: DesiredState): void {
    this.desired.set(id, desired);
    this.#hint(() => ({ kind: "desired", worker_id: id, desired: this.desired.get(id) ?? "running" }));
  }

  hold(hold: Partial<HoldFacts> & { readonly name: string }): void {
    const at = this.#simulation.nowMs;
    this.holds.push({
      scope: "all",
      target: "",
      acts: ["kill", "restart", "fix"],
      starts_at_ms: at,
      expires_at_ms: at + 3_600_000,
      ...hold,
    });
    this.#hint(() => ({ kind: "holds", holds: [...this.holds] }));
  }

  removeHold(name: string): void {
    this.holds = this.holds.filter((hold) => hold.name !== name);
    this.#hint(() => ({ kind: "holds", holds: [...this.holds] }));
  }

  /** Everything that runs is of a boot before this one; files are as they were. */
  reboot(): void {
    for (const worker of this.workers.values()) {
      worker.beating = false;
      if (worker.process === null) continue;
      worker.process.alive = false;
      worker.process.otherBoot = true;
      worker.process.launcherAlive = false;
      worker.spec = { ...worker.spec, other_boot: true };
    }
  }

  // ---- time ------------------------------------------------------------------------------------------------------

  /** Lets seconds pass, each with its beats, hints and one pulse. */
  run(seconds: number): void {
    for (let second = 0; second < seconds; second++) {
      this.#simulation.advance(PULSE_MS);
      this.second();
    }
  }

  /** Runs until something is so, for at most so many seconds; returns how many it took. */
  until(what: string, isSo: () => boolean, secondsMax: number): number {
    for (let second = 0; second <= secondsMax; second++) {
      if (isSo()) return second;
      this.run(1);
    }
    throw new Error(`Not within ${secondsMax} s: ${what}; so far ${JSON.stringify(this.types())}`);
  }

  /** One second's worth of what reaches the monitor at this instant. */
  second(): void {
    for (const [id, worker] of this.workers) this.#beatIfDue(id, worker);
    this.pulse();
    this.#sweep();
    this.flush();
    if (this.restarts !== "none") this.#restart();
  }

  /** Hands over what folder watches would report. */
  flush(): void {
    const hints = this.#hints;
    this.#hints = [];
    for (const hint of hints) {
      const event = hint();
      if (event !== null) this.#simulation.offer(event);
    }
  }

  pulse(extra: Partial<Extract<Event, { kind: "pulse" }>> = {}): void {
    const nowMs = this.#simulation.monoMs;
    const gap = this.#lastPulseMs === null ? 0 : nowMs - this.#lastPulseMs;
    this.#lastPulseMs = nowMs;
    this.#simulation.offer({
      kind: "pulse",
      gap_ms: gap,
      expected_ms: PULSE_MS,
      suspended_ms: 0,
      stepped_ms: 0,
      late: gap > PULSE_MS + 250,
      cpu_pressure: null,
      host: this.host,
      ...extra,
    });
    if (this.heartbeatsUnreadable !== this.#saidUnreadable) {
      this.#saidUnreadable = this.heartbeatsUnreadable;
      this.#simulation.offer({ kind: "unreadable", what: "heartbeats/", code: this.heartbeatsUnreadable });
      if (this.heartbeatsUnreadable === "") this.#offerBeats((event) => this.#simulation.offer(event));
    }
  }

  // ---- what the monitor finds when it starts -------------------------------------------------------------------

  scan(offer: (event: Event) => void): void {
    this.#hints = [];
    this.#seenBeats = new Map();
    this.#lastPulseMs = null;
    this.#saidUnreadable = "";
    this.beforeScan();
    offer({ kind: "starting" });
    this.#lastPulseMs = this.#simulation.monoMs;
    offer({
      kind: "pulse",
      gap_ms: 0,
      expected_ms: PULSE_MS,
      suspended_ms: 0,
      stepped_ms: 0,
      late: false,
      cpu_pressure: null,
      host: this.host,
    });
    offer({ kind: "holds", holds: [...this.holds] });
    for (const [id, worker] of this.workers) this.#offerWorker(id, worker, offer);
    for (const [id] of this.#simulationParts())
      if (!this.workers.has(id)) offer({ kind: "spec", worker_id: id, spec: null });
    for (const [id, desired] of this.desired) offer({ kind: "desired", worker_id: id, desired });
    this.#offerBeats(offer);
    offer({ kind: "ready", ...readyFacts([...this.#simulationParts()].map(([, part]) => part)) });
  }

  /** During the first scan there is no loop to ask yet. */
  #simulationParts(): Iterable<readonly [string, WorkerPart]> {
    try {
      return [...this.#simulation.partsWith<WorkerPart>("worker:")];
    } catch {
      return [];
    }
  }

  #offerWorker(id: string, worker: Worker, offer: (event: Event) => void): void {
    offer({ kind: "spec", worker_id: id, spec: worker.spec });
    if (worker.launched && worker.process !== null && worker.spec.process === null)
      offer(this.#launchEvent(id, worker));
    if (worker.deadClaim)
      offer({ kind: "launch", worker_id: id, attempt: worker.spec.attempt, process: null, launcher_alive: false });
    const exit = this.exits.get(`${id}.${worker.spec.attempt}`);
    if (exit) offer(this.#exitEvent(id, worker.spec.attempt, exit));
  }

  /** As the monitor's source tells it: with what is left, once the process is known. */
  #exitEvent(id: string, attempt: number, exit: ExitFacts): Event {
    const known = new Map(this.#simulationParts()).get(id);
    const isKnown = known !== undefined && known.process !== null && known.ending === null;
    const worker = this.workers.get(id) ?? this.gone.get(id);
    return {
      kind: "exit",
      worker_id: id,
      attempt,
      exit,
      ...(isKnown ? { remains: remainsOf(worker?.process ?? null) } : {}),
    };
  }

  #offerBeats(offer: (event: Event) => void): void {
    if (this.heartbeatsUnreadable !== "") return;
    for (const [id, { beatsRefused }] of this.workers) {
      if (beatsRefused !== undefined) offer({ kind: "beats_refused", worker_id: id, why: beatsRefused, age_ms: 0 });
      const beat = this.#freshBeatOf(id, true);
      if (beat !== null) offer({ kind: "beat", worker_id: id, beat });
    }
  }

  // ---- effects -----------------------------------------------------------------------------------------------------

  perform(effect: Effect | DecisionEffect, context: PerformContext): Answer<Event> {
    switch (effect.kind) {
      case "decision":
        this.decisions.set(context.stamp.id, `${effect.draft.verdict} ${effect.draft.reason} ${effect.draft.subject}`);
        return undefined;
      case "report":
        this.events.set(effect.record.event_id, effect.record);
        return undefined;
      case "look":
        return {
          kind: "looked",
          worker_id: effect.worker_id,
          attempt: effect.attempt,
          looked: this.#look(effect.worker_id, effect.attempt, effect.process),
        };
      case "release":
        return effect.worker_ids.map((worker_id) => ({ kind: "released" as const, worker_id }));
      case "rescan":
        this.#offerBeats((event) => this.#simulation.offer(event));
        return undefined;
      case "write_block":
        return this.#writeBlock(effect);
      case "run_hook":
        this.hooks.push(effect.worker_id);
        return {
          kind: "hook_answered",
          worker_id: effect.worker_id,
          attempt: effect.attempt,
          later: this.hookAnswersLater,
          message: this.hookAnswersLater ? "later, please" : "no hook",
        };
      case "signal":
        return this.#signal(effect);
      case "gather":
        return this.#gather(effect);
      case "file_end": {
        const name = `${effect.into}/${effect.worker_id}.attempt-${effect.attempt}`;
        if (!this.evidence.has(name)) this.evidence.set(name, effect.patch);
        return undefined;
      }
      case "remove_active": {
        const worker = this.workers.get(effect.worker_id);
        if (worker?.spec.attempt !== effect.attempt) return undefined;
        this.gone.set(effect.worker_id, worker);
        this.workers.delete(effect.worker_id);
        this.#hintSpec(effect.worker_id);
        return undefined;
      }
      case "return_tokens":
        this.tokensReturned.add(`${effect.worker_id}.${effect.attempt}`);
        return undefined;
      case "file_request": {
        const key = `${effect.worker_id}.${String(effect.request.attempt)}`;
        this.requested.set(key, (this.requested.get(key) ?? 0) + (context.again ? 0 : 1));
        if (!this.queue.has(effect.worker_id)) this.queue.set(effect.worker_id, effect.request);
        return undefined;
      }
      case "forget_files":
        return { kind: "filed", worker_id: effect.worker_id, attempt: effect.attempt };
    }
  }

  #look(id: string, attempt: number, known: KnownProcess | null): Looked {
    const worker = this.workers.get(id) ?? this.gone.get(id);
    const process = worker?.process ?? null;
    const beat = this.heartbeatsUnreadable === "" ? this.#freshBeatOf(id, false) : null;
    return {
      look: known === null || process === null ? null : this.#processLook(process),
      same_host: process?.foreign !== "host",
      same_namespace: process?.foreign !== "namespace",
      same_boot: process?.otherBoot !== true,
      log_bytes: process === null ? null : Math.floor(process.used().log),
      launcher_alive: process?.launcherAlive ?? false,
      ...(process?.alive === false && this.forced.has(id) ? { restart_forced: true } : {}),
      exit: this.exits.get(`${id}.${attempt}`) ?? null,
      beat,
    };
  }

  #processLook(process: FakeProcess): ProcessLook {
    const used = process.used();
    const foreign = process.foreign !== "none" || process.otherBoot;
    return {
      atMs: this.#simulation.monoMs,
      presence: foreign ? "unreadable" : process.alive ? "present" : "gone",
      state: process.alive && !foreign ? process.state : null,
      traced: process.traced,
      frozen: process.frozen,
      cpuMs: used.own,
      childrenCpuMs: used.child,
      ioBytes: Math.floor(used.io),
    };
  }

  #writeBlock(effect: Extract<Effect, { kind: "write_block" }>): undefined {
    const worker = this.workers.get(effect.worker_id);
    if (worker === undefined || worker.spec.attempt !== effect.attempt) return undefined;
    const heartbeat = effect.patch.heartbeat as Record<string, unknown>;
    const own = blockKey(heartbeat.last_seen, heartbeat.sequence, heartbeat.health_score);
    worker.spec = {
      ...worker.spec,
      ...(typeof effect.patch.status === "string" ? { status: effect.patch.status } : {}),
      mode: heartbeat.mode as SpecFacts["mode"],
      in_spec_beat: {
        key: own,
        legacy_key: worker.spec.in_spec_beat?.legacy_key ?? "",
        score: heartbeat.health_score as number,
        legacy_score: worker.spec.in_spec_beat?.legacy_score ?? null,
        sequence: heartbeat.sequence as number | null,
      },
    };
    this.#hintSpec(effect.worker_id);
    return undefined;
  }

  #signal(effect: Extract<Effect, { kind: "signal" }>): Event {
    const { worker_id, attempt, signal } = effect;
    const worker = this.workers.get(worker_id) ?? this.gone.get(worker_id);
    const process = worker?.process;
    const answer = (text: string, why: string | null = null): Event => ({
      kind: "signalled",
      worker_id,
      attempt,
      answer: text,
      why,
    });
    if (!process || process.known.identity.pid !== effect.process.identity.pid) return answer("gone");
    if (process.foreign !== "none") return answer("refused", "it belongs to another host");
    if (!process.alive && process.children === 0) return answer("gone");
    this.signals.push({ worker_id, signal, atMs: this.#simulation.monoMs });
    const kills = signal === "SIGKILL";
    if (effect.scope === "group" && (kills || !process.childrenIgnoreTerm)) process.children = 0;
    if (process.alive && (kills || (!process.ignoresTerm && process.state !== "T")))
      this.end(worker_id, { signal, code: kills ? 137 : 143 });
    return answer("sent");
  }

  #gather(effect: Extract<Effect, { kind: "gather" }>): Event {
    const { worker_id, attempt } = effect;
    const worker = this.workers.get(worker_id) ?? this.gone.get(worker_id);
    const process = effect.process === null ? null : (worker?.process ?? null);
    const claimedBy = effect.withdraw && worker?.launched ? worker.process : null;
    return {
      kind: "gathered",
      worker_id,
      attempt,
      ...remainsOf(process),
      exit: this.exits.get(`${worker_id}.${attempt}`) ?? null,
      exit_pending: false,
      claimed: effect.withdraw && (worker?.launched ?? false),
      ...(claimedBy === null ? {} : { process: claimedBy.known }),
    };
  }

  // ---- workers ----------------------------------------------------------------------------------------------------

  #specOf(id: string, plan: Plan, attempt: number): SpecFacts {
    const kind = plan.process ?? "launched";
    return {
      worker_type: plan.worker_type ?? "test-worker",
      task_id: plan.task_id ?? null,
      status: "pending",
      attempt,
      mode: plan.mode ?? null,
      has_heartbeat: plan.has_heartbeat ?? true,
      has_launch: kind === "launched",
      own: plan.own ?? {},
      probe: false,
      stop: plan.stop ?? { signal: "SIGTERM", scope: "main", grace_ms: 30_000 },
      restart_when: plan.restart_when ?? "on-failure",
      max_runtime_ms: plan.max_runtime_ms ?? null,
      memory_limit_bytes: plan.memory_limit_bytes ?? null,
      tokens_used: 0,
      incident_id: null,
      process: kind.startsWith("adopted") ? this.#known(id, kind === "adopted") : null,
      other_boot: false,
      in_spec_beat: null,
    };
  }

  #known(_id: string, maySignal: boolean): KnownProcess {
    this.#pids += 1;
    return {
      identity: { pid: this.#pids, start_time: START_TIME, boot_id: "boot", pid_ns: "1", host: "here" },
      launcher_pid: null,
      launcher_start_time: null,
      origin: "adopted",
      may_signal: maySignal,
      started_at_ms: this.#simulation.nowMs,
      memory_limit_enforced_by: null,
      memory_folder: null,
    };
  }

  #launch(id: string, worker: Worker): void {
    const kind = worker.plan.process ?? "launched";
    if (kind === "none") return;
    const clock = (): number => this.#simulation.monoMs;
    if (worker.spec.process !== null) {
      worker.process = new FakeProcess(worker.spec.process, clock);
      worker.process.launcherAlive = false;
      return;
    }
    const known = { ...this.#known(id, true), origin: "launched" as const, launcher_pid: 99, launcher_start_time: 1 };
    worker.process = new FakeProcess(known, clock);
    worker.launched = true;
  }

  #hintLaunch(id: string, worker: Worker): void {
    this.#hint(() => (worker.launched && worker.process !== null ? this.#launchEvent(id, worker) : null));
  }

  #launchEvent(id: string, worker: Worker): Event {
    const process = worker.process as FakeProcess;
    return {
      kind: "launch",
      worker_id: id,
      attempt: worker.spec.attempt,
      process: process.known,
      launcher_alive: process.launcherAlive,
    };
  }

  /** A process that was started but whose claim was never completed. */
  makeDeadClaim(id: string): void {
    const worker = this.get(id);
    worker.process = null;
    worker.launched = false;
    worker.deadClaim = true;
    worker.beating = false;
    const { attempt } = worker.spec;
    this.#hint(() => ({ kind: "launch", worker_id: id, attempt, process: null, launcher_alive: false }));
  }

  #beatIfDue(id: string, worker: Worker): void {
    const nowMs = this.#simulation.monoMs;
    const runs = worker.process === null || (worker.process.alive && worker.process.state !== "T");
    if (!worker.beating || !runs || nowMs < worker.nextBeatMs) return;
    worker.nextBeatMs = nowMs + worker.beatEvery * 1000;
    this.writeBeat(id);
    if (this.heartbeatsUnreadable !== "") return;
    const beat = this.#freshBeatOf(id, false);
    if (beat !== null) this.#simulation.offer({ kind: "beat", worker_id: id, beat });
  }

  writeBeat(id: string): void {
    const worker = this.get(id);
    worker.sequence += 1;
    const facts: BeatFacts = {
      attempt: worker.spec.attempt,
      sequence: worker.sequence,
      reported: worker.health,
      progress: worker.progress,
      pid: null,
      age_ms: 0,
      key: `${worker.spec.attempt}:${worker.sequence}`,
    };
    worker.beat = { facts, writtenMs: this.#simulation.monoMs };
  }

  #freshBeatOf(id: string, starting: boolean): BeatFacts | null {
    const beat = this.workers.get(id)?.beat ?? null;
    if (beat === null || this.#seenBeats.get(id) === beat.facts.key) return null;
    const known = this.#seenBeats.has(id) && !starting;
    this.#seenBeats.set(id, beat.facts.key);
    return { ...beat.facts, age_ms: known ? 0 : this.#simulation.monoMs - beat.writtenMs };
  }

  #sweep(): void {
    for (const [id, part] of [...this.#simulation.partsWith<WorkerPart>("worker:")]) {
      if (part.process === null || part.ending !== null) continue;
      const process = (this.workers.get(id) ?? this.gone.get(id))?.process ?? null;
      if (process === null) continue;
      const attempt = part.spec.attempt;
      if (!process.alive) this.#simulation.offer({ kind: "vanished", worker_id: id, attempt });
      else if ((process.state === "T") !== (part.state === "paused"))
        this.#simulation.offer({ kind: "stat", worker_id: id, attempt, paused: process.state === "T" });
    }
  }

  /** Stands in for worker-restart: the next attempt of every worker in the queue. */
  #restart(): void {
    for (const [id, request] of [...this.queue]) {
      this.queue.delete(id);
      const before = this.gone.get(id);
      if (before === undefined || this.workers.has(id) || before.spec.attempt !== request.attempt) continue;
      const worker: Worker = {
        ...before,
        spec: {
          ...this.#specOf(id, before.plan, before.spec.attempt + 1),
          incident_id: typeof request.incident_id === "string" ? request.incident_id : null,
        },
        process: null,
        launched: false,
        deadClaim: false,
        beating: this.restarts === "well" && before.beatEvery > 0,
        nextBeatMs: this.#simulation.monoMs + 1000,
        beat: null,
      };
      this.workers.set(id, worker);
      this.#launch(id, worker);
      this.#hintSpec(id);
      this.#hintLaunch(id, worker);
      if (this.restarts === "crashing" || this.restarts === "finishing")
        this.end(id, { code: this.restarts === "crashing" ? 1 : 0 });
    }
  }

  /** A hint says that there is something to read; what is read is what stands there by then. */
  #hint(read: () => Event | null): void {
    this.#hints.push(read);
  }

  #hintSpec(id: string): void {
    this.#hint(() => ({ kind: "spec", worker_id: id, spec: this.workers.get(id)?.spec ?? null }));
  }

  // ---- what a scenario looks at -----------------------------------------------------------------------------------

  eventsOf(type: string, workerId?: string): EventRecord[] {
    return [...this.events.values()].filter(
      (event) => event.event_type === type && (workerId === undefined || event.worker_id === workerId),
    );
  }

  /** All event types in order, of one worker or of all. */
  types(workerId?: string): string[] {
    return [...this.events.values()]
      .filter((event) => workerId === undefined || event.worker_id === workerId)
      .map((event) => event.event_type);
  }

  verdicts(): string[] {
    return [...this.decisions.values()];
  }

  part(id: string): WorkerPart | null {
    return this.#simulation.part<WorkerPart>(`worker:${id}`);
  }

  get fleet(): FleetPart {
    return this.#simulation.part<FleetPart>("fleet") as FleetPart;
  }

  lastWords(name: string): Record<string, unknown> {
    return (this.evidence.get(name)?.last_words ?? {}) as Record<string, unknown>;
  }

  /** What must be the same however often the monitor was killed on the way. */
  end_(): Ending {
    const counted = new Map<string, number>();
    for (const event of this.events.values()) {
      const key = [event.event_type, event.worker_id ?? "-", event.attempt ?? "-", event.reason ?? "-"].join(" ");
      counted.set(key, (counted.get(key) ?? 0) + 1);
    }
    return {
      events: [...counted].map(([key, count]) => `${key} x${count}`).sort(),
      evidence: [...this.evidence]
        .map(
          ([name, patch]) =>
            `${name} ${String(patch.status)} ${String((patch.last_words as { reason?: unknown }).reason)}`,
        )
        .sort(),
      requested: [...this.requested.keys()].sort(),
      active: [...this.workers.keys()].sort(),
      alive: [...this.workers, ...this.gone]
        .filter(([, worker]) => worker.process?.alive)
        .map(([id]) => id)
        .sort(),
      signalled: [...new Set(this.signals.map(({ worker_id, signal }) => `${worker_id} ${signal}`))].sort(),
      tokens: [...this.tokensReturned].sort(),
    };
  }
}

export interface Ending {
  readonly events: readonly string[];
  readonly evidence: readonly string[];
  readonly requested: readonly string[];
  readonly active: readonly string[];
  readonly alive: readonly string[];
  readonly signalled: readonly string[];
  readonly tokens: readonly string[];
}

export interface Scene {
  readonly world: MonitorWorld;
  readonly simulation: MonitorSimulation;
}

export function policyOf(raw: Readonly<Record<string, unknown>> = {}): HeartbeatPolicy {
  const read = readHeartbeatPolicy(raw);
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return read.value.policy;
}

/** Opens a scene with the monitor running and trusted: its first interval of observation is over. */
export function openScene(raw: Readonly<Record<string, unknown>> = {}, crashAfter: readonly number[] = []): Scene {
  let world: MonitorWorld | undefined;
  const simulation: MonitorSimulation = new Simulation<Slice, Event, Effect, HeartbeatPolicy>({
    core,
    policy: policyOf(raw),
    world: (itself) => {
      world = new MonitorWorld(itself);
      return world;
    },
    crashAfter,
  });
  return { world: world as MonitorWorld, simulation };
}

/**
 * Plays a scenario calmly, checks it, and plays it again with a crash after each effect (or each n-th): every run must
 * end the same.
 *
 * @param play Must let enough time pass at its end for a monitor that was restarted to catch up.
 */
export async function playWithCrashes(
  raw: Readonly<Record<string, unknown>>,
  play: (scene: Scene) => void | Promise<void>,
  expectSame: (end: Ending, expected: Ending, crashAfter: number) => void,
  everyNth = 1,
): Promise<Scene> {
  let calm: Scene | undefined;
  await withEveryCrash<Ending>(async (crashAfter) => {
    const skip = crashAfter.length > 0 && (crashAfter[0] as number) % everyNth !== 0;
    if (skip && calm) return { performed: 0, end: calm.world.end_() };
    const scene = openScene(raw, crashAfter);
    calm ??= scene;
    await play(scene);
    await scene.simulation.settle();
    if (scene.simulation.failures.length > 0) throw new Error(scene.simulation.failures.join("\n"));
    return { performed: scene.simulation.performed, end: scene.world.end_() };
  }, expectSame);
  return calm as Scene;
}

function remainsOf(process: FakeProcess | null): RemainsFacts {
  const left = process === null ? 0 : (process.alive && !process.otherBoot ? 1 : 0) + process.children;
  return { left, log_tail: left > 0 ? "" : "last words" };
}
