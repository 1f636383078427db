/** A worker's life as its files tell it: spec, launch, beats, exit, and what a person wants. @module */

import { nextSlotAtMs } from "../../lib/domain/pacing.js";
import { addGap, GAPS_NONE } from "../../lib/domain/phi.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import type { DesiredState } from "../../lib/schema/records.js";
import { isBlockDue, writeBlock } from "./block.js";
import { beginEnding, callOff, gatherNow, tryEnding } from "./ending.js";
import type {
  BeatFacts,
  Event,
  ExitFacts,
  KnownProcess,
  LastBeat,
  RemainsFacts,
  SpecFacts,
  WorkerPart,
} from "./facts.js";
import { countMonitored, endSuspicion, settleCanary } from "./fleet.js";
import { saidOf } from "./own-words.js";
import { closeIfRecovered } from "./recovery.js";
import { BEFORE_START_MS, forgetEarlierRefusal, NO_REFUSAL } from "./refused-beats.js";
import { advance, lookNow } from "./silence.js";
import { changeStop, heedsWithdrawnStop, withdrawStop } from "./stopping.js";
import type { Turn } from "./turn.js";

/** Statuses that are not of a worker that should be alive; such a spec in active/ is left to the person who wrote it. */
const NOT_ALIVE = new Set(["completed", "failed", "zombie"]);

export function onSpec(turn: Turn, workerId: string, spec: SpecFacts | null): void {
  const known = turn.worker;
  if (spec === null || NOT_ALIVE.has(spec.status)) return forget(turn);
  if (known === null || known.spec.attempt < spec.attempt) return meet(turn, workerId, spec);
  if (known.spec.attempt > spec.attempt) return;
  const before = known.spec;
  // A mode that differs from the last one and is not our own last word was set by a person.
  const mode = spec.mode !== null && spec.mode !== before.mode && spec.mode !== known.mode ? spec.mode : known.mode;
  turn.set({ spec, mode });
  withdrawStop(turn);
  if (known.process === null && spec.process !== null && known.ending === null) settleProcess(turn, spec.process);
  if (spec.in_spec_beat !== null && isNewBeat(before.in_spec_beat, spec.in_spec_beat, known.block_key))
    return onBeat(turn, inSpecBeat(spec.in_spec_beat, spec.attempt, known.block_key));
  advance(turn);
}

/** Whether somebody other than the monitor wrote a beat into the spec. */
function isNewBeat(
  before: SpecFacts["in_spec_beat"],
  after: NonNullable<SpecFacts["in_spec_beat"]>,
  ownKey: string | null,
): boolean {
  if (after.legacy_key !== (before?.legacy_key ?? "")) return after.legacy_key !== "";
  return after.key !== before?.key && after.key !== ownKey;
}

function inSpecBeat(beat: NonNullable<SpecFacts["in_spec_beat"]>, attempt: number, ownKey: string | null): BeatFacts {
  const reported = beat.key === ownKey ? beat.legacy_score : (beat.legacy_score ?? beat.score);
  return {
    attempt,
    sequence: beat.sequence,
    reported,
    progress: null,
    pid: null,
    age_ms: 0,
    key: `spec:${beat.legacy_key}${beat.key}`,
  };
}

/** A person removed the spec: the worker is left running and never touched again. Our own removal is not news. */
function forget(turn: Turn): void {
  if (turn.worker === null || turn.worker.ending?.phase === "filing") return;
  turn.enter("unwatched");
  turn.say("worker_unwatched", {
    message: `Spec of ${turn.worker.worker_id} was removed; it is left running and no longer watched`,
  });
  endSuspicion(turn);
  countMonitored(turn, turn.worker.spec.worker_type, -1);
  turn.wakeAt(null);
  turn.worker = null;
}

function meet(turn: Turn, workerId: string, spec: SpecFacts): void {
  // An attempt whose end is being filed was taken off the counts when that began.
  if (turn.worker !== null && turn.worker.ending?.phase !== "filing") {
    endSuspicion(turn);
    countMonitored(turn, turn.worker.spec.worker_type, -1);
  }
  countMonitored(turn, spec.worker_type, 1);
  turn.worker = newPart(turn, workerId, spec);
  if (spec.other_boot) return afterReboot(turn);
  if (!spec.has_launch && spec.process === null) sayRegistered(turn, null);
  if (spec.process !== null) settleProcess(turn, spec.process);
  advance(turn);
}

