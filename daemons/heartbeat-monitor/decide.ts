/**
 * Decides which workers are well, silent, hung or dead, and how what is left of an attempt is brought to its end. Reads no
 * clock, no file, no process; never decides whether a worker may come back: that is worker-restart's question.
 *
 * @module
 */
import { GUARD_CLEAR } from "../../lib/domain/mass-guard.js";
import type { Core, Decided, Stamped } from "../../lib/runtime/core.js";
import { onGathered, onHookAnswered, onSignalled } from "./ending.js";
import type { Effect, Event, FleetPart, Slice } from "./facts.js";
import { noticeStall, onHolds, onPulse, onReady, onStarting, onUnreadable, onWeathered } from "./fleet.js";
import { onBeat, onDesired, onExit, onLaunch, onMemory, onSpec, onStat } from "./life.js";
import type { HeartbeatPolicy } from "./policy.js";
import { onBeatsRefused } from "./refused-beats.js";
import { shadowing } from "./shadow.js";
import { advance, lookNow, onLooked } from "./silence.js";
import { Turn } from "./turn.js";

export const BLANK_FLEET: FleetPart = {
  ready_mono_ms: 0,
  pulse_mono_ms: 0,
  trust_from_mono_ms: 0,
  suspect_because: null,
  unreadable: {},
  local_health: 0,
  monitored: {},
  suspects: {},
  guard: GUARD_CLEAR,
  guard_incident: null,
  waiting: [],
  cleanups: [],
  holds: [],
  host: "unknown",
  boot_slot_mono_ms: 0,
  zombies_detected: 0,
  detection_lags_ms: [],
};

/** Applies one event. Same inputs, same decision. */
export function decide(slice: Slice, event: Stamped<Event>, policy: HeartbeatPolicy): Decided<Slice, Effect> {
  const turn = new Turn(slice, event, policy);
  if (!OF_THE_MONITOR.has(event.kind)) noticeStall(turn);
  apply(turn, event);
  return turn.done();
}

/** Events that tell of the monitor itself, and of its stalls where there were any. */
const OF_THE_MONITOR: ReadonlySet<Event["kind"]> = new Set(["pulse", "ready", "starting", "weathered"]);

function apply(turn: Turn, event: Event): void {
  switch (event.kind) {
    case "spec":
      return onSpec(turn, event.worker_id, event.spec);
    case "launch":
      return onLaunch(turn, event);
    case "beat":
      return onBeat(turn, event.beat);
    case "beats_refused":
      return onBeatsRefused(turn, event.why, event.age_ms);
    case "exit":
      return onExit(turn, event.attempt, event.exit, event.remains);
    case "vanished":
      return isCurrent(turn, event.attempt) ? lookNow(turn) : undefined;
    case "stat":
      return isCurrent(turn, event.attempt) ? onStat(turn, event.paused) : undefined;
    case "memory":
      return isCurrent(turn, event.attempt) ? onMemory(turn, event.rss_bytes) : undefined;
    case "looked":
      return isCurrent(turn, event.attempt) ? onLooked(turn, event.looked) : undefined;
    case "desired":
      return onDesired(turn, event.desired);
    case "hook_answered":
      return isCurrent(turn, event.attempt) ? onHookAnswered(turn, event.later, event.message) : undefined;
    case "signalled":
      return isCurrent(turn, event.attempt) ? onSignalled(turn, event.answer, event.why) : undefined;
    case "gathered":
      return isCurrent(turn, event.attempt) ? onGathered(turn, event) : undefined;
    case "filed":
      return onFiled(turn, event.attempt);
    case "released":
      turn.set({ released: true });
      return turn.worker?.ending === null ? lookNow(turn) : undefined;
    case "woke":
      return advance(turn);
    case "effect_failed":
      return turn.wakeAt(turn.now + RETRY_AFTER_FAILURE_MS);
    case "holds":
      return onHolds(turn, event.holds);
    case "pulse":
      return onPulse(turn, event);
    case "starting":
      return onStarting(turn);
    case "ready":
      return onReady(turn, event);
    case "weathered":
      return onWeathered(turn);
    case "unreadable":
      return onUnreadable(turn, event.what, event.code);
  }
}

const RETRY_AFTER_FAILURE_MS = 5000;

/** Evidence of another attempt proves nothing. */
function isCurrent(turn: Turn, attempt: number): boolean {
  return turn.worker !== null && turn.worker.spec.attempt === attempt;
}

function onFiled(turn: Turn, attempt: number): void {
  if (!isCurrent(turn, attempt) || turn.worker?.ending?.phase !== "filing") return;
  turn.wakeAt(null);
  turn.worker = null;
}

/** The monitor's core, as the loop runs it. */
export const core: Core<Slice, Event, Effect, HeartbeatPolicy> = {
  name: "heartbeat-monitor",
  address: (event) => ({ worker: "worker_id" in event ? `worker:${event.worker_id}` : "nobody", fleet: "fleet" }),
  blank: (part) => (part === "fleet" ? BLANK_FLEET : null),
  decide,
  wake: (key) => ({ kind: "woke", worker_id: key.slice("worker:".length) }),
  failed: (effect, message) =>
    "worker_id" in effect ? { kind: "effect_failed", worker_id: effect.worker_id, effect: effect.kind, message } : null,
  shadowing,
  coalesced: new Set([
    "beat",
    "woke",
    "pulse",
    "looked",
    "holds",
    "stat",
    "memory",
    "spec",
    "desired",
    "vanished",
    "weathered",
  ]),
  transient: new Set(["look", "release", "rescan"]),
  // Every instant was of the other boot's clock; what matters is on disk, and the specs say which boot they were of.
  afterReboot: (key, part) =>
    key === "fleet" ? { ...BLANK_FLEET, zombies_detected: (part as FleetPart).zombies_detected } : null,
};
