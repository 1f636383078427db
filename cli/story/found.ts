/** Finds what a question is about, and the steps of its story, the newest of them, without reading all that was written. @module */
import { EVENTS } from "../../lib/schema/catalogue.js";
import { isId } from "../../lib/schema/primitives.js";
import { DAEMONS } from "../../lib/schema/records.js";
import { isThere } from "../../lib/store/entries.js";
import type { Layout } from "../../lib/store/layout.js";
import { type LogJson, timeOf } from "../../lib/store/log-file.js";
import { recordsBackward, recordsNaming, recordWithId, timeOfId } from "../../lib/store/log-search.js";
import { SpecStore } from "../../lib/store/specs.js";
import {
  ALL_LOGS,
  Collector,
  dataOf,
  decisionLogs,
  eventLogs,
  eventOf,
  historyLog,
  idOf,
  type Log,
  type Question,
  type Step,
  type Story,
  textIn,
} from "./steps.js";

/** The first line of an incident may be older than the incident's name: it was due before it was decided. */
const INCIDENT_SLACK_MS = 5000;
/** What belongs to an incident may be written for a while after its end. */
const AFTERMATH_MS = 900_000;
const INCIDENT_WINDOWS_MS = [3_600_000, 86_400_000, Number.POSITIVE_INFINITY];
const REGISTERED_SLACK_MS = 60_000;
/** No incident has so many steps. */
const WHOLE = 100_000;

/** Tells what is known of an id; null if nothing is. */
export function findStory(question: Question): Story | null {
  const { layout, id } = question;
  if (isId(id) && (new SpecStore(layout).highestAttempt(id) > 0 || isThere(layout.queueRequest(id))))
    return ofWorker(question, id);
  const byName = ofRunOrIncident(question);
  if (byName !== null) return byName;
  const named = namedRecord(layout, id);
  if (named !== null) return around(question, named);
  // Most of what is asked for and gets as far as this is a slip: it is looked for once, and not once for each thing that it may be.
  if (!isWritten(layout, id)) return null;
  return ofHealing(question) ?? ofUnknown(question);
}

// ---- one worker ---------------------------------------------------------------------------------------------------

function ofWorker(question: Question, workerId: string): Story | null {
  const collector = new Collector(question);
  collectWorker(question.layout, workerId, collector);
  return collector.story("worker", question.id, workerId);
}

/** The logs that are most likely to say where the story begins are looked at first: the others are read back to there. */
function collectWorker(layout: Layout, workerId: string, collector: Collector): void {
  for (const log of eventLogs(layout, ["heartbeat", "worker-restart", "zombie-cleanup"])) {
    for (const record of recordsBackward(layout, log.path, { field: "worker_id", value: workerId }, collector.span)) {
      if (!collector.add(log, record)) break;
      if (record.event_type === "worker_registered" && record.attempt === 1) {
        collector.begin((timeOf(record) ?? 0) - REGISTERED_SLACK_MS);
        break;
      }
    }
  }
  for (const log of decisionLogs(layout, ["heartbeat-monitor", "worker-restart"]))
    collector.take(log, recordsBackward(layout, log.path, { field: "subject", value: workerId }, collector.span));
  const rest = [historyLog(layout), ...eventLogs(layout, ["daemon", "auto-fix"])];
  for (const log of rest)
    collector.take(log, recordsBackward(layout, log.path, { field: "worker_id", value: workerId }, collector.span));
}

// ---- an incident, a decision, an event ------------------------------------------------------------------------------

function ofRunOrIncident(question: Question): Story | null {
  const { id } = question;
  if (id.startsWith("run-")) return ofRun(question);
  return id.startsWith("inc-") || id.startsWith("incident-") ? ofIncident(question, id) : null;
}

function ofIncident(question: Question, incident: string): Story | null {
  const { layout } = question;
  const atMs = timeOfId(incident);
  const first = atMs === null ? null : firstOfIncident(layout, incident);
  const workerId = first === null ? null : textIn(first, "worker_id");
  if (atMs !== null && workerId !== null) return ofIncidentOf(question, incident, workerId, atMs);
  const collector = new Collector(question, (record) => record.incident_id === incident);
  if (atMs !== null) collector.begin(atMs - INCIDENT_SLACK_MS);
  for (const log of [...eventLogs(layout, ALL_LOGS), ...decisionLogs(layout, DAEMONS)])
    collector.take(log, recordsNaming(layout, log.path, incident, collector.fromMs));
  return collector.story("incident", question.id, null);
}

/** Most incidents are over soon: the logs are read up to then, and further only for one that was still open. */
function ofIncidentOf(question: Question, incident: string, workerId: string, atMs: number): Story | null {
  for (const windowMs of INCIDENT_WINDOWS_MS) {
    const collector = new Collector(question, (record) => record.incident_id === incident);
    collector.begin(atMs - INCIDENT_SLACK_MS);
    collector.finish(atMs + windowMs);
    collectWorker(question.layout, workerId, collector);
    const isOver = collector.found.some((step) => closes(step.record) && step.atMs < atMs + windowMs - AFTERMATH_MS);
    if (isOver || windowMs === Number.POSITIVE_INFINITY) return collector.story("incident", question.id, workerId);
  }
  return null;
}

function closes(record: LogJson): boolean {
  const type = textIn(record, "event_type") ?? "";
  return Object.hasOwn(EVENTS, type) && EVENTS[type as keyof typeof EVENTS].incident === "closes";
}

