/** What is said when an attempt has ended or is about to be ended. @module */
import type { EndReason } from "../../lib/schema/catalogue.js";
import type { Ending, ExitFacts, RemainsFacts, WorkerPart } from "./facts.js";
import { refusedFields, refusedWords } from "./refused-beats.js";
import type { Turn } from "./turn.js";

/** Why an ending begins, and on what evidence. */
export interface Beginning {
  readonly reason: EndReason;
  readonly evidence: string;
  readonly zombie: boolean;
  readonly exit?: ExitFacts;
  /** What is left of it, where that was looked at already. */
  readonly remains?: RemainsFacts | undefined;
  readonly killAtOnce?: boolean;
}

export function sayExit(turn: Turn, beginning: Beginning): void {
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
  const finished = exit?.exit_code === 0 || reason === "stopped";
  turn.say("worker_exited", {
    reason,
    message: `${worker.worker_id} ended${how} (${reason})`,
    data,
    ...(finished ? { severity: "info" as const } : {}),
  });
}

export function sayZombie(turn: Turn, ending: Ending): void {
  const worker = turn.worker as WorkerPart;
  turn.set({ zombie_said: true });
  const lag = ending.silent_ms === null ? 0 : Math.max(0, Math.round(ending.silent_ms - turn.thresholds().zombieMs));
  turn.setFleet({
    zombies_detected: turn.fleet.zombies_detected + 1,
    detection_lags_ms: [...turn.fleet.detection_lags_ms, lag].slice(-100),
  });
  const silent = ending.silent_ms === null ? null : Math.round(ending.silent_ms / 100) / 10;
  const data = {
    evidence: ending.evidence,
    silent_seconds: silent,
    pid: worker.process?.identity.pid ?? null,
    ...(silent === null ? {} : refusedFields(worker)),
  };
  const after = silent === null ? "" : ` after ${Math.round(silent)} s of silence${refusedWords(worker)}`;
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
