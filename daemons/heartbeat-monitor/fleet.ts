/** The fleet as a whole: the monitor's own health, the mass guard, holds; and the counts that they need. @module */

import { under } from "../../lib/domain/counts.js";
import { isOwnStall, step } from "../../lib/domain/local-health.js";
import {
  type Canary,
  canaryDone,
  type GuardFacts,
  type GuardStep,
  guard,
  nextCanaries,
} from "../../lib/domain/mass-guard.js";
import type { Event, FleetPart, HoldFacts, WorkerPart } from "./facts.js";
import type { Turn } from "./turn.js";

const BUCKET_MS = 10_000;
const WAITING_MAX = 256;
/** Stands for "until further notice" in JSON, which has no infinity. */
const NEVER_MONO_MS = 1e15;
const MINUTE_MS = 60_000;
const PULSE_MS = 1000;

export function countMonitored(turn: Turn, workerType: string, change: number): void {
  const count = Math.max(0, (under(turn.fleet.monitored, workerType) ?? 0) + change);
  const { [workerType]: _, ...others } = turn.fleet.monitored;
  turn.setFleet({ monitored: count === 0 ? others : { ...others, [workerType]: count } });
}

export function monitoredCount(fleet: FleetPart): number {
  return Object.values(fleet.monitored).reduce((sum, count) => sum + count, 0);
}

/** Counts the worker among the suspects, and asks the guard. */
export function beginSuspicion(turn: Turn): void {
  const worker = turn.worker as WorkerPart;
  if (worker.suspect_bucket !== null) return;
  const bucket = Math.floor(turn.now / BUCKET_MS);
  turn.set({ suspect_bucket: bucket });
  changeSuspects(turn, worker.spec.worker_type, bucket, 1);
  stepGuard(turn);
}

export function endSuspicion(turn: Turn): void {
  const { worker } = turn;
  if (worker === null) return;
  if (turn.fleet.waiting.some((one) => one.worker_id === worker.worker_id)) {
    turn.setFleet({ waiting: turn.fleet.waiting.filter((one) => one.worker_id !== worker.worker_id) });
  }
  if (worker.suspect_bucket === null) return;
  changeSuspects(turn, worker.spec.worker_type, worker.suspect_bucket, -1);
  turn.set({ suspect_bucket: null });
}

function changeSuspects(turn: Turn, type: string, bucket: number, change: number): void {
  turn.setFleet({ suspects: suspectsWith(turn.fleet.suspects, type, bucket, change) });
}

/** The suspects, with so many more or fewer of a type in a bucket; nothing empty is kept. */
export function suspectsWith(
  suspects: FleetPart["suspects"],
  type: string,
  bucket: number,
  change: number,
): FleetPart["suspects"] {
  const ofType = under(suspects, type) ?? {};
  const count = (ofType[bucket] ?? 0) + change;
  const { [bucket]: _, ...otherBuckets } = ofType;
  const buckets = count > 0 ? { ...otherBuckets, [bucket]: count } : otherBuckets;
  const { [type]: __, ...otherTypes } = suspects;
  return Object.keys(buckets).length === 0 ? otherTypes : { ...otherTypes, [type]: buckets };
}

/** Remembers a worker that is due and that only the guard keeps back. */
export function waitForGuard(turn: Turn): void {
  const worker = turn.worker as WorkerPart;
  const { waiting } = turn.fleet;
  if (waiting.length >= WAITING_MAX || waiting.some((one) => one.worker_id === worker.worker_id)) return;
  turn.setFleet({ waiting: [...waiting, { worker_id: worker.worker_id, worker_type: worker.spec.worker_type }] });
}

function guardFacts(fleet: FleetPart): GuardFacts {
  const suspects: { worker_type: string; since_ms: number }[] = [];
  for (const [worker_type, buckets] of Object.entries(fleet.suspects)) {
    for (const [bucket, count] of Object.entries(buckets)) {
      for (let nth = 0; nth < count; nth++) suspects.push({ worker_type, since_ms: (Number(bucket) + 1) * BUCKET_MS });
    }
  }
  return { suspects, monitored: fleet.monitored };
}

/** Moves the mass guard to the present and says what changed. */
function stepGuard(turn: Turn): void {
  const policy = turn.policy.settings.mass_failure;
  const before = turn.fleet.guard;
  if (before.state === "clear" && Object.keys(turn.fleet.suspects).length === 0) return;
  const facts = guardFacts(turn.fleet);
  const { state, edge } = guard(before, facts, turn.now, policy);
  if (state !== before) turn.setFleet({ guard: state });
  sayEdge(turn, edge, facts);
}

