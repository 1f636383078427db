/** The figures of `metrics/worker-restart-metrics.json`. Totals are part of the state, so that they survive a restart. @module */
import { within } from "../../lib/domain/limits.js";
import type { Mailbox } from "../../lib/store/mailbox.js";
import type { Context } from "./queue-source.js";
import { FLEET_NEW, type FleetPart, type TypePart, type WorkerPart } from "./state.js";

const MINUTE_MS = 60_000;

export function figuresOf(context: Context, mailbox: Mailbox): Record<string, unknown> {
  const fleet = context.part<FleetPart>("fleet") ?? FLEET_NEW;
  const judged = fleet.succeeded + fleet.failed;
  const workers = [...context.partsWith<WorkerPart>("worker:").values()];
  const open = [...context.partsWith<TypePart>("type:").values()].filter(
    (part) => part.breaker.state !== "closed",
  ).length;
  const times = [...fleet.recoveries_ms].sort((a, b) => a - b);
  return {
    restarts_attempted: fleet.attempted,
    restarts_succeeded: fleet.succeeded,
    restarts_failed: fleet.failed,
    success_rate: judged === 0 ? null : Math.round((fleet.succeeded / judged) * 1000) / 1000,
    restarts_left_this_minute: leftThisMinute(fleet, context.policy().settings.rate_limits.global_per_minute),
    queue_depth: mailbox.list().length,
    requests_waiting: workers.filter((part) => part.waiting !== null).length,
    on_probation: workers.filter((part) => part.run !== null && part.run.succeeded_at_ms === null).length,
    breakers_open: open,
    recovery_ms: { p50: at(times, 0.5), p99: at(times, 0.99) },
  };
}

/** Null: no limit. */
function leftThisMinute({ starts }: FleetPart, perMinute: number | null): number | null {
  return perMinute === null ? null : Math.max(0, perMinute - within(starts, Date.now(), MINUTE_MS).length);
}

function at(sorted: readonly number[], share: number): number | null {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? null;
}
