/**
 * Restart budgets and spent retries: may one more automatic restart be afforded?
 *
 * A budget that is used up is a state with a next look, never an end; telling a person once is the caller's part.
 * @module
 */
import { slidingAllow, within } from "./limits.js";

export interface RestartBudget {
  readonly max: number;
  readonly window_seconds: number;
}

/** A gate's answer, in the terms of a decision record. */
export interface GateAnswer {
  readonly passed: boolean;
  readonly value: number;
  readonly threshold: number;
  /** When it passes by itself; now if it has; `null` if only a change of policy helps. */
  readonly passesAtMs: number | null;
}

/**
 * Checks one worker's automatic starts against all its budgets.
 *
 * Value and threshold are those of the budget that blocks for longest; if all pass, of the one nearest to its end.
 *
 * @param startLog Instants of automatic starts, any order.
 * @param budgets Empty means unlimited.
 */
export function budgetGate(startLog: readonly number[], nowMs: number, budgets: readonly RestartBudget[]): GateAnswer {
  const answers = budgets.map((budget) => answerOf(startLog, nowMs, budget));
  const blocking = answers.filter((answer) => !answer.passed);
  if (blocking.length > 0) return blocking.reduce((worst, next) => (passesLater(next, worst) ? next : worst));
  if (answers.length === 0) {
    return { passed: true, value: startLog.length, threshold: Number.MAX_SAFE_INTEGER, passesAtMs: nowMs };
  }
  const left = (answer: GateAnswer): number => answer.threshold - answer.value;
  return answers.reduce((nearest, next) => (left(next) < left(nearest) ? next : nearest));
}

/** How much of a log must be kept: the longest window. */
export function longestWindowMs(budgets: readonly RestartBudget[]): number {
  return Math.max(0, ...budgets.map((budget) => budget.window_seconds * 1000));
}

export interface RetriesPolicy {
  readonly max_retries: number;
  /** Seconds from exhaustion to the first probe; doubles with each that fails. */
  readonly exhausted_probe_seconds: number;
  readonly exhausted_probe_max_seconds: number;
}

export interface RetriesFacts {
  /** Automatic restarts since the last stable run. */
  readonly attempts: number;
  /** When the retries were spent, or the latest probe failed; `null` if this is found out only now. */
  readonly exhaustedAtMs: number | null;
  /** Probes made since the retries were spent. */
  readonly probes: number;
}

/**
 * Checks whether retries are left. When they are spent, one probe passes at a time, after a wait that doubles up to a
 * cap: giving up is a state, and a cause that has gone away is noticed without a person.
 */
export function retriesGate(facts: RetriesFacts, nowMs: number, policy: RetriesPolicy): GateAnswer {
  const answer = { value: facts.attempts, threshold: policy.max_retries };
  if (facts.attempts < policy.max_retries) return { ...answer, passed: true, passesAtMs: nowMs };
  const probeAtMs = (facts.exhaustedAtMs ?? nowMs) + exhaustedProbeDelayMs(facts.probes, policy);
  return { ...answer, passed: nowMs >= probeAtMs, passesAtMs: Math.max(nowMs, probeAtMs) };
}

/** The wait before the next probe of an exhausted worker, after `probes` earlier ones. */
export function exhaustedProbeDelayMs(probes: number, policy: RetriesPolicy): number {
  const seconds = policy.exhausted_probe_seconds * 2 ** Math.max(0, probes);
  return 1000 * Math.min(seconds, Math.max(policy.exhausted_probe_max_seconds, policy.exhausted_probe_seconds));
}

function answerOf(startLog: readonly number[], nowMs: number, budget: RestartBudget): GateAnswer {
  const windowMs = budget.window_seconds * 1000;
  const { allowed, passesAtMs } = slidingAllow(startLog, nowMs, { max: budget.max, windowMs });
  const value = within(startLog, nowMs, windowMs).length;
  return { passed: allowed, value, threshold: budget.max, passesAtMs };
}

function passesLater(left: GateAnswer, right: GateAnswer): boolean {
  if (right.passesAtMs === null) return false;
  return left.passesAtMs === null || left.passesAtMs > right.passesAtMs;
}
