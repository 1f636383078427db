/** Silence, and what the kernel says about it: each deadline of a worker, and each look at it. @module */
import { conditionOf } from "../../lib/domain/condition.js";
import { decayedScore, missedIntervals } from "../../lib/domain/health-score.js";
import type { Thresholds } from "../../lib/domain/thresholds.js";
import { type Verdict, verdictOf } from "../../lib/domain/verdict.js";
import type { EndReason, EventType, WorkerState } from "../../lib/schema/catalogue.js";
import { beginEnding, continueEnding, tryEnding } from "./ending.js";
import type { Looked, WorkerPart } from "./facts.js";
import { beginSuspicion, endSuspicion } from "./fleet.js";
import { onBeat, onExit, writeBlock } from "./life.js";
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
  if (overstayed(turn))
    return beginEnding(turn, { reason: "max_runtime", evidence: "max_runtime_seconds", zombie: true });
  if (worker.mode !== "required") return turn.wakeAt(nextOwnDeadline(turn));
  sayLevels(turn);
  const condition = judgeCondition(turn);
  if (condition === "ended") return;
  const silent = turn.silentMs();
  const limits = turn.thresholds();
  if (silent >= limits.warningMs && lookIsDue(turn, silent, limits)) return lookNow(turn);
  turn.wakeAt(earliest(nextSilentDeadline(turn, silent, limits), nextOwnDeadline(turn), condition));
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
  return limit !== null && worker.process !== null && turn.stamp.atMs - worker.process.started_at_ms >= limit;
}

function nextOwnDeadline(turn: Turn): number | null {
  const worker = turn.worker as WorkerPart;
  const ends =
    worker.spec.max_runtime_ms === null || worker.process === null
      ? null
      : turn.now + (worker.process.started_at_ms + worker.spec.max_runtime_ms - turn.stamp.atMs);
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
  const reached =
    silent >= limits.timeoutMs
      ? "critical"
      : silent >= limits.warningMs
        ? "warning"
        : silent >= limits.lateMs
          ? "late"
          : "none";
  // A monitor that has just started, or was stalled itself, has not observed this silence.
  if (!turn.isTrusted()) return;
  const from = LEVELS.indexOf(worker.said);
  const to = LEVELS.indexOf(reached);
  if (to <= from) return;
  turn.openIncident();
  for (const level of LEVELS.slice(from + 1, to + 1)) if (level !== "none") sayLevel(turn, level, silent, limits);
  turn.set({ said: reached });
  if (!CLASSIFIED.has(turn.worker?.state as WorkerState)) turn.enter(reached as WorkerState);
  if (reached === "critical") beginSuspicion(turn);
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
]);

function sayLevel(turn: Turn, level: "late" | "warning" | "critical", silent: number, limits: Thresholds): void {
  const worker = turn.worker as WorkerPart;
  const missed = missedIntervals(silent, limits.intervalMs);
  const { score } = decayedScore(worker.last_beat?.reported ?? null, missed, turn.settings().health_score_decay_rate);
  const message = `${worker.worker_id} has been silent for ${Math.round(silent / 1000)} s (every ${Math.round(limits.intervalMs / 1000)} s expected)`;
  turn.say(LEVEL_EVENTS[level], {
    message,
    data: { silent_seconds: Math.round(silent / 100) / 10, missed_beats: missed, health_score: score },
  });
}

/** Looks are due at the warning, at the time-out, before the threshold and on it; `looks` remembers those that were made. */
function lookIsDue(turn: Turn, silent: number, limits: Thresholds): boolean {
  const last = (turn.worker as WorkerPart).looks.at(-1);
  if (last === undefined) return true;
  const lastSilent = last.atMs - (turn.worker as WorkerPart).silent_from_mono_ms;
  return lookInstants(limits).some((instant) => lastSilent < instant && silent >= instant);
}

function lookInstants(limits: Thresholds): number[] {
  return [
    limits.warningMs,
    limits.timeoutMs,
    limits.firstLookMs,
    limits.zombieMs,
    limits.blockedMs - limits.verifyMs,
    limits.blockedMs,
    limits.busyMs - limits.verifyMs,
    limits.busyMs,
  ];
}

function nextSilentDeadline(turn: Turn, silent: number, limits: Thresholds): number | null {
  const next = [limits.lateMs, ...lookInstants(limits)].filter((instant) => instant > silent);
  const from = (turn.worker as WorkerPart).silent_from_mono_ms;
  const trustMs = Math.min(turn.fleet.trust_from_mono_ms, turn.now + UNTRUSTED_WAIT_MS);
  const afterTrust = turn.isTrusted() ? null : Math.max(turn.now + 1, trustMs);
  return earliest(next.length === 0 ? null : from + Math.min(...next), afterTrust);
}

