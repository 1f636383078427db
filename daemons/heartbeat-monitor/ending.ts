/** How an attempt is brought to its end: gates, hook, signals, last words, filing; each step waits for its answer. @module */
import type { EndReason } from "../../lib/schema/catalogue.js";
import type { Gate } from "../../lib/schema/events.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import type { Ending, Event, RemainsFacts, WorkerPart } from "./facts.js";
import { file } from "./filing.js";
import { loseCanary, settleCanary } from "./fleet.js";
import { askGates, askPlainGates, countCleanup, isPlainFact, sayHeld } from "./gates.js";
import { type Beginning, sayExit, sayZombie } from "./telling.js";
import { gate, type Turn } from "./turn.js";
import { wishFor } from "./wishes.js";

const MINUTE_MS = 60_000;
const KILL_AGAIN_MS = 1000;
const KILLS_BEFORE_SAYING = 5;
const KILL_RETRY_MS = 30_000;
/** How long a launcher may take to write the exit record of a program that is gone. */
const EXIT_RECORD_MS = 2000;
const EXIT_LOOK_MS = 50;
/** How soon an ending that something forbids to go on looks again. */
const HELD_LOOK_MS = 1000;

/** Ends a worker if every gate lets it; else says once which one does not. Returns whether the ending has begun. */
export function tryEnding(
  turn: Turn,
  reason: EndReason,
  evidence: string,
  options: { readonly killAtOnce?: boolean } = {},
): boolean {
  const gates = askGates(turn, reason);
  const failed = gates.find((one) => !one.passed);
  if (failed !== undefined) {
    sayHeld(turn, failed, gates, reason);
    return false;
  }
  const worker = turn.worker as WorkerPart;
  turn.decide("zombie", reason, `${worker.worker_id} is ended: ${reason} (${evidence})`, gates);
  if (!isPlainFact(reason)) countCleanup(turn);
  beginEnding(turn, { reason, evidence, zombie: true, ...options });
  return true;
}

/** Begins to end an attempt. For a zombie, the hook, the stop signal and the grace time come first. */
export function beginEnding(turn: Turn, beginning: Beginning): void {
  const worker = turn.worker as WorkerPart;
  const { reason, evidence, zombie } = beginning;
  const saidBefore = worker.zombie_said;
  noteCanary(turn, beginning);
  const silentMs = worker.mode === "required" && zombie ? turn.silentMs() : null;
  const ending = newEnding(turn, { reason, evidence, zombie, exit: beginning.exit ?? null, silent_ms: silentMs });
  turn.set({ ending, held_by: null, observe_until_mono_ms: null, look_due_mono_ms: null, gone_since_mono_ms: null });
  turn.wakeAt(null);
  if (!zombie) {
    sayExit(turn, beginning);
    const { remains } = beginning;
    if (remains === undefined) return gatherNow(turn);
    return endsRemains(turn, remains) ? undefined : file(turn, remains.log_tail);
  }
  turn.openIncident();
  turn.enter("zombie");
  if (!saidBefore) sayZombie(turn, ending);
  if (worker.process === null) return gatherNow(turn);
  if (beginning.killAtOnce) return killNow(turn);
  turn.set({ ending: { ...ending, phase: "hook" } });
  askHook(turn);
}

/** The new attempt of a worker that the mass guard let through tells by its end, too, whether it came back. */
function noteCanary(turn: Turn, { reason, exit }: Beginning): void {
  if (reason === "stopped" || reason === "host_reboot") return;
  const isFinished = exit?.exit_code === 0 && turn.worker?.spec.restart_when !== "always";
  if (isFinished) settleCanary(turn);
  else loseCanary(turn);
}

/** An ending at its very beginning. */
export function newEnding(turn: Turn, known: Pick<Ending, "reason" | "evidence" | "zombie"> & Partial<Ending>): Ending {
  return {
    phase: "gathering",
    since_mono_ms: turn.now,
    kill_at_mono_ms: null,
    kills: 0,
    signalled: false,
    exit: null,
    silent_ms: null,
    failed_said: false,
    ...known,
  };
}

