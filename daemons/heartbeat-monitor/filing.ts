/** The end of an attempt on paper: evidence, then the active spec goes, tokens come back, and the request is filed. @module */
import type { EndReason } from "../../lib/schema/catalogue.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { blockOf } from "./block.js";
import type { Ending, WorkerPart } from "./facts.js";
import { countMonitored, endSuspicion } from "./fleet.js";
import { isOrphaned } from "./orphaned.js";
import { refusedFields } from "./refused-beats.js";
import { gate, type Turn } from "./turn.js";
import { wishFor } from "./wishes.js";

/** Evidence of an end after which no request is filed: it is wanted, or the request is there already. */
const NO_REQUEST: ReadonlySet<string> = new Set(["cancelled", "forced_restart"]);

/** Everything is known. */
export function file(turn: Turn, logTail: string): void {
  const worker = turn.worker as WorkerPart;
  const ending = worker.ending as Ending;
  // Where it is always to run, an end is no success, whatever its code.
  const mayFinish = !ending.zombie && worker.spec.restart_when !== "always";
  const finished = mayFinish && ending.exit?.exit_code === 0 && ending.reason === "exited";
  const wish = wishFor(worker);
  const stopped = wish !== null || ending.reason === "stopped";
  const completed = finished || stopped;
  // A person who changed their mind while it was being stopped gets it back.
  const mayReturn = wish === null && !NO_REQUEST.has(ending.evidence) && mayResume(turn, ending);
  const wantsMore = mayReturn && !finished;
  turn.set({ ending: { ...ending, phase: "filing" } });
  const { worker_id } = worker;
  const { attempt } = worker.spec;
  const status = stopped ? "cancelled" : finished ? "completed" : "zombie";
  turn.doFirst({
    kind: "file_end",
    worker_id,
    attempt,
    into: completed ? "completed" : "zombie",
    patch: evidencePatch(turn, status, logTail),
  });
  turn.doFirst({ kind: "remove_active", worker_id, attempt });
  if (wantsMore) turn.doFirst({ kind: "file_request", worker_id, request: requestFor(turn) });
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
    // The block that stands in the spec is as old as the last change of state.
    heartbeat: blockOf(turn, ending.silent_ms ?? silentUntilEnd(turn)),
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
      classification: classOf(ending.reason),
      evidence: ending.evidence,
      killed_by:
        exit?.signal === null || exit === null ? null : ending.signalled || ending.exit?.wanted ? "heald" : "other",
      silent_seconds: ending.silent_ms === null ? null : Math.round(ending.silent_ms / 100) / 10,
      ...refusedFields(worker),
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

/** For how long it was silent when it ended, which may have been noticed late. */
function silentUntilEnd(turn: Turn): number {
  const { silent_from_mono_ms: from, ending } = turn.worker as WorkerPart;
  const endedMs = ending?.exit?.ended_at_ms ?? turn.stamp.atMs;
  return Math.max(0, turn.now - Math.max(0, turn.stamp.atMs - endedMs) - from);
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

/** Not where the worker has no part in it: it was never started, or was ended with its host or by a person. */
function spendsRetry({ reason }: Ending, worker: WorkerPart): boolean {
  if (reason === "not_started") return !isOrphaned(worker);
  return reason !== "host_reboot" && reason !== "stopped";
}

const classOf = (reason: EndReason): string => CLASSES[reason] ?? "silent";

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
      class: classOf(ending.reason),
      exit_code: ending.exit?.exit_code ?? null,
      signal: ending.exit?.signal ?? null,
      ran_ms:
        started === null ? null : Math.max(0, Math.round((ending.exit?.ended_at_ms ?? turn.stamp.atMs) - started)),
      by_itself: !ending.signalled,
      spends_retry: spendsRetry(ending, worker),
      detected_at_ms: turn.stamp.atMs,
    },
  };
}
