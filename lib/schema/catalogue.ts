/**
 * The one list of worker states, evidence and events: what each is called, how severe it is, which log it goes to, what
 * it does to an incident, and the sentence that explains it. Pages, `why` and the JSON Schemas are made from it.
 *
 * @module
 */

export type Severity = "info" | "warning" | "critical";
export type EventLog = "heartbeat" | "zombie-cleanup" | "worker-restart" | "failure-pattern" | "auto-fix" | "daemon";

/** File name of each event log under `events/`. */
export const EVENT_LOGS: Readonly<Record<EventLog, string>> = {
  heartbeat: "heartbeat-events.jsonl",
  "zombie-cleanup": "zombie-cleanup-events.jsonl",
  "worker-restart": "worker-restart-events.jsonl",
  "failure-pattern": "failure-pattern-events.jsonl",
  "auto-fix": "auto-fix-events.jsonl",
  daemon: "daemon-events.jsonl",
};

/** What an event does to the incident it carries. */
export type IncidentEdge = "opens" | "continues" | "closes" | "none";

interface EventEntry {
  readonly log: EventLog;
  readonly severity: Severity;
  readonly incident: IncidentEdge;
  readonly sentence: string;
}

const entry = (log: EventLog, severity: Severity, incident: IncidentEdge, sentence: string): EventEntry => ({
  log,
  severity,
  incident,
  sentence,
});

