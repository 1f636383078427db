/** The clocks of time zones. Daylight saving time counts: people's habits follow it. @module */

const formats = new Map<string, Intl.DateTimeFormat>();

/** Hours to add to UTC in a zone at an instant. @throws {RangeError} If there is no such zone. */
export function zoneOffsetHours(zone: string, atMs: number): number {
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
    });
    formats.set(zone, format);
  }
  const parts = new Map(format.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]));
  const of = (type: string): number => parts.get(type as Intl.DateTimeFormatPartTypes) ?? 0;
  const local = Date.UTC(of("year"), of("month") - 1, of("day"), of("hour"), of("minute"));
  return Math.round((local - Math.floor(atMs / 60_000) * 60_000) / 900_000) / 4;
}

/** Whether there is such a zone. */
export function isZone(zone: string): boolean {
  try {
    zoneOffsetHours(zone, 0);
    return true;
  } catch {
    return false; // A RangeError is the answer.
  }
}
