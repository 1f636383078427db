/** Guarantee: as shipped, each fix can be reached: by a failure that a shipped rule names, through every threshold that is shipped. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readAutoFixPolicy } from "../../../daemons/auto-fix/policy.js";
import { readFailurePatternPolicy } from "../../../daemons/failure-pattern/policy.js";
import { classify, ruleBook } from "../../../lib/domain/classify.js";
import { type FailureRule, readFailureRules } from "../../../lib/schema/failure-rules.js";
import { SHIPPED_FIXES } from "../../../lib/schema/shipped-fixes.js";
import { makeFixing } from "../../scenario/auto-fix-world.js";

/** A group is seldom pure: one failure in twenty of it may be of another kind. */
const PURITY = 0.95;

const read = readFailureRules(JSON.parse(readFileSync("config/failure-rules.json", "utf8")));
if (!read.ok) throw new Error("the shipped rules are refused");
const rules: readonly FailureRule[] = read.value.rules;
const book = ruleBook(rules);

const settingsOf = <T>(
  reading: { ok: true; value: { policy: { settings: T } } } | { ok: false; problems: unknown },
): T => {
  if (!reading.ok) throw new Error(JSON.stringify(reading.problems));
  return reading.value.policy.settings;
};
const { detection } = settingsOf(readFailurePatternPolicy(undefined));
const policy = settingsOf(readAutoFixPolicy({ dry_run: false }));

/** How sure the shipped rules are of a class, at best. */
function confidenceOf(key: string): number {
  const found = rules
    .filter((rule) => rule.classify === key)
    .flatMap((rule) => rule.examples.map((facts) => classify(book, facts)))
    .filter(({ category, type }) => `${category}:${type}` === key);
  return Math.max(0, ...found.map(({ confidence }) => confidence)) * PURITY;
}

const keys = [...new Set(SHIPPED_FIXES.flatMap((fix) => fix.applies_to_patterns))];

describe("a shipped fix", () => {
  test.each(SHIPPED_FIXES.map((fix) => [fix.fix_id, fix] as const))("%s is applied, or a person is asked", (_, fix) => {
    const best = fix.applies_to_patterns.map((key) => ({ key, confidence: confidenceOf(key) }));
    best.sort((a, b) => b.confidence - a.confidence);
    const [pattern = { key: "", confidence: 0 }] = best;
    // failure-pattern lets fixes see it at all.
    expect(pattern.confidence).toBeGreaterThanOrEqual(detection.confidence_threshold);
    const { world, simulation } = makeFixing({
      limits: {},
      verification: {},
      cooldown_seconds: policy.cooldown_seconds,
    });
    world.fix = fix;
    const quiet = fix.prerequisites?.quiet_seconds ?? 0;
    const total = Math.max(detection.frequency_threshold, fix.prerequisites?.min_pattern_occurrences ?? 0);
    world.publish("p1", { ...pattern, total, last_seen_ms: simulation.nowMs - quiet * 1000 });
    const [decision] = world.decisions;
    const asks = fix.safety.requires_approval === true;
    expect(decision?.verdict, JSON.stringify(decision?.gates.at(-1))).toBe(asks ? "ask" : "apply");
  });

  test("is written for patterns that the shipped rules are sure enough of, but for these", () => {
    const out = keys.filter((key) => confidenceOf(key) < policy.min_confidence_threshold);
    // Words and stack traces (0.6) lead to no fix; the rest is for rules of an operator's own.
    expect(out.sort()).toEqual([
      "data:data_corruption",
      "data:schema_violation",
      "security:api_key_exposed",
      "security:credential_leak",
      "security:outdated_dependency",
      "security:vulnerable_dependency_version",
      "systemic:crash_loop",
    ]);
  });

  test("is not reached by words or a stack trace, however pure the group, but for a runtime's own account of its memory", () => {
    const printed = rules.filter(({ stage }) => stage === "stack" || stage === "text");
    const enough = printed.filter((rule) =>
      rule.examples.some((facts) => classify(book, facts).confidence >= detection.confidence_threshold),
    );
    expect(enough.map(({ rule_id }) => rule_id)).toEqual(["stack-memory"]);
    expect(policy.min_confidence_threshold).toBeGreaterThanOrEqual(detection.confidence_threshold);
  });
});
