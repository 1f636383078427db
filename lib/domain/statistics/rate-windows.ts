/** How often something happened, kept as counts for each hour: bounded, and good for every window of whole hours. @module */

/** Hours since 1970 and how many events fell into each, in order, hours without events left out. */
export type HourCounts = readonly (readonly [hour: number, count: number])[];

const HOUR_MS = 3_600_000;
/** Four weeks: enough for a daily cycle, and for a baseline of the rate. */
export const HOURS_MAX = 28 * 24;

/** Counts one more event. What is older than `HOURS_MAX` before the newest hour is let go. */
export function countEvent(counts: HourCounts, atMs: number, events = 1): HourCounts {
  const hour = Math.floor(atMs / HOUR_MS);
  const newest = Math.max(hour, counts.at(-1)?.[0] ?? hour);
  const at = positionOf(counts, hour);
  const known = counts[at];
  const isKnown = known !== undefined && known[0] === hour;
  const counted: readonly [number, number] = [hour, (isKnown ? known[1] : 0) + events];
  const next = [...counts.slice(0, at), counted, ...counts.slice(isKnown ? at + 1 : at)];
  const first = next.findIndex(([each]) => each > newest - HOURS_MAX);
  return first > 0 ? next.slice(first) : next;
}

/** Events in the hours that lie wholly or partly within the window before an instant. Never too few. */
export function countWithin(counts: HourCounts, nowMs: number, windowMs: number): number {
  const from = Math.floor((nowMs - windowMs) / HOUR_MS);
  const to = Math.floor(nowMs / HOUR_MS);
  let sum = 0;
  for (const [hour, count] of counts) if (hour >= from && hour <= to) sum += count;
  return sum;
}

/**
 * Events per hour within a window, over the time in which it was watched.
 *
 * At least one hour is taken: three failures in a minute are three an hour so far, and not 180.
 */
export function ratePerHour(events: number, firstSeenMs: number, nowMs: number, windowMs: number): number {
  const watchedMs = Math.min(windowMs, Math.max(0, nowMs - firstSeenMs));
  return events / Math.max(1, watchedMs / HOUR_MS);
}

/** Where an hour is, or would be put. The newest are looked at first: events come nearly in order. */
function positionOf(counts: HourCounts, hour: number): number {
  let at = counts.length;
  while (at > 0 && (counts[at - 1]?.[0] ?? 0) >= hour) at -= 1;
  return at;
}