function sayEdge(turn: Turn, edge: GuardStep["edge"], facts: GuardFacts): void {
  if (edge === "none") return;
  const { guard: state } = turn.fleet;
  const suspects = facts.suspects.length;
  const monitored = monitoredCount(turn.fleet);
  const data = { suspects, monitored, reason: state.reason, worker_types: state.types };
  if (edge === "hold_started" || edge === "hold_widened") sayHoldStarted(turn, data, suspects, monitored);
  else if (edge === "escalated") {
    const { hold_seconds: seconds } = turn.policy.settings.mass_failure;
    const message = `${suspects} of ${monitored} workers have looked dead for ${seconds} s; nothing is killed, a person should look`;
    turn.sayFleet("mass_zombification_alert", { reason: state.reason, message, data }, turn.fleet.guard_incident);
  } else if (edge === "hold_ended") {
    turn.sayFleet(
      "fleet_hold_ended",
      { reason: state.reason, message: `The hold on silent workers is over (${state.reason})`, data },
      turn.fleet.guard_incident,
    );
    turn.setFleet({ guard_incident: null, waiting: [] });
  }
}

function sayHoldStarted(
  turn: Turn,
  data: Readonly<Record<string, unknown>>,
  suspects: number,
  monitored: number,
): void {
  if (turn.fleet.guard_incident === null) turn.setFleet({ guard_incident: `inc-${turn.stamp.id}-fleet` });
  const cause = turn.fleet.suspect_because;
  const because = cause === null ? "" : `; ${cause}`;
  const many = `${suspects} of ${monitored} workers look dead`;
  const what =
    turn.fleet.guard.reason === "canary_lost"
      ? `A worker that was let through did not come back, and ${many}`
      : `${many} at once`;
  const message = `${what}${because}: nothing is killed until it is understood`;
  turn.sayFleet(
    "fleet_hold_started",
    { reason: turn.fleet.guard.reason, message, data: { ...data, cause } },
    turn.fleet.guard_incident,
  );
  turn.sayFleet(
    "mass_zombification_alert",
    { reason: turn.fleet.guard.reason, message, data: { ...data, cause } },
    turn.fleet.guard_incident,
  );
}

/** One second has passed: the monitor looks at itself first. */
export function onPulse(turn: Turn, pulse: Extract<Event, { kind: "pulse" }>): void {
  turn.setFleet({ pulse_mono_ms: turn.now });
  if (pulse.host !== turn.fleet.host) turn.setFleet({ host: pulse.host });
  if (pulse.suspended_ms > 0)
    distrust(turn, "suspended", `the host was suspended for ${Math.round(pulse.suspended_ms / 1000)} s`);
  else if (isOwnStall(pulse.gap_ms, pulse.expected_ms))
    distrust(turn, "stalled", `the monitor itself did not run for ${Math.round(pulse.gap_ms / 1000)} s`);
  else if (pulse.stepped_ms !== 0)
    distrust(turn, "clock_step", `the wall clock was set by ${Math.round(pulse.stepped_ms / 1000)} s`, 0);
  else trustAgain(turn);
  moveLocalHealth(turn, pulse);
  const kept = turn.fleet.cleanups.filter((at) => at > turn.now - MINUTE_MS);
  if (kept.length !== turn.fleet.cleanups.length) turn.setFleet({ cleanups: kept });
  stepGuard(turn);
  releaseCanaries(turn);
}

/** Timers run in the order of their instants: after a stall, a worker's deadline may fire before the pulse does. */
export function noticeStall(turn: Turn): void {
  const { pulse_mono_ms: last } = turn.fleet;
  const gap = turn.now - last;
  if (last === 0 || !isOwnStall(gap, PULSE_MS)) return;
  turn.setFleet({ pulse_mono_ms: turn.now });
  distrust(turn, "stalled", `the monitor itself did not run for ${Math.round(gap / 1000)} s`);
}

function moveLocalHealth(turn: Turn, pulse: Extract<Event, { kind: "pulse" }>): void {
  const monitored = monitoredCount(turn.fleet);
  const suspects = Object.values(turn.fleet.suspects).reduce(
    (sum, buckets) => sum + Object.values(buckets).reduce((inner, count) => inner + count, 0),
    0,
  );
  // A share of one or two workers says nothing about the monitor; the guard's own floor applies here too.
  const share = suspects >= turn.policy.settings.mass_failure.min_workers ? suspects / Math.max(1, monitored) : 0;
  const health = step(turn.fleet.local_health, {
    lateTick: pulse.late,
    loopDelayMs: pulse.loop_delay_ms ?? null,
    cpuPressure: pulse.cpu_pressure,
    suspectShare: share,
  });
  if (health !== turn.fleet.local_health) turn.setFleet({ local_health: health });
}

