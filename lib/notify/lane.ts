/** The order in which the messages of one channel go, and when one is tried again. Pure. @module */
import { createHash } from "node:crypto";
import type { NotificationSettings } from "../schema/notification-policy.js";
import type { Delivery } from "../schema/notification-records.js";
import type { SendOutcome } from "./channels.js";

export type Next =
  | { readonly kind: "send"; readonly delivery: Delivery }
  | { readonly kind: "wait"; readonly untilMs: number }
  | { readonly kind: "idle" };

/**
 * The message that goes next. Messages of one incident keep their order: nobody is to read "resolved" before "opened".
 *
 * @param waiting In the order in which they were made.
 * @param pausedUntilMs Nothing goes before it: the channel is down, or asked us to wait.
 */
export function nextOf(waiting: readonly Delivery[], pausedUntilMs: number, nowMs: number): Next {
  const incidents = new Set<string>();
  let untilMs = Number.POSITIVE_INFINITY;
  for (const delivery of waiting) {
    const { incident_id } = delivery.message;
    if (incident_id !== "" && incidents.has(incident_id)) continue;
    incidents.add(incident_id);
    const dueMs = Math.max(delivery.next_at_ms, pausedUntilMs);
    if (dueMs <= nowMs) return { kind: "send", delivery };
    untilMs = Math.min(untilMs, dueMs);
  }
  return untilMs === Number.POSITIVE_INFINITY ? { kind: "idle" } : { kind: "wait", untilMs };
}

export type AfterFailure =
  | { readonly kind: "give-up" }
  | { readonly kind: "again"; readonly nextAtMs: number; readonly pausedUntilMs: number | null };

/**
 * What follows a failure: the wait doubles from try to try up to its limit, with equal jitter, and is never shorter than
 * the channel asked for. A channel that is down is left alone as a whole; a message that it does not take waits alone.
 */
export function afterFailure(
  delivery: Delivery,
  outcome: Extract<SendOutcome, { kind: "failed" }>,
  settings: NotificationSettings["delivery"],
  nowMs: number,
): AfterFailure {
  if (nowMs - delivery.created_at_ms >= settings.give_up_after_seconds * 1000) return { kind: "give-up" };
  const doublings = Math.min(30, Math.max(0, delivery.tries - 1));
  const baseMs = 1000 * Math.min(settings.max_retry_seconds, settings.first_retry_seconds * 2 ** doublings);
  const waitMs = Math.round(baseMs * (0.5 + sample(delivery) / 2));
  const nextAtMs = Math.max(nowMs + waitMs, outcome.notBeforeMs ?? 0);
  return { kind: "again", nextAtMs, pausedUntilMs: outcome.fault === "channel" ? nextAtMs : null };
}

/** In [0, 1), the same for the same try of the same delivery. */
function sample(delivery: Delivery): number {
  return createHash("sha256").update(`${delivery.delivery_id}:${delivery.tries}`).digest().readUInt32BE() / 2 ** 32;
}

/** The file name of a delivery: the same key is the same delivery, for ever. */
export function deliveryIdOf(key: string): string {
  return createHash("sha256").update(key).digest("hex").slice(0, 24);
}
