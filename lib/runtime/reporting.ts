/** Writes events, decisions and daemon news; every daemon's effects `report` and `decision` are performed here. @module */
import type { Log } from "../platform/log.js";
import { EVENT_LOGS, EVENTS, type EventLog, type EventType } from "../schema/catalogue.js";
import { type EventContent, type EventRecord, type EventSubject, makeEvent, type Stamp } from "../schema/events.js";
import { writeInstant } from "../schema/primitives.js";
import type { DaemonName } from "../schema/records.js";
import type { Layout } from "../store/layout.js";
import { EventLogWriter } from "../store/logs.js";
import type { PerformContext } from "./core.js";
import type { DecisionEffect } from "./loop.js";
import { textOfDecision } from "./texts.js";

/** An event to be written to its log; the catalogue says which. */
export interface ReportEffect {
  readonly kind: "report";
  readonly record: EventRecord;
}

/** Small enough to be searched at once; what was rotated has an index. */
const LOG_BYTES_MAX = 16 * 1024 * 1024;
/** Who alone rotates each event log. */
const OWNERS: Readonly<Record<EventLog, DaemonName>> = {
  heartbeat: "heartbeat-monitor",
  "zombie-cleanup": "heartbeat-monitor",
  daemon: "heartbeat-monitor",
  "worker-restart": "worker-restart",
  "failure-pattern": "failure-pattern",
  "auto-fix": "auto-fix",
};

/** Events that follow each other more closely are told of together, when nothing more has come for so long, */
const QUIET_MS = 25;
/** and after so long at most. */
const SAID_WITHIN_MS = 500;

export class Reporter {
  readonly #layout: Layout;
  readonly #daemon: DaemonName;
  readonly #log: Log;
  readonly #newStamp: () => Stamp;
  readonly #writers = new Map<EventLog, EventLogWriter>();
  readonly #decisions: EventLogWriter;
  readonly #listeners: ((record: EventRecord) => void)[] = [];
  /** Reported, and not yet in the daemon's own log. */
  #unsaid: EventRecord[] = [];
  /** When the latest of them came. */
  #reportedMs = Number.NEGATIVE_INFINITY;
  /** Until they are said, where there are many. */
  #timer: NodeJS.Timeout | null = null;
  #sayBeforeMs = 0;

  constructor(layout: Layout, daemon: DaemonName, log: Log, newStamp: () => Stamp) {
    this.#layout = layout;
    this.#daemon = daemon;
    this.#log = log;
    this.#newStamp = newStamp;
    this.#decisions = new EventLogWriter(layout.decisions(daemon), {
      maxBytes: LOG_BYTES_MAX,
      archiveDir: layout.archiveDir,
      owner: true,
      isOnlyWriter: true,
    });
  }

  /** Tells a listener of every event that was written, beside those that listen already. */
  onReported(listener: (record: EventRecord) => void): void {
    this.#listeners.push(listener);
  }

  /** Writes one event line, and soon the same news to the daemon's own log. After a crash, only if it is not there yet. */
  report(effect: ReportEffect, context: Pick<PerformContext, "again">): void {
    const { record } = effect;
    const writer = this.#writer(EVENTS[record.event_type].log);
    if (context.again) writer.appendOnce(record, "event_id");
    else writer.append(record);
    this.#sayLater(record);
    for (const listener of this.#listeners) listener(record);
  }

  /**
   * The daemon's own log tells of it once what is in hand is done, and of many at once when it is quiet: nobody waits for
   * that, and in a wave of deaths workers wait for the rest.
   */
  #sayLater(record: EventRecord): void {
    const nowMs = performance.now();
    const isBurst = nowMs - this.#reportedMs < QUIET_MS;
    this.#reportedMs = nowMs;
    this.#unsaid.push(record);
    if (!isBurst) setImmediate(() => this.flush());
    else if (this.#timer === null) {
      this.#sayBeforeMs = nowMs + SAID_WITHIN_MS;
      this.#timer = setTimeout(() => this.flush(), QUIET_MS);
    } else if (nowMs < this.#sayBeforeMs) this.#timer.refresh();
  }

  /** Says in the daemon's own log what was reported and is not said yet. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const record of this.#unsaid.splice(0)) {
      const { event_type, at_ms, worker_id, attempt, incident_id, reason, data } = record;
      const level = record.severity === "info" ? "info" : "warn";
      this.#log[level]({ event_type, at_ms, worker_id, attempt, incident_id, reason, ...data }, record.message);
    }
  }

  /** Writes one decision record. */
  decide(effect: DecisionEffect, context: PerformContext): void {
    const { draft } = effect;
    const record = {
      decision_id: context.stamp.id,
      daemon: this.#daemon,
      timestamp: writeInstant(context.stamp.atMs),
      at_ms: Math.round(context.stamp.atMs),
      subject: draft.subject,
      verdict: draft.verdict,
      reason: draft.reason,
      message: draft.message.slice(0, 160),
      gates: draft.gates,
      slice: effect.slice,
      event: effect.event,
      policy_hash: effect.policyHash,
      mode: draft.mode ?? "live",
      ...(draft.incident_id ? { incident_id: draft.incident_id } : {}),
    };
    if (context.again) this.#decisions.appendOnce(record, "decision_id");
    else this.#decisions.appendLine(textOfDecision(record));
  }

  /** Says something about the daemon itself, outside of any decision. */
  news(type: EventType, content: EventContent, subject: EventSubject = {}): void {
    const record = makeEvent(this.#newStamp(), 0, this.#daemon, type, subject, {
      ...content,
      data: { daemon: this.#daemon, ...content.data },
    });
    this.report({ kind: "report", record }, { again: false });
  }

  /**
   * As `news`; where the event cannot be written just now, the daemon's own log says it instead.
   *
   * News must not stop what it tells of: a policy holds on a full disk too. The weather is reported on its own.
   */
  newsOrLog(type: EventType, content: EventContent): void {
    try {
      this.news(type, content);
    } catch (error) {
      this.#log.warn({ event_type: type, cause: String(error) }, content.message);
    }
  }

  /** Rotates what this daemon owns, if it has grown large. */
  rotate(nowMs: number): void {
    for (const log of Object.keys(EVENT_LOGS) as EventLog[]) {
      if (OWNERS[log] === this.#daemon) this.#writer(log).rotateIfLarge(nowMs, this.#daemon);
    }
    this.#decisions.rotateIfLarge(nowMs, this.#daemon);
  }

  reopen(): void {
    this.flush();
    for (const writer of this.#writers.values()) writer.reopen();
    this.#decisions.reopen();
  }

  close(): void {
    this.flush();
    for (const writer of this.#writers.values()) writer.close();
    this.#decisions.close();
  }

  #writer(log: EventLog): EventLogWriter {
    let writer = this.#writers.get(log);
    if (!writer) {
      const owner = OWNERS[log] === this.#daemon;
      writer = new EventLogWriter(this.#layout.eventLog(log), {
        maxBytes: LOG_BYTES_MAX,
        archiveDir: this.#layout.archiveDir,
        owner,
      });
      this.#writers.set(log, writer);
    }
    return writer;
  }
}