/** After a stall nothing is concluded until one full interval was observed afresh, and every beat is read again. */
function distrust(turn: Turn, because: string, sentence: string, intervals = 1): void {
  const until = turn.now + intervals * observationMs(turn);
  if (turn.fleet.trust_from_mono_ms < until) turn.setFleet({ trust_from_mono_ms: until });
  saySuspect(turn, because, sentence);
  turn.do({ kind: "rescan" });
}

/** Said when trust is lost, not again for each further cause before it is regained. */
function saySuspect(turn: Turn, because: string, sentence: string, data: Readonly<Record<string, unknown>> = {}): void {
  if (turn.fleet.suspect_because !== null) return;
  turn.setFleet({ suspect_because: because });
  turn.sayFleet("detector_suspect", {
    reason: because,
    message: `No verdicts for now: ${sentence}`,
    data: { because, ...data },
  });
}

function trustAgain(turn: Turn): void {
  if (turn.fleet.suspect_because === null || !turn.isTrusted()) return;
  const because = turn.fleet.suspect_because;
  turn.setFleet({ suspect_because: null });
  turn.sayFleet("detector_trusted", {
    reason: because,
    message: "The monitor has observed afresh and gives verdicts again",
    data: { because },
  });
}

/** One interval, from 1 s to 30 s. */
function observationMs(turn: Turn): number {
  return Math.min(30, Math.max(1, turn.policy.settings.heartbeat_interval_seconds)) * 1000;
}

function releaseCanaries(turn: Turn): void {
  if (turn.fleet.guard.state !== "releasing" || turn.fleet.waiting.length === 0) return;
  const { state, chosen } = nextCanaries(turn.fleet.guard, turn.fleet.waiting, turn.now);
  if (chosen.length === 0) return;
  const ids = new Set(chosen.map((one) => one.worker_id));
  turn.setFleet({ guard: state, waiting: turn.fleet.waiting.filter((one) => !ids.has(one.worker_id)) });
  turn.do({ kind: "release", worker_ids: [...ids] });
}

/** A worker that was let through came back: its new attempt beats, runs where no beat is awaited, or has finished its work. */
export function settleCanary(turn: Turn): void {
  const canary = canaryOf(turn);
  if (canary === undefined || canary.at_ms >= turn.now) return;
  turn.setFleet({ guard: canaryDone(turn.fleet.guard, canary.worker_id, true, turn.now) });
}

/** A worker that was let through is dead again, or due again, before the first beat of its new attempt. */
export function loseCanary(turn: Turn): void {
  const worker = turn.worker as WorkerPart;
  const canary = canaryOf(turn);
  // What ends may still be the attempt that was let through: that is what it was let through for.
  if (canary === undefined || worker.released || worker.silent_from_mono_ms <= canary.at_ms) return;
  const before = turn.fleet.guard;
  turn.setFleet({ guard: canaryDone(before, canary.worker_id, false, turn.now) });
  if (turn.fleet.guard !== before) sayEdge(turn, "hold_started", guardFacts(turn.fleet));
}

function canaryOf(turn: Turn): Canary | undefined {
  return turn.fleet.guard.canaries.find((canary) => canary.worker_id === turn.worker?.worker_id);
}

/** What a run before this one trusted and could not read says nothing about this one. */
export function onStarting(turn: Turn): void {
  turn.setFleet({
    ready_mono_ms: turn.now,
    pulse_mono_ms: turn.now,
    trust_from_mono_ms: NEVER_MONO_MS,
    unreadable: {},
    boot_slot_mono_ms: 0,
  });
}

/** Everything has been read once: no verdict within one interval of this. */
export function onReady(turn: Turn, { monitored, suspects }: Pick<FleetPart, "monitored" | "suspects">): void {
  turn.setFleet({
    ready_mono_ms: turn.now,
    trust_from_mono_ms: turn.now + observationMs(turn),
    monitored,
    suspects,
  });
}

/** Whatever kept the monitor from writing kept the workers from beating, as it may be: they get one interval to do so. */
export function onWeathered(turn: Turn): void {
  distrust(turn, "weather", "the host could not be written to, so that beats may be missing");
}

/** After a hold ends, one full time-out is observed before anything is decided. */
export function onHolds(turn: Turn, holds: readonly HoldFacts[]): void {
  turn.setFleet({ holds });
}

/** The beats cannot be read, or can again. While they cannot, silence is ours, not the workers'. */
export function onUnreadable(turn: Turn, what: string, code: string): void {
  const { [what]: before, ...others } = turn.fleet.unreadable;
  if (code !== "") {
    turn.setFleet({ unreadable: { ...others, [what]: code } });
    saySuspect(turn, "unreadable", `${what} cannot be read (${code}); nobody is killed for it`, { what, code });
  } else if (before !== undefined) {
    turn.setFleet({ unreadable: others });
    distrust(turn, "unreadable", `${what} could not be read (${before})`);
  }
}
