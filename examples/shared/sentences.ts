/** Turns events into short sentences: what was seen, decided and done. Says nothing of what only a log needs. @module */
import type { Told } from "./chronicle.js";
import type { Kind } from "./screen.js";

interface Sentence {
  readonly kind: Kind;
  readonly text: string;
}

/** A silence that is worth a line when it ends, in seconds: the heartbeat time-out of the examples' policies. */
const LONG_SILENCE_SECONDS = 3;

const WHY: Readonly<Record<string, string>> = {
  blocked: "its event loop is blocked",
  busy: "it was busy for too long",
  hung: "it hangs",
  lost: "no process of it is known",
  memory_limit: "it is over its memory limit",
};

const MOVES: Readonly<Record<string, string>> = {
  child_cpu: "a child of it computes",
  io: "it reads or writes",
  log: "it prints",
  progress: "it makes progress",
};

type Tell = (told: Told) => Sentence | null;

const seen = (text: string): Sentence => ({ kind: "seen", text });
const decided = (text: string): Sentence => ({ kind: "decided", text });
const done = (text: string): Sentence => ({ kind: "done", text });
const seconds = (value: unknown): string => `${Math.round(Number(value))} s`;

const SENTENCES: Readonly<Record<string, Tell>> = {
  daemon_started: ({ message, data }) => done(`${message}, pid ${String(data.pid)}`),
  worker_registered: () => null,
  heartbeat_missed: () => null,
  heartbeat_warning: () => null,
  heartbeat_timeout: ({ workerId, data }) => seen(`${workerId} has been silent for ${seconds(data.silent_seconds)}`),
  heartbeat_resumed: ({ workerId, data }) =>
    Number(data.silent_seconds) < LONG_SILENCE_SECONDS
      ? null
      : seen(`${workerId} beats again after ${seconds(data.silent_seconds)}`),
  worker_busy: ({ workerId, reason }) =>
    seen(`${workerId} is silent, but ${MOVES[reason ?? ""] ?? "it works"}: busy, a warning only`),
  worker_blocked: ({ workerId }) => seen(`${workerId} is silent and only itself uses CPU: its event loop is blocked`),
  worker_hung: ({ workerId }) => seen(`${workerId} is silent, uses no CPU, and nothing of it moves: it hangs`),
  worker_paused: ({ workerId }) => seen(`${workerId} is paused by somebody (SIGSTOP): it is left alone`),
  worker_exited: ({ workerId, attempt, reason, data }) =>
    seen(`${workerId}, attempt ${attempt}, ended${howItEnded(reason, data)}`),
  zombie_detected: ({ workerId, reason, data }) =>
    decided(
      `${workerId} is to be ended and replaced: ${WHY[reason ?? ""] ?? reason}${
        typeof data.silent_seconds === "number" ? `, silent for ${data.silent_seconds.toFixed(1)} s` : ""
      }`,
    ),
  zombie_cleanup_started: () => null,
  zombie_process_terminated: () => null,
  zombie_cleanup_completed: ({ workerId, attempt }) =>
    done(`nothing is left of ${workerId}, attempt ${attempt}; its evidence is in zombie/`),
  worker_restart_queued: () => null,
  worker_restart_deferred: ({ message }) => decided(message.replace(/^The restart/, "the restart")),
  worker_restart_refused: ({ message }) => decided(message),
  worker_restart_started: ({ workerId, attempt, data }) =>
    done(`${workerId} is started again: attempt ${attempt}, ${since(data.waited_ms)} after its end was seen`),
  worker_restarted: ({ workerId, attempt }) => done(`${workerId}, attempt ${attempt}, has proved itself`),
  worker_restart_failed: () => null,
  detector_suspect: ({ message }) => seen(message),
  detector_trusted: () => decided("what the monitor sees is trusted again: verdicts are given again"),
  weather_started: ({ message }) => seen(message),
  weather_ended: ({ message }) => done(message),
  policy_loaded: () => null,
  hold_started: () => null,
  log_rotated: () => null,
};

/** What to say of an event, or null. An event that is not expected here is told in its own words. */
export function sentenceOf(told: Told): Sentence | null {
  const tell = SENTENCES[told.type];
  return tell === undefined ? { kind: told.severity === "info" ? "done" : "decided", text: told.message } : tell(told);
}

function howItEnded(reason: string | null, data: Readonly<Record<string, unknown>>): string {
  if (reason === "memory_limit") return ": the kernel killed it at its memory limit";
  if (typeof data.signal === "string") return ` by ${data.signal}`;
  return typeof data.exit_code === "number" ? ` with exit code ${data.exit_code}` : ` (${reason})`;
}

function since(ms: unknown): string {
  return `${(Number(ms) / 1000).toFixed(1)} s`;
}
