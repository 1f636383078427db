/** Silence, and what the kernel says about it: each deadline of a worker, and each look at it. @module */
import { conditionOf } from "../../lib/domain/condition.js";
import { decayedScore, missedIntervals } from "../../lib/domain/health-score.js";
import { levelOf, lookInstants, nextSilence, suspectMs } from "../../lib/domain/suspicion.js";
import type { Thresholds } from "../../lib/domain/thresholds.js";
import { type Verdict, verdictOf } from "../../lib/domain/verdict.js";
import type { EndReason, EventType, WorkerState } from "../../lib/schema/catalogue.js";
import { isBlockDue, writeBlock } from "./block.js";
import { beginEnding, continueEnding, tryEnding } from "./ending.js";
import type { Looked, WorkerPart } from "./facts.js";
import { beginSuspicion, endSuspicion } from "./fleet.js";
import { afterReboot, onBeat, onExit, onRunsAgain } from "./life.js";
import { isOrphaned, ORPHANED_MS } from "./orphaned.js";
import { closeIfRecovered, recoversAtMs } from "./recovery.js";
import { refusedFields, refusedWords } from "./refused-beats.js";
import { tryStop } from "./stopping.js";
import type { Turn } from "./turn.js";

const SHUTDOWN_LOOK_MS = 5000;
const LOOKS_KEPT = 3;
/** While the monitor does not trust itself, a silent worker waits at most this long for the next try. */
const UNTRUSTED_WAIT_MS = 2000;
/** A launcher may need this long to write the exit record of a program that is gone. */
const EXIT_RECORD_PATIENCE_MS = 2000;
const GONE_LOOK_MS = 50;

/** Does what is due for the worker at this instant, and sets its next deadline. */
export function advance(turn: Turn): void {
  const { worker } = turn;
  if (worker === null) return;
  if (worker.ending !== null) return continueEnding(turn);
  if (turn.fleet.host === "stopping") return turn.wakeAt(turn.now + SHUTDOWN_LOOK_MS);
  if (worker.resume_at_mono_ms !== null) return resumeAfterReboot(turn, worker.resume_at_mono_ms);
  if (tryStop(turn)) return;
  if (overstayed(turn) && tryEnding(turn, "max_runtime", "max_runtime_seconds")) return;
  const neverStarted = neverStartedAtMs(turn);
  if (neverStarted !== null && turn.now >= neverStarted)
    return beginEnding(turn, { reason: "not_started", evidence: "no_claim", zombie: false });
  if (worker.look_due_mono_ms !== null && turn.now >= worker.look_due_mono_ms) return lookNow(turn);
  const recovers = recoversAtMs(worker);
  if (recovers !== null && turn.now >= recovers) return lookNow(turn);
  if (worker.mode !== "required")
    return turn.wakeAt(earliest(nextOwnDeadline(turn), worker.look_due_mono_ms, neverStarted, recovers));
  sayLevels(turn);
  const condition = judgeCondition(turn);
  if (condition === "look") return lookNow(turn);
  const silent = turn.silentMs();
  const limits = turn.thresholds();
  if (silent >= limits.warningMs && lookIsDue(turn, silent, limits)) return lookNow(turn);
  const { look_due_mono_ms: lookDue } = turn.worker as WorkerPart;
  turn.wakeAt(
    earliest(nextSilentDeadline(turn, silent, limits), nextOwnDeadline(turn), condition, lookDue, neverStarted),
  );
}

/** Asks for a look after so long, and wakes the worker for it or for an earlier deadline. */
function lookAgainIn(turn: Turn, afterMs: number | null): void {
  const due = afterMs === null ? null : turn.now + Math.max(1, afterMs);
  turn.set({ look_due_mono_ms: due });
  const silent = (turn.worker as WorkerPart).mode === "required";
  const deadline = silent ? nextSilentDeadline(turn, turn.silentMs(), turn.thresholds()) : null;
  const recovers = recoversAtMs(turn.worker as WorkerPart);
  // Where it should have by now, this look could not tell, and the next one will.
  const toCome = recovers !== null && recovers > turn.now ? recovers : null;
  turn.wakeAt(earliest(due, deadline, nextOwnDeadline(turn), toCome));
}