function newPart(turn: Turn, workerId: string, spec: SpecFacts): WorkerPart {
  const mode =
    spec.mode ??
    (spec.probe || spec.has_heartbeat || !(spec.has_launch || spec.process !== null) ? "required" : "optional");
  return {
    worker_id: workerId,
    spec,
    mode,
    process: null,
    started_mono_ms: null,
    state: "starting",
    state_since_mono_ms: turn.now,
    state_since_at_ms: turn.stamp.atMs,
    silent_from_mono_ms: turn.now,
    last_beat: null,
    said: "none",
    said_verdict: null,
    looks: [],
    look_due_mono_ms: null,
    log_bytes: null,
    log_moved: false,
    incident_id: spec.incident_id,
    incident_opened_mono_ms: null,
    suspect_bucket: null,
    released: false,
    desired: "running",
    ending: null,
    block_written_mono_ms: null,
    block_key: null,
    alerted_mono_ms: null,
    held_by: null,
    zombie_said: false,
    under_hold: false,
    observe_until_mono_ms: null,
    gone_since_mono_ms: null,
    resume_at_mono_ms: null,
  };
}

/** Workers of before a reboot are certainly dead; they come back one after another, not all at once. */
export function afterReboot(turn: Turn): void {
  const { boot } = turn.settings();
  const first = turn.fleet.ready_mono_ms + boot.delay_seconds * 1000;
  const slot = nextSlotAtMs(turn.fleet.boot_slot_mono_ms, Math.max(first, turn.now), boot.per_second);
  turn.setFleet({ boot_slot_mono_ms: slot });
  turn.set({ resume_at_mono_ms: slot });
  advance(turn);
}

export function onLaunch(turn: Turn, event: Extract<Event, { kind: "launch" }>): void {
  const { worker } = turn;
  if (worker === null || worker.spec.attempt !== event.attempt || worker.ending !== null) return;
  // What was started in an earlier boot is dead, whatever its record says.
  if (worker.resume_at_mono_ms !== null) return;
  if (event.process === null) {
    if (!event.launcher_alive) beginEnding(turn, { reason: "not_started", evidence: "claim", zombie: false });
    return;
  }
  if (
    worker.process?.identity.start_time === event.process.identity.start_time &&
    worker.process.identity.pid === event.process.identity.pid
  )
    return;
  settleProcess(turn, event.process);
  advance(turn);
}

function settleProcess(turn: Turn, process: KnownProcess): void {
  const age = Math.max(0, turn.stamp.atMs - process.started_at_ms);
  const startedMono = turn.now - age;
  const known = turn.worker?.last_beat ?? null;
  // A beat file that is older than the attempt is an earlier attempt's.
  const last = known !== null && known.arrived_mono_ms < startedMono - BEFORE_START_MS ? null : known;
  turn.set({
    process,
    started_mono_ms: startedMono,
    last_beat: last,
    // Of a silence before the worker was watched nothing is known.
    silent_from_mono_ms: last?.arrived_mono_ms ?? Math.max(startedMono, turn.worker?.silent_from_mono_ms ?? 0),
  });
  forgetEarlierRefusal(turn, startedMono);
  if (turn.worker?.state === "starting" && turn.worker.mode !== "required") turn.enter("healthy");
  sayRegistered(turn, process);
  const { identity } = process;
  const execution = {
    ...identity,
    origin: process.origin,
    may_signal: process.may_signal,
    started_at: writeInstant(process.started_at_ms),
    memory_limit_enforced_by: process.memory_limit_enforced_by,
  };
  const { spec } = turn.worker as WorkerPart;
  // What is written next; the monitor's own hand is not read back.
  if (spec.status === "pending") turn.set({ spec: { ...spec, status: "running" } });
  writeBlock(turn, { status: "running", execution });
  if (turn.worker?.mode !== "required") settleCanary(turn);
}

function sayRegistered(turn: Turn, process: KnownProcess | null): void {
  const worker = turn.worker as WorkerPart;
  const message =
    process === null
      ? `${worker.worker_id} is watched; no process of it is known`
      : `${worker.worker_id} runs as pid ${process.identity.pid}, attempt ${worker.spec.attempt}`;
  turn.say("worker_registered", {
    message,
    data: process === null ? { mode: worker.mode } : { pid: process.identity.pid, mode: worker.mode },
  });
}