function askHook(turn: Turn): void {
  const worker = turn.worker as WorkerPart;
  const ending = worker.ending as Ending;
  const input = {
    event_type: "before_kill",
    worker_id: worker.worker_id,
    worker_type: worker.spec.worker_type,
    attempt: worker.spec.attempt,
    pid: worker.process?.identity.pid ?? null,
    reason: ending.reason,
    evidence: ending.evidence,
  };
  turn.do({
    kind: "run_hook",
    worker_id: worker.worker_id,
    attempt: worker.spec.attempt,
    hook: "before_kill",
    input,
    timeout_ms: turn.settings().hook_timeout_seconds * 1000,
  });
}

/**
 * Looks whether it is over, soon at first and then each second, and forces it when its time is up.
 *
 * Most leave within milliseconds of their signal, and their replacement waits for it.
 */
export function wakeWhileStopping(turn: Turn): void {
  const { ending } = turn.worker as WorkerPart;
  const killAt = ending?.kill_at_mono_ms ?? Number.POSITIVE_INFINITY;
  const waitedMs = turn.now - (ending?.since_mono_ms ?? turn.now);
  turn.wakeAt(Math.min(killAt, turn.now + Math.min(STOP_LOOK_MS, Math.max(STOP_FIRST_LOOK_MS, waitedMs))));
}

const STOP_FIRST_LOOK_MS = 20;
const STOP_LOOK_MS = 1000;

/**
 * A beat arrived while the hook was asked about a silent worker: it is not silent any more, and nothing was done yet.
 * Returns whether the ending was called off.
 */
export function callOff(turn: Turn): boolean {
  const { ending } = turn.worker as WorkerPart;
  if (ending?.phase !== "hook" || ending.silent_ms === null || isPlainFact(ending.reason)) return false;
  turn.set({ ending: null });
  return true;
}

export function onHookAnswered(turn: Turn, later: boolean, message: string): void {
  const worker = turn.worker as WorkerPart;
  if (worker.ending?.phase !== "hook") return;
  if (later)
    return putOff(
      turn,
      "hook",
      `hooks/before_kill asks to wait: ${message}`,
      gate("before_kill", 75, 0, false, writeInstant(turn.stamp.atMs + MINUTE_MS)),
    );
  const failed = askPlainGates(turn).find((one) => !one.passed);
  if (failed !== undefined)
    return putOff(turn, failed.gate, `${failed.gate} forbids it since the hook was asked`, failed);
  const killAt = turn.now + worker.spec.stop.grace_ms;
  turn.set({ ending: { ...worker.ending, phase: "stopping", kill_at_mono_ms: killAt } });
  signal(turn, worker.spec.stop.signal, worker.spec.stop.scope);
  wakeWhileStopping(turn);
}

/** Nothing was done to it yet: it is as it was, and the question comes again. */
function putOff(turn: Turn, by: string, message: string, failed: Gate): void {
  const again = turn.now + MINUTE_MS;
  turn.set({ ending: null, held_by: by, look_due_mono_ms: again });
  turn.decide("suppressed", by, message, [failed]);
  turn.enter("critical");
  turn.wakeAt(again);
}

export function signal(turn: Turn, name: string, scope: "main" | "group"): void {
  const worker = turn.worker as WorkerPart;
  if (worker.process === null || worker.ending === null) return;
  // What goes to the children that a dead program left behind did not end the program.
  const hadEnded = worker.ending.exit !== null || worker.ending.reason === "gone";
  turn.set({ ending: { ...worker.ending, signalled: worker.ending.signalled || !hadEnded } });
  turn.do({
    kind: "signal",
    worker_id: worker.worker_id,
    attempt: worker.spec.attempt,
    process: worker.process,
    signal: name,
    scope,
  });
}

