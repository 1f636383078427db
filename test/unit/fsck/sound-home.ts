/**
 * A home in which nothing is broken, made with the stores themselves: a worker that died once and came back, the fix that
 * followed, and what four daemons remember of it. Nothing runs.
 * @module
 */
import { createHash } from "node:crypto";
import { appendFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { examineHome } from "../../../cli/fsck/examine.js";
import type { Finding } from "../../../cli/fsck/finding.js";
import { breakerRecord } from "../../../daemons/worker-restart/breakers.js";
import { BREAKER_CLOSED } from "../../../lib/domain/breaker-state.js";
import { identityOf } from "../../../lib/platform/processes.js";
import { FileJournal } from "../../../lib/runtime/journal.js";
import type { EventType } from "../../../lib/schema/catalogue.js";
import { EVENTS } from "../../../lib/schema/catalogue.js";
import { makeEvent } from "../../../lib/schema/events.js";
import { writeInstant } from "../../../lib/schema/primitives.js";
import { DAEMONS, type DaemonName } from "../../../lib/schema/records.js";
import { BreakerStore } from "../../../lib/store/breakers.js";
import { appendHistory } from "../../../lib/store/history.js";
import type { Layout } from "../../../lib/store/layout.js";
import { EventLogWriter } from "../../../lib/store/logs.js";
import { Mailbox } from "../../../lib/store/mailbox.js";
import { writeMetrics, writePrometheus } from "../../../lib/store/metrics.js";
import { SpecStore } from "../../../lib/store/specs.js";
import { returnTokens, takeLease } from "../../../lib/store/tokens.js";
import { temporaryLayout } from "../store/temporary-home.js";

/** Everything happened an hour ago: every bound has passed. */
export const THEN = Date.now() - 3_600_000;
export const WORKER = "scan-1";
export const TYPE = "scan-worker";
export const INCIDENT = "inc-1";
export const RUN = "run-1";
export const PATTERN = "pattern-1";
export const POLICY_TEXT = "{}\n";
export const POLICY_HASH = createHash("sha256").update(POLICY_TEXT).digest("hex").slice(0, 16);

export class SoundHome {
  readonly layout: Layout = temporaryLayout();
  readonly specs = new SpecStore(this.layout);
  #events = 0;

  constructor() {
    this.#workers();
    this.#requests();
    this.#outcomes();
    this.#fixes();
    this.#memories();
  }

  at(...parts: string[]): string {
    return join(this.layout.coordination, ...parts);
  }

  write(path: string, value: unknown, mode = 0o640): void {
    mkdirSync(dirname(this.at(path)), { recursive: true, mode: 0o750 });
    writeFileSync(this.at(path), typeof value === "string" ? value : `${JSON.stringify(value)}\n`, { mode });
  }

  read(path: string): Record<string, unknown> {
    return JSON.parse(readFileSync(this.at(path), "utf8")) as Record<string, unknown>;
  }

  change(path: string, fields: object): void {
    this.write(path, { ...this.read(path), ...fields });
  }

  /** Appends an event, so many milliseconds after everything began. */
  event(type: EventType, afterMs: number, subject: object = {}, data: Record<string, unknown> = {}): void {
    const stamp = { id: `${String(THEN + afterMs)}-test`, atMs: THEN + afterMs, monoMs: 0 };
    const record = makeEvent(stamp, this.#events++, "test", type, subject, { message: type, data });
    const path = this.layout.eventLog(EVENTS[type].log);
    const writer = new EventLogWriter(path, { maxBytes: 1e9, archiveDir: this.layout.archiveDir, owner: true });
    writer.append(record);
    writer.close();
  }

  mailbox(): Mailbox {
    const {
      queueDir,
      claimedDir: claimed,
      doneDir: done,
      failedRequestsDir: failed,
      rejectedDir: rejected,
    } = this.layout;
    return new Mailbox(queueDir, { claimed, done, failed, rejected });
  }

  /** Writes what a daemon remembers. */
  remember(daemon: DaemonName, parts: Record<string, unknown>): void {
    const journal = new FileJournal(this.layout.state(daemon), this.layout.journal(daemon));
    journal.checkpoint({ seq: 1, boot_id: "boot", parts, pending: [] });
    journal.close();
  }

  /** The same with some parts changed. */
  rememberAlso(daemon: DaemonName, parts: Record<string, unknown>): void {
    const known = this.read(`state/${daemon}.json`) as { parts: Record<string, unknown> };
    this.remember(daemon, { ...known.parts, ...parts });
  }

  /** This test's own process plays a daemon that has been up for half an hour. */
  runs(daemon: DaemonName): void {
    const identity = { ...identityOf(process.pid), version: "0.1.0", started_at: writeInstant(THEN + 1_800_000) };
    this.write(`run/${daemon}.json`, identity);
  }

  async findings(): Promise<Finding[]> {
    return [...(await examineHome(this.layout, { settleSeconds: 0 })).findings];
  }

  #workers(): void {
    const base = { worker_id: WORKER, worker_type: TYPE, task_id: "task-1" };
    const started_at = writeInstant(THEN);
    this.specs.fileZombie({ ...base, status: "zombie", attempt: 1, execution: { started_at } }, 1);
    this.specs.createActive({ ...base, status: "running", attempt: 2, heartbeat: { status: "healthy" } });
    for (const attempt of [1, 2])
      this.write(`launches/${WORKER}.attempt-${attempt}.json`, { ...base, attempt, pid: 99 });
    this.write(`exits/${WORKER}.attempt-1.json`, { worker_id: WORKER, attempt: 1, exit_code: 1 });
    this.write(`heartbeats/${WORKER}.json`, { worker_id: WORKER });
    const subject = (attempt: number) => ({ ...base, attempt, incident_id: INCIDENT });
    this.event("worker_registered", 0, { ...base, attempt: 1 });
    this.event("worker_exited", 1000, subject(1));
    this.event("worker_restart_queued", 1100, subject(1));
    this.event("worker_restart_started", 1200, subject(2));
    this.event("worker_registered", 1300, subject(2));
    this.event("worker_restarted", 2000, subject(2));
  }

  #requests(): void {
    const mailbox = this.mailbox();
    mailbox.file(`${WORKER}-restart.json`, { worker_id: WORKER, worker_type: TYPE, attempt: 1 });
    const claimed = mailbox.claim(`${WORKER}-restart.json`);
    if (claimed !== null) mailbox.settle(claimed, "done");
    mailbox.file("odd-restart.json", { worker_type: TYPE });
    mailbox.reject("odd-restart.json", "worker_id must be a string");
  }

  #outcomes(): void {
    for (const [attempt, result] of [
      [1, "failure"],
      [2, "success"],
    ] as const)
      appendHistory(this.layout, {
        worker_type: TYPE,
        result,
        timestamp: writeInstant(THEN + attempt * 1000),
        at_ms: THEN + attempt * 1000,
        worker_id: WORKER,
        attempt,
        history_id: `history-${attempt}`,
      });
    new BreakerStore(this.layout).write(breakerRecord(TYPE, { ...BREAKER_CLOSED, last_failure_ms: THEN + 1000 }));
    this.write(`decisions/policies/${POLICY_HASH}.json`, POLICY_TEXT);
    for (const daemon of DAEMONS) this.decision(daemon, `decision-${daemon}`);
    this.write("holds/quiet.json", {
      scope: "target",
      name: "task-9",
      by: "worker-restart",
      expires_at: writeInstant(Date.now() + 3_600_000),
    });
    writeMetrics(this.layout, "heartbeat-monitor", { uptime_seconds: 100, workers_monitored: 1 });
    writePrometheus(this.layout);
  }

  decision(daemon: DaemonName, id: string, policyHash = POLICY_HASH): void {
    const record = {
      decision_id: id,
      daemon,
      timestamp: writeInstant(THEN),
      at_ms: THEN,
      subject: WORKER,
      verdict: "start",
      reason: "exited",
      message: "It may start",
      gates: [],
      slice: {},
      event: {},
      policy_hash: policyHash,
      mode: "live",
    };
    appendFileSync(this.layout.decisions(daemon), `${JSON.stringify(record)}\n`, { mode: 0o640 });
  }

  #fixes(): void {
    const data = { run_id: RUN, fix_id: "fix-1", subject: PATTERN, mode: "live" };
    for (const [index, type] of (["fix_matched", "fix_applied", "fix_verified"] as const).entries())
      this.event(type, 5000 + index, {}, data);
    const about = { run_id: RUN, fix_id: "fix-1", subject: PATTERN, scope: TYPE, mode: "live", message: "It helped" };
    const at = writeInstant(THEN + 6000);
    this.write(`auto-fix/runs/${RUN}.json`, {
      ...about,
      name: "fix",
      phase: "done",
      diff: [],
      before: [],
      started_at: at,
      applied_at: at,
      updated_at: at,
    });
    this.write("metrics/auto-fix-history.jsonl", {
      ...about,
      result: "success",
      verdict: "effective",
      timestamp: at,
      at_ms: THEN + 6000,
      before: [],
      after: [],
    });
    this.write("patterns/pattern-index.json", {
      updated_at: at,
      patterns: 1,
      active: 1,
      by_category: { resource: 1 },
      by_type: { "resource:timeout": 1 },
      by_worker_type: { [TYPE]: 1 },
      by_severity: { low: 1 },
    });
  }

  #memories(): void {
    this.write("status.json", { ok: true, at: writeInstant(Date.now()), workers: [{ worker_id: WORKER, attempt: 2 }] });
    this.remember("heartbeat-monitor", {
      fleet: { guard: { state: "clear" }, cleanups: [], holds: [], suspect_because: null, local_health: 0 },
      [`worker:${WORKER}`]: {
        worker_id: WORKER,
        spec: { attempt: 2, worker_type: TYPE, task_id: "task-1", status: "running" },
        state: "healthy",
        state_since_at_ms: THEN,
        process: null,
        last_beat: null,
        ending: null,
      },
    });
    const log = statSync(this.layout.eventLog("heartbeat"));
    this.remember("worker-restart", {
      [`worker:${WORKER}`]: { run: null, waiting: null },
      [`type:${TYPE}`]: { breaker: BREAKER_CLOSED, read_to: null, starts: [], has_file: true },
    });
    this.remember("failure-pattern", {
      "log:heartbeat": { checkpoint: { inode: log.ino, birth_ms: 0, offset: log.size, head_hash: "" } },
      [`pattern:${PATTERN}`]: {
        status: "active",
        category: "resource",
        type: "timeout",
        worker_type: TYPE,
        severity: "low",
      },
    });
    this.event("worker_restart_exhausted", 7000, { worker_id: "scan-2", worker_type: TYPE, incident_id: "inc-7" });
    this.event("escalation_opened", 7001, { worker_id: "scan-2", incident_id: "inc-7" }, { about: "worker:scan-2" });
    this.event("circuit_breaker_tripped", 7002, { worker_type: "other-worker" });
    this.event("escalation_opened", 7003, { incident_id: "inc-8" }, { about: "type:other-worker" });
    this.event("circuit_breaker_reset", 7004, { worker_type: "other-worker" });
    this.event("escalation_resolved", 7005, { incident_id: "inc-8" }, { about: "type:other-worker" });
    this.remember("auto-fix", {
      [`match:fix-1|${PATTERN}`]: {},
      calls: { since_ms: THEN, open: ["worker:scan-2"], ended: {} },
      "call:worker:scan-2": { subject: "worker:scan-2", incident_id: "inc-7", troubles: ["worker_restart_exhausted"] },
    });
  }

  /** A budget of ten tokens, of which the living attempt has three and the dead one used one. */
  async lend(): Promise<void> {
    this.write("token-budget.json", { total_budget: 10, total_used: 0 });
    await takeLease(this.layout, `${WORKER}.attempt-1`, 4);
    await returnTokens(this.layout, `${WORKER}.attempt-1`, 1);
    await takeLease(this.layout, `${WORKER}.attempt-2`, 3);
  }
}