/** A worker that beats may still be stuck or unwell. Returns the next deadline, null for none, or `ended`. */
function judgeCondition(turn: Turn): number | null | "ended" {
  const worker = turn.worker as WorkerPart;
  const beat = worker.last_beat;
  if (beat === null || worker.said === "critical") return null;
  const settings = turn.settings();
  const finished = beat.progress === null || beat.progress >= 100;
  const { condition, nextLookMs } = conditionOf({
    progressFrozenMs: finished ? null : turn.now - beat.progress_since_mono_ms,
    progressTimeoutMs: settings.progress_timeout_seconds === null ? null : settings.progress_timeout_seconds * 1000,
    lowScoreMs: beat.low_since_mono_ms === null ? null : turn.now - beat.low_since_mono_ms,
    unhealthyGraceMs: settings.unhealthy_grace_seconds * 1000,
  });
  if (condition === "well") {
    if (worker.state === "unhealthy" || worker.state === "stuck") recover(turn);
  } else if (worker.state !== condition) {
    if (sayCondition(turn, condition, beat.reported, beat.progress)) return "ended";
  }
  return nextLookMs === undefined ? null : turn.now + nextLookMs;
}

function recover(turn: Turn): void {
  const worker = turn.worker as WorkerPart;
  turn.say("heartbeat_resumed", { message: `${worker.worker_id} is well again`, data: { silent_seconds: 0 } });
  turn.set({ incident_id: null, incident_opened_mono_ms: null });
  endSuspicion(turn);
  turn.enter("healthy");
  writeBlock(turn, {});
}

function sayCondition(
  turn: Turn,
  condition: "stuck" | "unhealthy",
  reported: number | null,
  progress: number | null,
): boolean {
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
  if (condition === "unhealthy" && turn.settings().unhealthy_action === "alert") return false;
  return tryEnding(turn, condition, condition);
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
  sayVerdict(turn, verdict);
  conclude(turn, verdict, looked);
}

function remember(turn: Turn, looked: Looked): void {
  const worker = turn.worker as WorkerPart;
  const moved = worker.log_bytes !== null && looked.log_bytes !== null && looked.log_bytes > worker.log_bytes;
  // The first look only notes how long the output is; growth counts from the second on.
  turn.set({
    looks: looked.look === null ? worker.looks : [...worker.looks, looked.look].slice(-LOOKS_KEPT),
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
  const message = `${worker.worker_id} is ${entry.state} (${verdict.because}) after ${Math.round(turn.silentMs() / 1000)} s of silence`;
  turn.say(entry.event, {
    reason: verdict.because,
    message,
    data: { because: verdict.because, silent_seconds: Math.round(turn.silentMs() / 100) / 10 },
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
      return turn.wakeAt(turn.now + Math.max(1000, turn.thresholds().verifyMs));
    default:
  }
  turn.set({ gone_since_mono_ms: null });
  const reason = REASONS[verdict.verdict];
  if (verdict.zombieDue && reason && tryEnding(turn, reason, verdict.because)) return;
  const next = verdict.nextLookMs === undefined ? null : turn.now + Math.max(1, verdict.nextLookMs);
  const asked = verdict.zombieDue ? turn.now + HELD_LOOK_MS : next;
  turn.wakeAt(earliest(asked, nextSilentDeadline(turn, turn.silentMs(), turn.thresholds()), nextOwnDeadline(turn)));
}

const HELD_LOOK_MS = 1000;

/** The process is gone. Its launcher, if it lives, is about to say how; if not, nobody will. */
function concludeDeath(turn: Turn, verdict: Verdict, looked: Looked): void {
  const worker = turn.worker as WorkerPart;
  const since = worker.gone_since_mono_ms ?? turn.now;
  turn.set({ gone_since_mono_ms: since });
  const waits = looked.launcher_alive || verdict.verdict === "unreaped" || turn.now - since < GONE_LOOK_MS;
  if (waits && verdict.because !== "host_reboot" && turn.now - since < EXIT_RECORD_PATIENCE_MS)
    return turn.wakeAt(turn.now + GONE_LOOK_MS);
  if (turn.fleet.host === "stopping") return turn.wakeAt(turn.now + SHUTDOWN_LOOK_MS);
  turn.openIncident();
  beginEnding(turn, {
    reason: verdict.because === "host_reboot" ? "host_reboot" : "gone",
    evidence: verdict.because,
    zombie: false,
  });
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
  turn.wakeAt(turn.now + Math.min(limit, 1000));
}

export function earliest(...instants: readonly (number | null)[]): number | null {
  const known = instants.filter((instant) => instant !== null);
  return known.length === 0 ? null : Math.min(...known);
}
