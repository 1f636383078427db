/** How an attempt is brought to its end: gates, hook, signals, last words, evidence, request; each step waits for its answer. @module */
import { isHeld } from "../../lib/domain/mass-guard.js";
import type { EndReason } from "../../lib/schema/catalogue.js";
import type { Gate } from "../../lib/schema/events.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import type { Ending, Event, ExitFacts, HoldFacts, WorkerPart } from "./facts.js";
import { countMonitored, endSuspicion, waitForGuard } from "./fleet.js";
import { gate, type Turn } from "./turn.js";

interface Beginning {
  readonly reason: EndReason;
  readonly evidence: string;
  readonly zombie: boolean;
  readonly exit?: ExitFacts;
  readonly killAtOnce?: boolean;
}

const MINUTE_MS = 60_000;
const KILL_AGAIN_MS = 1000;
const KILLS_BEFORE_SAYING = 5;
const KILL_RETRY_MS = 30_000;
/** How long a launcher may take to write the exit record of a program that is gone. */
const EXIT_RECORD_MS = 2000;
const EXIT_LOOK_MS = 50;
/** For so long a claim may be on its way to a spec that was just written. */
const LAUNCH_PATIENCE_MS = 2000;
/** Reasons that are facts and not conclusions from silence: nothing needs to be observed first. */
const PLAIN_FACTS: ReadonlySet<EndReason> = new Set(["max_runtime", "memory_limit"]);

/** Ends a worker if every gate lets it; else says once which one does not. Returns whether the ending has begun. */
export function tryEnding(
  turn: Turn,
  reason: EndReason,
  evidence: string,
  options: { readonly killAtOnce?: boolean } = {},
): boolean {
  const isFact = PLAIN_FACTS.has(reason);
  if (!isFact) observeAfterHold(turn);
  const gates = passedUpToTheFirstFailure(isFact ? gatesOfFacts(turn) : gatesOfSilence(turn));
  const failed = gates.find((one) => !one.passed);
  if (failed !== undefined) {
    sayHeld(turn, failed, gates, reason);
    return false;
  }
  const worker = turn.worker as WorkerPart;
  turn.decide("zombie", reason, `${worker.worker_id} is ended: ${reason} (${evidence})`, gates);
  if (!isFact) turn.setFleet({ cleanups: [...recentCleanups(turn), turn.now] });
  beginEnding(turn, { reason, evidence, zombie: true, ...options });
  return true;
}

/** When the hold that kept a worker alive is over, one full time-out is observed before anything is decided. */
function observeAfterHold(turn: Turn): void {
  const worker = turn.worker as WorkerPart;
  const isHeldNow = holdFor(turn.fleet.holds, worker, "kill", turn.stamp.atMs) !== null;
  if (isHeldNow === worker.under_hold) return;
  const observeUntil = isHeldNow ? worker.observe_until_mono_ms : turn.now + turn.thresholds().timeoutMs;
  turn.set({ under_hold: isHeldNow, observe_until_mono_ms: observeUntil });
}

function passedUpToTheFirstFailure(all: readonly Gate[]): Gate[] {
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

function gatesOfSilence(turn: Turn): Gate[] {
  const worker = turn.worker as WorkerPart;
  const { fleet } = turn;
  const settings = turn.settings();
  const guarded = settings.mass_failure.enabled && isHeld(fleet.guard, worker.spec.worker_type) && !worker.released;
  const recent = recentCleanups(turn).length;
  const [host, maySignal, holds] = gatesOfFacts(turn) as [Gate, Gate, Gate];
  return [
    host,
    gate("trusted", fleet.suspect_because, null, turn.isTrusted()),
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
      Math.max(0, (worker.observe_until_mono_ms ?? 0) - turn.now),
      0,
      (worker.observe_until_mono_ms ?? 0) <= turn.now,
    ),
    gate("cleanups_per_minute", recent, settings.max_cleanups_per_minute, recent < settings.max_cleanups_per_minute),
  ];
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
    target: [],
    named: [worker.worker_id, worker.spec.worker_type, worker.spec.task_id],
  };
  const applies = (hold: HoldFacts): boolean => hold.scope === "all" || names[hold.scope].includes(hold.target);
  return (
    holds.find(
      (hold) => hold.acts.includes(act) && hold.starts_at_ms <= atMs && atMs < hold.expires_at_ms && applies(hold),
    ) ?? null
  );
}

