/** A fleet in memory for the scenarios of worker-restart: a queue, specs, processes, a history; no file, no process. @module */
import { restartCore } from "../../daemons/worker-restart/decide.js";
import type { Effect, Event, Facts, Request, StartEffect, Subject } from "../../daemons/worker-restart/messages.js";
import { fillPlaces } from "../../daemons/worker-restart/places.js";
import { readRestartPolicy } from "../../daemons/worker-restart/policy.js";
import type { RestartSettings } from "../../daemons/worker-restart/settings.js";
import type { FleetPart, Slice, WorkerPart } from "../../daemons/worker-restart/state.js";
import type { Answer, PerformContext } from "../../lib/runtime/core.js";
import type { DecisionEffect } from "../../lib/runtime/loop.js";
import type { Policy } from "../../lib/schema/policy.js";
import { Simulation, type World } from "./simulation.js";

export type RestartSimulation = Simulation<Slice, Event, Effect, Policy<RestartSettings>>;

interface Filed {
  readonly subject: Subject;
  readonly request: Request;
  deferred: {
    readonly gate: string;
    readonly reason: string;
    readonly next_at?: string;
    readonly count: number;
  } | null;
}

interface Attempt {
  readonly worker_id: string;
  readonly attempt: number;
  readonly start_id: string;
  readonly at_ms: number;
  alive: boolean;
  beaten: boolean;
  /** Where its spec is. */
  spec: "active" | "zombie" | "completed" | "stopped";
}

const NO_FACTS: Omit<Facts, "highest" | "next_exists" | "active" | "survivors" | "other"> = {
  hold: null,
  task_held: false,
  desired: null,
  when: "on-failure",
  requires: [],
  unlaunchable: null,
  deadline_ms: null,
  tokens: null,
  files: "v1",
  hook: false,
  attempts: 0,
  lifetime: 0,
};

export class FleetWorld implements World<Event, Effect> {
  readonly queue = new Map<string, Filed>();
  readonly claimed = new Map<string, Filed>();
  readonly settled: { name: string; folder: string; verdict: unknown }[] = [];
  readonly attempts: Attempt[] = [];
  readonly history: Record<string, unknown>[] = [];
  readonly events: {
    id: string;
    type: string;
    worker: string | undefined;
    reason: string | undefined;
    severity: string;
    message: string;
  }[] = [];
  readonly decisions: { id: string; verdict: string; gates: readonly { gate: string; passed: boolean }[] }[] = [];
  readonly rejected: string[] = [];
  readonly taskHolds = new Set<string>();
  readonly givenUp = new Set<string>();
  readonly breakerFiles = new Map<string, string>();
  readonly signals: string[] = [];
  /** For how long an old attempt had been ended, at each try. */
  readonly endings: number[] = [];
  /** Whether old attempts outlive their signals. */
  deaf = false;
  /** What the next looks find, for all workers. */
  facts: Partial<Facts> = {};
  /** And for one. */
  readonly factsOf = new Map<string, Partial<Facts>>();
  /** Requests that may not be read just now. */
  readonly unreadable = new Set<string>();
  /** The requests that were looked at, in their order. */
  readonly looked: string[] = [];
  mustBeat = false;
  /** Until then the host cannot make a launcher. */
  noStartsBeforeMs = 0;
  /** Until then the budget has no tokens for a start, whatever its gate was told. */
  noTokensBeforeMs = 0;
  hookSaysLater = false;
  /** How often what comes after a claim is kept from being written. */
  stormsAfterClaim = 0;
  #claims = 0;
  readonly #simulation: RestartSimulation;

  constructor(simulation: RestartSimulation) {
    this.#simulation = simulation;
  }

  /** Files a request as the monitor does for an attempt that ended. */
  fileDeath(
    workerId: string,
    attempt: number,
    more: Partial<Request> & { readonly task_id?: string; readonly worker_type?: string } = {},
  ): void {
    const { task_id = null, worker_type = "scan-worker", ...request } = more;
    this.file(
      `${workerId}-restart.json`,
      { worker_id: workerId, worker_type, task_id },
      {
        reason: "exited",
        by_person: false,
        requested_by: "heartbeat-monitor",
        attempt,
        incident_id: `incident-${workerId}-${attempt}`,
        spends: true,
        ended: { exit_code: 1, ran_ms: 20_000, by_itself: false },
        ...request,
      },
    );
  }

  /** Files a request as a person does with `cat`. */
  filePersons(workerId: string, more: Partial<Request> = {}): void {
    const subject = { worker_id: workerId, worker_type: "scan-worker", task_id: null };
    this.file(`${workerId}-restart.json`, subject, {
      reason: "manual_test",
      by_person: true,
      requested_by: null,
      spends: false,
      ...more,
    });
  }

