/**
 * Decides who is told what, and when: routes, quiet hours, the escalation chain, repeats, digests.
 *
 * Reads no clock and sends nothing. The state it returns carries its deliveries in an outbox, so that one replaced file
 * makes the whole decision stand; whoever files them does so by their keys, and a second time changes nothing.
 *
 * @module
 */
import type { NotificationSettings } from "../schema/notification-policy.js";
import type {
  DigestLine,
  IncidentState,
  Message,
  NotificationEdge,
  NotificationState,
  PendingLine,
} from "../schema/notification-records.js";
import { type Policy, settingsFor } from "../schema/policy.js";
import { edgeIdOf, lineOf, messageOf } from "./messages.js";
import { isQuiet, quietUntil } from "./quiet-hours.js";
import { routedTo } from "./routing.js";
import { calmed } from "./storm.js";

export type NotificationPolicy = Policy<NotificationSettings>;

/** A message that is to go through a channel; the key makes it unique for ever. */
export interface Telling {
  readonly key: string;
  readonly channel: string;
  readonly message: Message;
}

export interface Told {
  readonly state: NotificationState;
  readonly tellings: readonly Telling[];
}

/** Resolved incidents are remembered for so long, so that a late repeat of an edge is known; open ones for longer. */
const RESOLVED_KEPT_MS = 7 * 86_400_000;
const OPEN_KEPT_MS = 30 * 86_400_000;
const INCIDENTS_MAX = 2000;
const EDGES_MAX = 200;

/** Takes up an edge. The same edge a second time changes nothing. */
export function onEdge(
  state: NotificationState,
  edge: NotificationEdge,
  policy: NotificationPolicy,
  atMs: number,
): Told {
  const id = edgeIdOf(edge);
  const known = own(state.incidents, edge.incident_id);
  if (known?.edges.includes(id)) return { state, tellings: [] };
  const settings = settingsFor(policy, edge.component);
  const message = messageOf(edge, atMs);
  const incident = afterEdge(known ?? newIncident(message, atMs), edge, message, id, atMs);
  const wanted = routedTo(settings, edge, incident.told);
  const quiet = isQuiet(settings.quiet_hours, atMs) && !settings.quiet_hours.let_through.includes(edge.severity);
  const awake = wanted.filter((each) => !quiet || each.inQuietHours).map((each) => each.channel);
  // Whoever was told of this very incident hears of its end: a program closes an alarm by it.
  const direct = edge.kind === "resolved" ? awake.filter((each) => knowsDirectly(incident, each)) : [];
  const calm = calmed(
    state,
    awake.filter((each) => !direct.includes(each)),
    settings,
    atMs,
  );
  const now = [...direct, ...calm.now];
  const later = wanted.filter((each) => quiet && !each.inQuietHours).map((each) => each.channel);
  const collected = wanted.length === 0 ? settings.digest.channels : [];
  const quietEnd = quietUntil(settings.quiet_hours, atMs);
  const collectedDue = quietUntil(settings.quiet_hours, atMs + settings.digest.interval_seconds * 1000);
  const lines = [
    ...calm.later.map(({ channel, dueMs }) =>
      pending(channel, afterQuietFor(settings, edge.severity, dueMs), id, message),
    ),
    ...later.map((channel) => pending(channel, quietEnd, id, message)),
    ...collected.map((channel) => pending(channel, collectedDue, id, message)),
  ];
  const digested = calm.later.map(({ channel }) => channel);
  const incidents = { ...state.incidents, [edge.incident_id]: inDigest(told(incident, awake), digested) };
  const next = withLines({ ...calm.state, incidents }, lines, settings.digest.lines_max);
  const tellings = now.map((channel) => ({ key: `${id}|${channel}`, channel, message }));
  return and({ state: next, tellings }, (after) => onTime(after, policy, atMs));
}

/** Takes up that a person has taken an escalation; null if nothing of that name is open. A second one changes nothing. */
export function onAcknowledged(
  state: NotificationState,
  incidentId: string,
  acknowledged: NonNullable<IncidentState["acknowledged"]>,
): NotificationState | null {
  const incident = own(state.incidents, incidentId);
  if (incident === null || incident.escalated_at_ms === null || incident.resolved_at_ms !== null) return null;
  if (incident.acknowledged !== null) return state;
  return { ...state, incidents: { ...state.incidents, [incidentId]: { ...incident, acknowledged } } };
}

/** Does what has become due: steps of the chain, repeats, digests; forgets what is long over. */
export function onTime(state: NotificationState, policy: NotificationPolicy, atMs: number): Told {
  let all: Told = { state, tellings: [] };
  for (const [id, incident] of Object.entries(state.incidents)) {
    if (!isPressing(incident)) continue;
    all = and(all, (next) => press(next, id, incident, settingsFor(policy, incident.message.component), atMs));
  }
  all = and(all, (next) => flush(next, atMs));
  return { ...all, state: forget(all.state, atMs) };
}

