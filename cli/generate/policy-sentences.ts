/** Sentences for the keys inside of a policy's blocks; the keys at the top carry theirs in the policy's own schema. @module */
import type { FieldSentences } from "../../lib/schema/json-schema.js";

const under = (block: string, fields: FieldSentences): FieldSentences =>
  Object.fromEntries(Object.entries(fields).map(([name, sentence]) => [`${block}.${name}`, sentence]));

export const HEARTBEAT: FieldSentences = {
  ...under("mass_failure", {
    enabled: "false: every silent worker is judged by itself, however many there are.",
    min_workers: "The share of the fleet counts only from this many suspects on.",
    fraction: "Share of the fleet that can no longer be a coincidence.",
    max_workers: "This many suspects are too many, whatever their share.",
    per_type: "The same within one worker type.",
    "per_type.min_workers": "The share of the type counts only from this many suspects on.",
    "per_type.fraction": "Share of the type that can no longer be a coincidence.",
    window_seconds: "Seconds within which suspects count together.",
    hold_seconds: "Seconds of holding after which a person is asked again.",
    clear_fraction: "The hold ends when at most this share of the fleet has been suspect for clear_seconds.",
    clear_seconds: "Seconds without a break for which the share must be that low.",
  }),
  ...under("boot", {
    resume: "Whether they are brought back.",
    delay_seconds: "Seconds from the monitor's start until the first one is started.",
    per_second: "How many are started each second.",
  }),
  ...under("log", {
    max_mb: "MiB that the output of one attempt may take; the oldest part is cut.",
    keep_attempts: "How many attempts of a worker keep their output.",
    total_mb: "MiB that all output together may take; the oldest attempts are removed first.",
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
    deaths: "Number of deaths at which the task is held.",
    window_seconds: "Seconds within which deaths count.",
  }),
};

const ENABLED = "false turns it off.";

export const FAILURE_PATTERN: FieldSentences = {
  ...under("detection", {
    frequency_threshold: "Number of failures at which a pattern is published.",
    time_window_hours: "Hours within which they count.",
    similarity_threshold:
      "Share of words, in order, that two messages must have in common to belong to one pattern; they are compared within one type of failure and one worker type. 1: only equal messages. 0: all of them.",
    confidence_threshold: "A pattern with at least this confidence is `actionable`; fixes ignore all others.",
  }),
  ...under("temporal_analysis", {
    enabled: ENABLED,
    clustering_significance:
      "A preference for a time of day is reported if chance alone would show it with at most this probability.",
    time_zones: "Time zones in which the time of day is looked at. The one in which the habit shows best is named.",
  }),
  ...under("correlation_analysis", {
    enabled: ENABLED,
    window_seconds: "Seconds within which one failure may follow another.",
    minimum_related_events: "How often one must have followed the other before it is reported.",
  }),
  ...under("anomaly_detection", {
    enabled: ENABLED,
    sigma_threshold: "Standard deviations by which a day's failures must be above those of the days before it.",
    baseline_window_days: "With how many of the days before it a day is compared.",
  }),
  ...under("prediction", {
    enabled: ENABLED,
    horizon_minutes: "Length in minutes of the windows for which forecasts are made and scored.",
    minimum_similar_samples: "Samples needed before a forecast is made.",
    confidence_threshold:
      "Probability that the failure has occurred by the forecast time. Higher values give later times; none is published while there are too few gaps to be that sure. At most .983 can be reached.",
  }),
  ...under("storage", {
    pattern_retention_days: "Days for which a pattern is kept after it was last seen.",
    event_retention_days:
      "Days for which failure-pattern keeps its own rotated logs, and failures that were too few for a pattern. The rotated logs of other daemons are kept for 30 days.",
    max_patterns: "How many patterns are kept; the oldest are removed first.",
  }),
  ...under("failure_categories.*", {
    types: "Types of failure in this category. A type named here leaves the category that it shipped in.",
    default_severity: "Severity of its patterns before anything else is known.",
    retry_recommended: "Whether patterns of the category recommend a retry.",
  }),
  ...under("daily_report", {
    enabled: ENABLED,
    cron: "When the report is written: five fields, or six with the seconds first.",
    timezone: "The time zone of the expression.",
    keep_days: "Days for which reports are kept.",
  }),
};

const RATES: FieldSentences = {
  max_fixes_per_hour: "Fixes in any 60 minutes, at most.",
  max_fixes_per_day: "Fixes in any 24 hours, at most.",
};

