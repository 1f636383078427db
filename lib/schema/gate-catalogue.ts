/**
 * The gates of every daemon, in the fixed order in which they are asked: what each is about, and what would have to change
 * for one that did not pass. Pages and `why` are made from it.
 *
 * In a remedy, `{value}` and `{wanted}` are what was found and what was wanted, `{worker}`, `{type}` and `{subject}` whom it
 * is about. When a gate passes by itself, its record says when; that is told beside the remedy.
 *
 * @module
 */

export interface GateEntry {
  /** What is so when it passes. */
  readonly sentence: string;
  /** What would have to change, as it goes on after "needs". */
  readonly remedy: string;
}

const gate = (sentence: string, remedy: string): GateEntry => ({ sentence, remedy });

/** Before a process is touched. `host`, `may_signal` and `holds` are asked of every ending, the rest where silence or conduct is the reason. */
export const ENDING_GATES = {
  host: gate("the host is not shutting down", "the host to be up again"),
  trusted: gate(
    "the monitor trusts its own observation",
    "the monitor to observe one full interval after its own stall, and what it cannot read to be readable: heald status",
  ),
  silence: gate("it was silent for long enough, seconds", "a silence of {wanted} s"),
  two_looks: gate("the process was looked at twice", "a second look, two seconds before its threshold"),
  may_signal: gate(
    "the process is heald's to signal",
    "leave to signal it: heald adopt --pid N --id {worker} --may-signal, or end it yourself",
  ),
  mass_guard: gate(
    "not too large a part of the fleet looks dead at once",
    "most of the silent workers to beat again, or the common cause to be gone: heald status",
  ),
  holds: gate("no hold forbids it", "the hold {value} to be removed: heald hold rm {value}"),
  observed_since_hold: gate(
    "one full time-out was observed since a hold ended",
    "one full time-out of observation after the hold ended",
  ),
  cleanups_per_minute: gate(
    "not too many workers were cleaned up within a minute",
    "fewer than {wanted} cleanups within a minute, or a larger max_cleanups_per_minute in heartbeat-policy.json",
  ),
  before_kill: gate("hooks/before_kill does not ask to wait", "hooks/before_kill to exit with 0 instead of {value}"),
  boot_resume: gate(
    "what ran before a reboot is taken up again",
    "boot.resume true in heartbeat-policy.json, or a person: heald retry {worker}",
  ),
} as const satisfies Record<string, GateEntry>;

