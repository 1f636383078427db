/** The `heartbeat` block of a spec: what the monitor says there of a worker, and how fresh it is kept. @module */
import { decayedScore, missedIntervals } from "../../lib/domain/health-score.js";
import { thresholdsOf } from "../../lib/domain/thresholds.js";
import { settingsFor } from "../../lib/schema/policy.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import type { WorkerPart } from "./facts.js";
import { monitoredCount } from "./fleet.js";
import type { HeartbeatPolicy } from "./policy.js";
import type { Turn } from "./turn.js";

const BLOCK_EVERY_MS = 10_000;
/** Replacing a spec is what beats cost most: a fleet of any size shares about so many refreshes a second. */
const REFRESHES_PER_SECOND = 1;
/**
 * However large the fleet, whoever compares `last_seen` with the zombie threshold must not see a dead worker. So a refresh is
 * due so many intervals before: one until the next beat, one in case that does not come, and a quarter until it is noticed.
 */
const INTERVALS_BEFORE = 2.25;

/** Whether the block is as old as it may become while nothing changes but the time. */
export function isBlockDue(turn: Turn): boolean {
  const { block_written_mono_ms: written } = turn.worker as WorkerPart;
  return written === null || turn.now - written >= blockEveryMs(turn);
}

function blockEveryMs(turn: Turn): number {
  const { intervalMs, zombieMs } = turn.thresholds();
  const shareMs = (monitoredCount(turn.fleet) * 1000) / REFRESHES_PER_SECOND;
  return Math.max(intervalMs, BLOCK_EVERY_MS, Math.min(shareMs, zombieMs - INTERVALS_BEFORE * intervalMs));
}

/** Writes the blocks of the spec that are the monitor's. */
export function writeBlock(turn: Turn, patch: Readonly<Record<string, unknown>>): void {
  const heartbeat = blockOf(turn, turn.silentMs());
  turn.set({
    block_written_mono_ms: turn.now,
    block_key: blockKey(heartbeat.last_seen, heartbeat.sequence, heartbeat.health_score),
  });
  const worker = turn.worker as WorkerPart;
  turn.do({
    kind: "write_block",
    worker_id: worker.worker_id,
    attempt: worker.spec.attempt,
    patch: { ...patch, heartbeat },
  });
}

/** The block after so much silence. */
export function blockOf(turn: Turn, silentMs: number) {
  const worker = turn.worker as WorkerPart;
  const { score, missed } = healthOf(worker, turn.policy, silentMs);
  return {
    mode: worker.mode,
    last_seen: worker.last_beat === null ? null : writeInstant(worker.last_beat.arrived_at_ms),
    sequence: worker.last_beat?.sequence ?? null,
    health_score: worker.last_beat === null && worker.mode === "required" ? 0 : score,
    status: worker.state,
    missed_count: missed,
  };
}

/** The score that is left of what a worker reported last, after so much silence; silence costs nothing where no beat is awaited. */
export function healthOf(
  { mode, last_beat, spec }: WorkerPart,
  policy: HeartbeatPolicy,
  silentMs: number,
): { readonly score: number; readonly missed: number } {
  const settings = settingsFor(policy, spec.worker_type);
  const { intervalMs } = thresholdsOf(settings, spec.own);
  const missed = mode === "required" ? missedIntervals(silentMs, intervalMs) : 0;
  return decayedScore(last_beat?.reported ?? null, missed, settings.health_score_decay_rate);
}

/** What tells one in-spec beat from another, and ours from an older worker's own. */
export function blockKey(lastSeen: unknown, sequence: unknown, score: unknown): string {
  return `${String(lastSeen)}|${String(sequence)}|${String(score)}`;
}