/** When an attempt that nobody started is given up: soon where it was only waiting for its launcher, else when no beat is awaited. */
function neverStartedAtMs(turn: Turn): number | null {
  const worker = turn.worker as WorkerPart;
  if (isOrphaned(worker)) return worker.silent_from_mono_ms + ORPHANED_MS;
  if (worker.process !== null || !worker.spec.has_launch || worker.mode === "required") return null;
  return worker.silent_from_mono_ms + turn.thresholds().graceMs;
}

/** Asks the kernel, the output and the beat file once more: a deadline speaks only after a fresh look. */
export function lookNow(turn: Turn): void {
  const worker = turn.worker;
  if (worker === null) return;
  turn.do({ kind: "look", worker_id: worker.worker_id, attempt: worker.spec.attempt, process: worker.process });
}

function resumeAfterReboot(turn: Turn, atMono: number): void {
  if (turn.now < atMono) return turn.wakeAt(atMono);
  turn.openIncident();
  beginEnding(turn, { reason: "host_reboot", evidence: "boot_id", zombie: false });
}

function overstayed(turn: Turn): boolean {
  const worker = turn.worker as WorkerPart;
  const { max_runtime_ms: limit } = worker.spec;
  return limit !== null && worker.started_mono_ms !== null && turn.now - worker.started_mono_ms >= limit;
}

function nextOwnDeadline(turn: Turn): number | null {
  const worker = turn.worker as WorkerPart;
  const left =
    worker.spec.max_runtime_ms === null || worker.started_mono_ms === null
      ? null
      : worker.started_mono_ms + worker.spec.max_runtime_ms - turn.now;
  // Once it is over, only a gate holds it back.
  const ends = left === null ? null : turn.now + (left > 0 ? left : HELD_LOOK_MS);
  const alert =
    worker.state === "paused" && worker.alerted_mono_ms !== null
      ? worker.alerted_mono_ms + turn.settings().paused_limit_seconds * 1000
      : null;
  return earliest(ends, alert);
}

const LEVELS = ["none", "late", "warning", "critical"] as const;
const LEVEL_EVENTS: Readonly<Record<"late" | "warning" | "critical", EventType>> = {
  late: "heartbeat_missed",
  warning: "heartbeat_warning",
  critical: "heartbeat_timeout",
};

/** Says each level of silence once, in order, none left out. */
function sayLevels(turn: Turn): void {
  const worker = turn.worker as WorkerPart;
  if (worker.state === "paused" || worker.state === "debugged") return;
  const silent = turn.silentMs();
  const limits = turn.thresholds();
  // Before any of them can be ended: where many are silent, the first must not go before the last is counted.
  if (silent >= suspectMs(limits) && turn.isTrusted()) beginSuspicion(turn);
  const reached = levelOf(silent, limits);
  // A monitor that has just started, or was stalled itself, has not observed this silence.
  if (!turn.isTrusted()) return;
  const from = LEVELS.indexOf(worker.said);
  const to = LEVELS.indexOf(reached);
  if (to <= from) return;
  turn.openIncident();
  for (const level of LEVELS.slice(from + 1, to + 1)) if (level !== "none") sayLevel(turn, level, silent, limits);
  turn.set({ said: reached });
  if (!CLASSIFIED.has(turn.worker?.state as WorkerState)) turn.enter(reached as WorkerState);
  writeBlock(turn, {});
}

/** States that say more than a level of silence does. */
const CLASSIFIED: ReadonlySet<WorkerState> = new Set([
  "busy",
  "blocked",
  "hung",
  "stuck",
  "paused",
  "debugged",
  "unhealthy",
  "unknown",
]);

function sayLevel(turn: Turn, level: "late" | "warning" | "critical", silent: number, limits: Thresholds): void {
  const worker = turn.worker as WorkerPart;
  const missed = missedIntervals(silent, limits.intervalMs);
  const { score } = decayedScore(worker.last_beat?.reported ?? null, missed, turn.settings().health_score_decay_rate);
  const message = `${worker.worker_id} has been silent for ${Math.round(silent / 1000)} s (every ${Math.round(limits.intervalMs / 1000)} s expected)${refusedWords(worker)}`;
  turn.say(LEVEL_EVENTS[level], {
    message,
    data: {
      silent_seconds: Math.round(silent / 100) / 10,
      intervals_silent: missed,
      health_score: score,
      ...refusedFields(worker),
    },
  });
}

