/** Sentences for the keys of registry, healing policies and allowed commands. @module */
import type { FieldSentences } from "../../lib/schema/json-schema.js";

const under = (path: string, sentences: FieldSentences): FieldSentences =>
  Object.fromEntries(Object.entries(sentences).map(([name, sentence]) => [`${path}.${name}`, sentence]));

const ACTION: FieldSentences = {
  type: "What is done.",
  timeout_seconds: "restart-service, run-command, free-disk: seconds that it may take.",
  changes: "modify-worker-spec: the values of the template that change.",
  "changes[].field": "The field whose value changes.",
  "changes[].or_fields": "Other fields, tried in this order where the first has no value.",
  "changes[].operation": "How the new value is made from the old one.",
  "changes[].value": "The value to set, to add, or to multiply by.",
  "changes[].max_value": "Never more than this.",
  "changes[].min_value": "Never less than this.",
  "changes[].default_value":
    "The value to start from where none is written. For the interval and thresholds of heartbeat the heartbeat policy's values count instead.",
  apply_to_running: "modify-worker-spec: rolling also restarts the workers that run, one after another.",
  max_workers: "scale-up: workers of the type, at most; by default twice as many as people have started.",
  min_workers: "scale-down: workers of the type, at least; 1 by default.",
  state: "enable-circuit-breaker: open, or half-open to let one restart through.",
  open_seconds: "enable-circuit-breaker: seconds until the next probe.",
  paths: "clean-state: what is moved aside, below the home; {worker_id} is the worker.",
  restart: "clean-state: whether a running worker is restarted.",
  hold_seconds: "quarantine: for how many seconds the task is held.",
  command: "run-command: a name in allowed-commands.json.",
  args: "run-command: its arguments; {worker_id}, {worker_type}, {task_id} and {pattern} are filled in.",
  keep_attempts: "free-disk: attempts of each worker whose logs are kept; 3 by default.",
  archive_days: "free-disk: rotated logs older than this many days are removed; 7 by default.",
  request: "ask-person: what the person should do.",
  note: "alert-oncall: what is suggested to the person.",
};

const CONDITION: FieldSentences = {
  metric: "Any metric that a beat or a sample carries.",
  operator: "How the metric is compared with the threshold.",
  threshold: "The value it is compared with.",
  for_seconds: "Seconds for which every sample must meet the condition; 180 by default.",
  min_samples: "Samples needed within that time; 5 by default.",
};

export const REGISTRY: FieldSentences = {
  ...under("fixes[]", {
    fix_id: "The fix's name in records.",
    category: "The category, for switches and limits.",
    name: "The name that people are shown.",
    description: "What it does and when.",
    enabled: "false: the fix is known and never used.",
    applies_to_patterns: "The patterns it is for, each as category:type, matched exactly.",
    target: "What runs the workers.",
    prerequisites: "What must be true before the fix is tried.",
    "prerequisites.min_pattern_confidence": "The pattern's confidence, at least.",
    "prerequisites.min_pattern_occurrences": "Occurrences within the pattern's window, at least.",
    "prerequisites.same_task": "true: all failures must be of one task and of several workers.",
    "prerequisites.came_back": "true: workers of the type must have come back by themselves.",
    "prerequisites.quiet_seconds": "Seconds without a failure of the pattern, at least.",
    safety: "How far the fix is trusted before it has proved anything, and how it is treated.",
    "safety.safety_score": "The trust that the fix begins with.",
    "safety.requires_approval": "true: a person is asked each time.",
    "safety.rollback_supported": "false: the fix is not undone automatically.",
    "safety.risk_level": "How much can go wrong.",
    actions: "What is done, in order.",
    ...under("actions[]", ACTION),
    validation: "What it must prove.",
    "validation.monitoring_period_seconds":
      "Seconds for which it is watched; by default verification.window_seconds of auto-fix-policy.json.",
    "validation.min_decrease": "Share by which the rate of the pattern must fall; 0.5 by default.",
    "validation.min_success_rate":
      "Share of attempts that must succeed; by default verification.min_success_rate of auto-fix-policy.json.",
    "validation.new_failures_max": "This many failures of another kind count as caused by the fix; 3 by default.",
    rollback: "What follows from the verdict.",
    "rollback.on_ineffective": "false: a fix that did not help stays in place.",
    "rollback.on_inconclusive": "What is done where nothing can be concluded; keep by default.",
  }),
};

export const HEALING: FieldSentences = {
  ...under("policies[]", {
    name: "The policy's name.",
    description: "What it is for.",
    enabled: "May be true only with a scope and with clear conditions.",
    conditions: "All must hold.",
    ...under("conditions[]", CONDITION),
    clear_conditions: "When the trouble is over; all must hold.",
    ...under("clear_conditions[]", CONDITION),
    actions: "What is done, in order. An action without parameters may be written as its name alone.",
    ...under("actions[]", ACTION),
    priority: "10 runs first. The next policy runs only if this one has not helped.",
    cooldown_seconds: "Seconds between two runs for one component; 300, or 900 with a restart among the actions.",
    settle_seconds: "Seconds after an action for which metrics do not count; 120 by default.",
    verify_seconds:
      "Seconds until the verdict; by default settle_seconds plus twice the longest for_seconds of its conditions (at least 60).",
    max_executions_per_hour: "Runs in any 60 minutes, at most; 4 by default.",
    safety_score: "The trust that the policy begins with; by default that of its least trusted action.",
    requires_approval: "true: a person is asked each time.",
    scope: "What it is for. Without it the policy cannot be enabled.",
    "scope.components": "The components: worker types, workers, or components named in samples.",
    "scope.target": "What runs the components.",
    "scope.name": "Name of the unit or the app, if it differs from the component's.",
    escalation: "What comes next.",
    "escalation.next": "The policy that is tried next; by default the next by priority.",
    "escalation.person_after_seconds":
      "Seconds from when the conditions began to hold until a person is called, whatever was tried meanwhile. By default a person is called only at the end of the ladder.",
    predict: "Acts on a forecast instead of the present, at a quiet moment.",
    "predict.horizon_minutes": "How many minutes ahead a line through the latest samples is followed.",
    "predict.quiet": "What counts as a quiet moment of the component.",
    "predict.quiet.metric":
      "The metric that tells its load; by default throughput, or cpu_util where that is not measured.",
    "predict.quiet.share":
      "A load at or below this share of the usual one (the median of a day) is quiet; 0.5 by default.",
    "predict.quiet.for_seconds": "Seconds for which it must be that low; 120 by default.",
    "predict.latest_seconds":
      "This many seconds before the forecast comes true it acts without waiting any longer; by default 300, or a quarter of the horizon if that is less.",
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
