/** Says whether people are to be left alone, by the clock on their wall. Pure: time zones are tables. @module */
import { DAYS, type NotificationSettings, type QuietWindow } from "../schema/notification-policy.js";

type QuietHours = NotificationSettings["quiet_hours"];

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1440;
/** Quiet hours that leave no minute of the week would hold everything back for ever: after so long they are passed over. */
const QUIET_MS_MAX = 8 * DAY_MINUTES * MINUTE_MS;

/** Whether an instant lies in quiet hours. A window whose two ends are the same is a whole day. */
export function isQuiet(quiet: QuietHours, atMs: number): boolean {
  if (quiet.windows.length === 0) return false;
  const { day, minute } = wallClock(quiet.timezone, atMs);
  return quiet.windows.some((window) => covers(window, day, minute));
}

/**
 * The end of the quiet hours in which an instant lies, to the minute; the instant itself outside of them.
 *
 * Goes minute by minute, so that a night in which the clocks are changed ends when the clock on the wall says so.
 */
export function quietUntil(quiet: QuietHours, atMs: number): number {
  if (!isQuiet(quiet, atMs)) return atMs;
  const first = (Math.floor(atMs / MINUTE_MS) + 1) * MINUTE_MS;
  for (let next = first; next < atMs + QUIET_MS_MAX; next += MINUTE_MS) if (!isQuiet(quiet, next)) return next;
  return atMs + QUIET_MS_MAX;
}

/** A window that ends before it begins goes over midnight, and belongs to the day on which it began. */
function covers(window: QuietWindow, day: number, minute: number): boolean {
  const from = minuteOf(window.from);
  const to = minuteOf(window.to);
  const begins = (which: number): boolean =>
    window.days === null || window.days.includes(DAYS[(which + 7) % 7] ?? "mon");
  if (from < to) return begins(day) && minute >= from && minute < to;
  return (begins(day) && minute >= from) || (begins(day - 1) && minute < to);
}

function minuteOf(clock: string): number {
  const [hours = 0, minutes = 0] = clock.split(":").map(Number);
  return hours * 60 + minutes;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** Day (0 is Monday) and minute of the day in a zone. */
function wallClock(zone: string, atMs: number): { readonly day: number; readonly minute: number } {
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-GB", {
      timeZone: zone,
      weekday: "short",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    });
    formats.set(zone, format);
  }
  // "Sat 23:05", with a comma or without.
  const match = /^(\w{3}),? (\d{2}):(\d{2})$/.exec(format.format(atMs));
  if (match === null) throw new Error(`Cannot read the clock of ${zone}`);
  const day = (DAYS as readonly string[]).indexOf((match[1] ?? "").toLowerCase());
  return { day, minute: Number(match[2]) * 60 + Number(match[3]) };
}