/** Before a restart, in this order; the last three after it. */
export const RESTART_GATES = {
  host: gate("the host is not shutting down", "the host to be up again; it goes on by itself then"),
  holds: gate(
    "no hold forbids a restart",
    "the hold {value} to be removed: heald hold rm {value}; or heald retry {worker} --override-hold",
  ),
  desired: gate("a person wants it running", "a person to want it running again: heald retry {worker}"),
  enabled: gate("the policy is enabled", "enabled true in worker-restart-policy.json"),
  when: gate(
    "restart.when allows it",
    "restart.when other than {wanted} in its template or spec; or a person: heald retry {worker}",
  ),
  exit_class: gate(
    "its exit code does not say that a restart is useless",
    "a change of its command, arguments, template or overrides, an exit code not among {wanted}, or a person: heald retry {worker}",
  ),
  expired: gate("the request has not expired", "a new request: heald retry {worker}"),
  not_before: gate("the request's own time has come", "its time to come, or a person: heald retry {worker} --now"),
  duplicate: gate(
    "the next attempt does not exist yet",
    "nothing: the attempt that is asked for was made; if it is gone, a new request: heald retry {worker}",
  ),
  running: gate(
    "the worker is not running",
    "the worker to have ended, or a person who wants it ended: heald restart {worker}",
  ),
  requires: gate("what it requires is there", "{value} to be there"),
  no_template: gate(
    "it is known how to start it",
    "worker-specs/templates/{type}.json, or a launch block in its spec; it is looked at again as soon as one is there",
  ),
  retries: gate(
    "retries are left",
    "max_retries above {value} in worker-restart-policy.json, a stable run, or a person: heald retry {worker} --now",
  ),
  budgets: gate(
    "restart budgets are left",
    "larger restart_budgets in worker-restart-policy.json, or a person: heald retry {worker} --now",
  ),
  poison_task: gate(
    "its task has not killed too many workers",
    "the task's hold to be removed once its cause is mended (heald hold ls), or heald retry {worker} --override-hold",
  ),
  circuit_breaker: gate(
    "the circuit breaker of its type lets it through",
    "the breaker of {type} to be closed: heald breaker reset {type}",
  ),
  deadline: gate(
    "its deadline leaves enough time",
    "a later deadline, check_deadline false in worker-restart-policy.json, or a person: heald retry {worker}",
  ),
  token_budget: gate("tokens are left", "{wanted} tokens; {value} are left in token-budget.json"),
  backoff: gate("its delay has passed", "its delay to pass, or a person: heald retry {worker} --now"),
  rate_limits: gate(
    "the rate limits allow it",
    "fewer restarts within a minute, or larger rate_limits in worker-restart-policy.json",
  ),
  concurrency: gate(
    "not too many restarts are under way",
    "a start to be through, or max_concurrent_restarts above {wanted} in worker-restart-policy.json",
  ),
  survivors: gate(
    "no process of an earlier attempt is left",
    "the last attempt to be over (processes left: {value}); heald cleanup {worker} ends what heald may end",
  ),
} as const satisfies Record<string, GateEntry>;
export type RestartGate = keyof typeof RESTART_GATES;

/** Asked outside of the order: by a hook before a start, and of an attempt that is on probation. */
export const PROBATION_GATES = {
  before_restart: gate(
    "hooks/before_restart does not ask to wait",
    "hooks/before_restart to exit with 0 instead of {value}",
  ),
  alive: gate("the attempt has lived for long enough", "the attempt to live for {wanted} s"),
  beaten: gate("the attempt has beaten, if it must", "a beat of the attempt"),
} as const satisfies Record<string, GateEntry>;

/** Of a pattern: when it is one, gets worse, is over, or can be foretold. */
export const PATTERN_GATES = {
  frequency_threshold: gate("it was seen often enough", "{wanted} failures within its window instead of {value}"),
  confidence_threshold: gate(
    "its classification is sure enough for a fix",
    "a classification that is sure to {wanted} instead of {value}: a clearer exit code, error code or words; see docs/failure-rules.md",
  ),
  severity: gate("it has become worse", "another severity than {wanted}"),
  quiet_seconds: gate("it was not seen for long enough", "{wanted} s without a failure"),
  brier_skill: gate("its forecasts beat the usual rate", "a skill above {wanted}"),
  prediction_confidence: gate("its forecast is sure enough", "a chance of {wanted} instead of {value}"),
} as const satisfies Record<string, GateEntry>;

