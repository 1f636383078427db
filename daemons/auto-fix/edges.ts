/** Which of auto-fix's events people are told of, and in which words. Pure. @module */
import type { EventRecord } from "../../lib/schema/events.js";
import type { EdgeKind, NotificationEdge } from "../../lib/schema/notification-records.js";

const KINDS: Readonly<Partial<Record<EventRecord["event_type"], EdgeKind>>> = {
  fix_pending: "opened",
  fix_applied: "info",
  fix_undone: "info",
  escalation_opened: "escalated",
  escalation_resolved: "resolved",
};

/** The edge that an event is to people; null if they are not told of it. */
export function edgeOf(record: EventRecord): NotificationEdge | null {
  const kind = KINDS[record.event_type];
  if (kind === undefined) return null;
  const { data } = record;
  const text = (name: string): string | null => (typeof data[name] === "string" ? data[name] : null);
  const tried = Array.isArray(data.tried) ? data.tried.map(String) : [];
  return {
    kind,
    incident_id: record.incident_id ?? record.event_id,
    severity: record.severity,
    component: record.worker_type ?? text("component") ?? "auto-fix",
    title: text("title") ?? record.message.slice(0, 120),
    seen: text("seen") ?? record.message,
    tried,
    suggested: text("suggested") ?? (kind === "opened" ? "look at the proposal, and approve or reject it" : ""),
    command: text("command") ?? (text("run_id") === null ? "" : `heald fix show ${text("run_id")}`),
    edge_id: record.event_id,
  };
}