export const AUTO_FIX: FieldSentences = {
  ...under("safety", {
    apply_at: "From this trust on a fix is applied.",
    watch_at: "From this trust on a fix is applied and watched closely (looked at four times as often).",
    ask_at: "From this trust on a person is asked. Below it the fix is refused.",
  }),
  ...under("approval", {
    expires_after_seconds: "Seconds for which a proposal waits.",
    for_medium_risk: "Whether fixes of medium risk always need approval.",
    for_high_risk: "Whether fixes of high risk always need approval.",
  }),
  ...under("limits", {
    max_change_from_baseline: "Factor by which a value may differ from its original value.",
    memory_commit_max: "Share of the host's memory that all memory limits together may add up to.",
    per_category: "Limits for the fixes of one category.",
    ...under("per_category.*", RATES),
    per_worker_type: "Limits for the fixes of one worker type.",
    ...under("per_worker_type.*", RATES),
    per_target: "Limits for one worker type or component, whatever the fixes are.",
    "per_target.max_per_day": "Fixes in any 24 hours, at most.",
    per_fix: "Limits for the same fix.",
    "per_fix.min_seconds_between": "Seconds between two runs of it.",
    "per_fix.max_per_day": "Runs in any 24 hours, at most.",
  }),
  ...under("blast_radius", {
    max_fraction_per_hour: "Share of the fleet, at most.",
    max_workers_per_hour: "Number of workers, at most.",
    min_workers: "This many workers may always be touched, however small the fleet.",
  }),
  ...under("breaker", {
    window_fixes: "How many of the last fixes are looked at.",
    ineffective_fraction: "auto-fix stops when at least this share of them did not help.",
  }),
  ...under("verification", {
    window_seconds: "Seconds for which a fix is watched.",
    check_interval_seconds: "Seconds between two looks.",
    min_success_rate: "Share of attempts after the fix that must succeed.",
  }),
  ...under("undo", {
    on_ineffective: "false: a fix that did not help stays in place, and a person is told.",
    max_attempts:
      "After so many runs in a row that did not help, the fix is not tried again for the same subject, and a person is called. 0: no such limit.",
  }),
  ...under("categories.*", {
    enabled: "false: no fix of the category is matched.",
    requires_approval: "Whether fixes of the category always need approval.",
    reason: "The reason, for people.",
  }),
  ...under("learning", {
    enabled: "false: trust stays as the registry says.",
    min_samples: "Verdicts needed before trust can rise; it can fall earlier.",
  }),
};

const SECRET = "May be a secret: then env:NAME or file:/PATH, read when a message is sent.";

export const NOTIFICATION: FieldSentences = {
  ...under("channels.*", {
    kind: "What it is. console: the daemon's standard output. log: agents/logs/system/notifications.jsonl.",
    url: `webhook, chat: where to post. ${SECRET}`,
    headers: `webhook: added to each request. ${SECRET}`,
    host: "mail: the SMTP server.",
    port: "mail: its port; by default 587 for starttls, 465 for tls, 25 for none.",
    security: "mail: starttls by default. With a login, none is allowed only for a server on this host.",
    user: `mail: login. ${SECRET}`,
    password: "mail: env:NAME or file:/PATH, read when a message is sent.",
    from: "mail: the sender.",
    to: "mail: the receivers.",
    command: "command: an absolute path; the message is on its standard input.",
    args: "command: its arguments. There is no shell.",
    timeout_seconds: "Seconds that one try may take; by default 10, and 30 for a command.",
  }),
  ...under("routes[]", {
    channels: "Who is told.",
    severities: "Which severities; all by default.",
    components: "Which worker types, services or targets; a * at the end stands for anything. All by default.",
    kinds: "Which edges; opened, escalated and resolved by default. info is news outside of an incident.",
    in_quiet_hours: "true: also in quiet hours.",
  }),
  ...under("escalation", {
    steps: "One after the other, until somebody acknowledges or the cause is gone.",
    "steps[].after_seconds": "Seconds after the escalation.",
    "steps[].channels": "Who is told then.",
  }),
  ...under("quiet_hours", {
    timezone: "The zone of the times below, such as Europe/Berlin.",
    windows: "When it is quiet. A window that ends before it begins goes over midnight.",
    "windows[].from": "First quiet minute.",
    "windows[].to": "First minute that is no longer quiet. The same as from: a whole day.",
    "windows[].days": "The days on which it begins; every day by default.",
    let_through: "Severities that are told even in quiet hours.",
  }),
  ...under("repeat", {
    interval_seconds: "Seconds since it was last told.",
    times_max: "How often, at most. 0: never.",
  }),
  ...under("digest", {
    channels: "Who gets it.",
    interval_seconds: "Seconds from the first notice in a digest until it is sent.",
    lines_max: "Notices that one digest shows; further ones are only counted.",
  }),
  ...under("storm", {
    messages_max: "Messages that a channel is told one by one within the window.",
    window_seconds: "Seconds that the window lasts.",
  }),
  ...under("delivery", {
    first_retry_seconds: "Seconds before the second try; doubled for each further try.",
    max_retry_seconds: "Seconds between two tries, at most, unless the channel asks for more.",
    give_up_after_seconds:
      "Age in seconds at which a message that cannot be delivered is moved to auto-fix/notify/failed.",
  }),
};