/** Whether a look has become due since the last one; `looks` remembers those that were made. */
function lookIsDue(turn: Turn, silent: number, limits: Thresholds): boolean {
  const last = (turn.worker as WorkerPart).looks.at(-1);
  if (last === undefined) return true;
  const lastSilent = last.atMs - (turn.worker as WorkerPart).silent_from_mono_ms;
  return lookInstants(limits).some((instant) => lastSilent < instant && silent >= instant);
}

function nextSilentDeadline(turn: Turn, silent: number, limits: Thresholds): number | null {
  const { nextMs, isFirst } = nextSilence(silent, limits);
  const from = (turn.worker as WorkerPart).silent_from_mono_ms;
  const { trust_from_mono_ms: trustFrom } = turn.fleet;
  const soon = turn.now + UNTRUSTED_WAIT_MS;
  // Of a worker that beats in time nothing is left unsaid: with a large fleet, trying again for each would be a load of its own.
  const isAllSaid = isFirst && hasNoCondition(turn);
  const afterTrust = turn.isTrusted() || isAllSaid ? null : trustFrom > turn.now ? Math.min(trustFrom, soon) : soon;
  const { look_due_mono_ms: asked } = turn.worker as WorkerPart;
  return earliest(nextMs === null ? null : from + nextMs, afterTrust, asked);
}

/** Whether nothing but silence can change what is said of the worker. */
function hasNoCondition(turn: Turn): boolean {
  const { state, said_verdict: verdict, last_beat: beat } = turn.worker as WorkerPart;
  if (verdict !== null || (state !== "healthy" && state !== "starting")) return false;
  return beat === null || (beat.low_since_mono_ms === null && turn.settings().progress_timeout_seconds === null);
}

/** A worker that beats may still be stuck or unwell. Returns the next deadline, null for none, or that a look is due. */
function judgeCondition(turn: Turn): number | null | "look" {
  const worker = turn.worker as WorkerPart;
  const beat = worker.last_beat;
  if (beat === null || worker.said === "critical" || !turn.isTrusted()) return null;
  const settings = turn.settings();
  const finished = beat.progress === null || beat.progress >= 100;
  const { condition, nextLookMs } = conditionOf({
    progressFrozenMs: finished ? null : turn.now - beat.progress_since_mono_ms,
    progressTimeoutMs: settings.progress_timeout_seconds === null ? null : settings.progress_timeout_seconds * 1000,
    lowScoreMs: beat.low_since_mono_ms === null ? null : turn.now - beat.low_since_mono_ms,
    unhealthyGraceMs: settings.unhealthy_grace_seconds * 1000,
  });
  if (condition === "well") {
    if (worker.said_verdict === null && (worker.state === "unhealthy" || worker.state === "stuck")) recover(turn);
  } else if (worker.state !== condition) {
    sayCondition(turn, condition, beat.reported, beat.progress);
    if (isActedUpon(turn)) return "look";
  }
  return nextLookMs === undefined ? null : turn.now + nextLookMs;
}

function recover(turn: Turn): void {
  const worker = turn.worker as WorkerPart;
  turn.say("heartbeat_resumed", { message: `${worker.worker_id} is well again`, data: { silent_seconds: 0 } });
  turn.set({ incident_id: null, incident_opened_mono_ms: null, held_by: null, zombie_said: false, released: false });
  endSuspicion(turn);
  turn.enter("healthy");
  writeBlock(turn, {});
}

function sayCondition(
  turn: Turn,
  condition: "stuck" | "unhealthy",
  reported: number | null,
  progress: number | null,
): void {
  const worker = turn.worker as WorkerPart;
  turn.openIncident();
  turn.enter(condition);
  const message =
    condition === "stuck"
      ? `${worker.worker_id} beats, but its progress stands at ${progress}`
      : `${worker.worker_id} reports health ${reported}`;
  turn.say(condition === "stuck" ? "worker_stuck" : "worker_unhealthy", {
    message,
    data: { health_score: reported, progress },
  });
  if (condition === "unhealthy") beginSuspicion(turn);
  writeBlock(turn, {});
}

/** Whether the policy wants more than an alert for the condition in which a beating worker is. */
function isActedUpon(turn: Turn): boolean {
  const worker = turn.worker as WorkerPart;
  if (worker.state === "unhealthy") return turn.settings().unhealthy_action === "restart";
  return worker.state === "stuck" && worker.said_verdict === null;
}

