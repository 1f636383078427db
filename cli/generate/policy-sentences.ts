/** Sentences for the keys inside of a policy's blocks; the keys at the top carry theirs in the policy's own schema. @module */
import type { FieldSentences } from "../../lib/schema/json-schema.js";

const under = (block: string, fields: FieldSentences): FieldSentences =>
  Object.fromEntries(Object.entries(fields).map(([name, sentence]) => [`${block}.${name}`, sentence]));

export const HEARTBEAT: FieldSentences = {
  ...under("mass_failure", {
    enabled: "false: every silent worker is judged by itself, however many there are.",
    min_workers: "Suspects needed before a share of the fleet means anything.",
    fraction: "Share of the fleet that is too much to be a coincidence.",
    max_workers: "So many suspects are too many whatever their share.",
    per_type: "The same within one worker type.",
    "per_type.min_workers": "Suspects of the type needed before a share of it means anything.",
    "per_type.fraction": "Share of the type that is too much to be a coincidence.",
    window_seconds: "Seconds within which suspects count together.",
    hold_seconds: "Seconds of holding after which a person is asked again.",
    clear_fraction: "A hold ends when at most this share is suspect…",
    clear_seconds: "…for so many seconds without a break.",
  }),
  ...under("boot", {
    resume: "Whether they are brought back at all.",
    delay_seconds: "Seconds from the monitor's start to the first.",
    per_second: "How many in a second.",
  }),
  ...under("log", {
    max_mb: "MiB that the output of one attempt may have; its oldest part is cut.",
    keep_attempts: "Attempts of a worker whose output is kept.",
    total_mb: "MiB that all output together may have; the oldest attempts go first.",
  }),
};

export const RESTART: FieldSentences = {
  "restart_budgets[].max": "Restarts in the window, at most.",
  "restart_budgets[].window_seconds": "Length of the window in seconds.",
  ...under("rate_limits", {
    global_per_minute: "Starts of all workers in any 60 seconds.",
    per_type_per_minute: "Starts of one worker type in any 60 seconds.",
    per_task_min_interval_seconds: "Seconds between two starts for the same task.",
  }),
  ...under("poison_task", {
    deaths: "Workers that the task may cost.",
    window_seconds: "Seconds within which they count.",
  }),
};

const ENABLED = "false turns it off.";

export const FAILURE_PATTERN: FieldSentences = {
  ...under("detection", {
    frequency_threshold: "Failures from which on a pattern is published.",
    time_window_hours: "Hours within which they count.",
    similarity_threshold:
      "Share of words, in their order, that two messages of one type of failure and of worker must have in common to be one pattern; 1: only equal ones, 0: all.",
    confidence_threshold: "Confidence from which on a pattern is `actionable`: below it, no fix sees it as active.",
  }),
  ...under("temporal_analysis", {
    enabled: ENABLED,
    clustering_significance: "How improbable a preference for a time of day must be by chance.",
    time_zones: "Zones in which the time of day is looked at; the one in which a habit shows best is named.",
  }),
  ...under("correlation_analysis", {
    enabled: ENABLED,
    window_seconds: "Seconds within which one failure may follow another.",
    minimum_related_events: "How often one must have followed the other before anything is said.",
  }),
  ...under("anomaly_detection", {
    enabled: ENABLED,
    sigma_threshold: "Standard deviations by which a day's failures must be above those of the days before it.",
    baseline_window_days: "How many days before it a day is compared with.",
  }),
  ...under("prediction", {
    enabled: ENABLED,
    horizon_minutes: "Length of the windows for which forecasts are made and scored.",
    minimum_similar_samples: "Samples needed before a forecast is made.",
    confidence_threshold:
      "Chance with which a forecast must hold: the more, the later the instant; none is published where too few gaps are known to be so sure. At most .983 can be reached.",
  }),
  ...under("storage", {
    pattern_retention_days: "Days that a pattern is kept after it was seen last.",
    event_retention_days: "Days that the events behind patterns are kept.",
    max_patterns: "Patterns kept; the oldest go first.",
  }),
  ...under("failure_categories.*", {
    types: "Types of failure in this category; one named here leaves the category that it shipped in.",
    default_severity: "Severity of its patterns before anything else is known.",
    retry_recommended: "Whether a retry is worth while, as patterns of the category say.",
  }),
  ...under("daily_report", {
    enabled: ENABLED,
    cron: "When it is written: five fields, or six with the seconds first.",
    timezone: "The time zone of the expression.",
    keep_days: "Days that reports are kept.",
  }),
};

const RATES: FieldSentences = { max_fixes_per_hour: "In any 60 minutes.", max_fixes_per_day: "In any 24 hours." };

