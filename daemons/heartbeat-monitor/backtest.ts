/** What a backtest knows of heartbeat-monitor's decisions, and of what its recording cannot tell. @module */
import { thresholdsOf } from "../../lib/domain/thresholds.js";
import { ALL, type BacktestRules } from "../../lib/runtime/backtest.js";
import { below, beyond, eachScope, type Recorded, type TooFine } from "../../lib/runtime/resolution.js";
import type { Policy } from "../../lib/schema/policy.js";
import type { HeartbeatSettings } from "./policy.js";

export const rules: BacktestRules = {
  acts: { zombie: "kill" },
  awaited: "kill",
  limits: { cleanups_per_minute: "spends" },
  sharedGates: { mass_guard: () => ALL, cleanups_per_minute: () => ALL },
  quietEffects: new Set(["write_block"]),
  ownPart: "worker",
};

/** Silences below one and a half intervals, progress and low scores were not written down. */
export function tooFine(other: Policy<HeartbeatSettings>, recorded: Recorded<HeartbeatSettings>): TooFine[] {
  return eachScope(other, recorded).flatMap(({ prefix, wanted, was }) => {
    const lateSeconds = Math.max(0, ...was.map((settings) => thresholdsOf(settings).lateMs / 1000));
    const silence = (
      name: "heartbeat_timeout_seconds" | "zombie_threshold_seconds" | "startup_grace_seconds",
    ): TooFine[] =>
      below(prefix + name, wanted[name], [lateSeconds], (least) => `has silences from ${least} s on (1.5 intervals)`);
    return [
      ...silence("heartbeat_timeout_seconds"),
      ...silence("zombie_threshold_seconds"),
      ...below(
        `${prefix}progress_timeout_seconds`,
        wanted.progress_timeout_seconds ?? Number.POSITIVE_INFINITY,
        was.map((settings) => settings.progress_timeout_seconds ?? Number.MAX_SAFE_INTEGER),
        (least) => (least === Number.MAX_SAFE_INTEGER ? "has no progress" : `has progress frozen from ${least} s on`),
      ),
      ...below(
        `${prefix}unhealthy_grace_seconds`,
        wanted.unhealthy_grace_seconds,
        was.map((settings) => settings.unhealthy_grace_seconds),
        (least) => `has low scores from ${least} s on`,
      ),
      ...below(
        `${prefix}min_health_score`,
        -wanted.min_health_score,
        was.map((settings) => -settings.min_health_score),
        (least) => `has reported scores only below ${-least}`,
      ).map((fine) => ({ ...fine, value: String(wanted.min_health_score) })),
      ...beyond(
        `${prefix}mass_failure.window_seconds`,
        wanted.mass_failure.window_seconds,
        Math.max(recorded.spanSeconds, ...was.map((settings) => settings.mass_failure.window_seconds)),
      ),
    ];
  });
}
