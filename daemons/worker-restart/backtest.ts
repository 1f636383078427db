/** What a backtest knows of worker-restart's decisions, and of what its recording cannot tell. @module */
import { longestWindowMs } from "../../lib/domain/budgets.js";
import { ALL, type BacktestRules, typeIn } from "../../lib/runtime/backtest.js";
import { below, beyond, eachScope, type Recorded, type TooFine } from "../../lib/runtime/resolution.js";
import type { Policy } from "../../lib/schema/policy.js";
import type { RestartSettings } from "./settings.js";

export const rules: BacktestRules = {
  acts: { start: "restart" },
  awaited: "restart",
  limits: { retries: "spends", budgets: "spends", rate_limits: "spends", concurrency: "spends", poison_task: "counts" },
  sharedGates: {
    // Which attempts probe a half-open breaker is the type's own matter; whether it opens is computed anew.
    circuit_breaker: (record) => typeIn(record) ?? ALL,
    poison_task: ({ event }) => `task ${String(event.task_id)}`,
    ...{ rate_limits: () => ALL, concurrency: () => ALL, token_budget: () => ALL, requires: () => ALL },
  },
  quietEffects: new Set(["write-breaker", "read-history"]),
  ownPart: "worker",
};

/** Starts are remembered for the longest budget that was in force; the history of outcomes is kept. */
export function tooFine(other: Policy<RestartSettings>, recorded: Recorded<RestartSettings>): TooFine[] {
  return eachScope(other, recorded).flatMap(({ prefix, wanted, was }) => {
    const most = (of: (settings: RestartSettings) => number): number => Math.max(0, ...was.map(of));
    const budgets = most(({ restart_budgets }) => longestWindowMs(restart_budgets) / 1000);
    return [
      ...wanted.restart_budgets.flatMap(({ window_seconds }, nth) =>
        beyond(`${prefix}restart_budgets.${nth}.window_seconds`, window_seconds, budgets),
      ),
      ...beyond(
        `${prefix}circuit_breaker_window_seconds`,
        wanted.circuit_breaker_window_seconds,
        Math.max(
          recorded.spanSeconds,
          most((settings) => settings.circuit_breaker_window_seconds),
        ),
      ),
      ...beyond(
        `${prefix}poison_task.window_seconds`,
        wanted.poison_task.window_seconds,
        most((settings) => settings.poison_task.window_seconds),
      ),
      ...below(
        `${prefix}success_after_seconds`,
        wanted.success_after_seconds,
        was.map((settings) => settings.success_after_seconds),
        (least) => `has attempts looked at from ${least} s on`,
      ),
    ];
  });
}