  file(name: string, subject: Subject, request: Partial<Request>): void {
    const nowMs = this.#simulation.nowMs;
    const complete: Request = {
      reason: "exited",
      by_person: false,
      requested_by: null,
      attempt: null,
      incident_id: null,
      filed_at_ms: nowMs,
      not_before_ms: null,
      expires_at_ms: request.by_person === true ? nowMs + 3_600_000 : null,
      force: false,
      override: [],
      spends: true,
      ended: null,
      ...request,
    };
    this.queue.set(name, { subject, request: complete, deferred: null });
    this.notice(name);
  }

  /** The hint of a watch on the queue. */
  notice(name: string): void {
    const event = this.look(name);
    if (event !== null) this.#simulation.offer(event);
  }

  /** What a change of a hold, a template or a wish does: everything that waits is looked at. */
  noticeAll(): void {
    for (const name of [...this.queue.keys()]) this.notice(name);
  }

  /** An attempt dies, and the monitor takes it away and files a request. */
  die(workerId: string, more: Parameters<FleetWorld["fileDeath"]>[2] = {}): void {
    const attempt = this.attemptOf(workerId);
    attempt.alive = false;
    attempt.spec = "zombie";
    this.fileDeath(workerId, attempt.attempt, more);
  }

  /** A person has an attempt stopped: the monitor files it away, and requests nothing. */
  stop(workerId: string): void {
    const attempt = this.attemptOf(workerId);
    attempt.alive = false;
    attempt.spec = "stopped";
  }

  attemptOf(workerId: string): Attempt {
    const found = this.attempts.filter((each) => each.worker_id === workerId).at(-1);
    if (found === undefined) throw new Error(`No attempt of ${workerId} was ever started`);
    return found;
  }

  alive(): string[] {
    return this.attempts.filter((each) => each.alive).map((each) => `${each.worker_id}.${each.attempt}`);
  }

  typesOf(workerId?: string): string[] {
    return this.events.filter((each) => workerId === undefined || each.worker === workerId).map((each) => each.type);
  }

  look(name: string): Event | null {
    const filed = this.queue.get(name);
    if (filed === undefined) return null;
    const { worker_id } = filed.subject;
    const own = this.attempts.filter((each) => each.worker_id === worker_id);
    const highest = Math.max(filed.request.attempt ?? 0, ...own.map((each) => each.attempt));
    const next = (filed.request.attempt ?? highest) + 1;
    const active = own.find((each) => each.spec === "active") ?? null;
    const part = this.#simulation.part<WorkerPart>(`worker:${worker_id}`);
    const other =
      part?.waiting && part.waiting.name !== name && this.queue.has(part.waiting.name) ? part.waiting.name : null;
    const facts: Facts = {
      ...NO_FACTS,
      task_held: filed.subject.task_id !== null && this.taskHolds.has(filed.subject.task_id),
      highest,
      next_exists: own.some((each) => each.attempt >= next),
      active: active === null ? null : { attempt: active.attempt, alive: active.alive },
      survivors: [],
      other,
      host: "running",
      ...this.facts,
      ...this.factsOf.get(worker_id),
    };
    this.looked.push(worker_id);
    const request = filed.deferred === null ? { ...filed.request, bare: true } : filed.request;
    return { kind: "request", ...filed.subject, name, request, facts };
  }

