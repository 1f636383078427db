/** What failure-pattern's policy refuses. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readFailurePatternPolicy } from "../../../daemons/failure-pattern/policy.js";
import { every } from "../../../lib/platform/schedule.js";
import { cronProblem } from "../../../lib/schema/cron.js";

const problems = (raw: object): string[] => {
  const read = readFailurePatternPolicy(raw);
  return read.ok ? [] : read.problems.map(({ field, message }) => `${field} ${message}`);
};

describe("the policy", () => {
  test("is refused by name for a daily_report.cron that is none", () => {
    expect(problems({ daily_report: { cron: "0 25 * * *" } })).toEqual([
      'daily_report.cron must have a hour from 0 to 23 (or *, a range, a step, a list), got "25" in "0 25 * * *"',
    ]);
    expect(problems({ daily_report: { cron: "every morning" } })).toEqual([
      'daily_report.cron must be a cron expression of five fields such as "0 6 * * *", got "every morning"',
    ]);
    expect(problems({ overrides: { "scan-worker": { daily_report: { cron: "x" } } } })[0]).toMatch(
      /^overrides\.scan-worker\.daily_report\.cron must be/,
    );
  });

  test("is refused for a type that is named in two categories", () => {
    expect(problems({ failure_categories: { data: { types: ["timeout"] }, setup: { types: ["timeout"] } } })).toEqual([
      "failure_categories.setup.types[0] must be of one category, timeout is of data too",
    ]);
  });

  test("is refused for a baseline of less than three days, or of more than are remembered", () => {
    expect(problems({ anomaly_detection: { baseline_window_days: 2 } })[0]).toContain("baseline_window_days");
    expect(problems({ anomaly_detection: { baseline_window_days: 28 } })[0]).toContain("baseline_window_days");
    expect(problems({ anomaly_detection: { baseline_window_days: 27 } })).toEqual([]);
  });
});

describe("cronProblem()", () => {
  test.each([
    "0 6 * * *",
    "*/5 0-6,18-23 1-31/2 jan,JULY mon-fri",
    "30 0 6 * * *",
    "0 22-4 * * fri-mon",
    "59 23 31 12 7",
  ])("has nothing against %s", (expression) => expect(cronProblem(expression)).toBeNull());

  test.each([
    "",
    "* * * *",
    "60 * * * *",
    "0 6 0 * *",
    "0 6 * 13 *",
    "0 6 * * 8",
    "0 6 * foo *",
    "5/10 * * * *",
    "*/0 * * * *",
    "1- * * * *",
    "0 6 * * * * *",
    "-1 * * * *",
    "1,,2 * * * *",
  ])("has something against %j", (expression) => expect(cronProblem(expression)).not.toBeNull());

  test("accepts nothing that the scheduler would not", () => {
    const value = fc.oneof(fc.nat(62).map(String), fc.constantFrom("*", "mon", "Sunday", "feb", "December", "x"));
    const range = fc.oneof(
      value,
      fc.tuple(value, value).map((ends) => ends.join("-")),
    );
    const step = fc.oneof(
      range,
      fc.tuple(range, fc.nat(70)).map((parts) => parts.join("/")),
    );
    const field = fc.oneof(
      { weight: 4, arbitrary: fc.constant("*") },
      { weight: 1, arbitrary: fc.array(step, { minLength: 1, maxLength: 3 }).map((all) => all.join(",")) },
    );
    const expression = fc.array(field, { minLength: 5, maxLength: 6 }).map((fields) => fields.join(" "));
    fc.assert(
      fc.property(expression, (each) => {
        if (cronProblem(each) !== null) return;
        expect(() => every(each, undefined, () => undefined).stop(), each).not.toThrow();
      }),
      { numRuns: 2000 },
    );
  });
});
