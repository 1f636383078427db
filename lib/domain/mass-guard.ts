/**
 * The mass guard: when a large part of the fleet looks dead at once, nobody is killed until it is understood.
 *
 * It gates kills of the silent only; the certainly dead are restarted under rate limits. It holds until the suspects
 * are few again for a while, then lets single workers through before all. It never gives up holding by
 * itself: after `hold_seconds` it asks for a person, once.
 * @module
 */
import {
  areFew,
  type Bound,
  boundReached,
  covers,
  type GuardFacts,
  type MassFailurePolicy,
  union,
} from "./mass-bounds.js";

export type { GuardFacts, MassFailurePolicy } from "./mass-bounds.js";

/** A worker sent ahead of the others after a hold. */
export interface Canary {
  readonly worker_id: string;
  readonly worker_type: string;
  readonly at_ms: number;
}

/** The guard's memory; plain JSON. */
export interface GuardState {
  readonly state: "clear" | "holding" | "releasing";
  /** `clear` if there is nothing to say; else which bound was reached, or how the hold ended. */
  readonly reason: GuardReason;
  /** The types held; `null` means every type. Empty while clear. */
  readonly types: readonly string[] | null;
  readonly since_ms: number;
  /** Since when the suspects have been few enough to end the hold. */
  readonly few_since_ms: number | null;
  /** A person has been asked. */
  readonly escalated: boolean;
  /** How many canaries each type may have out; doubles with each round that went well. */
  readonly rounds: readonly { readonly worker_type: string; readonly size: number }[];
  readonly canaries: readonly Canary[];
  /** How often since the hold began it came back for a lost canary; missing where it never did. */
  readonly lost?: number;
}

/** Each lost canary doubles the wait for the next release, up to this often: 120 s become an hour at most. */
const DOUBLINGS_MAX = 5;

export type GuardReason = Bound["reason"] | "clear" | "suspects_few" | "canary_lost";

export interface GuardStep {
  readonly state: GuardState;
  /** What just changed, for one event: a level makes none. */
  readonly edge: "none" | "hold_started" | "hold_widened" | "release_started" | "hold_ended" | "escalated";
  /** When to look again if nothing else happens; `null` while clear. */
  readonly nextAtMs: number | null;
}

export const GUARD_CLEAR: GuardState = {
  state: "clear",
  reason: "clear",
  types: [],
  since_ms: 0,
  few_since_ms: null,
  escalated: false,
  rounds: [],
  canaries: [],
};

/** Tells whether a type's silent workers must be left alone for now. While releasing, only canaries may go. */
export function isHeld(state: GuardState, workerType: string): boolean {
  return state.state !== "clear" && covers(state.types, workerType);
}

/** Moves the guard to the present. Same state, facts and time, same step. */
export function guard(state: GuardState, facts: GuardFacts, nowMs: number, policy: MassFailurePolicy): GuardStep {
  if (!policy.enabled) return ended(state, nowMs, "clear");
  switch (state.state) {
    case "clear":
      return fromClear(state, facts, nowMs, policy);
    case "holding":
      return fromHolding(state, facts, nowMs, policy);
    case "releasing":
      return fromReleasing(state, facts, nowMs, policy);
  }
}

/** Puts a guard back to holding because a worker sent ahead did not make it. */
function holdAgain(state: GuardState, nowMs: number): GuardState {
  return { ...state, ...HOLD, reason: "canary_lost", since_ms: nowMs, lost: (state.lost ?? 0) + 1 };
}

const HOLD = { state: "holding", few_since_ms: null, escalated: false, rounds: [], canaries: [] } as const;

function fromClear(state: GuardState, facts: GuardFacts, nowMs: number, policy: MassFailurePolicy): GuardStep {
  const bound = boundReached(facts, nowMs - policy.window_seconds * 1000, policy);
  if (bound === null) return { state, edge: "none", nextAtMs: null };
  const holding: GuardState = { ...state, ...HOLD, ...bound, since_ms: nowMs };
  return { state: holding, edge: "hold_started", nextAtMs: nowMs + policy.hold_seconds * 1000 };
}

function fromHolding(state: GuardState, facts: GuardFacts, nowMs: number, policy: MassFailurePolicy): GuardStep {
  const clearMs = policy.clear_seconds * 1000 * 2 ** Math.min(state.lost ?? 0, DOUBLINGS_MAX);
  const bound = boundReached(facts, nowMs - policy.window_seconds * 1000, policy);
  const types = bound === null ? state.types : union(state.types, bound.types);
  const widened = types === null ? state.types !== null : types.length > (state.types?.length ?? types.length);
  const few = areFew(facts, types, policy);
  const few_since_ms = few ? (state.few_since_ms ?? nowMs) : null;
  const holding: GuardState = { ...state, types, few_since_ms, reason: widened && bound ? bound.reason : state.reason };
  if (few_since_ms !== null && nowMs - few_since_ms >= clearMs) {
    return { state: released(holding, nowMs), edge: "release_started", nextAtMs: nowMs };
  }
  const escalateAtMs = state.since_ms + policy.hold_seconds * 1000;
  const clearAtMs = few_since_ms === null ? null : few_since_ms + clearMs;
  if (!state.escalated && nowMs >= escalateAtMs) {
    return { state: { ...holding, escalated: true }, edge: "escalated", nextAtMs: clearAtMs };
  }
  const nextAtMs = earliest(state.escalated ? null : escalateAtMs, clearAtMs);
  return { state: holding, edge: widened ? "hold_widened" : "none", nextAtMs };
}

