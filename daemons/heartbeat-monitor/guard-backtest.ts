/**
 * How often the mass guard would have held, from recorded silences. Pure.
 *
 * A silent worker is a suspect from just before its time-out until it beats again or is ended. What a hold itself does to
 * the silences is not followed: a hold is counted, its length is not.
 *
 * @module
 */
import { GUARD_CLEAR, type GuardState, guard, type MassFailurePolicy } from "../../lib/domain/mass-guard.js";

/** A worker that looked dead. */
export interface Suspicion {
  readonly worker_type: string;
  readonly from_ms: number;
  readonly to_ms: number;
}

/** One worker more or fewer is watched. */
export interface Watched {
  readonly worker_type: string;
  readonly at_ms: number;
  readonly change: 1 | -1;
}

/** The instants at which the guard would have begun to hold. */
export function holdsOf(
  suspicions: readonly Suspicion[],
  watched: readonly Watched[],
  policyAt: (atMs: number) => MassFailurePolicy,
): number[] {
  const edges = [
    ...watched.map(({ at_ms, worker_type, change }) => ({ atMs: at_ms, worker_type, change, suspicion: null })),
    ...suspicions.map((suspicion) => ({ atMs: suspicion.from_ms, worker_type: "", change: 1, suspicion })),
    ...suspicions.map((suspicion) => ({ atMs: suspicion.to_ms, worker_type: "", change: -1, suspicion })),
  ].sort((a, b) => a.atMs - b.atMs);
  const monitored = new Map<string, number>();
  const suspects = new Set<Suspicion>();
  const holds: number[] = [];
  let state: GuardState = GUARD_CLEAR;
  let nextAtMs: number | null = null;
  const step = (atMs: number): void => {
    if (state.state === "clear" && suspects.size === 0) return;
    const facts = {
      suspects: [...suspects].map(({ worker_type, from_ms }) => ({ worker_type, since_ms: from_ms })),
      monitored,
    };
    const stepped = guard(state, facts, atMs, policyAt(atMs));
    if (stepped.edge === "hold_started") holds.push(atMs);
    state = stepped.state;
    nextAtMs = stepped.nextAtMs;
  };
  for (const { atMs, worker_type, change, suspicion } of edges) {
    for (let rounds = 0; nextAtMs !== null && nextAtMs < atMs && rounds < ROUNDS_MAX; rounds++) {
      const dueMs: number = nextAtMs;
      step(dueMs);
      if (nextAtMs === dueMs) nextAtMs = null;
    }
    if (suspicion === null) monitored.set(worker_type, Math.max(0, (monitored.get(worker_type) ?? 0) + change));
    else if (change > 0) suspects.add(suspicion);
    else suspects.delete(suspicion);
    step(atMs);
  }
  return holds;
}

/** Steps between two edges: to escalate, to release, and to end. */
const ROUNDS_MAX = 8;
