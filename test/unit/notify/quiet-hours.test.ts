/** Guarantee: people are left alone by the clock on their wall, whatever the zone does to it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isQuiet, quietUntil } from "../../../lib/notify/quiet-hours.js";
import type { QuietWindow } from "../../../lib/schema/notification-policy.js";

const night = { from: "22:00", to: "07:00", days: null };
const quiet = (timezone: string, ...windows: QuietWindow[]) => ({ timezone, windows, let_through: [] });
const at = (text: string): number => Date.parse(text);

describe("quiet hours", () => {
  test.each([
    ["before it begins", "2026-11-21T20:59:59Z", false],
    ["from its first minute", "2026-11-21T21:00:00Z", true],
    ["over midnight", "2026-11-22T00:30:00Z", true],
    ["to its last minute", "2026-11-22T05:59:59Z", true],
    ["not at its end", "2026-11-22T06:00:00Z", false],
  ])("count in the zone that is named: %s", (_, instant, expected) => {
    expect(isQuiet(quiet("Europe/Berlin", night), at(instant))).toBe(expected);
  });

  test("belong to the day on which they begin", () => {
    const friday = quiet("UTC", { from: "22:00", to: "07:00", days: ["fri"] });
    expect(isQuiet(friday, at("2026-11-20T23:00:00Z"))).toBe(true); // a Friday
    expect(isQuiet(friday, at("2026-11-21T06:00:00Z"))).toBe(true);
    expect(isQuiet(friday, at("2026-11-21T23:00:00Z"))).toBe(false);
    expect(isQuiet(friday, at("2026-11-20T06:00:00Z"))).toBe(false);
  });

  test("with two ends that are the same are a whole day", () => {
    const sunday = quiet("UTC", { from: "00:00", to: "00:00", days: ["sun"] });
    expect(isQuiet(sunday, at("2026-11-22T00:00:00Z"))).toBe(true);
    expect(isQuiet(sunday, at("2026-11-22T23:59:00Z"))).toBe(true);
    expect(isQuiet(sunday, at("2026-11-21T23:59:00Z"))).toBe(false);
    expect(quietUntil(sunday, at("2026-11-22T12:00:00Z"))).toBe(at("2026-11-23T00:00:00Z"));
  });

  test.each([
    ["an ordinary night", "2026-11-21T23:10:30Z", "2026-11-22T06:00:00Z"],
    ["the night in which an hour is missing", "2026-03-28T22:00:00Z", "2026-03-29T05:00:00Z"],
    ["the night that has an hour twice", "2026-10-24T22:00:00Z", "2026-10-25T06:00:00Z"],
    ["an instant outside", "2026-11-21T12:00:00Z", "2026-11-21T12:00:00Z"],
  ])("end when the clock on the wall says so: %s", (_, instant, end) => {
    expect(quietUntil(quiet("Europe/Berlin", night), at(instant))).toBe(at(end));
  });

  test("that leave no minute of the week end after eight days all the same", () => {
    const always = quiet("UTC", { from: "00:00", to: "00:00", days: null });
    expect(quietUntil(always, 0)).toBe(8 * 86_400_000);
  });

  test("end at an instant that is not quiet, and are quiet until then, in any zone and at any time", () => {
    const clock = fc
      .tuple(fc.nat(23), fc.nat(59))
      .map((parts) => parts.map((n) => String(n).padStart(2, "0")).join(":"));
    const zone = fc.constantFrom("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu");
    fc.assert(
      fc.property(zone, clock, clock, fc.integer({ min: 1.7e9, max: 1.9e9 }), (timezone, from, to, atSeconds) => {
        fc.pre(from !== to);
        const hours = quiet(timezone, { from, to, days: null });
        const atMs = atSeconds * 1000;
        const end = quietUntil(hours, atMs);
        expect(isQuiet(hours, end)).toBe(false);
        if (end > atMs) expect(isQuiet(hours, end - 60_000) || end - 60_000 < atMs).toBe(true);
        expect(end - atMs).toBeLessThanOrEqual(25 * 3_600_000);
      }),
      { numRuns: 60 },
    );
  });
});
