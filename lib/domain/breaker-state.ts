/**
 * The state of a worker type's circuit breaker, and what it is told.
 * @module
 */

export interface BreakerPolicy {
  readonly circuit_breaker_enabled: boolean;
  /** Failures in a row that open it. */
  readonly circuit_breaker_threshold: number;
  /** Failures further apart than this are no row. */
  readonly circuit_breaker_window_seconds: number;
  /** How long it stays open the first time. */
  readonly circuit_breaker_reset_seconds: number;
  /** Open time doubles with each re-opening, up to this. */
  readonly circuit_breaker_max_open_seconds: number;
  /** Probes that may be under way in half-open. */
  readonly circuit_breaker_half_open_requests: number;
  /** A start needs this long to be called a success; a lease lasts twice that and half a minute more. */
  readonly success_after_seconds: number;
}

export interface Attempt {
  readonly worker_id: string;
  readonly attempt: number;
}

/** What became of a restart. `relapsed`: a success is taken back, and the death that did so counts as a failure. */
export interface Outcome extends Partial<Attempt> {
  readonly result: "success" | "failure" | "relapsed";
  /** Wall milliseconds. Lines written from a shell carry whole seconds. */
  readonly atMs: number;
}

export interface Lease extends Attempt {
  readonly until_ms: number;
}

/** The state of one breaker; plain JSON. Times are wall milliseconds; the caller writes them as text. */
export interface BreakerState {
  readonly state: "closed" | "open" | "half-open";
  /** Closed: the present row of failures. Else: that row when it opened, and the failures since. */
  readonly failure_count: number;
  readonly last_failure_ms: number | null;
  readonly opened_at_ms: number | null;
  /** When it turns half-open; in half-open, when it did. */
  readonly next_probe_at_ms: number | null;
  /** How long it stays open this time, or stayed the last time. */
  readonly open_for_ms: number;
  readonly last_reset_ms: number | null;
  readonly manual_reset: boolean;
  /** Probes under way. Their number is the record's `test_requests`. */
  readonly leases: readonly Lease[];
  readonly reason: BreakerReason;
  /** Outcomes that still matter for the row, oldest first, bounded. */
  readonly outcomes: readonly (Partial<Attempt> & {
    readonly result: "success" | "failure";
    readonly at_ms: number;
  })[];
  /** The attempt whose success closed it: should that relapse, it re-opens as if the probe had failed. */
  readonly closed_by: Partial<Attempt> | null;
}

export type BreakerReason =
  | "none"
  | "failures"
  | "probe_failed"
  | "lease_expired"
  | "relapsed"
  | "probe_due"
  | "by_hand";

export const BREAKER_CLOSED: BreakerState = {
  state: "closed",
  failure_count: 0,
  last_failure_ms: null,
  opened_at_ms: null,
  next_probe_at_ms: null,
  open_for_ms: 0,
  last_reset_ms: null,
  manual_reset: false,
  leases: [],
  reason: "none",
  outcomes: [],
  closed_by: null,
};
