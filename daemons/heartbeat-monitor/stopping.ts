/** Stopping a worker because a person wants it. @module */

import { gatherNow, newEnding, signal, wakeWhileStopping } from "./ending.js";
import type { Ending, ExitFacts, WorkerPart } from "./facts.js";
import { holdFor } from "./gates.js";
import { gate, type Turn } from "./turn.js";
import { type Wish, wishFor } from "./wishes.js";

/** For so long a claim may be on its way to a spec that was just written. */
const LAUNCH_PATIENCE_MS = 2000;

/** Begins to do what a person wants. Returns false if there is nothing to do, or nothing that may be done. */
export function tryStop(turn: Turn): boolean {
  const worker = turn.worker as WorkerPart;
  const wish = wishFor(worker);
  if (wish === null) return false;
  if (worker.process === null && worker.spec.has_launch) {
    const patientUntil = worker.state_since_mono_ms + LAUNCH_PATIENCE_MS;
    if (worker.state === "starting" && turn.now < patientUntil) {
      turn.wakeAt(patientUntil);
      return true;
    }
  }
  if (worker.process?.may_signal === false) {
    sayMayNotStop(turn, wish);
    return false;
  }
  beginStop(turn, wish);
  return true;
}

function sayMayNotStop(turn: Turn, wish: Wish): void {
  const worker = turn.worker as WorkerPart;
  if (worker.held_by === "may_signal") return;
  turn.set({ held_by: "may_signal" });
  turn.decide(
    "refused",
    "may_signal",
    `${worker.worker_id} should be ${wish}, but was adopted without leave to signal it; it is left running`,
    [gate("may_signal", false, true, false)],
  );
}

/** A draining worker is asked once and never forced. */
function beginStop(turn: Turn, how: Wish): void {
  const worker = turn.worker as WorkerPart;
  const grace = how === "draining" ? null : turn.now + worker.spec.stop.grace_ms;
  const ending = newEnding(turn, {
    reason: "stopped",
    evidence: how,
    zombie: false,
    phase: "stopping",
    kill_at_mono_ms: grace,
  });
  turn.set({ ending, gone_since_mono_ms: null });
  passHold(turn, how);
  if (worker.process === null) return gatherNow(turn);
  signal(turn, worker.spec.stop.signal, worker.spec.stop.scope);
  wakeWhileStopping(turn);
}

/** A hold keeps the daemons from ending a worker, and no person: that one was passed is on record. */
function passHold(turn: Turn, how: Wish): void {
  const worker = turn.worker as WorkerPart;
  const hold = holdFor(turn.fleet.holds, worker, "kill", turn.stamp.atMs);
  if (hold === null) return;
  turn.decide("stop", "desired", `${worker.worker_id} is ${how} as a person wants, whatever hold "${hold.name}" says`, [
    gate("holds", { found: hold.name, overridden_by: "desired" }, null, true),
  ]);
}

/** A worker that drains is to be stopped now: it gets its grace time, and no more. One that is being stopped is to drain: it is not forced. */
export function changeStop(turn: Turn): void {
  const worker = turn.worker as WorkerPart;
  const ending = worker.ending as Ending;
  const wish = wishFor(worker);
  if (ending.reason !== "stopped" || ending.phase !== "stopping" || wish === null || wish === ending.evidence) return;
  const killAt = wish === "draining" ? null : turn.now + worker.spec.stop.grace_ms;
  turn.set({ ending: { ...ending, evidence: wish, kill_at_mono_ms: killAt } });
  wakeWhileStopping(turn);
}

/**
 * Drops the ending of a worker that nobody wants ended any more, and returns whether it did: it is watched as before.
 *
 * What cannot be taken back is its stop signal, which it may still heed. Once it has ended, or SIGKILL was sent, it is too late.
 */
export function withdrawStop(turn: Turn): boolean {
  const { ending, process } = turn.worker as WorkerPart;
  if (ending?.reason !== "stopped" || ending.phase !== "stopping" || ending.exit !== null) return false;
  if (process === null || wishFor(turn.worker as WorkerPart) !== null) return false;
  turn.set({ ending: null, asked_to_stop: true, gone_since_mono_ms: null });
  return true;
}

/** Whether a worker has heeded a stop signal that was taken back since: whoever wants it to run gets it back, as no failure. */
export function heedsWithdrawnStop(worker: WorkerPart, exit: ExitFacts): boolean {
  return worker.asked_to_stop === true && (exit.exit_code === 0 || exit.signal === worker.spec.stop.signal);
}