export const EVENTS = {
  worker_registered: entry("heartbeat", "info", "none", "An attempt of the worker was launched and is watched."),
  heartbeat_resumed: entry("heartbeat", "info", "closes", "The worker beats again after trouble."),
  heartbeat_missed: entry("heartbeat", "info", "opens", "One interval and a half passed without a beat."),
  heartbeat_warning: entry("heartbeat", "warning", "opens", "The worker was silent for the warning threshold."),
  heartbeat_timeout: entry("heartbeat", "critical", "opens", "The worker was silent for the heartbeat time-out."),
  worker_busy: entry(
    "heartbeat",
    "warning",
    "opens",
    "The worker is silent, but its output, its children or its I/O move.",
  ),
  worker_blocked: entry(
    "heartbeat",
    "critical",
    "opens",
    "The worker is silent and only its own process uses CPU: its event loop is blocked.",
  ),
  worker_hung: entry("heartbeat", "critical", "opens", "The worker is silent, uses no CPU, and nothing of it moves."),
  worker_paused: entry(
    "heartbeat",
    "warning",
    "opens",
    "The process is stopped by a person, by the terminal, or its cgroup is frozen; it is left alone.",
  ),
  worker_debugged: entry("heartbeat", "info", "none", "A debugger holds the process; it is never restarted."),
  worker_stuck: entry(
    "heartbeat",
    "critical",
    "opens",
    "The worker makes no progress, or its process is stuck in I/O.",
  ),
  worker_unhealthy: entry(
    "heartbeat",
    "critical",
    "opens",
    "The worker has reported a health score below the minimum for the grace time.",
  ),
  worker_unknown: entry(
    "heartbeat",
    "warning",
    "opens",
    "Nothing can be concluded about the worker: its evidence comes from another host or pid namespace.",
  ),
  worker_exited: entry("heartbeat", "warning", "opens", "The worker's process ended."),
  worker_completed: entry("heartbeat", "info", "closes", "The worker finished its work."),
  worker_stopped: entry("heartbeat", "info", "closes", "The worker was ended because a person wants it stopped."),
  worker_unwatched: entry(
    "heartbeat",
    "info",
    "closes",
    "A person removed the worker's spec; it is left running and no longer watched.",
  ),
  fleet_hold_started: entry(
    "heartbeat",
    "critical",
    "opens",
    "A large part of the fleet looks dead at once; nothing is killed and the common cause is looked for.",
  ),
  fleet_hold_ended: entry(
    "heartbeat",
    "info",
    "closes",
    "The fleet is trusted again; what is still silent is taken up in canaries.",
  ),
  mass_zombification_alert: entry(
    "heartbeat",
    "critical",
    "continues",
    "Many workers look dead together; a person should look for a common cause.",
  ),
  detector_suspect: entry(
    "heartbeat",
    "warning",
    "none",
    "The monitor itself was stalled or suspended, or its clock stepped; it gives no verdict until it has observed afresh.",
  ),
  detector_trusted: entry(
    "heartbeat",
    "info",
    "none",
    "The monitor has observed one full interval and gives verdicts again.",
  ),
  zombie_detected: entry("zombie-cleanup", "critical", "opens", "The worker is dead or hung, and verified."),
  zombie_cleanup_started: entry(
    "zombie-cleanup",
    "info",
    "continues",
    "What is left of the attempt is ended and its evidence kept.",
  ),
  zombie_process_terminated: entry("zombie-cleanup", "info", "continues", "A process of the attempt was ended."),
  zombie_cleanup_completed: entry(
    "zombie-cleanup",
    "info",
    "continues",
    "Nothing of the attempt is left; its evidence is in zombie/.",
  ),
  zombie_cleanup_failed: entry(
    "zombie-cleanup",
    "critical",
    "continues",
    "Something of the attempt could not be ended.",
  ),
  zombie_cleanup_rate_limited: entry(
    "zombie-cleanup",
    "warning",
    "continues",
    "More workers are to be cleaned up than the limit per minute allows; this one waits.",
  ),
  worker_restart_queued: entry(
    "worker-restart",
    "info",
    "continues",
    "A request to restart the worker was taken from the queue.",
  ),
  worker_restart_deferred: entry(
    "worker-restart",
    "warning",
    "continues",
    "The restart waits for the gate that is named.",
  ),
  worker_restart_refused: entry(
    "worker-restart",
    "warning",
    "continues",
    "The restart will not happen, for the reason given.",
  ),
  worker_restart_started: entry("worker-restart", "info", "continues", "The next attempt of the worker was started."),
  worker_restarted: entry("worker-restart", "info", "closes", "The new attempt has proved itself."),
  worker_restart_failed: entry(
    "worker-restart",
    "critical",
    "continues",
    "The new attempt could not be started, or ended before it proved itself.",
  ),
  worker_restart_exhausted: entry(
    "worker-restart",
    "critical",
    "continues",
    "Retries or budgets are spent; a person should look. A probe follows.",
  ),
  task_quarantined: entry(
    "worker-restart",
    "critical",
    "continues",
    "The task killed its workers too often and is held with its evidence.",
  ),
  circuit_breaker_tripped: entry(
    "worker-restart",
    "critical",
    "none",
    "Too many restarts of this worker type failed; no more are tried until the next probe.",
  ),
  circuit_breaker_half_open: entry(
    "worker-restart",
    "warning",
    "none",
    "One restart of this worker type is let through to see whether it works again.",
  ),
  circuit_breaker_reset: entry("worker-restart", "info", "none", "The circuit breaker of this worker type is closed."),
  pattern_detected: entry("failure-pattern", "warning", "none", "Failures repeat in a recognisable way."),
  pattern_changed: entry("failure-pattern", "warning", "none", "A known pattern changed its rate or severity."),
  pattern_resolved: entry("failure-pattern", "info", "none", "A pattern was not seen for long enough to be over."),
  pattern_forecast: entry("failure-pattern", "info", "none", "A pattern is expected again."),
  fix_matched: entry("auto-fix", "info", "none", "A fix is known for an active pattern or condition."),
  fix_suppressed: entry("auto-fix", "info", "none", "A fix was not applied, for the reason given."),
  fix_pending: entry("auto-fix", "warning", "none", "A fix waits for a person's approval."),
  fix_approved: entry("auto-fix", "info", "none", "A person approved a fix."),
  fix_rejected: entry("auto-fix", "info", "none", "A person rejected a fix."),
  fix_expired: entry("auto-fix", "warning", "none", "Nobody approved a fix in time."),
  fix_applied: entry("auto-fix", "warning", "none", "A fix was applied and is being verified."),
  fix_failed: entry("auto-fix", "critical", "none", "A fix could not be applied."),
  fix_verified: entry("auto-fix", "info", "none", "A fix's verification ended with the verdict given."),
  fix_undone: entry("auto-fix", "warning", "none", "A fix was undone."),
  undo_conflict: entry(
    "auto-fix",
    "critical",
    "none",
    "A value was changed by somebody else since the fix; it is left as it is.",
  ),
  escalation_opened: entry("auto-fix", "critical", "none", "A person is asked to look."),
  escalation_acknowledged: entry("auto-fix", "info", "none", "A person has taken the escalation."),
  escalation_resolved: entry("auto-fix", "info", "none", "The escalation's cause is gone."),
  daemon_started: entry("daemon", "info", "none", "A daemon is ready."),
  daemon_stopped: entry("daemon", "info", "none", "A daemon stopped."),
  policy_loaded: entry("daemon", "info", "none", "A policy is in force."),
  policy_refused: entry("daemon", "warning", "none", "A policy was refused; the last good one stays in force."),
  shadow_ended: entry("daemon", "info", "none", "A shadow policy is not run any more."),
  record_refused: entry(
    "daemon",
    "warning",
    "none",
    "A record was refused; it is left untouched or moved to rejected/.",
  ),
  hold_started: entry("daemon", "warning", "none", "A person asked to leave something alone."),
  hold_defaulted: entry(
    "daemon",
    "warning",
    "none",
    "A hold without an expiry or a readable text was given its default.",
  ),
  hold_expired: entry("daemon", "info", "none", "A hold ended."),
  weather_started: entry(
    "daemon",
    "critical",
    "none",
    "The disk, the permissions or the limits of the host stop a daemon from writing; it keeps its work and tries again.",
  ),
  weather_ended: entry("daemon", "info", "none", "A daemon can write again and has caught up."),
  log_rotated: entry("daemon", "info", "none", "This log goes on in a fresh file."),
  person_changed_file: entry(
    "daemon",
    "info",
    "none",
    "A person changed a file that a daemon keeps; the change was taken over.",
  ),
} as const satisfies Record<string, EventEntry>;

