/**
 * Every record of the coordination directory with its schema, its place, and a sentence for each field: what the JSON
 * Schemas and the format pages say. A test holds it complete.
 *
 * @module
 */
import type { z } from "zod";
import { decisionSchema, eventSchema } from "./events.js";
import { FAILURE_RULE_SENTENCES, failureRulesSchema } from "./failure-rules.js";
import { FIX_RECORDS } from "./fix-sentences.js";
import type { FieldSentences } from "./json-schema.js";
import { acknowledgementSchema, deliverySchema } from "./notification-records.js";
import { patternIndexSchema, patternSchema } from "./pattern.js";
import { PATTERN, PATTERN_INDEX } from "./pattern-sentences.js";
import {
  beatSchema,
  breakerRecordSchema,
  daemonIdentitySchema,
  desiredSchema,
  exitRecordSchema,
  holdSchema,
  launchRecordSchema,
  ownerSchema,
  restartHistorySchema,
  restartRequestSchema,
  tokenBudgetSchema,
  versionSchema,
} from "./records.js";
import { SAMPLE_RECORDS } from "./sample-sentences.js";
import { CONFIGURED, EXECUTION, IDENTITY, under, WORKER } from "./worker-sentences.js";
import { templateSchema, workerSpecSchema } from "./worker-spec.js";

export interface DescribedRecord {
  /** Name of its schema file without `.schema.json`, and of its table in the format pages. */
  readonly name: string;
  /** Where it stands, below `coordination/`. */
  readonly path: string;
  readonly title: string;
  readonly description: string;
  readonly schema: z.ZodType;
  readonly fields: FieldSentences;
}

