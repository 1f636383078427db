/**
 * Judges workers that do beat: is one stuck in its work, or reporting that it is unwell?
 *
 * The last two rows of the evidence table. Both raise an alert; whether more follows is the policy's choice, since a
 * vendor's outage makes every worker report low, and restarting them all would only lose the evidence.
 * @module
 */

export interface ConditionFacts {
  /** Time since the reported progress last changed; `null` if the worker reports none, or has finished (100). */
  readonly progressFrozenMs: number | null;
  /** `progress_timeout_seconds` in milliseconds; `null` switches the check off. */
  readonly progressTimeoutMs: number | null;
  /** Time for which the reported score has been below the minimum without a break; `null` if it is not. */
  readonly lowScoreMs: number | null;
  /** `unhealthy_grace_seconds` in milliseconds. */
  readonly unhealthyGraceMs: number;
}

export interface Condition {
  readonly condition: "stuck" | "unhealthy" | "well";
  /** When the condition changes if nothing else does, from now. */
  readonly nextLookMs?: number;
}

/** Applies the rows for workers that beat, in the table's order. */
export function conditionOf(facts: ConditionFacts): Condition {
  const stuckInMs = remaining(facts.progressFrozenMs, facts.progressTimeoutMs);
  if (stuckInMs !== null && stuckInMs <= 0) return { condition: "stuck" };
  const unhealthyInMs = remaining(facts.lowScoreMs, facts.unhealthyGraceMs);
  if (unhealthyInMs !== null && unhealthyInMs <= 0) {
    return stuckInMs === null ? { condition: "unhealthy" } : { condition: "unhealthy", nextLookMs: stuckInMs };
  }
  const waits = [stuckInMs, unhealthyInMs].filter((wait) => wait !== null);
  return waits.length === 0 ? { condition: "well" } : { condition: "well", nextLookMs: Math.min(...waits) };
}

function remaining(sinceMs: number | null, limitMs: number | null): number | null {
  return sinceMs === null || limitMs === null ? null : limitMs - sinceMs;
}
