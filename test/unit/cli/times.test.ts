import { describe, expect, test } from "vitest";
import { readSeconds, readSince, span, until } from "../../../cli/times.js";
import { UsageError } from "../../../lib/errors.js";

describe("span()", () => {
  test.each([
    [0, "0s"],
    [-5000, "0s"],
    [42_400, "42s"],
    [99_000, "99s"],
    [100_000, "2m"],
    [3_600_000, "60m"],
    [7_200_000, "2h"],
    [172_800_000, "2d"],
  ])("writes %i ms as %s", (ms, text) => {
    expect(span(ms)).toBe(text);
  });
});

describe("readSeconds()", () => {
  test.each([
    ["90", 90],
    ["90s", 90],
    ["15m", 900],
    ["1.5h", 5400],
    ["2d", 172_800],
  ])("reads %s as %i seconds", (text, seconds) => {
    expect(readSeconds(text, "--for")).toBe(seconds);
  });

  test.each(["", "soon", "-1", "0", "1y", "1e9", "Infinity", "1h30m"])("refuses %s and says what it wants", (text) => {
    expect(() => readSeconds(text, "--for")).toThrow(
      new UsageError(`--for must be a duration such as 90s, 15m or 1h, got ${JSON.stringify(text)}`),
    );
  });
});

describe("readSince()", () => {
  const nowMs = Date.parse("2026-11-21T12:00:00Z");

  test("takes an age as the time before now", () => {
    expect(readSince("15m", "--since", nowMs)).toBe(nowMs - 900_000);
  });

  test("takes an instant as it is", () => {
    expect(readSince("2026-11-21T11:00:00Z", "--since", nowMs)).toBe(nowMs - 3_600_000);
  });

  test("refuses anything else", () => {
    expect(() => readSince("yesterday", "--since", nowMs)).toThrow(/--since must be a time such as .* got "yesterday"/);
  });
});

describe("until()", () => {
  test("says now for an instant that has passed, and how long for one that has not", () => {
    const nowMs = Date.parse("2026-11-21T12:00:00Z");
    expect(until("2026-11-21T11:59:59Z", nowMs)).toBe("now");
    expect(until("2026-11-21T12:05:00Z", nowMs)).toBe("in 5m");
    expect(until(null, nowMs)).toBe("-");
  });
});
