/** Event and decision records, and how they are made so that a repeat has the same id. @module */
import { z } from "zod";
import { EVENTS, type EventType } from "./catalogue.js";
import { instantSchema, writeInstant } from "./primitives.js";

export const eventSchema = z.looseObject({
  event_id: z.string().nullish(),
  event_type: z.string(),
  timestamp: instantSchema.nullish(),
  at_ms: z.number().nullish(),
  severity: z.enum(["info", "warning", "critical"]).nullish(),
  source: z.string().nullish(),
  worker_id: z.string().nullish(),
  worker_type: z.string().nullish(),
  task_id: z.string().nullish(),
  attempt: z.number().nullish(),
  incident_id: z.string().nullish(),
  reason: z.string().nullish(),
  message: z.string().nullish(),
  data: z.record(z.string(), z.unknown()).nullish(),
});

/** An event as heald writes it. */
export type EventRecord = RecordOfType<EventType>;

/** A record in the shape of an event; its type may be one that stands in no log, such as that of a hook that is asked first. */
export interface RecordOfType<Type extends string> {
  readonly event_id: string;
  readonly event_type: Type;
  readonly timestamp: string;
  readonly at_ms: number;
  readonly severity: "info" | "warning" | "critical";
  readonly source: string;
  readonly worker_id?: string;
  readonly worker_type?: string;
  readonly task_id?: string;
  readonly attempt?: number;
  readonly incident_id?: string;
  readonly reason?: string;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** When a fact reached a daemon, and the seed of every id that follows from it. */
export interface Stamp {
  /** Unique and sorted by time; the same again when the same decision is recomputed. */
  readonly id: string;
  /** Wall clock, milliseconds. */
  readonly atMs: number;
  /** Monotonic clock of this boot, milliseconds. */
  readonly monoMs: number;
}

/** Whom an event is about. */
export interface EventSubject {
  readonly worker_id?: string | undefined;
  readonly worker_type?: string | undefined;
  readonly task_id?: string | undefined;
  readonly attempt?: number | undefined;
  readonly incident_id?: string | undefined;
}

/** What an event says. */
export interface EventContent {
  readonly message: string;
  readonly reason?: string | undefined;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly severity?: "info" | "warning" | "critical";
}

/**
 * Makes an event record. Its id is made of the stamp and a number, so that the same decision gives the same line.
 *
 * @param nth Which of the decision's events this is, from 0.
 */
export function makeEvent(
  stamp: Stamp,
  nth: number,
  source: string,
  type: EventType,
  subject: EventSubject,
  content: EventContent,
): EventRecord {
  const severity = content.severity ?? EVENTS[type].severity;
  return makeRecord(`${stamp.id}-${nth}`, stamp, source, type, subject, { ...content, severity });
}

/** Makes a record in the shape of an event. */
export function makeRecord<Type extends string>(
  id: string,
  stamp: Stamp,
  source: string,
  type: Type,
  subject: EventSubject,
  content: EventContent & Required<Pick<EventContent, "severity">>,
): RecordOfType<Type> {
  return {
    event_id: id,
    event_type: type,
    timestamp: writeInstant(stamp.atMs),
    at_ms: Math.round(stamp.atMs),
    severity: content.severity,
    source,
    ...defined("worker_id", subject.worker_id),
    ...defined("worker_type", subject.worker_type),
    ...defined("task_id", subject.task_id),
    ...defined("attempt", subject.attempt),
    ...defined("incident_id", subject.incident_id),
    ...defined("reason", content.reason),
    message: content.message.slice(0, 160),
    data: content.data ?? {},
  };
}

function defined<K extends string, V>(key: K, value: V | undefined | null): { [P in K]?: V } {
  return (value === undefined || value === null ? {} : { [key]: value }) as { [P in K]?: V };
}

/** One question that was asked before an act, with what was found and what was wanted. */
export interface Gate {
  readonly gate: string;
  readonly value: unknown;
  readonly threshold: unknown;
  readonly passed: boolean;
  /** When it will pass by itself, wall-clock milliseconds written as an instant. */
  readonly passes_at?: string;
}

/** What `decide` says about a decision; the runtime adds id, slice, event and policy hash. */
export interface DecisionDraft {
  readonly subject: string;
  readonly verdict: string;
  readonly reason: string;
  readonly message: string;
  readonly gates: readonly Gate[];
  readonly incident_id?: string | undefined;
  /** live unless said otherwise. */
  readonly mode?: "live" | "dry_run" | "shadow" | undefined;
}

export const decisionSchema = z.looseObject({
  decision_id: z.string(),
  daemon: z.string(),
  timestamp: instantSchema,
  at_ms: z.number(),
  subject: z.string(),
  verdict: z.string(),
  reason: z.string(),
  message: z.string(),
  gates: z.array(
    z.looseObject({
      gate: z.string(),
      value: z.unknown(),
      threshold: z.unknown(),
      passed: z.boolean(),
      passes_at: instantSchema.nullish(),
    }),
  ),
  slice: z.record(z.string(), z.unknown()),
  event: z.record(z.string(), z.unknown()),
  policy_hash: z.string(),
  mode: z.enum(["live", "dry_run", "shadow"]),
  incident_id: z.string().nullish(),
});

/** A decision as it stands in `decisions/<daemon>.jsonl`. */
export type DecisionRecord = z.infer<typeof decisionSchema>;
