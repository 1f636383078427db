/** The gaps between beats, counted by the hour: how near they come to the limits of two policies. @module */
import type { Thresholds } from "../../lib/domain/thresholds.js";
import { readInstant } from "../../lib/schema/primitives.js";
import { linesOfLog } from "../../lib/store/decisions.js";
import type { Layout } from "../../lib/store/layout.js";
import { readLine } from "../records.js";

/** A count under the policy that was in force, and under the other. */
export interface Both {
  live: number;
  other: number;
}

export interface BothLimits {
  readonly live: Thresholds;
  readonly other: Thresholds;
}

export interface HourOfWorker {
  readonly worker_id: string;
  readonly worker_type: string;
  /** When the hour began. */
  readonly at_ms: number;
}

/** Gaps fall into buckets that differ by 19 %; each counts as the shortest of its bucket. */
export interface Gaps {
  counted: number;
  longest_ms: number;
  readonly timed_out: Both;
  readonly ended: Both;
}

const HOUR_MS = 3_600_000;

export function gapsOf(layout: Layout, sinceMs: number, limitsOf: (hour: HourOfWorker) => BothLimits): Gaps {
  const gaps: Gaps = { counted: 0, longest_ms: 0, timed_out: both(), ended: both() };
  for (const line of linesOfLog(layout, layout.samples, sinceMs)) {
    if (!line.includes('"gaps"')) continue;
    const record = readLine(line, "samples")?.record;
    const hourMs = readInstant(record?.hour) ?? 0;
    if (record?.kind !== "gaps" || hourMs + HOUR_MS < sinceMs || !Array.isArray(record.buckets)) continue;
    const worker_type = String(record.worker_type ?? "");
    const { live, other } = limitsOf({ worker_id: String(record.worker_id), worker_type, at_ms: hourMs });
    for (const [fromMs, number] of record.buckets as [number, number][]) {
      gaps.counted += number;
      gaps.longest_ms = Math.max(gaps.longest_ms, fromMs);
      count(gaps.timed_out, fromMs >= live.timeoutMs, fromMs >= other.timeoutMs, number);
      count(gaps.ended, fromMs >= live.zombieMs, fromMs >= other.zombieMs, number);
    }
  }
  return gaps;
}

export const both = (): Both => ({ live: 0, other: 0 });

export function count(counts: Both, live: boolean, other: boolean, number = 1): void {
  if (live) counts.live += number;
  if (other) counts.other += number;
}
