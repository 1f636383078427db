/** The settings in force, as `decide` reads them; durations in seconds as in the file. @module */
import type { BackoffPolicy } from "../../lib/domain/backoff.js";
import type { BreakerPolicy } from "../../lib/domain/breaker-state.js";
import type { RestartBudget, RetriesPolicy } from "../../lib/domain/budgets.js";
import type { PoisonPolicy } from "../../lib/domain/poison.js";

export interface RestartSettings extends BackoffPolicy, BreakerPolicy, RetriesPolicy {
  readonly enabled: boolean;
  readonly fast_exit_seconds: number;
  readonly retry_reset_seconds: number;
  readonly restart_budgets: readonly RestartBudget[];
  readonly max_concurrent_restarts: number;
  readonly standby_launchers: number;
  readonly rate_limits: {
    /** Null: no limit. */
    readonly global_per_minute: number | null;
    readonly per_type_per_minute: number | null;
    readonly per_task_min_interval_seconds: number;
  };
  readonly no_restart_on: readonly number[];
  readonly poison_task: PoisonPolicy;
  readonly check_token_budget: boolean;
  readonly check_deadline: boolean;
  readonly deadline_buffer_seconds: number;
  readonly hook_timeout_seconds: number;
}
