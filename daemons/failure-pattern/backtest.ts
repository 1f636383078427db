/** What a backtest knows of failure-pattern's decisions, and of what its recording cannot tell. @module */
import type { BacktestRules } from "../../lib/runtime/backtest.js";
import { below, beyond, eachScope, type Recorded, type TooFine } from "../../lib/runtime/resolution.js";
import type { Policy } from "../../lib/schema/policy.js";
import type { FailurePatternSettings } from "./policy.js";

export const rules: BacktestRules = {
  acts: { detected: "pattern", resolved: "end of a pattern", forecast: "forecast" },
  awaited: "look",
  limits: {},
  sharedGates: {},
  quietEffects: new Set(["publish"]),
  ownPart: "pattern",
};

/** Only what reached the threshold made a decision; failures were grouped when they were read. */
export function tooFine(other: Policy<FailurePatternSettings>, recorded: Recorded<FailurePatternSettings>): TooFine[] {
  return eachScope(other, recorded).flatMap(({ prefix, wanted, was }) => {
    const windows = was.map((settings) => settings.detection.time_window_hours * 3600);
    const grouped = [...new Set(was.map((settings) => settings.detection.similarity_threshold))];
    const { similarity_threshold: similarity } = wanted.detection;
    return [
      ...below(
        `${prefix}detection.frequency_threshold`,
        wanted.detection.frequency_threshold,
        was.map((settings) => settings.detection.frequency_threshold),
        (least) => `has patterns from ${least} failures on`,
      ),
      ...beyond(
        `${prefix}detection.time_window_hours`,
        wanted.detection.time_window_hours * 3600,
        Math.max(recorded.spanSeconds, ...windows),
      ),
      ...(grouped.length === 0 || grouped.includes(similarity)
        ? []
        : [
            {
              key: `${prefix}detection.similarity_threshold`,
              value: String(similarity),
              recorded: `has failures grouped at ${grouped.join(", ")}`,
            },
          ]),
    ];
  });
}