/** Takes a beat: only a heartbeat makes a silent worker better. */
export function onBeat(turn: Turn, beat: BeatFacts): void {
  const { worker } = turn;
  if (worker === null || (beat.attempt !== null && beat.attempt !== worker.spec.attempt)) return;
  const agoMs = Math.max(0, beat.age_ms) + Math.max(0, beat.ago_ms ?? 0);
  const arrived = turn.now - agoMs;
  // A beat file that is older than the attempt is an earlier attempt's, whatever it says. One seen arriving is not.
  if (beat.age_ms > 0 && worker.started_mono_ms !== null && arrived < worker.started_mono_ms - BEFORE_START_MS) return;
  // An old file that names no attempt may be an earlier attempt's, until the start of this one is known.
  if (beat.age_ms > 0 && beat.attempt === null && worker.process === null && worker.spec.has_launch) return;
  const last = worker.last_beat;
  if (last !== null && arrived <= last.arrived_mono_ms + 1) return;
  const first = last === null;
  const silentMs = arrived - worker.silent_from_mono_ms;
  const settings = turn.settings();
  const progressed = last === null || beat.progress !== last.progress;
  const low = beat.reported !== null && beat.reported < settings.min_health_score;
  turn.set({
    mode: worker.mode === "none" ? "none" : "required",
    silent_from_mono_ms: arrived,
    // The looks at a worker that beats and is not well are about its condition, not about a silence that is over.
    ...(KEPT_BY_BEATS.has(worker.state) ? {} : { looks: [], look_due_mono_ms: null }),
    log_moved: false,
    gone_since_mono_ms: null,
    ...(worker.beats_refused == null ? {} : NO_REFUSAL),
    ...learnt(turn, worker, beat, silentMs),
    last_beat: {
      arrived_mono_ms: arrived,
      arrived_at_ms: turn.stamp.atMs - agoMs,
      sequence: beat.sequence,
      reported: beat.reported,
      progress: beat.progress,
      progress_since_mono_ms: progressed ? arrived : last.progress_since_mono_ms,
      low_since_mono_ms: low ? (last?.low_since_mono_ms ?? arrived) : null,
    },
  });
  if (worker.ending !== null && !callOff(turn)) return;
  if (turn.silentMs() < turn.thresholds().lateMs) resume(turn, silentMs, last);
  settleCanary(turn);
  if (first || isBlockDue(turn) || turn.worker?.state !== worker.state) writeBlock(turn, {});
  advance(turn);
}

/** What the gap before this beat teaches. One that was not observed, or in part by a stalled monitor, teaches nothing. */
function learnt(turn: Turn, worker: WorkerPart, beat: BeatFacts, gapMs: number): Pick<WorkerPart, "gaps"> {
  const last = worker.last_beat;
  if (turn.settings().detector !== "phi" || last === null || beat.age_ms > 0) return {};
  if (!turn.isTrusted() || last.arrived_mono_ms < turn.fleet.trust_from_mono_ms) return {};
  const skipped = (beat.sequence ?? 0) - (last.sequence ?? beat.sequence ?? 0);
  const beats = Number.isInteger(skipped) && skipped > 1 && skipped <= SKIPPED_MAX ? skipped : 1;
  return { gaps: addGap(worker.gaps ?? GAPS_NONE, gapMs / beats) };
}

/** Beats that may go by between two looks; a larger jump of the sequence is a new count. */
const SKIPPED_MAX = 1000;
/** States that a beat alone does not end. */
const KEPT_BY_BEATS = new Set(["unhealthy", "stuck"]);

function resume(turn: Turn, silentMs: number, last: LastBeat | null): void {
  const worker = turn.worker as WorkerPart;
  const wasSilent = worker.said !== "none" || worker.said_verdict !== null;
  // Stuck in I/O was a verdict on its silence, which is over.
  const kept = KEPT_BY_BEATS.has(worker.state) && worker.said_verdict !== "stuck_io";
  if (kept) return turn.set({ said: "none", said_verdict: null });
  endSuspicion(turn);
  if (wasSilent) {
    const message = `${worker.worker_id} beats again after ${Math.round(silentMs / 1000)} s`;
    turn.say("heartbeat_resumed", { message, data: closedSilence(turn, worker, silentMs, last) });
    turn.set({
      said: "none",
      said_verdict: null,
      held_by: null,
      zombie_said: false,
      released: false,
      under_hold: false,
    });
  }
  // Of one of which no beat was awaited the first one tells it too.
  const isFirst = last === null || worker.state === "starting";
  if (wasSilent || isFirst) turn.set({ incident_id: null, incident_opened_mono_ms: null });
  turn.enter("healthy");
}

