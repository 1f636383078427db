/** What must hold before a process is touched: each gate with its value and threshold, and one word of which one does not. @module */
import { isHeld } from "../../lib/domain/mass-guard.js";
import type { EndReason } from "../../lib/schema/catalogue.js";
import type { Gate } from "../../lib/schema/events.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import type { HoldFacts, WorkerPart } from "./facts.js";
import { loseCanary, waitForGuard } from "./fleet.js";
import { gate, type Turn } from "./turn.js";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Reasons that are facts and not conclusions from silence: nothing needs to be observed first. */
const PLAIN_FACTS: ReadonlySet<EndReason> = new Set(["max_runtime", "memory_limit"]);

export const isPlainFact = (reason: EndReason): boolean => PLAIN_FACTS.has(reason);

/** Asks every gate up to the first that fails. */
export function askGates(turn: Turn, reason: EndReason): Gate[] {
  if (isPlainFact(reason)) return upToTheFirstFailure(gatesOfFacts(turn));
  observeAfterHold(turn);
  return upToTheFirstFailure(gatesOfSilence(turn, reason));
}

/** Asks the gates that no act on a process passes by, up to the first that fails: before each signal of an ending that has begun. */
export function askPlainGates(turn: Turn): Gate[] {
  return upToTheFirstFailure(gatesOfFacts(turn));
}

/** Counts an ending against the limit per minute. */
export function countCleanup(turn: Turn): void {
  turn.setFleet({ cleanups: [...recentCleanups(turn), turn.now] });
}

/** When the hold that kept a worker alive is over, one full time-out is observed before anything is decided. */
function observeAfterHold(turn: Turn): void {
  const worker = turn.worker as WorkerPart;
  const isHeldNow = holdFor(turn.fleet.holds, worker, "kill", turn.stamp.atMs) !== null;
  if (isHeldNow === worker.under_hold) return;
  const observeUntil = isHeldNow ? worker.observe_until_mono_ms : turn.now + turn.thresholds().timeoutMs;
  turn.set({ under_hold: isHeldNow, observe_until_mono_ms: observeUntil });
}

function upToTheFirstFailure(all: readonly Gate[]): Gate[] {
  const firstFailed = all.findIndex((one) => !one.passed);
  return firstFailed === -1 ? [...all] : all.slice(0, firstFailed + 1);
}

/** The gates that no act on a process passes by. */
function gatesOfFacts(turn: Turn): Gate[] {
  const worker = turn.worker as WorkerPart;
  const { fleet } = turn;
  const hold = holdFor(fleet.holds, worker, "kill", turn.stamp.atMs);
  const mayNotSignal = worker.process !== null && !worker.process.may_signal;
  return [
    gate("host", fleet.host, "not stopping", fleet.host !== "stopping"),
    gate(
      "may_signal",
      worker.process?.origin ?? "no process",
      "launched by heald or adopted with leave to signal",
      !mayNotSignal,
    ),
    gate("holds", hold?.name ?? null, null, hold === null, hold ? writeInstant(hold.expires_at_ms) : undefined),
  ];
}

/** For how long it must have been silent to be ended for such a reason, milliseconds; null where silence is not the reason. */
function silenceLimitMs(turn: Turn, reason: EndReason): number | null {
  const { timeoutMs, zombieMs, busyMs, blockedMs } = turn.thresholds();
  switch (reason) {
    case "busy":
      return busyMs;
    case "blocked":
      return blockedMs;
    case "hung":
    case "lost":
      // One whose score has decayed below the minimum is a zombie at the time-out already.
      return turn.silentMs() >= zombieMs ? zombieMs : timeoutMs;
    default:
      return null;
  }
}

function silenceGate(turn: Turn, reason: EndReason): Gate[] {
  const limitMs = silenceLimitMs(turn, reason);
  return limitMs === null ? [] : [gate("silence", tenths(turn.silentMs()), tenths(limitMs), true)];
}

const tenths = (ms: number): number => Math.round(ms / 100) / 10;