/**
 * Whether something forbids the next signal of an ending that has begun: a hold that came meanwhile, or a host that goes down.
 *
 * Said once. What a person wants stopped is the person's to end, whatever the holds say.
 */
function mustWait(turn: Turn): boolean {
  const { ending, held_by, worker_id } = turn.worker as WorkerPart;
  if (ending === null || isWanted(turn.worker as WorkerPart)) return false;
  const gates = askPlainGates(turn);
  const failed = gates.find((one) => !one.passed);
  if (failed === undefined) return held_by !== null && callOffAfterHold(turn);
  if (held_by !== failed.gate) {
    turn.set({ held_by: failed.gate });
    const message = `The ending of ${worker_id} (${ending.reason}) waits: ${failed.gate} forbids the next signal`;
    turn.decide("suppressed", failed.gate, message, gates);
  }
  turn.wakeAt(turn.now + HELD_LOOK_MS);
  return true;
}

/** Whether a person wants it down, whatever the daemons found out about it. */
function isWanted(worker: WorkerPart): boolean {
  const wish = wishFor(worker);
  return worker.ending?.reason === "stopped" || wish === "stopped" || wish === "cancelled";
}

/**
 * What waited may go on. A verdict upon silence is as old as the hold by then: it is called off, and one full time-out is
 * observed before anything is decided. Returns whether it was.
 */
function callOffAfterHold(turn: Turn): boolean {
  const worker = turn.worker as WorkerPart;
  const { ending } = worker;
  turn.set({ held_by: null });
  if (ending === null || ending.silent_ms === null || ending.phase !== "stopping" || ending.exit !== null) return false;
  const until = turn.now + turn.thresholds().timeoutMs;
  // Its stop signal cannot be taken back: where it still heeds that, it has not failed.
  turn.set({ ending: null, asked_to_stop: true, observe_until_mono_ms: until, look_due_mono_ms: until });
  turn.enter("critical");
  turn.wakeAt(until);
  return true;
}

function killNow(turn: Turn): void {
  const worker = turn.worker as WorkerPart;
  const ending = worker.ending as Ending;
  turn.set({ ending: { ...ending, phase: "killing", kills: ending.kills + 1 } });
  signal(turn, "SIGKILL", "group");
  turn.wakeAt(turn.now + (ending.kills >= KILLS_BEFORE_SAYING ? KILL_RETRY_MS : KILL_AGAIN_MS));
}

/** The worker's wake while it is being ended. An answer that a kill of the monitor swallowed is asked for again. */
export function continueEnding(turn: Turn): void {
  const worker = turn.worker as WorkerPart;
  const ending = worker.ending as Ending;
  switch (ending.phase) {
    case "gathering":
    case "killing":
      return gatherNow(turn);
    case "stopping":
      if (isOverdue(turn, ending) && !mustWait(turn)) return killNow(turn);
      // Called off after a hold, there is nothing to gather.
      return turn.worker?.ending ? gatherNow(turn) : undefined;
    case "hook":
      if (turn.now - ending.since_mono_ms < HOOK_LOST_MS) return turn.wakeAt(ending.since_mono_ms + HOOK_LOST_MS);
      turn.set({ ending: { ...ending, since_mono_ms: turn.now } });
      return askHook(turn);
    case "filing":
      return;
  }
}

function isOverdue(turn: Turn, { kill_at_mono_ms: at }: Ending): boolean {
  return at !== null && turn.now >= at;
}

/** Longer than any hook may take. */
const HOOK_LOST_MS = 120_000;

export function onSignalled(turn: Turn, answer: string, why: string | null): void {
  const worker = turn.worker as WorkerPart;
  if (worker.ending === null) return;
  if (answer === "gone" || answer === "reused") return gatherNow(turn);
  if (answer === "refused") sayFailed(turn, why ?? "the signal was refused");
}

