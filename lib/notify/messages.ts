/** Makes messages of edges, and texts, JSON and chat blocks of messages. Pure. @module */
import type { DigestLine, Message, MessageKind, NotificationEdge } from "../schema/notification-records.js";
import { writeInstant } from "../schema/primitives.js";

const TITLE_MAX = 160;
const TEXT_MAX = 2000;
const TRIED_MAX = 20;
const LINE_MAX = 300;

export function edgeIdOf(edge: NotificationEdge): string {
  return edge.edge_id ?? `${edge.incident_id}:${edge.kind}`;
}

/** Texts come from workers and their logs: they are cut, and control characters made harmless. */
export function messageOf(edge: NotificationEdge, atMs: number): Message {
  return {
    kind: edge.kind,
    at_ms: Math.round(atMs),
    severity: edge.severity,
    component: line(edge.component, LINE_MAX),
    incident_id: line(edge.incident_id, LINE_MAX),
    title: line(edge.title, TITLE_MAX),
    seen: text(edge.seen),
    tried: edge.tried.slice(0, TRIED_MAX).map((each) => line(each, LINE_MAX)),
    suggested: text(edge.suggested),
    command: line(edge.command, LINE_MAX) || `heald why ${edge.incident_id}`,
    lines: [],
    left_out: 0,
  };
}

export function lineOf(message: Message): DigestLine {
  const { at_ms, kind, severity, component, incident_id, title } = message;
  return { at_ms, kind, severity, component, incident_id, title };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

function text(value: string): string {
  const harmless = value.replaceAll("\r\n", "\n").replace(CONTROL, "\uFFFD");
  return harmless.length > TEXT_MAX ? `${harmless.slice(0, TEXT_MAX - 1)}…` : harmless;
}

function line(value: string, max: number): string {
  const flat = text(value)
    .replace(/\s*\n\s*/g, " ")
    .trim();
  return flat.length > max ? `${flat.slice(0, max - 1)}…` : flat;
}

const WORDS: Readonly<Record<MessageKind, string>> = {
  opened: "opened",
  escalated: "needs a person",
  repeated: "still needs a person",
  resolved: "resolved",
  info: "news",
  digest: "digest",
};

/** A subject line: how bad, what about, what happened. */
export function subjectOf(message: Message): string {
  if (message.kind === "digest") return `[heald] ${message.title}`;
  return `[heald] ${message.severity} ${message.component}: ${message.title} (${WORDS[message.kind]})`;
}

/** The whole message as plain text. */
export function textOf(message: Message): string {
  return `${[subjectOf(message), "", ...partsOf(message).map(([name, value]) => `${name}: ${value}`)].join("\n")}\n`;
}

/** Named parts, in the order in which a person asks for them. */
function partsOf(message: Message): [string, string][] {
  if (message.kind === "digest") return digestParts(message);
  const wantsPerson = message.kind === "escalated" || message.kind === "repeated";
  return [
    ["Incident", message.incident_id],
    ["At", writeInstant(message.at_ms)],
    ["Seen", message.seen || "nothing more is known"],
    ["Tried", message.tried.length === 0 ? "nothing" : message.tried.map((each) => `\n  - ${each}`).join("")],
    ["Suggested", message.suggested || "look at the incident"],
    ["Run", message.command],
    ...(wantsPerson ? [["Acknowledge", `heald ack ${message.incident_id}`] as [string, string]] : []),
  ];
}

function digestParts(message: Message): [string, string][] {
  const lines = message.lines.map(
    (each) =>
      `\n  ${writeInstant(each.at_ms)} ${each.severity} ${each.component}: ${each.title} (${WORDS[each.kind as MessageKind] ?? each.kind}, ${each.incident_id})`,
  );
  const rest = message.left_out > 0 ? `\n  and ${message.left_out} more` : "";
  return [
    ["Notices", lines.join("") + rest],
    ["Run", message.command],
  ];
}

/** What a webhook receives. */
export function jsonOf(message: Message, deliveryId: string): Readonly<Record<string, unknown>> {
  const { at_ms, ...rest } = message;
  return { delivery_id: deliveryId, timestamp: writeInstant(at_ms), at_ms, subject: subjectOf(message), ...rest };
}

const BLOCK_TEXT_MAX = 2900;
const HEADER_MAX = 150;

/** What a chat's incoming webhook takes: a text for the notification, and blocks to look at. */
export function chatOf(message: Message): Readonly<Record<string, unknown>> {
  const body = partsOf(message).map(([name, value]) => `*${name}*: ${escaped(value)}`);
  const subject = subjectOf(message);
  return {
    text: escaped(subject),
    blocks: [
      { type: "header", text: { type: "plain_text", text: subject.slice(0, HEADER_MAX) } },
      { type: "section", text: { type: "mrkdwn", text: body.join("\n").slice(0, BLOCK_TEXT_MAX) } },
    ],
  };
}

/** The three characters that mean something there; so no text of a worker can call a channel or hide a link. */
function escaped(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