/** When there is something to do next; null if nothing will be due by itself. */
export function nextAt(state: NotificationState, policy: NotificationPolicy, atMs: number): number | null {
  const instants = state.digest.map((line) => line.due_ms);
  for (const incident of Object.values(state.incidents)) {
    if (!isPressing(incident)) continue;
    const settings = settingsFor(policy, incident.message.component);
    const due = pressAt(incident, settings);
    if (due !== null) instants.push(afterQuiet(incident, settings, Math.max(due, atMs)));
  }
  return instants.length === 0 ? null : Math.min(...instants);
}

function knowsDirectly(incident: IncidentState, channel: string): boolean {
  return incident.told.includes(channel) && incident.in_digest?.includes(channel) !== true;
}

function inDigest(incident: IncidentState, channels: readonly string[]): IncidentState {
  if (channels.length === 0) return incident;
  return { ...incident, in_digest: [...new Set([...(incident.in_digest ?? []), ...channels])] };
}

function afterQuietFor(settings: NotificationSettings, severity: Message["severity"], dueMs: number): number {
  return settings.quiet_hours.let_through.includes(severity) ? dueMs : quietUntil(settings.quiet_hours, dueMs);
}

function isPressing(incident: IncidentState): boolean {
  return incident.escalated_at_ms !== null && incident.acknowledged === null && incident.resolved_at_ms === null;
}

/** When the next step or repeat of an escalation is due. */
function pressAt(incident: IncidentState, settings: NotificationSettings): number | null {
  const escalatedAt = incident.escalated_at_ms ?? 0;
  const step = settings.escalation.steps[incident.steps_done];
  if (step !== undefined) return escalatedAt + step.after_seconds * 1000;
  if (incident.repeats >= settings.repeat.times_max) return null;
  return incident.last_told_at_ms + settings.repeat.interval_seconds * 1000;
}

function afterQuiet(incident: IncidentState, settings: NotificationSettings, dueMs: number): number {
  return afterQuietFor(settings, incident.message.severity, dueMs);
}

/** Every step that is due, or else one repeat: a daemon that was away for a day does not make up for what it did not say. */
function press(
  before: NotificationState,
  id: string,
  was: IncidentState,
  settings: NotificationSettings,
  atMs: number,
): Told {
  if (afterQuiet(was, settings, atMs) > atMs) return { state: before, tellings: [] };
  const tellings: Telling[] = [];
  const lines: PendingLine[] = [];
  let state = before;
  let incident = was;
  for (let due = pressAt(was, settings); due !== null && due <= atMs; due = pressAt(incident, settings)) {
    const step = settings.escalation.steps[incident.steps_done];
    const nth = step === undefined ? `repeat-${incident.repeats + 1}` : `step-${incident.steps_done + 1}`;
    const channels = step === undefined ? everyone(incident, settings) : step.channels;
    const key = `${id}:${incident.escalated_at_ms}:${nth}`;
    const messageFor = (channel: string): Message => {
      const kind = incident.told.includes(channel) ? "repeated" : "escalated";
      return { ...incident.message, kind, at_ms: atMs };
    };
    // A first step without delay finds those told already whom the routes name.
    const isNews = (channel: string): boolean => step?.after_seconds !== 0 || !incident.told.includes(channel);
    const calm = calmed(state, channels.filter(isNews), settings, atMs);
    state = calm.state;
    for (const channel of calm.now) tellings.push({ key: `${key}|${channel}`, channel, message: messageFor(channel) });
    for (const { channel, dueMs } of calm.later)
      lines.push(pending(channel, afterQuietFor(settings, was.message.severity, dueMs), key, messageFor(channel)));
    const count = step === undefined ? { repeats: incident.repeats + 1 } : { steps_done: incident.steps_done + 1 };
    incident = told({ ...incident, ...count, last_told_at_ms: atMs }, channels);
  }
  if (incident === was) return { state: before, tellings };
  const next = { ...state, incidents: { ...state.incidents, [id]: incident } };
  return { state: withLines(next, lines, settings.digest.lines_max), tellings };
}

/** Who knows of an escalation, and who would have been told had it not been night. */
function everyone(incident: IncidentState, settings: NotificationSettings): string[] {
  const { severity, component } = incident.message;
  const routed = routedTo(settings, { kind: "escalated", severity, component }, []);
  return [...new Set([...incident.told, ...routed.map((each) => each.channel)])];
}

