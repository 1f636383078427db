/**
 * Keeps a person's channel readable when much goes wrong at once: after so many messages within a while, what follows is
 * collected, and comes as one digest when the while is over. Pure.
 *
 * Logs and the console are read by programs and by whoever looks for all of it, and get every message.
 *
 * @module
 */
import type { NotificationSettings } from "../schema/notification-policy.js";
import type { NotificationState } from "../schema/notification-records.js";

const FOR_RECORD: ReadonlySet<string> = new Set(["log", "console"]);

/** Which channels may be told now, and until when the others collect. The state counts what is told now. */
export interface Calmed {
  readonly state: NotificationState;
  readonly now: readonly string[];
  readonly later: readonly { readonly channel: string; readonly dueMs: number }[];
}

/** Counts one message for each channel, and keeps back those of channels that had as many as a person can read. */
export function calmed(
  state: NotificationState,
  channels: readonly string[],
  settings: NotificationSettings,
  atMs: number,
): Calmed {
  const { messages_max: most, window_seconds: seconds } = settings.storm;
  const now: string[] = [];
  const later: { channel: string; dueMs: number }[] = [];
  let recent = state.recent_ms ?? {};
  for (const channel of channels) {
    if (FOR_RECORD.has(settings.channels[channel]?.kind ?? "")) {
      now.push(channel);
      continue;
    }
    const since = (Object.hasOwn(recent, channel) ? (recent[channel] ?? []) : []).filter(
      (each) => each > atMs - seconds * 1000 && each <= atMs,
    );
    if (since.length >= most) {
      later.push({ channel, dueMs: (since[0] ?? atMs) + seconds * 1000 });
      continue;
    }
    now.push(channel);
    recent = { ...recent, [channel]: [...since, atMs] };
  }
  return { state: recent === state.recent_ms ? state : { ...state, recent_ms: recent }, now, later };
}
