/** Sentences for the fields that specs, templates and the records of an attempt share. @module */
import type { FieldSentences } from "./json-schema.js";

/** The same sentences for the fields of a block. */
export const under = (block: string, fields: FieldSentences): FieldSentences =>
  Object.fromEntries(Object.entries(fields).map(([name, sentence]) => [`${block}.${name}`, sentence]));

export const IDENTITY: FieldSentences = {
  pid: "Pid of the process.",
  start_time:
    "Start time of the process in clock ticks since boot (field 22 of /proc/PID/stat): tells it from a later one with the same pid.",
  boot_id: "The boot in which it ran (/proc/sys/kernel/random/boot_id).",
  pid_ns: "Inode of its pid namespace: a pid means nothing in another one.",
  host: "Name of the host.",
};

export const WORKER: FieldSentences = {
  worker_id: "Id of the worker; also the name of its files.",
  worker_type: "Type of the worker: names its template, its breaker and its overrides.",
  task_id: "The task that it works on.",
  attempt: "Which start of the worker this is, from 1.",
};

const LAUNCH: FieldSentences = {
  launch: "How it is started and stopped.",
  ...under("launch", {
    target: "What runs it: a plain process unless said otherwise; only processes can be started so far.",
    command: "The program: an absolute path, or a name that is looked up in the PATH of its own environment. No shell.",
    args: "Its arguments, as they are.",
    cwd: "Its working directory, relative to the home; the home itself if not given.",
    env: "Variables added to its environment; HEALD_* belongs to heald.",
    stop: "How it is asked to end.",
    "stop.signal": "The signal that asks; SIGTERM unless said otherwise.",
    "stop.scope": "Whom it goes to: the program (main, unless said otherwise) or its process group.",
    "stop.grace_seconds":
      "Seconds from the signal to SIGKILL, which goes to the whole group; 30 unless said otherwise.",
  }),
  resources: "What it may use.",
  "resources.memory_limit_mb": "Memory limit in MiB for the whole process tree.",
};

export const CONFIGURED: FieldSentences = {
  ...LAUNCH,
  heartbeat: "Whether and how often it beats, and what the monitor last saw of it.",
  ...under("heartbeat", {
    mode: "required: silence counts. optional: the process alone counts, until the first beat. none: beats are not read.",
    last_seen: "When the last beat arrived, by the monitor's clock.",
    sequence: "Sequence number of the last beat.",
    health_score: "The reported score, less the decay for each missed interval.",
    status: "State of the worker, one of the catalogue's.",
    missed_count: "Beats missed since the last one.",
    interval_seconds:
      "Seconds between two of its beats. Unless given, the policy's, in proportion to the thresholds given here; at most half of the time-out.",
    timeout_seconds: "Silence after which it is critical; scales the warning in proportion.",
    zombie_threshold_seconds:
      "Silence after which it is ended, once verified; scales warning and time-out in proportion.",
  }),
  restart: "When it may come back, and how often it did.",
  ...under("restart", {
    when: "on-failure (unless said otherwise): not after exit code 0. always: also then. never.",
    state:
      "idle, exhausted (given up for now) or stopped (given up). That one waits or is held stands in its request in restart/queue/, as deferred: it has no active spec then. waiting and held are read, and never written.",
    attempts: "Automatic restarts since the last stable run.",
    lifetime: "Automatic restarts ever; never resets.",
    next_at:
      "When the next restart of an exhausted one is looked at; of one that waits, deferred.next_at of its request.",
  }),
  probe: "How to ask a program that cannot beat; each success counts as a beat.",
  ...under("probe", {
    kind: "What is asked.",
    url: "For http: a status below 400 is a success.",
    address: "For tcp: host:port that must accept a connection.",
    command: "For command: a program that must exit with 0. No shell.",
    args: "Arguments of the command.",
    path: "For file: a file that must have changed lately, relative to the home.",
    max_age_seconds: "For file: how long ago at most; 60 unless said otherwise.",
    interval_seconds: "Seconds between two probes; the policy's heartbeat interval unless given.",
    timeout_seconds: "Seconds that one probe may take; 5 unless said otherwise.",
  }),
  requires: "What must be there before each start; a gate.",
  "requires[].tcp": "host:port that must accept a connection.",
  "requires[].path": "A path that must exist.",
  "requires[].worker_type": "A worker of this type must be running.",
  max_runtime_seconds: "Seconds after which an attempt is ended, however well it is.",
  priority: "For people and their tools; not read.",
  token_budget: "Tokens of an attempt.",
  "token_budget.allocated": "Tokens taken from the budget at its start.",
  "token_budget.used": "Tokens used; what is left goes back at its end.",
  timeouts:
    "Settings about time. task_timeout_seconds is the longest time of an attempt where max_runtime_seconds is not given. The worker has each setting as SETTING_<BLOCK>_<NAME> in its environment.",
  retry:
    "Back-off of this type: strategy exponential, initial_delay_seconds and max_delay_seconds, where they ask for more patience than the policy.",
  processing: "Settings of the work, such as batch_size.",
  rate_limits: "Settings of the worker's own requests, such as requests_per_minute.",
};

export const EXECUTION: FieldSentences = {
  execution: "The process of the attempt; written by the monitor.",
  ...under("execution", {
    ...IDENTITY,
    origin: "launched by heald, or adopted.",
    may_signal: "Whether heald may signal it.",
    memory_limit_enforced_by: "cgroup2 or cgroup1: the kernel. sampling: the monitor measures and ends it.",
    started_at: "When the program was started.",
    completed_at: "When it ended.",
    wait_status: "Raw wait status, where it is known.",
    exit_code: "Its exit code.",
    signal: "The signal that ended it.",
    signal_inferred:
      "true: the signal was told from an exit code above 128, as a shell does; a program may also exit so.",
  }),
};
