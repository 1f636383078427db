/** One decision in the making: the slice as it changes, the effects in order, and what is said. @module */

import { stretch } from "../../lib/domain/local-health.js";
import { type GapHistogram, phiThresholds } from "../../lib/domain/suspicion.js";
import { startupThresholds, type Thresholds, thresholdsOf } from "../../lib/domain/thresholds.js";
import type { Decided, Stamped, Wake } from "../../lib/runtime/core.js";
import type { EventType, WorkerState } from "../../lib/schema/catalogue.js";
import { type DecisionDraft, type EventContent, type Gate, makeEvent, type Stamp } from "../../lib/schema/events.js";
import { settingsFor } from "../../lib/schema/policy.js";
import type { Effect, Event, FleetPart, Slice, WorkerPart } from "./facts.js";
import type { HeartbeatPolicy, HeartbeatSettings } from "./policy.js";

const SOURCE = "heartbeat-monitor";

export class Turn {
  worker: WorkerPart | null;
  fleet: FleetPart;
  readonly stamp: Stamp;
  readonly policy: HeartbeatPolicy;
  readonly #effects: (Effect | Wake)[] = [];
  readonly #first: Effect[] = [];
  #decision: DecisionDraft | undefined;
  #said = 0;
  /** Worked out once for a decision: the search for a time-out takes a while. */
  #phi: { readonly gaps: GapHistogram; readonly thresholds: Thresholds } | null = null;

  constructor(slice: Slice, event: Stamped<Event>, policy: HeartbeatPolicy) {
    this.worker = slice.worker;
    this.fleet = slice.fleet;
    this.stamp = event.stamp;
    this.policy = policy;
  }

  get now(): number {
    return this.stamp.monoMs;
  }

  /** Whether verdicts may be given: everything can be read, and an interval was observed since it last could not. */
  isTrusted(): boolean {
    return this.now >= this.fleet.trust_from_mono_ms && Object.keys(this.fleet.unreadable).length === 0;
  }

  settings(): HeartbeatSettings {
    return this.worker === null ? this.policy.settings : settingsFor(this.policy, this.worker.spec.worker_type);
  }

  do(effect: Effect | Wake): void {
    this.#effects.push(effect);
  }

  /** What others wait for comes before what is said in the same decision. */
  doFirst(effect: Effect): void {
    this.#first.push(effect);
  }

  set(patch: Partial<WorkerPart>): void {
    if (this.worker !== null) this.worker = { ...this.worker, ...patch };
  }

  setFleet(patch: Partial<FleetPart>): void {
    this.fleet = { ...this.fleet, ...patch };
  }

  /** Says an event about the worker. Its incident is the worker's, unless another is given. */
  say(type: EventType, content: EventContent, incidentId?: string | null): void {
    const worker = this.worker;
    const incident = incidentId ?? worker?.incident_id ?? undefined;
    const subject = worker
      ? {
          worker_id: worker.worker_id,
          worker_type: worker.spec.worker_type,
          task_id: worker.spec.task_id ?? undefined,
          attempt: worker.spec.attempt,
          incident_id: incident,
        }
      : { incident_id: incident };
    this.do({ kind: "report", record: makeEvent(this.stamp, this.#said, SOURCE, type, subject, content) });
    this.#said += 1;
  }

  /** Says an event about the fleet. */
  sayFleet(type: EventType, content: EventContent, incidentId?: string | null): void {
    this.do({
      kind: "report",
      record: makeEvent(this.stamp, this.#said, SOURCE, type, { incident_id: incidentId ?? undefined }, content),
    });
    this.#said += 1;
  }

  decide(verdict: string, reason: string, message: string, gates: readonly Gate[]): void {
    const subject = this.worker?.worker_id ?? "fleet";
    this.#decision = { subject, verdict, reason, message, gates, incident_id: this.worker?.incident_id ?? undefined };
  }

  /** Opens an incident for the worker at the first sign of a failure. */
  openIncident(): string {
    const known = this.worker?.incident_id;
    if (known) return known;
    const incident = `inc-${this.stamp.id}`;
    this.set({ incident_id: incident, incident_opened_mono_ms: this.now });
    return incident;
  }

  enter(state: WorkerState): void {
    if (this.worker === null || this.worker.state === state) return;
    this.set({ state, state_since_mono_ms: this.now, state_since_at_ms: this.stamp.atMs });
  }

  /** Sets the worker's next wake; never for this very instant, in which rounding could make it wait for itself for ever. */
  wakeAt(monoMs: number | null): void {
    if (this.worker === null) return;
    const atMonoMs = monoMs === null ? null : Math.max(monoMs, this.now + 1);
    this.do({ kind: "wake", key: `worker:${this.worker.worker_id}`, atMonoMs });
  }

  /** The worker's thresholds, stretched by the monitor's own health, and by the grace time before the first beat. */
  thresholds(): Thresholds {
    const worker = this.worker as WorkerPart;
    const plain = thresholdsOf(this.settings(), worker.spec.own);
    const own = worker.last_beat === null ? startupThresholds(plain) : this.#learnt(plain, worker.gaps);
    return stretched(own, this.fleet.local_health);
  }

  /** With the detector that learns, the time-out is what this worker's own gaps say. */
  #learnt(plain: Thresholds, gaps: GapHistogram | undefined): Thresholds {
    if (gaps === undefined || this.settings().detector !== "phi") return plain;
    if (this.#phi?.gaps !== gaps) this.#phi = { gaps, thresholds: phiThresholds(plain, gaps) };
    return this.#phi.thresholds;
  }

  silentMs(): number {
    return this.worker === null ? 0 : Math.max(0, this.now - this.worker.silent_from_mono_ms);
  }

  done(): Decided<Slice, Effect> {
    const effects = this.#first.length === 0 ? this.#effects : [...this.#first, ...this.#effects];
    return { slice: { worker: this.worker, fleet: this.fleet }, effects, decision: this.#decision };
  }
}

/** The thresholds while the monitor itself is not well: everything that ends a worker comes later. */
export function stretched(own: Thresholds, health: number): Thresholds {
  if (health === 0) return own;
  const longer = (ms: number): number => stretch(ms, health);
  const zombieMs = longer(own.zombieMs);
  return {
    ...own,
    timeoutMs: longer(own.timeoutMs),
    zombieMs,
    busyMs: longer(own.busyMs),
    blockedMs: longer(own.blockedMs),
    firstLookMs: zombieMs - own.verifyMs,
  };
}

export function gate(name: string, value: unknown, threshold: unknown, passed: boolean, passesAt?: string): Gate {
  return { gate: name, value, threshold, passed, ...(passesAt ? { passes_at: passesAt } : {}) };
}
