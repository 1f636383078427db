/** Policies of the examples: seconds where production has minutes. What is not named here is as shipped. @module */

/** Of one example more or other values; blocks are merged by their names, one level deep. */
export type Policies = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const SHORT: Policies = {
  "heartbeat-policy": {
    heartbeat_interval_seconds: 1,
    heartbeat_timeout_seconds: 5,
    zombie_threshold_seconds: 10,
    verify_delay_seconds: 0.5,
    startup_grace_seconds: 15,
  },
  "worker-restart-policy": {
    first_retry_delay_seconds: 0.5,
    retry_interval_seconds: 0.5,
    backoff_multiplier: 1,
    fast_exit_seconds: 0,
    jitter: "none",
    success_after_seconds: 2,
    retry_reset_seconds: 4,
    rate_limits: { per_task_min_interval_seconds: 0 },
  },
  "auto-fix-policy": {
    enabled: true,
    dry_run: false,
    cooldown_seconds: 0,
    verification: { window_seconds: 20, check_interval_seconds: 0.5 },
    limits: { per_fix: { min_seconds_between: 0 } },
  },
};

export function shortPolicies(more: Policies = {}): Policies {
  const names = new Set([...Object.keys(SHORT), ...Object.keys(more)]);
  return Object.fromEntries([...names].map((name) => [name, { ...SHORT[name], ...more[name] }]));
}

/** For workers that are to fail until a fix helps: neither their breaker nor their task stops them, and they wait soon. */
export const UNTIL_FIXED: Policies[string] = {
  max_retries: 2,
  circuit_breaker_enabled: false,
  poison_task: { deaths: 50 },
};