function fromReleasing(state: GuardState, facts: GuardFacts, nowMs: number, policy: MassFailurePolicy): GuardStep {
  // Those who were suspect at the release are the canaries' business; only newcomers can bring the hold back.
  const newSinceMs = Math.max(state.since_ms + 1, nowMs - policy.window_seconds * 1000);
  const bound = boundReached(facts, newSinceMs, policy);
  if (bound !== null) {
    const holding = {
      ...state,
      ...HOLD,
      reason: bound.reason,
      types: union(state.types, bound.types),
      since_ms: nowMs,
    };
    return { state: holding, edge: "hold_started", nextAtMs: nowMs + policy.hold_seconds * 1000 };
  }
  // A canary of which nothing is heard is a lost one: else a guard could stay half open for ever.
  const overdueAtMs = earliest(...state.canaries.map((canary) => canary.at_ms + policy.hold_seconds * 1000));
  if (overdueAtMs !== null && nowMs >= overdueAtMs) {
    return { state: holdAgain(state, nowMs), edge: "hold_started", nextAtMs: nowMs + policy.hold_seconds * 1000 };
  }
  const left = facts.suspects.some((suspect) => covers(state.types, suspect.worker_type));
  if (!left && state.canaries.length === 0) return ended(state, nowMs, state.reason);
  return { state, edge: "none", nextAtMs: overdueAtMs };
}

function released(state: GuardState, nowMs: number): GuardState {
  const reason = "suspects_few";
  return { ...state, state: "releasing", reason, since_ms: nowMs, few_since_ms: null, rounds: [], canaries: [] };
}

function ended(state: GuardState, nowMs: number, reason: GuardReason): GuardStep {
  if (state.state === "clear") return { state, edge: "none", nextAtMs: null };
  return { state: { ...GUARD_CLEAR, reason, since_ms: nowMs }, edge: "hold_ended", nextAtMs: null };
}

function earliest(...instants: readonly (number | null)[]): number | null {
  const known = instants.filter((instant) => instant !== null);
  return known.length === 0 ? null : Math.min(...known);
}

/** A worker whose own verdict says that it is due, and that only the guard keeps back. */
export interface CanaryCandidate {
  readonly worker_id: string;
  readonly worker_type: string;
}

export interface CanaryChoice {
  readonly state: GuardState;
  /** Who may go now; counted as out until `canaryDone`. */
  readonly chosen: readonly CanaryCandidate[];
}

/** Rounds grow no further than this: by then the type is as good as released, and its pace is limited elsewhere. */
const ROUND_SIZE_MAX = 64;

/**
 * Chooses the next round of canaries: of each type, only when its previous round is completely in.
 *
 * @param candidates In order of preference; the longest silent first is a good one.
 */
export function nextCanaries(state: GuardState, candidates: readonly CanaryCandidate[], nowMs: number): CanaryChoice {
  if (state.state !== "releasing") return { state, chosen: [] };
  const chosen: CanaryCandidate[] = [];
  for (const type of new Set(candidates.map((candidate) => candidate.worker_type))) {
    if (!isHeld(state, type) || state.canaries.some((canary) => canary.worker_type === type)) continue;
    const ofType = candidates.filter((candidate) => candidate.worker_type === type);
    chosen.push(...ofType.slice(0, roundSize(state, type)));
  }
  if (chosen.length === 0) return { state, chosen };
  const out = chosen.map(({ worker_id, worker_type }) => ({ worker_id, worker_type, at_ms: nowMs }));
  return { state: { ...state, canaries: [...state.canaries, ...out] }, chosen };
}

/**
 * Records how a canary came out. One that is lost brings the hold back for everybody it covered; the last one of a
 * round that went well doubles the next.
 *
 * @param well The worker came back: its new attempt beats, or has stayed up long enough.
 */
export function canaryDone(state: GuardState, workerId: string, well: boolean, nowMs: number): GuardState {
  const canary = state.canaries.find((out) => out.worker_id === workerId);
  if (state.state !== "releasing" || canary === undefined) return state;
  if (!well) return holdAgain(state, nowMs);
  const canaries = state.canaries.filter((out) => out.worker_id !== workerId);
  const type = canary.worker_type;
  if (canaries.some((out) => out.worker_type === type)) return { ...state, canaries };
  const size = Math.min(ROUND_SIZE_MAX, 2 * roundSize(state, type));
  const rounds = [...state.rounds.filter((round) => round.worker_type !== type), { worker_type: type, size }];
  return { ...state, canaries, rounds };
}

function roundSize(state: GuardState, type: string): number {
  return state.rounds.find((round) => round.worker_type === type)?.size ?? 1;
}