export const RECORDS: readonly DescribedRecord[] = [
  {
    name: "worker-spec",
    path: "worker-specs/active/<id>.json",
    title: "Worker spec",
    description: "A worker that should be alive; in zombie/, completed/ and failed/, how an attempt of it ended.",
    schema: workerSpecSchema,
    fields: {
      ...WORKER,
      status:
        "pending, running, completed, failed, zombie or cancelled. active and stuck are read as running, and so is any other word, which is said once. A person writes cancelled to stop it.",
      created_at: "When the attempt was made.",
      created_by: "Who made it.",
      deadline: "After this there is no use in another attempt.",
      overrides: "What was given explicitly for this worker; stands over the template at each start.",
      ...EXECUTION,
      template_hash: "The template that the attempt was resolved from.",
      passed_over: "Gates that a person passed over by name when this attempt was spawned.",
      ...under("passed_over[]", {
        gate: "The gate, such as requires.",
        found: "What it found, such as the things that were missing.",
        by: "Who passed it over.",
      }),
      ...CONFIGURED,
    },
  },
  {
    name: "template",
    path: "worker-specs/templates/<type>.json",
    title: "Worker template",
    description:
      "How workers of a type are started; one in the coordination directory stands over the shipped one, block by block.",
    schema: templateSchema,
    fields: { worker_type: "The type; must be the name of the file.", ...CONFIGURED },
  },
  {
    name: "heartbeat",
    path: "heartbeats/<id>.json",
    title: "Heartbeat",
    description:
      "The latest beat of a worker, which replaces the file each time. Its arrival counts, not its timestamp.",
    schema: beatSchema,
    fields: {
      worker_id: WORKER.worker_id as string,
      attempt: "HEALD_ATTEMPT: a beat of an earlier attempt does not speak for this one.",
      pid: "HEALD_PID; shown, never signalled.",
      sequence: "Grows with each beat.",
      timestamp: "The worker's own clock; shown, never trusted.",
      health_score: "How well it is, 100 best.",
      progress: "How far it is, in percent.",
      activity: "What it does, for people.",
      metrics: "Any figures.",
    },
  },
  {
    name: "launch",
    path: "launches/<id>.attempt-<n>.json",
    title: "Launch record",
    description:
      "A launcher's claim on an attempt, created exclusively; with pid once the program runs. It has more fields than these.",
    schema: launchRecordSchema,
    fields: {
      ...WORKER,
      ...IDENTITY,
      launcher_pid: "Pid of the launcher, which outlives the daemon that started it.",
      launcher_start_time: "Its start time.",
      started_at: "When the program was started.",
      memory_limit_enforced_by: "Who enforces the memory limit.",
      memory_folder: "The control group of the attempt.",
    },
  },
  {
    name: "exit",
    path: "exits/<id>.attempt-<n>.json",
    title: "Exit record",
    description: "How an attempt ended, as its launcher saw it. Missing if the launcher was killed.",
    schema: exitRecordSchema,
    fields: {
      ...WORKER,
      pid: IDENTITY.pid as string,
      start_time: IDENTITY.start_time as string,
      boot_id: IDENTITY.boot_id as string,
      wait_status: "Raw wait status, where it is known.",
      exit_code: "The exit code as a shell gives it: 128 and the signal's number for a signal.",
      signal: "The signal that ended it.",
      signal_inferred: "true: told from an exit code above 128.",
      ended_at: "When it ended.",
      memory: "What its control group counted.",
      "memory.oom_kill": "Processes of it that the kernel killed for want of memory.",
    },
  },
  {
    name: "restart-request",
    path: "restart/queue/<id>-restart.json",
    title: "Restart request",
    description:
      "Asks worker-restart for the next attempt of a worker. worker_id and worker_type are enough, also from a shell.",
    schema: restartRequestSchema,
    fields: {
      ...WORKER,
      attempt: "The attempt that ended; the next one is started, unless it exists anywhere.",
      reason: "Why, in one word.",
      created_at: "When it was filed; the file's time unless given, or where it would be later than that.",
      incident_id: "The incident that the restart belongs to.",
      not_before: "Not earlier than this; more than 30 days ahead it is kept with a warning.",
      requested_by: "Who asks. A person's request spends no retry.",
      expires_at:
        "After this it is refused. Unless given: one hour after created_at, and never for one that tells of a death (with attempt, and by a daemon or with ended).",
      force: "true: also if the worker is alive.",
      override: "Gates that a person passes over by name, such as holds or circuit_breaker.",
      ended: "How the attempt ended; written by the monitor.",
      ...under("ended", {
        class: "exit, signal, gone, silent, memory_limit, max_runtime, host_reboot or not_started.",
        exit_code: "Its exit code.",
        signal: "The signal that ended it.",
        ran_ms: "How long it ran, in milliseconds.",
        by_itself: "false if heald ended it.",
        spends_retry: "false after a reboot: it was not the worker's fault.",
      }),
      deferred: "Why it waits; written by worker-restart when it puts the request back.",
      ...under("deferred", {
        gate: "The gate that it waits for.",
        reason: "What the gate said.",
        next_at: "When it is looked at again, if nothing changes before.",
        count: "How often it was put back.",
      }),
    },
  },
  {
    name: "restart-history",
    path: "metrics/worker-restart-history.jsonl",
    title: "Restart history line",
    description:
      "One outcome of a restart. worker_type, result and timestamp are enough, also from a shell; identical lines each count.",
    schema: restartHistorySchema,
    fields: {
      ...WORKER,
      result: "Whether the attempt proved itself.",
      timestamp: "When that was known.",
      at_ms: "The same in milliseconds.",
      reason: "Why, in one word; relapsed: it had succeeded and died before retry_reset_seconds.",
      duration_ms:
        "For a success, from the request to the running program; for a failure, how long the attempt ran; in milliseconds.",
    },
  },
  ...SAMPLE_RECORDS,
  {
    name: "breaker",
    path: "circuit-breakers/<worker_type>.json",
    title: "Circuit breaker",
    description:
      "Whether workers of a type are restarted. A person may overwrite it or remove it; both are obeyed at once.",
    schema: breakerRecordSchema,
    fields: {
      worker_type: WORKER.worker_type as string,
      state: "closed: restarts go on. open: none until next_probe_at. half-open: a few are let through to see.",
      failure_count: "Failures that count now.",
      last_failure: "The last of them.",
      opened_at: "Since when it is open.",
      next_probe_at: "When it becomes half-open.",
      last_reset: "When it was closed last.",
      manual_reset: "true: a person closed it; earlier failures do not count any more.",
      test_requests: "Restarts let through while half-open.",
      reason: "Why it is in this state.",
    },
  },
  {
    name: "hold",
    path: "holds/<name>",
    title: "Hold",
    description: "Leave this alone until. An empty file is valid: touch holds/all is the stop button.",
    schema: holdSchema,
    fields: {
      scope: "What is held. Without it the file's name says: all, or the id or type that it names.",
      name: "The worker, the type or the target that is held; the file's name unless given.",
      acts: "What is not to be done; everything unless given.",
      by: "Who holds.",
      why: "Why.",
      created_at: "When it was made.",
      starts_at: "From when on; at once unless given.",
      expires_at: "Until when; one hour from the file's time unless given, at most seven days.",
    },
  },
  {
    name: "desired",
    path: "desired/<id>.json",
    title: "Desired state",
    description: "What a person wants of a worker. No file: running.",
    schema: desiredSchema,
    fields: {
      state: "running; stopped: ended in its grace time and kept down; draining: asked once, never forced, kept down.",
      by: "Who wants it.",
      why: "Why.",
      at: "Since when.",
    },
  },
  {
    name: "token-budget",
    path: "token-budget.json",
    title: "Token budget",
    description: "A ledger of leases. No file: no budget. Changed under a lock.",
    schema: tokenBudgetSchema,
    fields: {
      total_budget: "All tokens.",
      total_used: "Tokens leased or used.",
      leases: "One lease for each attempt, by <id>.attempt-<n>.",
      "leases.*.allocated": "Tokens taken at the start of the attempt.",
      "leases.*.used": "Tokens that it used; missing while the lease is held.",
      "leases.*.returned": "Tokens given back at its end, or when its start failed; missing while the lease is held.",
    },
  },
  {
    name: "event",
    path: "events/*.jsonl",
    title: "Event",
    description: "Something changed. One line for each change, never one for each look.",
    schema: eventSchema,
    fields: {
      ...WORKER,
      event_id: "Unique, and sorts by time.",
      event_type: "One of the catalogue.",
      timestamp: "When, to the second.",
      at_ms: "When, in milliseconds.",
      severity: "How much it matters.",
      source: "The daemon that wrote it.",
      incident_id: "Given at the first sign of a failure, and carried until recovery or escalation.",
      reason: "Why, in one word.",
      message: "One sentence of at most 160 characters.",
      data: "What belongs to this type of event.",
    },
  },
  {
    name: "decision",
    path: "decisions/<daemon>.jsonl",
    title: "Decision",
    description: "What a daemon decided and why, with all that is needed to compute it again.",
    schema: decisionSchema,
    fields: {
      decision_id: "Unique, and sorts by time.",
      daemon: "Who decided.",
      timestamp: "When, to the second.",
      at_ms: "When, in milliseconds.",
      subject: "About what: a worker, a type, the fleet.",
      verdict: "What was decided.",
      reason: "Why, in one word.",
      message: "One sentence.",
      gates: "The questions that were asked, in order, up to the first that was not passed.",
      "gates[].gate": "Name of the gate.",
      "gates[].value": "What was found.",
      "gates[].threshold": "What was wanted.",
      "gates[].passed": "Whether that was enough.",
      "gates[].passes_at": "When it will pass by itself.",
      slice: "The part of the state that was read.",
      event: "The fact that was decided upon.",
      policy_hash: "The policy in force; its text is in decisions/policies/<hash>.json.",
      mode: "live, or dry_run and shadow: decided and written down, not done.",
      incident_id: "The incident that it belongs to.",
    },
  },
  {
    name: "acknowledgement",
    path: "auto-fix/acknowledgements/<any>.json",
    title: "Acknowledgement",
    description: "A person takes an escalation, and nobody else is called. Removed when it was taken up.",
    schema: acknowledgementSchema,
    fields: {
      incident_id: "The incident, as the message named it.",
      by: "Who takes it.",
      at: "When; when it was read unless given.",
      why: "Shown to whoever looks.",
    },
  },
  {
    name: "delivery",
    path: "auto-fix/notify/queue/<delivery_id>.json",
    title: "Delivery",
    description: "A message on its way through one channel; in sent/ and failed/, how that ended.",
    schema: deliverySchema,
    fields: {
      delivery_id: "Made of the key; a receiver knows by it that it has the message.",
      key: "The edge, the channel and the step: what makes it this delivery and no other.",
      channel: "The channel's name in the policy.",
      created_at_ms: "When it was decided, in milliseconds; also the order of delivery.",
      tries: "How often it was tried. Counted before each try.",
      next_at_ms: "When it is tried next, in milliseconds.",
      last_problem: "Why the last try failed; never holds a secret.",
      sent_at: "When it arrived.",
      gave_up_at: "When it was given up.",
      message: "What is told.",
      ...under("message", {
        kind: "opened, escalated, resolved, info; repeated: an escalation again; digest: the rest, collected.",
        at_ms: "When it happened, in milliseconds.",
        severity: "How much it matters.",
        component: "What it is about.",
        incident_id: "The incident; empty for a digest.",
        title: "A few words.",
        seen: "What was seen.",
        tried: "What was tried.",
        suggested: "What is suggested.",
        command: "The command to run.",
        lines: "The notices of a digest.",
        "lines[].at_ms": "When it happened, in milliseconds.",
        "lines[].kind": "The edge.",
        "lines[].severity": "How much it matters.",
        "lines[].component": "What it is about.",
        "lines[].incident_id": "The incident.",
        "lines[].title": "A few words.",
        left_out: "Notices for which the digest had no room.",
      }),
    },
  },
  ...FIX_RECORDS,
  {
    name: "daemon-run",
    path: "run/<daemon>.json",
    title: "Running daemon",
    description: "Who a daemon is. Compare all of the identity before you believe it.",
    schema: daemonIdentitySchema,
    fields: {
      ...IDENTITY,
      version: "Version of heald.",
      started_at: "When it started.",
      policy_hash: "The policy in force.",
      loop_lag_ms:
        "How late its loop was at worst within five seconds, in milliseconds; written anew when it is another by 50 or more.",
    },
  },
  {
    name: "pattern",
    path: "patterns/failure-patterns.jsonl",
    title: "Failure pattern",
    description: "A snapshot of failures that repeat; the last line of a pattern_id counts.",
    schema: patternSchema,
    fields: PATTERN,
  },
  {
    name: "pattern-index",
    path: "patterns/pattern-index.json",
    title: "Index of failure patterns",
    description: "Counts of the patterns that are active.",
    schema: patternIndexSchema,
    fields: PATTERN_INDEX,
  },
  {
    name: "version",
    path: "VERSION",
    title: "Format of the directory",
    description: "A newer format than a program knows is refused with exit code 78, and nothing is touched.",
    schema: versionSchema,
    fields: { format: "Number of the format.", heald: "The version that made the directory." },
  },
  {
    name: "owner",
    path: "run/owner.json",
    title: "Owner of the directory",
    description: "The host and pid namespace whose daemons work here; others refuse to start.",
    schema: ownerSchema,
    fields: {
      host: IDENTITY.host as string,
      pid_ns: IDENTITY.pid_ns as string,
      boot_id: "The boot in which the last daemon started.",
    },
  },
  {
    name: "failure-rules",
    path: "config/failure-rules.json",
    title: "Failure rules",
    description: "How one failure gets its category and type. The operator's rules are asked before the shipped ones.",
    schema: failureRulesSchema,
    fields: FAILURE_RULE_SENTENCES,
  },
];
