/** Sentences for the keys of registry, healing policies and allowed commands. @module */
import type { FieldSentences } from "../../lib/schema/json-schema.js";

const under = (path: string, sentences: FieldSentences): FieldSentences =>
  Object.fromEntries(Object.entries(sentences).map(([name, sentence]) => [`${path}.${name}`, sentence]));

const ACTION: FieldSentences = {
  type: "What is done.",
  timeout_seconds: "restart-service, run-command, free-disk: seconds that it may take.",
  changes: "modify-worker-spec: the values of the template that change.",
  "changes[].field": "Where the value stands.",
  "changes[].or_fields": "Where it stands otherwise; the first that has a value counts.",
  "changes[].operation": "How the new value comes from the old one.",
  "changes[].value": "What is set, added, or multiplied with.",
  "changes[].max_value": "Never more than this.",
  "changes[].min_value": "Never less than this.",
  "changes[].default_value": "The value that holds where none is written.",
  apply_to_running: "modify-worker-spec: rolling also restarts those that run, one after another.",
  max_workers: "scale-up: workers of the type, at most; twice those that people have started unless given.",
  min_workers: "scale-down: workers of the type, at least; 1 unless given.",
  state: "enable-circuit-breaker: open, or half-open to let one restart through.",
  open_seconds: "enable-circuit-breaker: until the next probe.",
  paths: "clean-state: what is moved aside, below the home; {worker_id} is the worker.",
  restart: "clean-state: whether a running worker is started anew.",
  hold_seconds: "quarantine: for how long the task is held.",
  command: "run-command: a name in allowed-commands.json.",
  args: "run-command: its arguments; {worker_id}, {worker_type}, {task_id} and {pattern} are filled in.",
  keep_attempts: "free-disk: logs kept of each worker; 3 unless given.",
  archive_days: "free-disk: rotated logs that are older are removed; 7 unless given.",
  request: "ask-person: what is to be done.",
  note: "alert-oncall: what is suggested.",
};

const CONDITION: FieldSentences = {
  metric: "Any metric that a beat or a sample carries.",
  operator: "How the value is compared.",
  threshold: "With what.",
  for_seconds: "For how long every sample must meet it; 180 unless given.",
  min_samples: "Samples within that time, at least; 5 unless given.",
};

export const REGISTRY: FieldSentences = {
  ...under("fixes[]", {
    fix_id: "Its name in records.",
    category: "Its category, for switches and limits.",
    name: "Its name for people.",
    description: "What it does and when.",
    enabled: "false: it is known and never used.",
    applies_to_patterns: "category:type of the patterns, exactly.",
    target: "What runs the workers.",
    prerequisites: "What must be so before it is tried.",
    "prerequisites.min_pattern_confidence": "Confidence of the pattern's classification.",
    "prerequisites.min_pattern_occurrences": "Occurrences within the pattern's window.",
    "prerequisites.same_task": "true: all failures are of one task, and of several workers.",
    "prerequisites.came_back": "true: workers of the type came back by themselves.",
    "prerequisites.quiet_seconds": "Seconds without a failure of the pattern.",
    safety: "How far it is trusted before it has proved anything.",
    "safety.safety_score": "The prior of its confidence.",
    "safety.requires_approval": "true: a person is asked each time.",
    "safety.rollback_supported": "false: it is not taken back by itself.",
    "safety.risk_level": "How much can go wrong.",
    actions: "What is done, in order.",
    ...under("actions[]", ACTION),
    validation: "What it must prove.",
    "validation.monitoring_period_seconds": "The window; the policy's verification.window_seconds unless given.",
    "validation.min_decrease": "Share by which the rate of the pattern must fall; 0.5 unless given.",
    "validation.min_success_rate": "Share of attempts that must succeed; the policy's unless given.",
    "validation.new_failures_max": "Failures of another kind that are its own fault; 3 unless given.",
    rollback: "What follows from a verdict.",
    "rollback.on_ineffective": "false: what did not help stays.",
    "rollback.on_inconclusive": "What is done where nothing can be concluded; keep unless given.",
  }),
};

export const HEALING: FieldSentences = {
  ...under("policies[]", {
    name: "Its name.",
    description: "What it is for.",
    enabled: "true only with a scope and with clear conditions.",
    conditions: "All must hold.",
    ...under("conditions[]", CONDITION),
    clear_conditions: "When it is over; all must hold.",
    ...under("clear_conditions[]", CONDITION),
    actions: "What is done, in order. An action without parameters may be written as its name alone.",
    ...under("actions[]", ACTION),
    priority: "10 first. The next one runs only if this has not helped.",
    cooldown_seconds: "Seconds between two runs for one component; 300, or 900 with a restart among the actions.",
    settle_seconds: "Seconds after an action in which metrics do not count; 120 unless given.",
    verify_seconds:
      "Seconds until the verdict; unless given, settle_seconds and twice the longest for_seconds of its conditions (60 at least).",
    max_executions_per_hour: "Runs in any 60 minutes; 4 unless given.",
    safety_score: "How far it is trusted; that of its least trusted action unless given.",
    requires_approval: "true: a person is asked each time.",
    scope: "What it is for. Without it the policy cannot be enabled.",
    "scope.components": "Worker types, workers or components of samples.",
    "scope.target": "What runs them.",
    "scope.name": "Name of the unit or the app, where it is not the component's.",
    escalation: "What comes next.",
    "escalation.next": "The policy that is tried next; by priority unless given.",
    "escalation.person_after_seconds":
      "Seconds from when the conditions began to hold until a person is called, whatever was tried meanwhile; never unless given, but at the end of the ladder.",
    predict: "Asks a forecast instead of the present, and acts at a quiet moment.",
    "predict.horizon_minutes": "How far ahead a line through the latest samples is followed.",
    "predict.quiet": "What counts as a quiet moment of the component.",
    "predict.quiet.metric": "What its load goes by; throughput unless given, or cpu_util where that is not measured.",
    "predict.quiet.share":
      "Load at or below this share of the usual one (the median of a day) is quiet; 0.5 unless given.",
    "predict.quiet.for_seconds": "For so long; 120 unless given.",
    "predict.latest_seconds":
      "So long before the forecast comes true no quiet moment is waited for any more; 300 unless given, and at most a quarter of the horizon.",
  }),
};

export const ALLOWED: FieldSentences = {
  ...under("commands[]", {
    name: "The name that fixes use.",
    path: "The program: an absolute path, writable by nobody else.",
    args: "A regular expression for each argument, which must match all of it.",
    timeout_seconds: "Seconds after which it is ended.",
  }),
};