/** A silence that is over, with all that a backtest needs to ask what another policy would have made of it. */
function closedSilence(
  turn: Turn,
  worker: WorkerPart,
  silentMs: number,
  last: LastBeat | null,
): Record<string, unknown> {
  const own = Object.entries(saidOf(worker.spec.own)).filter(([, seconds]) => typeof seconds === "number");
  return {
    silent_seconds: Math.round(silentMs / 100) / 10,
    interval_seconds: turn.thresholds().intervalMs / 1000,
    verdict: worker.said_verdict,
    reported: last?.reported ?? null,
    ...(last === null ? { first: true } : {}),
    ...(turn.fleet.local_health === 0 ? {} : { local_health: turn.fleet.local_health }),
    ...(own.length === 0 ? {} : { own: Object.fromEntries(own) }),
  };
}

/** The process ended: the restart path begins at once, with no timer. */
export function onExit(turn: Turn, attempt: number, exit: ExitFacts, remains?: RemainsFacts): void {
  const { worker } = turn;
  if (worker === null || worker.spec.attempt !== attempt) return;
  // While the host goes down everything exits; the next boot will know by its boot id.
  if (turn.fleet.host === "stopping") return;
  // What its launcher still wrote while the host went down; work that was finished is finished all the same.
  if (worker.resume_at_mono_ms !== null && exit.exit_code !== 0) return;
  if (worker.ending !== null) {
    if (worker.ending.exit !== null) return;
    turn.set({ ending: { ...worker.ending, exit } });
    return worker.ending.phase === "stopping" || worker.ending.phase === "killing" ? gatherNow(turn) : undefined;
  }
  const known = { zombie: false, exit, remains };
  if (exit.wanted) return beginEnding(turn, { reason: "stopped", evidence: "forced_restart", ...known });
  if (heedsWithdrawnStop(worker, exit))
    return beginEnding(turn, { reason: "stopped", evidence: "withdrawn", ...known });
  // It may have proved itself while nobody watched.
  closeIfRecovered(turn, turn.now - Math.max(0, turn.stamp.atMs - exit.ended_at_ms));
  const finished = exit.exit_code === 0 && worker.spec.restart_when !== "always";
  if (!finished) turn.openIncident();
  const reason = exit.oom_kills > 0 ? "memory_limit" : exit.signal !== null ? "killed" : "exited";
  beginEnding(turn, { reason, evidence: "exit_record", ...known });
}

/** It was stopped, or goes on, as far as one field of /proc can tell: a look tells which. */
export function onStat(turn: Turn, paused: boolean): void {
  const { worker } = turn;
  if (worker === null || worker.ending !== null || (worker.state === "paused") === paused) return;
  lookNow(turn);
}

/** A person let go of it: the time for which it was held is no silence of its own. */
export function onRunsAgain(turn: Turn): void {
  const worker = turn.worker as WorkerPart;
  const seconds = Math.round((turn.now - worker.state_since_mono_ms) / 1000);
  turn.say("heartbeat_resumed", {
    message: `${worker.worker_id} runs again; it was ${worker.state} for ${seconds} s`,
    reason: worker.state,
    data: { held_seconds: seconds },
  });
  turn.set({
    said: "none",
    said_verdict: null,
    alerted_mono_ms: null,
    incident_id: null,
    incident_opened_mono_ms: null,
    held_by: null,
    silent_from_mono_ms: turn.now,
    looks: [],
    look_due_mono_ms: null,
  });
  endSuspicion(turn);
  turn.enter("healthy");
  writeBlock(turn, {});
  advance(turn);
}

/** The monitor's own sampling found the tree above its limit: it is ended now, before the host suffers. */
export function onMemory(turn: Turn, rssBytes: number): void {
  const worker = turn.worker as WorkerPart;
  const limit = worker.spec.memory_limit_bytes;
  if (worker.ending !== null || limit === null || rssBytes <= limit) return;
  const evidence = `rss ${Math.round(rssBytes / 1_048_576)} MiB of ${Math.round(limit / 1_048_576)} MiB`;
  tryEnding(turn, "memory_limit", evidence, { killAtOnce: true });
}

export function onDesired(turn: Turn, desired: DesiredState): void {
  const { worker } = turn;
  if (worker === null || worker.desired === desired) return;
  turn.set({ desired });
  if (worker.ending === null || withdrawStop(turn)) return advance(turn);
  changeStop(turn);
}