  scan(offer: (event: Event) => void): void {
    for (const [workerId, part] of this.#simulationParts()) {
      offer({ kind: "resume", worker_id: workerId, worker_type: part.worker_type, task_id: part.task_id });
      if (part.waiting !== null && part.waiting.phase === "waiting" && !this.queue.has(part.waiting.name))
        offer({
          kind: "request-gone",
          worker_id: workerId,
          worker_type: part.worker_type,
          task_id: part.task_id,
          name: part.waiting.name,
        });
    }
    for (const event of this.#historyEvents()) offer(event);
    for (const name of [...this.queue.keys()]) {
      const event = this.look(name);
      if (event !== null) offer(event);
    }
  }

  #lookAtWaiting({ gate }: Extract<Effect, { kind: "look-waiting" }>): Event[] {
    const names = [...this.queue.keys()];
    if (gate === undefined) return names.flatMap((name) => this.look(name) ?? []);
    const events: Event[] = [];
    const look = (name: string): boolean => {
      if (this.unreadable.has(name)) return false;
      events.push(...[this.look(name) ?? this.#gone(name)].flat());
      return true;
    };
    const parts = this.#simulationParts().map(([, part]) => part);
    const fleet = this.#simulation.part<FleetPart>("fleet");
    fillPlaces(parts, fleet, this.#simulation.policy, this.#simulation.nowMs, look);
    return events;
  }

  /** A person has taken the request back since it began to wait. */
  #gone(name: string): Event | [] {
    for (const [workerId, { waiting, worker_type, task_id }] of this.#simulationParts())
      if (waiting?.name === name) return { kind: "request-gone", worker_id: workerId, worker_type, task_id, name };
    return [];
  }

  /** At the very first scan there is no loop yet. */
  #simulationParts(): readonly (readonly [string, WorkerPart])[] {
    return [...this.#simulation.partsWith<WorkerPart>("worker:")];
  }

  perform(effect: Effect | DecisionEffect, context: PerformContext): Answer<Event> {
    switch (effect.kind) {
      case "decision": {
        const { verdict, gates } = (effect as DecisionEffect).draft;
        if (!this.decisions.some((each) => each.id === context.stamp.id))
          this.decisions.push({ id: context.stamp.id, verdict, gates });
        return undefined;
      }
      case "report": {
        const { event_id: id, event_type: type, worker_id: worker, reason, severity, message } = effect.record;
        if (!this.events.some((each) => each.id === id))
          this.events.push({ id, type, worker, reason, severity, message });
        return undefined;
      }
      case "start":
        return this.#start(effect, context.again || effect.resumed);
      case "look":
        return this.look(effect.name) ?? { ...effect, kind: "request-gone" };
      case "look-waiting":
        return this.#lookAtWaiting(effect);
      case "defer": {
        const filed = this.queue.get(effect.name) ?? this.claimed.get(effect.claimed ?? "");
        if (filed === undefined) return undefined;
        filed.deferred = effect.deferred;
        if (effect.claimed !== null) this.claimed.delete(effect.claimed);
        this.queue.set(effect.name, filed);
        return undefined;
      }
      case "settle": {
        const key = effect.claimed ?? this.#claim(effect.name, context.again);
        if (effect.claimed === null) this.#storm();
        const name = effect.claimed ?? effect.name;
        if (key !== null && this.claimed.delete(key))
          this.settled.push({ name, folder: effect.folder, verdict: effect.outcome.verdict });
        return effect.subject === null ? undefined : { kind: "settled", ...effect.subject, name: effect.name };
      }
      case "confirm-settled":
        return { ...effect, kind: "settled" };
      case "reject":
        if (!this.rejected.includes(effect.name)) this.rejected.push(effect.name);
        this.queue.delete(effect.name);
        return undefined;
      case "ask-hook": {
        const later = this.hookSaysLater;
        return Promise.resolve({
          kind: "hook-answered" as const,
          ...effect.subject,
          name: effect.name,
          later,
          note: later ? "the hook says later" : "",
        });
      }
      case "check":
        return this.#check(effect);
      case "append-history":
        if (!this.history.some((line) => line.history_id === effect.record.history_id))
          this.history.push(effect.record);
        return undefined;
      case "read-history":
        return this.#historyEvents();
      case "keep-place":
        return undefined;
      case "write-breaker": {
        const part = this.#simulation.part<Slice["type"]>(`type:${effect.worker_type}`);
        if (part !== null) this.breakerFiles.set(effect.worker_type, part.breaker.state);
        return undefined;
      }
      case "hold-task":
        this.taskHolds.add(effect.task_id);
        return undefined;
      case "give-up":
        this.givenUp.add(`${effect.worker_id}.${effect.attempt}`);
        return undefined;
      case "end-old": {
        const old = this.attempts.find(
          (each) => each.worker_id === effect.worker_id && each.attempt === effect.attempt,
        );
        this.endings.push(effect.waited_ms ?? 0);
        if (old?.alive && !this.deaf) {
          this.signals.push(`${effect.worker_id}.${effect.attempt}`);
          old.alive = false;
        }
        return undefined;
      }
    }
  }

  /** As the folders would have it: a claim that was made before is known by its name only to one who looks again. */
  #claim(name: string, again: boolean): string | null {
    const filed = this.queue.get(name);
    if (filed !== undefined) {
      const key = `${name}#${++this.#claims}`;
      this.queue.delete(name);
      this.claimed.set(key, filed);
      return key;
    }
    const runs = new Set([...this.#simulationParts()].map(([, part]) => part.run?.claimed));
    const earlier = [...this.claimed.keys()].filter((key) => key.startsWith(`${name}#`) && !runs.has(key));
    return again ? (earlier.at(-1) ?? null) : null;
  }

  /** What was claimed stays so: the disk is full only for what is written next. */
  #storm(): void {
    if (this.stormsAfterClaim === 0) return;
    this.stormsAfterClaim -= 1;
    throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
  }

  #start(effect: StartEffect, again: boolean): Event {
    const { worker_id, worker_type, task_id, name, attempt } = effect;
    const subject = { worker_id, worker_type, task_id };
    const claimed = this.#claim(name, again);
    this.#storm();
    const refused = { kind: "not-started", ...subject, name, attempt, claimed, permanent: false } as const;
    if (claimed === null) return { ...refused, why: "gone", message: "the request was withdrawn" };
    const there = this.attempts.find((each) => each.worker_id === worker_id && each.attempt === attempt);
    if (there !== undefined && there.start_id !== effect.start_id)
      return { ...refused, why: "there", message: "it exists" };
    if (there === undefined && this.#simulation.nowMs < this.noTokensBeforeMs)
      return { ...refused, why: "tokens", message: "it needs 8000 tokens and 100 are left" };
    if (there === undefined && this.#simulation.nowMs < this.noStartsBeforeMs) {
      return { ...refused, why: "failed", message: "no process could be made" };
    }
    if (there === undefined) {
      this.attempts.push({
        worker_id,
        attempt,
        start_id: effect.start_id,
        at_ms: this.#simulation.nowMs,
        alive: true,
        beaten: false,
        spec: "active",
      });
    }
    return { kind: "started", ...subject, name, attempt, claimed };
  }

  #check(effect: Subject & { readonly attempt: number }): Event {
    const found = this.attempts.find((each) => each.worker_id === effect.worker_id && each.attempt === effect.attempt);
    return {
      kind: "checked",
      worker_id: effect.worker_id,
      worker_type: effect.worker_type,
      task_id: effect.task_id,
      attempt: effect.attempt,
      found: found?.spec ?? "gone",
      alive: found?.alive ?? false,
      beaten: found?.beaten ?? false,
      must_beat: this.mustBeat,
    };
  }

  #historyEvents(): Event[] {
    return this.history.map((line, index) => ({
      kind: "history",
      worker_type: String(line.worker_type),
      outcome: {
        result: line.reason === "relapsed" ? "relapsed" : (line.result as "success" | "failure"),
        atMs: line.at_ms as number,
        ...(typeof line.worker_id === "string" && typeof line.attempt === "number"
          ? { worker_id: line.worker_id, attempt: line.attempt }
          : {}),
      },
      read_to: { file: "history", offset: index + 1 },
    }));
  }
}

export interface Fleet {
  readonly simulation: RestartSimulation;
  readonly world: FleetWorld;
}

/** Makes a fleet under a policy as a person would write it. */
export function makeFleet(policy: Readonly<Record<string, unknown>>, crashAfter: readonly number[] = []): Fleet {
  const read = readRestartPolicy({ jitter: "none", rate_limits: { per_task_min_interval_seconds: 0 }, ...policy });
  if (!read.ok) throw new Error(`The scenario's policy is wrong: ${JSON.stringify(read.problems)}`);
  const made: { world?: FleetWorld } = {};
  const simulation: RestartSimulation = new Simulation({
    core: restartCore,
    policy: read.value.policy,
    crashAfter,
    world: (of) => {
      made.world = new FleetWorld(of as RestartSimulation);
      return made.world;
    },
  });
  return { simulation, world: made.world as FleetWorld };
}

/** How a scenario ended, without the ids and instants in which a run with a crash may differ. */
export function endOf({ world, simulation }: Fleet) {
  return {
    attempts: world.attempts.map(
      ({ worker_id, attempt, alive }) => `${worker_id}.${attempt} ${alive ? "lives" : "ended"}`,
    ),
    history: world.history.map(
      ({ worker_id, attempt, result, reason }) => `${worker_id}.${attempt} ${result} ${reason}`,
    ),
    events: world.events.map(({ type, worker, reason }) => `${type} ${worker ?? ""} ${reason ?? ""}`).sort(),
    waiting: [...world.queue].map(([name, { deferred }]) => `${name} ${deferred?.gate}`),
    claimed: world.claimed.size,
    settled: world.settled.map(({ folder, verdict }) => `${folder} ${verdict}`).sort(),
    breakers: Object.fromEntries(world.breakerFiles),
    holds: [...world.taskHolds],
    given_up: [...world.givenUp],
    rejected: world.rejected,
    signals: world.signals,
    failures: simulation.failures,
  };
}
