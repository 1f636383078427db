/**
 * When a recorded silence would have been seen, warned about and ended under another policy. Pure.
 *
 * Each silence is asked about by itself, with the monitor's own arithmetic (`thresholdsOf`, `verdictOf`, `decide`): what is
 * searched for is the shortest silence at which the answer is yes.
 *
 * @module
 */
import { decayedScore, missedIntervals } from "../../lib/domain/health-score.js";
import { type OwnThresholds, startupThresholds, type Thresholds, thresholdsOf } from "../../lib/domain/thresholds.js";
import { type ProcessLook, verdictOf } from "../../lib/domain/verdict.js";
import type { Stamped } from "../../lib/runtime/core.js";
import type { DecisionRecord } from "../../lib/schema/events.js";
import { settingsFor } from "../../lib/schema/policy.js";
import { decide } from "./decide.js";
import type { Event, Slice } from "./facts.js";
import { heardIn } from "./own-words.js";
import type { HeartbeatPolicy } from "./policy.js";
import { stretched, Turn } from "./turn.js";

/** A silence that ended with a beat. */
export interface ClosedSilence {
  readonly worker_id: string;
  readonly worker_type: string;
  /** When the beat came, wall milliseconds. */
  readonly at_ms: number;
  readonly silent_ms: number;
  /** What the looks found; null where the worker was never looked at, or found idle before it was said. */
  readonly verdict: string | null;
  readonly reported: number | null;
  /** It was the silence before the first beat. */
  readonly first: boolean;
  /** How unwell the monitor was when it was over: its thresholds were stretched. */
  readonly local_health: number;
  readonly own: OwnThresholds;
}

/** Reads the event that tells of it; null for one of another kind, as that a pause is over. */
export function closedSilenceIn(event: Readonly<Record<string, unknown>>): ClosedSilence | null {
  const { worker_id, worker_type, at_ms } = event;
  const data = (event.data ?? {}) as Readonly<Record<string, unknown>>;
  const { silent_seconds, verdict, reported, first, local_health, own } = data;
  if (typeof worker_id !== "string" || typeof at_ms !== "number" || typeof silent_seconds !== "number") return null;
  if (silent_seconds <= 0) return null;
  return {
    worker_id,
    worker_type: typeof worker_type === "string" ? worker_type : "",
    at_ms,
    silent_ms: silent_seconds * 1000,
    verdict: typeof verdict === "string" ? verdict : null,
    reported: typeof reported === "number" ? reported : null,
    first: first === true,
    local_health: typeof local_health === "number" ? local_health : 0,
    own: heardIn(own),
  };
}

type Limited = Pick<ClosedSilence, "worker_type" | "first" | "own" | "local_health">;
type Facts = Limited & Pick<ClosedSilence, "verdict" | "reported">;

export function limitsFor(policy: HeartbeatPolicy, facts: Limited): Thresholds {
  const thresholds = thresholdsOf(settingsFor(policy, facts.worker_type), facts.own);
  return stretched(facts.first ? startupThresholds(thresholds) : thresholds, facts.local_health);
}

/** Verdicts under which no silence ends a worker. */
const NEVER: ReadonlySet<string> = new Set(["paused", "debugged", "stuck_io", "none"]);

/** The silence at which a worker of this kind would be ended, in milliseconds; null if none is long enough. */
export function endOfSilence(policy: HeartbeatPolicy, facts: Facts): number | null {
  if (facts.verdict !== null && NEVER.has(facts.verdict)) return null;
  const thresholds = limitsFor(policy, facts);
  const settings = settingsFor(policy, facts.worker_type);
  const isDue = (silentMs: number): boolean => {
    const missed = missedIntervals(silentMs, thresholds.intervalMs);
    const { score } = decayedScore(facts.reported, missed, settings.health_score_decay_rate);
    return verdictOf({
      ...EVIDENCE,
      looks: facts.verdict === "blocked" ? WORKING : IDLE,
      logMoved: facts.verdict === "busy",
      silentMs,
      scoreBelowMinimum: !facts.first && score < settings.min_health_score,
      thresholds,
    }).zombieDue;
  };
  const likely = Math.ceil((LIKELY[facts.verdict ?? "hung"] ?? LIKELY.hung)?.(thresholds) ?? 0);
  if (isDue(likely) && !isDue(likely - 1)) return likely;
  return shortest(thresholds.busyMs + thresholds.blockedMs, isDue);
}

const EVIDENCE = {
  exitRecord: false,
  processKnown: true,
  sameHost: true,
  samePidNamespace: true,
  sameBoot: true,
  progressMoved: false,
} as const;
const LOOK: ProcessLook = {
  atMs: 0,
  presence: "present",
  state: "S",
  traced: false,
  frozen: false,
  cpuMs: 0,
  childrenCpuMs: 0,
  ioBytes: null,
};
const IDLE: readonly ProcessLook[] = [LOOK, { ...LOOK, atMs: 1000 }];
const WORKING: readonly ProcessLook[] = [LOOK, { ...LOOK, atMs: 1000, cpuMs: 1000 }];

/** Reasons for an ending that follow from silence. */
const OF_SILENCE: ReadonlySet<string> = new Set(["hung", "lost", "blocked", "busy"]);

/**
 * For a recorded ending of a silent worker: the silence at which another policy would have decided the same, on the
 * evidence of the record; null if it never would.
 *
 * @returns `undefined` where the decision is none about a silence.
 */
export function endOfRecordedSilence(
  record: DecisionRecord,
  policy: HeartbeatPolicy,
): { readonly silentMs: number; readonly endsMs: number | null } | undefined {
  const slice = record.slice as unknown as Slice;
  const event = record.event as unknown as Stamped<Event>;
  if (record.verdict !== "zombie" || !OF_SILENCE.has(record.reason) || slice.worker === null) return undefined;
  const { monoMs } = event.stamp;
  const silentMs = monoMs - slice.worker.silent_from_mono_ms;
  const worker = { ...slice.worker, held_by: null };
  const at = (ms: number): Slice => ({ ...slice, worker: { ...worker, silent_from_mono_ms: monoMs - ms } });
  const limits = new Turn(at(silentMs), event, policy).thresholds();
  const isDue = (ms: number): boolean => decide(at(ms), event, policy).decision?.reason === record.reason;
  // Nearly always it is one of the limits to the millisecond; what a low score brings forward is searched for.
  const likely = Math.ceil(LIKELY[record.reason]?.(limits) ?? 0);
  if (likely > 0 && isDue(likely) && !isDue(likely - 1)) return { silentMs, endsMs: likely };
  return { silentMs, endsMs: shortest(limits.busyMs + limits.blockedMs, isDue) };
}

const LIKELY: Readonly<Record<string, (limits: Thresholds) => number>> = {
  hung: ({ zombieMs }) => zombieMs,
  lost: ({ zombieMs }) => zombieMs,
  blocked: ({ blockedMs }) => blockedMs,
  busy: ({ busyMs }) => busyMs,
};

/** The smallest whole number of milliseconds from 1 to `max` for which the test holds; it holds for all above it. Null for none. */
function shortest(max: number, holds: (ms: number) => boolean): number | null {
  let high = Math.ceil(max);
  if (!holds(high)) return null;
  let low = 0;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}
