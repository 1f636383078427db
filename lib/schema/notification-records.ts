/** What is told to people: the edge of an incident, the message made of it, a delivery that waits, and an acknowledgement. @module */
import { z } from "zod";
import { instantSchema } from "./primitives.js";

export const SEVERITIES = ["info", "warning", "critical"] as const;
/** `repeated` and `digest` are ours; the others are edges of an incident, or news outside of any. */
export const EDGE_KINDS = ["opened", "escalated", "resolved", "info"] as const;
export const MESSAGE_KINDS = [...EDGE_KINDS, "repeated", "digest"] as const;

export type EdgeKind = (typeof EDGE_KINDS)[number];
export type MessageKind = (typeof MESSAGE_KINDS)[number];
export type NotificationSeverity = (typeof SEVERITIES)[number];

/** Something that people are to know about. */
export interface NotificationEdge {
  readonly kind: EdgeKind;
  readonly incident_id: string;
  readonly severity: NotificationSeverity;
  /** What it is about: a worker type, a service, a target. Routes and overrides go by it. */
  readonly component: string;
  /** A few words, for a subject line. */
  readonly title: string;
  readonly seen: string;
  readonly tried: readonly string[];
  readonly suggested: string;
  /** The command to run next; `heald why <incident>` where it is empty. */
  readonly command: string;
  /** Tells two edges of one kind in one incident apart; the incident and the kind unless given. Told once for each. */
  readonly edge_id?: string;
}

/** A line of a digest. */
export const digestLineSchema = z.looseObject({
  at_ms: z.number(),
  kind: z.string(),
  severity: z.enum(SEVERITIES),
  component: z.string(),
  incident_id: z.string(),
  title: z.string(),
});
export type DigestLine = z.infer<typeof digestLineSchema>;

export const messageSchema = z.looseObject({
  kind: z.enum(MESSAGE_KINDS),
  at_ms: z.number(),
  severity: z.enum(SEVERITIES),
  component: z.string(),
  incident_id: z.string(),
  title: z.string(),
  seen: z.string(),
  tried: z.array(z.string()),
  suggested: z.string(),
  command: z.string(),
  /** Of a digest; empty otherwise. */
  lines: z.array(digestLineSchema),
  /** Lines that a digest had no room for. */
  left_out: z.number(),
});
export type Message = z.infer<typeof messageSchema>;

/** A message on its way through one channel. */
export const deliverySchema = z.looseObject({
  delivery_id: z.string().regex(/^[0-9a-z-]{1,80}$/),
  /** What makes it this one and no other: the edge, the channel, the step. */
  key: z.string(),
  channel: z.string(),
  created_at_ms: z.number(),
  /** How often it was tried; counted before each try, so that one that a crash cut off is known. */
  tries: z.number().int().min(0),
  next_at_ms: z.number(),
  last_problem: z.string().nullish(),
  sent_at: instantSchema.nullish(),
  gave_up_at: instantSchema.nullish(),
  message: messageSchema,
});
export type Delivery = z.infer<typeof deliverySchema>;

/** A person takes an escalation. */
export const acknowledgementSchema = z.looseObject({
  incident_id: z.string().min(1).max(256),
  by: z.string().min(1).max(128),
  at: instantSchema.nullish(),
  why: z.string().max(1000).nullish(),
});
export type Acknowledgement = z.infer<typeof acknowledgementSchema>;

const incidentSchema = z.looseObject({
  message: messageSchema,
  opened_at_ms: z.number(),
  /** Edges that were told, so that each is told once. */
  edges: z.array(z.string()),
  /** Channels that know of it. */
  told: z.array(z.string()),
  /** Those of them that read of it in a storm's digest alone. */
  in_digest: z.array(z.string()).optional(),
  escalated_at_ms: z.number().nullable(),
  steps_done: z.number().int(),
  repeats: z.number().int(),
  last_told_at_ms: z.number(),
  /** `event_id` is that of the event which says so, chosen before it is written, so that it is written once. */
  acknowledged: z
    .looseObject({ by: z.string(), at_ms: z.number(), why: z.string().nullish(), event_id: z.string() })
    .nullable(),
  resolved_at_ms: z.number().nullable(),
});
export type IncidentState = z.infer<typeof incidentSchema>;

const pendingLineSchema = z.object({
  channel: z.string(),
  due_ms: z.number(),
  key: z.string(),
  line: digestLineSchema,
});
export type PendingLine = z.infer<typeof pendingLineSchema>;

/** What auto-fix knows of whom it told what. */
export const notificationStateSchema = z.looseObject({
  incidents: z.record(z.string(), incidentSchema),
  digest: z.array(pendingLineSchema),
  /** Lines for which there was no room, by channel. */
  left_out: z.record(z.string(), z.number()),
  /** When each channel was told something lately, so that a storm is noticed. */
  recent_ms: z.record(z.string(), z.array(z.number())).optional(),
  /** Deliveries that are decided, and may not be in the queue yet. */
  outbox: z.array(deliverySchema),
});
export type NotificationState = z.infer<typeof notificationStateSchema>;

export const NO_NOTIFICATIONS: NotificationState = { incidents: {}, digest: [], left_out: {}, outbox: [] };