/** Before a fix, in this order. */
export const FIX_GATES = {
  enabled: gate("auto-fix is enabled, and so is the fix", "enabled true, in auto-fix-policy.json and of the fix"),
  dry_run: gate(
    "whether anything is changed, or only decided and written down",
    "dry_run false in auto-fix-policy.json",
  ),
  host: gate("the host is not shutting down", "the host to be up again; it goes on by itself then"),
  hold: gate("no hold forbids fixes", "the hold {value} to be removed: heald hold rm {value}"),
  component: gate("the component is known and named validly", "a worker or a template of {value}"),
  category: gate("the category of the fix is enabled", "categories.{value}.enabled true in auto-fix-policy.json"),
  confidence: gate(
    "the pattern's classification is sure enough",
    "a classification that is sure to {wanted} instead of {value}, or a lower min_confidence_threshold",
  ),
  occurrences: gate("the pattern has occurred often enough", "{wanted} occurrences instead of {value}"),
  fresh: gate("the pattern is active and was seen lately", "the pattern to occur again"),
  prerequisites: gate("what the fix itself requires is so", "that this no longer holds: {value}"),
  precondition: gate(
    "what is to be changed is there, and as it was proposed",
    "what it would change to be there and changeable",
  ),
  cooldown: gate("the same fix was not applied to the same subject a moment ago", "its cooldown to pass"),
  limit_fix: gate("the fix was not applied too often", "limits.per_fix in auto-fix-policy.json above {wanted}"),
  limit_target: gate(
    "the worker type or component was not fixed too often within a day",
    "max_fixes_per_day in auto-fix-policy.json above {wanted}",
  ),
  limit_worker_type: gate(
    "the worker type was not fixed more often than the policy has for it",
    "limits.per_worker_type in auto-fix-policy.json above {wanted}",
  ),
  limit_category: gate(
    "the category was not used too often",
    "limits.per_category in auto-fix-policy.json above {wanted}",
  ),
  limit_hour: gate(
    "there were not too many fixes within an hour",
    "max_fixes_per_hour in auto-fix-policy.json above {wanted}",
  ),
  limit_day: gate(
    "there were not too many fixes within a day",
    "max_fixes_per_day in auto-fix-policy.json above {wanted}",
  ),
  concurrency: gate("not too many fixes are under way", "a fix that is under way to be judged: heald fix ls"),
  blast_radius: gate(
    "not too large a part of the fleet is touched within an hour",
    "at most {wanted} workers touched within an hour, or a wider blast_radius in auto-fix-policy.json",
  ),
  memory_commit: gate(
    "the memory limits of all workers fit into the host",
    "limits that sum up to {wanted} of the host's memory at most, or more memory",
  ),
  breaker: gate("enough of auto-fix's last fixes have helped", "a person who lets it go on: heald fix resume"),
  turn: gate(
    "no fix that goes nearer to the cause is still to be tried on the same target",
    "{value} to be tried first: heald fix ls",
  ),
  in_window: gate(
    "no other fix is being verified on the same target",
    "the run {value} to be judged: heald fix show {value}",
  ),
  safety_band: gate(
    "the fix is trusted enough",
    "a trust of {wanted} at least: more verdicts that it helped (heald fixes)",
  ),
  approval: gate(
    "nobody needs to be asked, or a person has approved",
    "a person who approves: heald fix ls, heald fix approve",
  ),
  quiet_moment: gate(
    "what a forecast has planned meets a quiet moment, or cannot wait for one any longer",
    "a quiet moment, or the latest instant that its forecast leaves",
  ),
} as const satisfies Record<string, GateEntry>;
export type FixGate = keyof typeof FIX_GATES;

/** Of a fix that was applied: whether it helped. */
export const VERDICT_GATES = {
  samples: gate("enough failures were to be expected by now", "{wanted} failures to be expected instead of {value}"),
  decrease: gate("the failures fell by the wanted share", "a decrease of {wanted} instead of {value}"),
  new_failures: gate("no failures of another kind came with it", "fewer than {wanted} failures of another kind"),
  success_rate: gate("enough of the attempts succeed", "a success rate of {wanted} instead of {value}"),
  clear_conditions: gate("the conditions are clear again", "its clear conditions to hold"),
} as const satisfies Record<string, GateEntry>;

const BY_DAEMON: Readonly<Record<string, Readonly<Record<string, GateEntry>>>> = {
  "heartbeat-monitor": ENDING_GATES,
  "worker-restart": { ...RESTART_GATES, ...PROBATION_GATES },
  "failure-pattern": PATTERN_GATES,
  "auto-fix": { ...FIX_GATES, ...VERDICT_GATES },
};

/** What is known of a gate that a daemon asked; null for one of another version. */
export function gateEntry(daemon: string, name: string): GateEntry | null {
  const gates = Object.hasOwn(BY_DAEMON, daemon) ? BY_DAEMON[daemon] : undefined;
  return gates !== undefined && Object.hasOwn(gates, name) ? (gates[name] as GateEntry) : null;
}