/** The monitor and worker-restart open incidents, and so does a person's request. */
function firstOfIncident(layout: Layout, incident: string): LogJson | null {
  for (const { path } of eventLogs(layout, ["heartbeat", "zombie-cleanup", "worker-restart"])) {
    const found = recordWithId(layout, path, ["incident_id"], incident);
    if (found !== null) return found;
  }
  return null;
}

interface Named {
  readonly log: Log;
  readonly record: LogJson;
}

/** The decision or the event that has this id. */
function namedRecord(layout: Layout, id: string): Named | null {
  if (timeOfId(id) === null) return null;
  for (const log of [...decisionLogs(layout, DAEMONS), ...eventLogs(layout, ALL_LOGS)]) {
    const record = recordWithId(layout, log.path, ["decision_id", "event_id"], id);
    if (record !== null) return { log, record };
  }
  return null;
}

/** Around one record, what belongs to the same incident. */
function around(question: Question, { log, record }: Named): Story {
  const { id, limit } = question;
  const topic = log.kind === "decision" ? "decision" : "event";
  const incident = textIn(record, "incident_id");
  const story = incident === null ? null : ofIncident({ ...question, limit: WHOLE, only_live: false }, incident);
  const at = story?.steps.findIndex((step) => idOf(step.record) === id) ?? -1;
  if (story !== null && at >= 0) {
    // Of a long incident, what is nearest to the record; of a short one, all.
    const from = Math.max(0, Math.min(at - Math.floor(limit / 2), story.steps.length - limit));
    return { ...story, topic, id, steps: story.steps.slice(from, from + limit), is_cut: from > 0 };
  }
  const alone: Step = { kind: log.kind, atMs: timeOf(record) ?? 0, log: log.name, record };
  return { topic, id, worker_id: textIn(record, "worker_id"), steps: [alone], is_cut: false };
}

/** Whether any record names it. */
function isWritten(layout: Layout, id: string): boolean {
  const logs = [
    ...healingLogs(layout),
    ...[...eventLogs(layout, ALL_LOGS), historyLog(layout), ...decisionLogs(layout, DAEMONS)],
  ];
  for (const path of new Set(logs.map((log) => log.path))) for (const _ of recordsNaming(layout, path, id)) return true;
  return false;
}

// ---- fixes and patterns -------------------------------------------------------------------------------------------

function ofRun(question: Question): Story | null {
  const { layout, id } = question;
  const collector = new Collector(question, (record) => namesIn(record).includes(id));
  const fromMs = Math.max(0, (timeOfId(id) ?? 0) - INCIDENT_SLACK_MS);
  for (const log of healingLogs(layout)) collector.take(log, recordsNaming(layout, log.path, id, fromMs));
  return collector.story("run", id, null);
}

/** What failure-pattern and auto-fix write is little: it is read through. */
function ofHealing(question: Question): Story | null {
  const { layout, id } = question;
  const collector = new Collector(question, (record) => namesIn(record).includes(id));
  for (const log of healingLogs(layout)) collector.take(log, recordsNaming(layout, log.path, id));
  const [some] = collector.found;
  if (some === undefined) return null;
  const isFix = dataOf(some.record).fix_id === id || eventOf(some.record).fix_id === id || some.record.fix_id === id;
  return collector.story(isFix ? "fix" : "pattern", id, null);
}

function healingLogs(layout: Layout): Log[] {
  const history = { kind: "outcome" as const, name: "history", path: layout.fixHistory };
  return [
    ...eventLogs(layout, ["failure-pattern", "auto-fix"]),
    ...decisionLogs(layout, ["failure-pattern", "auto-fix"]),
    history,
  ];
}

/** Every name under which a record of healing may be asked for. */
function namesIn(record: LogJson): readonly unknown[] {
  const [data, event] = [dataOf(record), eventOf(record)];
  return [
    ...[record.subject, record.incident_id, record.run_id, record.fix_id, record.pattern_id],
    ...[data.run_id, data.fix_id, data.pattern_id, data.subject],
    ...[event.run_id, event.fix_id, event.pattern_id],
  ];
}

// ---- whatever else has been written of it -----------------------------------------------------------------------------

/** A worker of which no spec is left, a worker type or a task, or an id that somebody else made. */
function ofUnknown(question: Question): Story | null {
  const { layout, id } = question;
  const gone = isId(id) ? ofWorker(question, id) : null;
  if (gone !== null && gone.steps.length > 0) return gone;
  const collector = new Collector(question, (record) => isAbout(record, id));
  for (const log of [...eventLogs(layout, ALL_LOGS), historyLog(layout)])
    collector.take(log, recordsNaming(layout, log.path, id, collector.fromMs));
  for (const log of decisionLogs(layout, DAEMONS))
    collector.take(log, recordsBackward(layout, log.path, { field: "subject", value: id }, collector.span));
  // Ids of heald's own decisions were found by their instant; one that was not is looked for in all that was written.
  if (collector.found.length === 0)
    for (const log of decisionLogs(layout, DAEMONS))
      collector.take(log, recordsNaming(layout, log.path, id, collector.fromMs));
  const own = collector.found.find(({ record }) => idOf(record) === id);
  if (own !== undefined) return around(question, { log: { ...own, name: own.log, path: "" }, record: own.record });
  if (collector.found.some(({ record }) => record.incident_id === id)) return ofIncident(question, id);
  return collector.story("other", id, null);
}

function isAbout(record: LogJson, id: string): boolean {
  const { worker_id, worker_type, task_id, incident_id, subject } = record;
  return [worker_id, worker_type, task_id, incident_id, subject, idOf(record)].includes(id);
}