/** A look came back: what it found is judged by the evidence table. */
export function onLooked(turn: Turn, looked: Looked): void {
  const before = turn.worker as WorkerPart;
  if (looked.exit !== null) return onExit(turn, before.spec.attempt, looked.exit);
  if (before.ending !== null) return;
  if (looked.beat !== null) {
    const silentFrom = before.silent_from_mono_ms;
    onBeat(turn, looked.beat);
    if (turn.worker?.silent_from_mono_ms !== silentFrom) return;
  }
  remember(turn, looked);
  const verdict = judge(turn, looked);
  if (isLetGo(before.state, verdict)) return onRunsAgain(turn);
  sayVerdict(turn, verdict);
  conclude(turn, verdict, looked);
  // Of one that only a gate keeps alive nothing changes any more but for how long it has been silent.
  if (turn.worker?.ending === null && turn.worker.mode === "required" && isBlockDue(turn)) writeBlock(turn, {});
}

const HELD_BY_A_PERSON: ReadonlySet<WorkerState> = new Set(["paused", "debugged"]);
const STILL_HELD: ReadonlySet<Verdict["verdict"]> = new Set(["paused", "debugged", "dead_certain", "unreaped", "none"]);

/** A worker that was paused or debugged, and is no more. */
function isLetGo(state: WorkerState, verdict: Verdict): boolean {
  return HELD_BY_A_PERSON.has(state) && !STILL_HELD.has(verdict.verdict);
}

function remember(turn: Turn, looked: Looked): void {
  const worker = turn.worker as WorkerPart;
  const moved = worker.log_bytes !== null && looked.log_bytes !== null && looked.log_bytes > worker.log_bytes;
  // The first look only notes how long the output is; growth counts from the second on.
  turn.set({
    looks: looked.look === null ? worker.looks : [...worker.looks, looked.look].slice(-LOOKS_KEPT),
    look_due_mono_ms: null,
    log_bytes: looked.log_bytes,
    log_moved: worker.looks.length > 0 && (worker.log_moved || moved),
  });
}

function judge(turn: Turn, looked: Looked): Verdict {
  const worker = turn.worker as WorkerPart;
  const limits = turn.thresholds();
  const silentMs = turn.silentMs();
  const missed = missedIntervals(silentMs, limits.intervalMs);
  const settings = turn.settings();
  const { score } = decayedScore(worker.last_beat?.reported ?? null, missed, settings.health_score_decay_rate);
  return verdictOf({
    exitRecord: false,
    processKnown: worker.process !== null,
    sameHost: looked.same_host,
    samePidNamespace: looked.same_namespace,
    sameBoot: looked.same_boot,
    looks: worker.looks,
    logMoved: worker.log_moved,
    progressMoved: false,
    silentMs: worker.mode === "required" ? silentMs : 0,
    scoreBelowMinimum: worker.last_beat !== null && score < settings.min_health_score,
    thresholds: limits,
  });
}

const VERDICT_EVENTS: Readonly<Record<string, { readonly event: EventType; readonly state: WorkerState }>> = {
  paused: { event: "worker_paused", state: "paused" },
  debugged: { event: "worker_debugged", state: "debugged" },
  busy: { event: "worker_busy", state: "busy" },
  blocked: { event: "worker_blocked", state: "blocked" },
  hung: { event: "worker_hung", state: "hung" },
  stuck_io: { event: "worker_stuck", state: "stuck" },
  none: { event: "worker_unknown", state: "unknown" },
};

/** One event for a change of verdict, not for each look. */
function sayVerdict(turn: Turn, verdict: Verdict): void {
  const worker = turn.worker as WorkerPart;
  const entry = VERDICT_EVENTS[verdict.verdict];
  if (!entry || worker.said_verdict === verdict.verdict || !turn.isTrusted()) return;
  if (verdict.verdict !== "debugged") turn.openIncident();
  turn.set({
    said_verdict: verdict.verdict,
    alerted_mono_ms: verdict.verdict === "paused" ? turn.now : worker.alerted_mono_ms,
  });
  turn.enter(entry.state);
  const message = `${worker.worker_id} is ${entry.state} (${verdict.because}) after ${Math.round(turn.silentMs() / 1000)} s of silence${refusedWords(worker)}`;
  turn.say(entry.event, {
    reason: verdict.because,
    message,
    data: {
      because: verdict.because,
      silent_seconds: Math.round(turn.silentMs() / 100) / 10,
      ...refusedFields(worker),
    },
  });
  writeBlock(turn, {});
}