/** When an instant of the monotonic clock will be, as far as is known now. */
function instantOf(turn: Turn, monoMs: number): string {
  return writeInstant(turn.stamp.atMs + Math.max(0, monoMs - turn.now));
}

function gatesOfSilence(turn: Turn, reason: EndReason): Gate[] {
  const worker = turn.worker as WorkerPart;
  const { fleet } = turn;
  const settings = turn.settings();
  const guarded = settings.mass_failure.enabled && isHeld(fleet.guard, worker.spec.worker_type) && !worker.released;
  const recent = recentCleanups(turn);
  const isLimited = recent.length >= settings.max_cleanups_per_minute;
  const observeUntil = worker.observe_until_mono_ms ?? 0;
  const [host, maySignal, holds] = gatesOfFacts(turn) as [Gate, Gate, Gate];
  return [
    host,
    gate("trusted", fleet.suspect_because, null, turn.isTrusted(), trustedAt(turn)),
    ...silenceGate(turn, reason),
    gate(
      "two_looks",
      worker.looks.length,
      worker.process === null ? 0 : 2,
      worker.process === null || worker.looks.length >= 2,
    ),
    maySignal,
    gate("mass_guard", fleet.guard.state, "clear, or released as a canary", !guarded),
    holds,
    gate(
      "observed_since_hold",
      Math.max(0, observeUntil - turn.now),
      0,
      observeUntil <= turn.now,
      observeUntil <= turn.now ? undefined : instantOf(turn, observeUntil),
    ),
    gate(
      "cleanups_per_minute",
      recent.length,
      settings.max_cleanups_per_minute,
      !isLimited,
      isLimited ? instantOf(turn, (recent[0] ?? turn.now) + MINUTE_MS) : undefined,
    ),
  ];
}

/** When the monitor will trust itself again, if nothing else is wrong; undefined while it does, or until further notice. */
function trustedAt(turn: Turn): string | undefined {
  const { trust_from_mono_ms: from, unreadable } = turn.fleet;
  const isOpenEnded = Object.keys(unreadable).length > 0 || from - turn.now > DAY_MS;
  return turn.isTrusted() || isOpenEnded ? undefined : instantOf(turn, from);
}

function recentCleanups(turn: Turn): number[] {
  return turn.fleet.cleanups.filter((at) => at > turn.now - MINUTE_MS);
}

/** The hold that forbids an act on a worker now, or null. */
export function holdFor(
  holds: readonly HoldFacts[],
  worker: WorkerPart,
  act: "kill" | "restart",
  atMs: number,
): HoldFacts | null {
  const names: Readonly<Record<HoldFacts["scope"], readonly (string | null)[]>> = {
    all: [""],
    worker: [worker.worker_id],
    worker_type: [worker.spec.worker_type],
    target: [worker.spec.task_id],
    named: [worker.worker_id, worker.spec.worker_type, worker.spec.task_id],
  };
  const applies = (hold: HoldFacts): boolean => hold.scope === "all" || names[hold.scope].includes(hold.target);
  return (
    holds.find(
      (hold) => hold.acts.includes(act) && hold.starts_at_ms <= atMs && atMs < hold.expires_at_ms && applies(hold),
    ) ?? null
  );
}

/** Says once which gate keeps a worker alive that would otherwise be ended. */
export function sayHeld(turn: Turn, failed: Gate, gates: readonly Gate[], reason: EndReason): void {
  const worker = turn.worker as WorkerPart;
  if (failed.gate === "mass_guard") {
    loseCanary(turn);
    waitForGuard(turn);
  }
  if (worker.held_by === failed.gate) return;
  turn.set({ held_by: failed.gate });
  turn.decide(
    "suppressed",
    failed.gate,
    `${worker.worker_id} would be ended (${reason}), but ${failed.gate} forbids it`,
    gates,
  );
  if (failed.gate === "cleanups_per_minute") {
    turn.say("zombie_cleanup_rate_limited", {
      message: `${worker.worker_id} waits: ${String(failed.value)} cleanups in the last minute`,
      data: { limit: failed.threshold },
    });
  }
}