function sayFailed(turn: Turn, why: string): void {
  const worker = turn.worker as WorkerPart;
  turn.wakeAt(turn.now + KILL_RETRY_MS);
  if (worker.ending === null || worker.ending.failed_said) return;
  turn.set({ ending: { ...worker.ending, failed_said: true } });
  turn.say("zombie_cleanup_failed", {
    reason: "signal",
    message: `Cannot end ${worker.worker_id}: ${why}`.slice(0, 160),
    data: { why },
  });
}

/** Asks for the last words, and whether any process of the attempt is left. */
export function gatherNow(turn: Turn): void {
  const worker = turn.worker as WorkerPart;
  const ending = worker.ending as Ending;
  if (ending.phase !== "stopping" && ending.phase !== "killing")
    turn.set({ ending: { ...ending, phase: "gathering" } });
  turn.do({
    kind: "gather",
    worker_id: worker.worker_id,
    attempt: worker.spec.attempt,
    process: worker.process,
    withdraw: worker.process === null && worker.spec.has_launch && ending.reason !== "host_reboot",
  });
}

export function onGathered(turn: Turn, event: Extract<Event, { kind: "gathered" }>): void {
  const worker = turn.worker as WorkerPart;
  const { ending } = worker;
  if (ending === null || ending.phase === "filing" || ending.phase === "hook") return;
  const exit = ending.exit ?? event.exit;
  turn.set({ ending: { ...ending, exit } });
  if (event.claimed && exit === null) return waitForLaunch(turn);
  // Its end was heard of before its start: now that its process is known, what that has left behind is looked for.
  if (event.process !== undefined) {
    const ranMs = turn.stamp.atMs - event.process.started_at_ms;
    if (worker.process === null) turn.set({ process: event.process, started_mono_ms: turn.now - ranMs });
    return gatherNow(turn);
  }
  if (endsRemains(turn, event)) return;
  const since = worker.gone_since_mono_ms ?? turn.now;
  if (exit === null && event.exit_pending && turn.now - since < EXIT_RECORD_MS) {
    turn.set({ gone_since_mono_ms: since });
    return turn.wakeAt(turn.now + EXIT_LOOK_MS);
  }
  file(turn, event.log_tail);
}

/** Begins to end what is left of an attempt, or goes on with it. Returns whether anything is. */
function endsRemains(turn: Turn, { left }: RemainsFacts): boolean {
  // What an adopted process leaves behind was never heald's to end.
  if (left === 0 || !turn.worker?.process?.may_signal) return false;
  endLeftovers(turn, left);
  return true;
}

/** Somebody is starting it in this very moment: its process will be known soon, and is ended then if that is still due. */
function waitForLaunch(turn: Turn): void {
  // Whoever has claimed it has his time, counted from now.
  turn.set({ ending: null, zombie_said: false, silent_from_mono_ms: turn.now });
  turn.enter("starting");
  turn.wakeAt(turn.now + STOP_LOOK_MS);
}

/** Something of the attempt still runs: its stop signal, its grace time, then SIGKILL. */
function endLeftovers(turn: Turn, left: number): void {
  const worker = turn.worker as WorkerPart;
  const ending = worker.ending as Ending;
  if (ending.phase === "stopping") {
    if (!isOverdue(turn, ending)) return wakeWhileStopping(turn);
    return mustWait(turn) ? undefined : killNow(turn);
  }
  if (mustWait(turn)) return;
  if (ending.phase === "killing") {
    killNow(turn);
    if (ending.kills >= KILLS_BEFORE_SAYING)
      sayFailed(turn, `${left} processes are left after ${ending.kills} SIGKILL`);
    return;
  }
  const killAt = turn.now + worker.spec.stop.grace_ms;
  turn.set({ ending: { ...ending, phase: "stopping", kill_at_mono_ms: killAt } });
  signal(turn, worker.spec.stop.signal, "group");
  wakeWhileStopping(turn);
}