const REASONS: Readonly<Partial<Record<Verdict["verdict"], EndReason>>> = {
  lost: "lost",
  hung: "hung",
  blocked: "blocked",
  busy: "busy",
};

function conclude(turn: Turn, verdict: Verdict, looked: Looked): void {
  switch (verdict.verdict) {
    case "dead_certain":
    case "unreaped":
      return concludeDeath(turn, verdict, looked);
    case "paused":
      return concludePause(turn);
    case "debugged":
    case "none":
    case "stuck_io":
      return lookAgainIn(turn, Math.max(1000, turn.thresholds().verifyMs));
    default:
  }
  turn.set({ gone_since_mono_ms: null });
  if (verdict.verdict === "alive") return concludeAlive(turn, verdict);
  const reason = REASONS[verdict.verdict];
  if (verdict.zombieDue && reason && tryEnding(turn, reason, verdict.because)) return;
  lookAgainIn(turn, verdict.zombieDue ? HELD_LOOK_MS : soonerIfStretched(turn, verdict.nextLookMs ?? null));
}

/** A threshold that only the monitor's own bad health moved away comes back with its good health, at any moment. */
function soonerIfStretched(turn: Turn, afterMs: number | null): number | null {
  return turn.fleet.local_health === 0 || afterMs === null ? afterMs : Math.min(afterMs, STRETCHED_LOOK_MS);
}

const STRETCHED_LOOK_MS = 5000;

/** How often a worker that only a gate keeps alive is looked at. */
const HELD_LOOK_MS = 2000;

/** It runs and is not silent for long: what is left is what it says about itself. */
function concludeAlive(turn: Turn, verdict: Verdict): void {
  closeIfRecovered(turn, turn.now);
  const worker = turn.worker as WorkerPart;
  if (verdict.because !== "beating" || !isActedUpon(turn)) return lookAgainIn(turn, verdict.nextLookMs ?? null);
  if (worker.looks.length < 2) return lookAgainIn(turn, turn.thresholds().verifyMs);
  const condition = worker.state === "stuck" ? "stuck" : "unhealthy";
  if (!tryEnding(turn, condition, condition)) lookAgainIn(turn, HELD_LOOK_MS);
}

/** The process is gone. Its launcher, if it lives, is about to say how; if not, nobody will. */
function concludeDeath(turn: Turn, verdict: Verdict, looked: Looked): void {
  const worker = turn.worker as WorkerPart;
  const since = worker.gone_since_mono_ms ?? turn.now;
  turn.set({ gone_since_mono_ms: since });
  const waits = looked.launcher_alive || verdict.verdict === "unreaped" || turn.now - since < GONE_LOOK_MS;
  if (verdict.because === "host_reboot") return worker.resume_at_mono_ms === null ? afterReboot(turn) : advance(turn);
  if (waits && turn.now - since < EXIT_RECORD_PATIENCE_MS) return lookAgainIn(turn, GONE_LOOK_MS);
  if (turn.fleet.host === "stopping") return turn.wakeAt(turn.now + SHUTDOWN_LOOK_MS);
  if (looked.restart_forced === true)
    return beginEnding(turn, { reason: "stopped", evidence: "forced_restart", zombie: false });
  turn.openIncident();
  beginEnding(turn, { reason: "gone", evidence: verdict.because, zombie: false });
}

function concludePause(turn: Turn): void {
  const worker = turn.worker as WorkerPart;
  const settings = turn.settings();
  const since = turn.now - worker.state_since_mono_ms;
  const limit = settings.paused_limit_seconds * 1000;
  if (settings.paused_action === "restart" && since >= limit && tryEnding(turn, "paused", "stopped")) return;
  if (worker.alerted_mono_ms !== null && turn.now - worker.alerted_mono_ms >= limit) {
    turn.set({ alerted_mono_ms: turn.now });
    turn.say("worker_paused", {
      reason: "still",
      message: `${worker.worker_id} has been paused for ${Math.round(since / 1000)} s`,
      data: { paused_seconds: Math.round(since / 1000) },
    });
  }
  lookAgainIn(turn, Math.min(limit, 1000));
}

export function earliest(...instants: readonly (number | null)[]): number | null {
  const known = instants.filter((instant) => instant !== null);
  return known.length === 0 ? null : Math.min(...known);
}