function sayHeld(turn: Turn, failed: Gate, gates: readonly Gate[], reason: EndReason): void {
  const worker = turn.worker as WorkerPart;
  if (failed.gate === "mass_guard") waitForGuard(turn);
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

/** Begins to end an attempt. For a zombie, the hook, the stop signal and the grace time come first. */
export function beginEnding(turn: Turn, beginning: Beginning): void {
  const worker = turn.worker as WorkerPart;
  const { reason, evidence, zombie } = beginning;
  const saidBefore = worker.zombie_said;
  const silentMs = worker.mode === "required" && zombie ? turn.silentMs() : null;
  const ending: Ending = {
    reason,
    evidence,
    zombie,
    phase: "gathering",
    since_mono_ms: turn.now,
    kill_at_mono_ms: null,
    kills: 0,
    signalled: false,
    exit: beginning.exit ?? null,
    silent_ms: silentMs,
    failed_said: false,
  };
  turn.set({ ending, held_by: null, observe_until_mono_ms: null, look_due_mono_ms: null, gone_since_mono_ms: null });
  turn.wakeAt(null);
  if (!zombie) {
    sayExit(turn, beginning);
    return gatherNow(turn);
  }
  turn.openIncident();
  turn.enter("zombie");
  if (!saidBefore) sayZombie(turn, ending);
  if (worker.process === null) return gatherNow(turn);
  if (beginning.killAtOnce) return killNow(turn);
  turn.set({ ending: { ...ending, phase: "hook" } });
  askHook(turn);
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

function sayExit(turn: Turn, beginning: Beginning): void {
  const worker = turn.worker as WorkerPart;
  const { exit, reason } = beginning;
  turn.enter("exited");
  const how = exit === undefined ? "" : exit.signal !== null ? ` by ${exit.signal}` : ` with code ${exit.exit_code}`;
  const ran = worker.process === null ? null : turn.stamp.atMs - worker.process.started_at_ms;
  const data = {
    exit_code: exit?.exit_code ?? null,
    signal: exit?.signal ?? null,
    evidence: beginning.evidence,
    ran_ms: ran,
  };
  const finished = exit?.exit_code === 0;
  turn.say("worker_exited", {
    reason,
    message: `${worker.worker_id} ended${how} (${reason})`,
    data,
    ...(finished ? { severity: "info" as const } : {}),
  });
}

function sayZombie(turn: Turn, ending: Ending): void {
  const worker = turn.worker as WorkerPart;
  turn.set({ zombie_said: true });
  const lag = ending.silent_ms === null ? 0 : Math.max(0, Math.round(ending.silent_ms - turn.thresholds().zombieMs));
  turn.setFleet({
    zombies_detected: turn.fleet.zombies_detected + 1,
    detection_lags_ms: [...turn.fleet.detection_lags_ms, lag].slice(-100),
  });
  const silent = ending.silent_ms === null ? null : Math.round(ending.silent_ms / 100) / 10;
  const data = { evidence: ending.evidence, silent_seconds: silent, pid: worker.process?.identity.pid ?? null };
  const after = silent === null ? "" : ` after ${Math.round(silent)} s of silence`;
  turn.say("zombie_detected", {
    reason: ending.reason,
    message: `${worker.worker_id} is a zombie: ${ending.reason} (${ending.evidence})${after}`,
    data,
  });
  turn.say("zombie_cleanup_started", {
    reason: ending.reason,
    message: `What is left of ${worker.worker_id}, attempt ${worker.spec.attempt}, is ended`,
  });
}

/** What a person wants of the worker other than that it runs. */
export type Wish = "stopped" | "draining" | "cancelled";

export function wishFor(worker: WorkerPart): Wish | null {
  if (worker.spec.status === "cancelled") return "cancelled";
  return worker.desired === "running" ? null : worker.desired;
}

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
  const ending: Ending = {
    reason: "stopped",
    evidence: how,
    zombie: false,
    phase: "stopping",
    since_mono_ms: turn.now,
    kill_at_mono_ms: grace,
    kills: 0,
    signalled: false,
    exit: null,
    silent_ms: null,
    failed_said: false,
  };
  turn.set({ ending, gone_since_mono_ms: null });
  if (worker.process === null) return gatherNow(turn);
  signal(turn, worker.spec.stop.signal, worker.spec.stop.scope);
  wakeWhileStopping(turn);
}

/** A worker that drains is to be stopped now: it gets its grace time, and no more. */
export function tightenStop(turn: Turn): void {
  const worker = turn.worker as WorkerPart;
  const ending = worker.ending as Ending;
  if (ending.evidence !== "draining" || wishFor(worker) !== "stopped") return;
  turn.set({ ending: { ...ending, evidence: "stopped", kill_at_mono_ms: turn.now + worker.spec.stop.grace_ms } });
  wakeWhileStopping(turn);
}

/**
 * Looks whether it is over, soon at first and then each second, and forces it when its time is up.
 *
 * Most leave within milliseconds of their signal, and their replacement waits for it.
 */
function wakeWhileStopping(turn: Turn): void {
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
  if (ending?.phase !== "hook" || ending.silent_ms === null || PLAIN_FACTS.has(ending.reason)) return false;
  turn.set({ ending: null });
  return true;
}

export function onHookAnswered(turn: Turn, later: boolean, message: string): void {
  const worker = turn.worker as WorkerPart;
  if (worker.ending?.phase !== "hook") return;
  if (later)
    return putOff(turn, "hook", `hooks/before_kill asks to wait: ${message}`, gate("before_kill", 75, 0, false));
  const hold = holdFor(turn.fleet.holds, worker, "kill", turn.stamp.atMs);
  if (hold !== null)
    return putOff(
      turn,
      "holds",
      `hold "${hold.name}" came while the hook was asked`,
      gate("holds", hold.name, null, false),
    );
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

function signal(turn: Turn, name: string, scope: "main" | "group"): void {
  const worker = turn.worker as WorkerPart;
  if (worker.process === null || worker.ending === null) return;
  turn.set({ ending: { ...worker.ending, signalled: true } });
  turn.do({
    kind: "signal",
    worker_id: worker.worker_id,
    attempt: worker.spec.attempt,
    process: worker.process,
    signal: name,
    scope,
  });
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
      if (ending.kill_at_mono_ms !== null && turn.now >= ending.kill_at_mono_ms) return killNow(turn);
      return gatherNow(turn);
    case "hook":
      if (turn.now - ending.since_mono_ms < HOOK_LOST_MS) return turn.wakeAt(ending.since_mono_ms + HOOK_LOST_MS);
      turn.set({ ending: { ...ending, since_mono_ms: turn.now } });
      return askHook(turn);
    case "filing":
      return;
  }
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
  if (event.claimed) return waitForLaunch(turn);
  // What an adopted process leaves behind was never heald's to end.
  if (event.left > 0 && worker.process?.may_signal) return endLeftovers(turn, event.left);
  const since = worker.gone_since_mono_ms ?? turn.now;
  if (exit === null && event.exit_pending && turn.now - since < EXIT_RECORD_MS) {
    turn.set({ gone_since_mono_ms: since });
    return turn.wakeAt(turn.now + EXIT_LOOK_MS);
  }
  file(turn, event.log_tail);
}

/** Somebody is starting it in this very moment: its process will be known soon, and is ended then if that is still due. */
function waitForLaunch(turn: Turn): void {
  turn.set({ ending: null, zombie_said: false });
  turn.enter("starting");
  turn.wakeAt(turn.now + STOP_LOOK_MS);
}

/** Something of the attempt still runs: its stop signal, its grace time, then SIGKILL. */
function endLeftovers(turn: Turn, left: number): void {
  const worker = turn.worker as WorkerPart;
  const ending = worker.ending as Ending;
  if (ending.phase === "stopping") {
    if (ending.kill_at_mono_ms === null || turn.now < ending.kill_at_mono_ms) return wakeWhileStopping(turn);
    return killNow(turn);
  }
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

/** Everything is known: evidence first, then the active spec goes, tokens come back, and the request is filed. */
function file(turn: Turn, logTail: string): void {
  const worker = turn.worker as WorkerPart;
  const ending = worker.ending as Ending;
  const finished = !ending.zombie && ending.exit?.exit_code === 0 && ending.reason === "exited";
  const wish = wishFor(worker);
  const stopped = wish !== null || ending.reason === "stopped";
  const completed = finished || stopped;
  // A person who changed their mind while it was being stopped gets it back.
  const mayReturn = wish === null && ending.evidence !== "cancelled" && mayResume(turn, ending);
  const wantsMore = mayReturn && (!finished || worker.spec.restart_when === "always");
  turn.set({ ending: { ...ending, phase: "filing" } });
  const { worker_id } = worker;
  const { attempt } = worker.spec;
  const status = stopped ? "cancelled" : finished ? "completed" : "zombie";
  turn.do({
    kind: "file_end",
    worker_id,
    attempt,
    into: completed ? "completed" : "zombie",
    patch: evidencePatch(turn, status, logTail),
  });
  turn.do({ kind: "remove_active", worker_id, attempt });
  if (wantsMore) turn.do({ kind: "file_request", worker_id, request: requestFor(turn) });
  if (ending.zombie) sayCleaned(turn);
  if (stopped)
    turn.say("worker_stopped", {
      message: `${worker_id} was stopped, as a person wanted`,
      data: { exit_code: ending.exit?.exit_code ?? null },
    });
  else if (finished)
    turn.say("worker_completed", { message: `${worker_id} finished its work`, data: { exit_code: 0 } });
  turn.do({ kind: "return_tokens", worker_id, attempt, used: worker.spec.tokens_used });
  turn.do({ kind: "forget_files", worker_id, attempt, memory_folder: worker.process?.memory_folder ?? null });
  endSuspicion(turn);
  countMonitored(turn, worker.spec.worker_type, -1);
}

/** `boot.resume: false`: what ran before a reboot is left to a person. */
function mayResume(turn: Turn, ending: Ending): boolean {
  if (ending.reason !== "host_reboot" || turn.settings().boot.resume) return true;
  const { worker_id } = turn.worker as WorkerPart;
  turn.decide("suppressed", "boot_resume", `${worker_id} ran before the reboot, and boot.resume is false`, [
    gate("boot_resume", false, true, false),
  ]);
  return false;
}

function sayCleaned(turn: Turn): void {
  const worker = turn.worker as WorkerPart;
  const ending = worker.ending as Ending;
  if (ending.signalled) {
    turn.say("zombie_process_terminated", {
      message: `Process ${worker.process?.identity.pid} of ${worker.worker_id} was ended`,
      data: { pid: worker.process?.identity.pid ?? null, kills: ending.kills },
    });
  }
  turn.say("zombie_cleanup_completed", {
    reason: ending.reason,
    message: `Nothing of ${worker.worker_id}, attempt ${worker.spec.attempt}, is left`,
  });
}

function evidencePatch(turn: Turn, status: string, logTail: string): Record<string, unknown> {
  const worker = turn.worker as WorkerPart;
  const ending = worker.ending as Ending;
  const { exit } = ending;
  const last = worker.last_beat;
  return {
    status,
    ...(worker.incident_id ? { incident_id: worker.incident_id } : {}),
    heartbeat: { status: worker.state },
    execution: {
      completed_at: writeInstant(exit?.ended_at_ms ?? turn.stamp.atMs),
      ...(exit
        ? {
            exit_code: exit.exit_code,
            signal: exit.signal,
            signal_inferred: exit.signal_inferred,
            wait_status: exit.wait_status,
          }
        : {}),
    },
    last_words: {
      reason: ending.reason,
      classification: null,
      evidence: ending.evidence,
      killed_by: exit?.signal === null || exit === null ? null : ending.signalled ? "heald" : "other",
      silent_seconds: ending.silent_ms === null ? null : Math.round(ending.silent_ms / 100) / 10,
      log_tail: logTail,
      last_beat:
        last === null
          ? null
          : {
              at: writeInstant(last.arrived_at_ms),
              sequence: last.sequence,
              health_score: last.reported,
              progress: last.progress,
            },
    },
  };
}

const CLASSES: Readonly<Partial<Record<EndReason, string>>> = {
  exited: "exit",
  killed: "signal",
  gone: "gone",
  memory_limit: "memory_limit",
  host_reboot: "host_reboot",
  not_started: "not_started",
  max_runtime: "max_runtime",
  stopped: "stopped",
};

function requestFor(turn: Turn): Record<string, unknown> {
  const worker = turn.worker as WorkerPart;
  const ending = worker.ending as Ending;
  const started = worker.process?.started_at_ms ?? null;
  return {
    worker_id: worker.worker_id,
    worker_type: worker.spec.worker_type,
    ...(worker.spec.task_id ? { task_id: worker.spec.task_id } : {}),
    reason: ending.reason,
    created_at: writeInstant(turn.stamp.atMs),
    attempt: worker.spec.attempt,
    ...(worker.incident_id ? { incident_id: worker.incident_id } : {}),
    requested_by: "heartbeat-monitor",
    ended: {
      class: CLASSES[ending.reason] ?? "silent",
      exit_code: ending.exit?.exit_code ?? null,
      signal: ending.exit?.signal ?? null,
      ran_ms:
        started === null ? null : Math.max(0, Math.round((ending.exit?.ended_at_ms ?? turn.stamp.atMs) - started)),
      by_itself: !ending.signalled,
      spends_retry: ending.reason !== "host_reboot" && ending.reason !== "stopped",
      detected_at_ms: turn.stamp.atMs,
    },
  };
}