/** One digest for each channel of which a line is due, with all its lines: people would rather read one. */
function flush(state: NotificationState, atMs: number): Told {
  const due = [...new Set(state.digest.filter((line) => line.due_ms <= atMs).map((line) => line.channel))];
  if (due.length === 0) return { state, tellings: [] };
  const tellings = due.map((channel) => {
    const lines = state.digest.filter((line) => line.channel === channel);
    const leftOut = state.left_out[channel] ?? 0;
    return { key: `digest:${digestKey(lines)}|${channel}`, channel, message: digestOf(lines, leftOut, atMs) };
  });
  const left_out = Object.fromEntries(Object.entries(state.left_out).filter(([channel]) => !due.includes(channel)));
  return {
    state: { ...state, digest: state.digest.filter((line) => !due.includes(line.channel)), left_out },
    tellings,
  };
}

/** A line is in one digest of a channel and in no other, so its first line names the digest. */
function digestKey(lines: readonly PendingLine[]): string {
  return `${lines[0]?.key ?? ""}:${lines[0]?.line.at_ms ?? 0}`;
}

function digestOf(lines: readonly PendingLine[], leftOut: number, atMs: number): Message {
  const severities = lines.map((line) => line.line.severity);
  const worst = (["critical", "warning"] as const).find((severity) => severities.includes(severity)) ?? "info";
  const count = lines.length + leftOut;
  return {
    ...{ kind: "digest", at_ms: atMs, severity: worst, component: "fleet", incident_id: "" },
    title: `${count} ${count === 1 ? "notice" : "notices"} since the last digest`,
    ...{ seen: "", tried: [], suggested: "", command: "heald events" },
    lines: lines.map((line) => line.line),
    left_out: leftOut,
  };
}

function pending(channel: string, due_ms: number, id: string, message: Message): PendingLine {
  const line: DigestLine = lineOf(message);
  return { channel, due_ms, key: id, line };
}

/** The newest lines give way to a count: the first sign of trouble is worth more than its hundredth echo. */
function withLines(state: NotificationState, lines: readonly PendingLine[], linesMax: number): NotificationState {
  let next = state;
  for (const line of lines) {
    const full = next.digest.filter((each) => each.channel === line.channel).length >= linesMax;
    next = full
      ? { ...next, left_out: { ...next.left_out, [line.channel]: (next.left_out[line.channel] ?? 0) + 1 } }
      : { ...next, digest: [...next.digest, line] };
  }
  return next;
}

function newIncident(message: Message, atMs: number): IncidentState {
  return {
    ...{ message, opened_at_ms: atMs, edges: [], told: [], escalated_at_ms: null, steps_done: 0, repeats: 0 },
    ...{ last_told_at_ms: atMs, acknowledged: null, resolved_at_ms: null },
  };
}

function afterEdge(
  was: IncidentState,
  edge: NotificationEdge,
  message: Message,
  id: string,
  atMs: number,
): IncidentState {
  const edges = [...was.edges, id].slice(-EDGES_MAX);
  switch (edge.kind) {
    case "opened":
      if (was.resolved_at_ms !== null) return { ...newIncident(message, atMs), edges };
      return { ...was, edges, message: was.escalated_at_ms === null ? message : was.message };
    case "escalated":
      // A new escalation asks a person anew, also one who has taken the one before.
      return { ...was, ...RESET, message, edges, escalated_at_ms: atMs, last_told_at_ms: atMs };
    case "resolved":
      return { ...was, message, edges, resolved_at_ms: atMs };
    case "info":
      return { ...was, edges };
  }
}

const RESET = { steps_done: 0, repeats: 0, acknowledged: null, resolved_at_ms: null } as const;

function told(incident: IncidentState, channels: readonly string[]): IncidentState {
  const fresh = channels.filter((channel) => !incident.told.includes(channel));
  return fresh.length === 0 ? incident : { ...incident, told: [...incident.told, ...fresh] };
}

/** Lets go of incidents that are long over, and of the oldest when there are too many. */
function forget(state: NotificationState, atMs: number): NotificationState {
  const all = Object.entries(state.incidents);
  const lastSeen = (incident: IncidentState): number => incident.resolved_at_ms ?? incident.last_told_at_ms;
  const isOver = (incident: IncidentState): boolean =>
    atMs - lastSeen(incident) > (incident.resolved_at_ms === null ? OPEN_KEPT_MS : RESOLVED_KEPT_MS);
  const kept = all.filter(([, incident]) => !isOver(incident));
  if (kept.length === all.length && kept.length <= INCIDENTS_MAX) return state;
  const rank = (incident: IncidentState): number => (incident.resolved_at_ms === null ? 1 : 0);
  kept.sort(([, a], [, b]) => rank(b) - rank(a) || lastSeen(b) - lastSeen(a));
  return { ...state, incidents: Object.fromEntries(kept.slice(0, INCIDENTS_MAX)) };
}

function and(before: Told, next: (state: NotificationState) => Told): Told {
  const after = next(before.state);
  return { state: after.state, tellings: [...before.tellings, ...after.tellings] };
}

function own(incidents: NotificationState["incidents"], id: string): IncidentState | null {
  return Object.hasOwn(incidents, id) ? (incidents[id] ?? null) : null;
}