export type EventType = keyof typeof EVENTS;

/** Worker states (`heartbeat.status`), in the order of a worker's life, each with a sentence. */
export const WORKER_STATES = {
  starting: "Launched; no beat yet, within its grace time.",
  healthy: "Beats in time, or its process runs and it need not beat.",
  late: "One interval and a half without a beat.",
  warning: "Silent for the warning threshold.",
  critical: "Silent for the heartbeat time-out.",
  busy: "Silent, but its output, children or I/O move.",
  blocked: "Silent, and only its own process uses CPU.",
  hung: "Silent, no CPU, and nothing moves.",
  paused: "Stopped by a signal or frozen.",
  debugged: "Held by a debugger.",
  stuck: "No progress past its own limit, or stuck in I/O.",
  unhealthy: "Reports health below the minimum.",
  unknown: "Nothing can be concluded.",
  zombie: "Dead or hung, verified.",
  exited: "Its process ended.",
  completed: "Finished.",
  unwatched: "Its spec was removed by a person.",
} as const;
export type WorkerState = keyof typeof WORKER_STATES;

/** Why an attempt ended, one word each; `last_words.reason` and a request's `reason`. */
export const END_REASONS = {
  exited: "its process ended with a code",
  killed: "its process was ended by a signal",
  lost: "it was silent and no process of it is known",
  gone: "its process was gone without an exit record",
  hung: "it was silent and idle",
  blocked: "its event loop was blocked",
  busy: "it was silent beyond the limit for busy workers",
  stuck: "it made no progress",
  paused: "it was paused beyond the limit",
  unhealthy: "it reported poor health beyond the grace time",
  memory_limit: "it exceeded its memory limit",
  max_runtime: "it ran longer than it may",
  host_reboot: "the host was started anew",
  cleanup: "a person asked for its cleanup",
  stopped: "a person wanted it stopped",
  not_started: "its launcher died before the program ran",
} as const;
export type EndReason = keyof typeof END_REASONS;

export {
  ENDING_GATES,
  FIX_GATES,
  type FixGate,
  type GateEntry,
  gateEntry,
  PATTERN_GATES,
  PROBATION_GATES,
  RESTART_GATES,
  type RestartGate,
  VERDICT_GATES,
} from "./gate-catalogue.js";