export const AUTO_FIX: FieldSentences = {
  ...under("safety", {
    apply_at: "From here on it is applied.",
    watch_at: "From here on it is applied and watched closely: looked at four times as often.",
    ask_at: "From here on a person is asked.",
  }),
  ...under("approval", {
    expires_after_seconds: "Seconds that a proposal waits.",
    for_medium_risk: "Whether fixes of medium risk always ask.",
    for_high_risk: "Whether fixes of high risk always ask.",
  }),
  ...under("limits", {
    max_change_from_baseline: "Factor by which a value may differ from where it began.",
    memory_commit_max: "Share of the host's memory that all limits together may promise.",
    per_category: "Fixes of one category.",
    ...under("per_category.*", RATES),
    per_worker_type: "Fixes for one worker type.",
    ...under("per_worker_type.*", RATES),
    per_target: "One worker type or component, whatever the fixes are.",
    "per_target.max_per_day": "Fixes in any 24 hours, at most.",
    per_fix: "The same fix.",
    "per_fix.min_seconds_between": "Seconds between two of it.",
    "per_fix.max_per_day": "In any 24 hours.",
  }),
  ...under("blast_radius", {
    max_fraction_per_hour: "Share of the fleet.",
    max_workers_per_hour: "Number of workers.",
    min_workers: "So many may always be touched, however small the fleet.",
  }),
  ...under("breaker", {
    window_fixes: "How many of the last fixes are looked at.",
    ineffective_fraction: "Share of them that may have been of no use.",
  }),
  ...under("verification", {
    window_seconds: "Seconds that a fix is watched.",
    check_interval_seconds: "Seconds between two looks.",
    min_success_rate: "Share of successes that it must reach.",
  }),
  ...under("undo", {
    on_ineffective: "false: a fix that did not help stays, and a person is told.",
    max_attempts:
      "Runs in a row that did not help, after which the fix is not tried again for the same and a person is called. 0: no such bound.",
  }),
  ...under("categories.*", {
    enabled: "false: no fix of it is matched.",
    requires_approval: "Whether its fixes always ask.",
    reason: "Why, for people.",
  }),
  ...under("learning", {
    enabled: "false: confidence stays as the registry says.",
    min_samples: "Verdicts needed before confidence moves.",
  }),
};

const SECRET = "May be a secret: then env:NAME or file:/PATH, read when a message is sent.";

export const NOTIFICATION: FieldSentences = {
  ...under("channels.*", {
    kind: "What it is. console: the daemon's standard output. log: agents/logs/system/notifications.jsonl.",
    url: `webhook, chat: where to post. ${SECRET}`,
    headers: `webhook: added to each request. ${SECRET}`,
    host: "mail: the SMTP server.",
    port: "mail: its port; 587 for starttls, 465 for tls, 25 for none unless given.",
    security: "mail: starttls unless given; none with a login only on this host.",
    user: `mail: login. ${SECRET}`,
    password: "mail: env:NAME or file:/PATH, read when a message is sent.",
    from: "mail: the sender.",
    to: "mail: the receivers.",
    command: "command: an absolute path; the message is on its standard input.",
    args: "command: its arguments. There is no shell.",
    timeout_seconds: "Seconds that one try may take; 10 unless given, 30 for a command.",
  }),
  ...under("routes[]", {
    channels: "Who is told.",
    severities: "Of which severities; of all unless given.",
    components: "Of which worker types, services or targets; a * at the end stands for anything. Of all unless given.",
    kinds: "Of which edges; opened, escalated and resolved unless given. info is news outside of an incident.",
    in_quiet_hours: "true: also in quiet hours.",
  }),
  ...under("escalation", {
    steps: "One after the other, until somebody acknowledges or the cause is gone.",
    "steps[].after_seconds": "Seconds after the escalation.",
    "steps[].channels": "Who is told then.",
  }),
  ...under("quiet_hours", {
    timezone: "The zone of the times below, such as Europe/Berlin.",
    windows: "When it is quiet. One that ends before it begins goes over midnight.",
    "windows[].from": "First quiet minute.",
    "windows[].to": "First minute that is not quiet any more. The same as from: a whole day.",
    "windows[].days": "The days on which it begins; every day unless given.",
    let_through: "Severities that are told all the same.",
  }),
  ...under("repeat", {
    interval_seconds: "Seconds after the last time.",
    times_max: "How often at most. 0: never.",
  }),
  ...under("digest", {
    channels: "Who gets it.",
    interval_seconds: "Seconds from the first notice in it to its sending.",
    lines_max: "Notices that one digest shows; further ones are counted.",
  }),
  ...under("delivery", {
    first_retry_seconds: "Seconds before the second try; doubled for each further one.",
    max_retry_seconds: "Seconds between two tries, at most, unless the channel asks for more.",
    give_up_after_seconds:
      "Age in seconds at which a message that cannot be delivered is moved to auto-fix/notify/failed.",
  }),
};
