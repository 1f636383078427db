/** What failure-pattern knows, as parts of plain JSON. @module */

import type { FollowedLog } from "../../lib/domain/followed-log.js";
import type { ClustersRecord } from "../../lib/domain/grouping/clusters-record.js";
import type { History } from "../../lib/domain/statistics/history.js";
import type { PairsState } from "../../lib/domain/statistics/pairs.js";
import type { EvidenceKind, PatternRecord, PatternSeverity } from "../../lib/schema/pattern.js";
import type { Follows } from "./messages.js";

/** The newest event of a log, and, after the log was cut or replaced, up to where it is read for a second time. */
export interface SeenPart {
  readonly newest_ms: number;
  readonly again_until_ms: number | null;
}

/** Deaths that were counted, by worker, the latest last: what tells of the same death again is no new failure. */
export interface LedgerPart {
  readonly deaths: readonly Death[];
}

export interface Death {
  readonly worker_id: string;
  readonly attempt: number | null;
  readonly at_ms: number;
  readonly pattern_id: string;
  /** Whether the worker is well again. */
  readonly back: boolean;
}

/** How far the folder of zombies has been looked through. */
export interface ZombiesPart {
  readonly through_ms: number;
}

/** What concerns several patterns at once. */
export interface KindsPart {
  /** The patterns of the last failures of each worker type, oldest first. */
  readonly recent: Readonly<Record<string, readonly string[]>>;
  /** For each group of texts, how many failures of it had which pattern. */
  readonly groups: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly pairs: PairsState;
  readonly failures: number;
  readonly ignored: number;
}

/** One pattern, or what may become one. */
export interface PatternPart {
  readonly pattern_id: string;
  readonly category: string;
  readonly type: string;
  readonly worker_type: string;
  readonly signature: string;
  readonly template: string;
  readonly example: string;
  readonly root_cause: string | null;
  readonly status: "candidate" | "active" | "resolved";
  /** Instants, counts and what the statistics keep. */
  readonly history: History;
  /** When it was last given something to count, by our clock. */
  readonly counted_ms: number;
  readonly evidence: EvidenceKind;
  readonly confidence: number;
  readonly purity: number;
  readonly severity: PatternSeverity;
  readonly workers: readonly string[];
  readonly tasks: readonly string[];
  readonly examples: readonly string[];
  /** Workers that failed and are not well again, with the instant. */
  readonly open: Readonly<Record<string, number>>;
  /** Patterns that this one follows. */
  readonly follows: readonly Follows[];
  /** Whether a forecast is told of now. */
  readonly is_forecast: boolean;
  readonly share: { readonly occurrences: number; readonly of: number };
  /** When it became active this time. */
  readonly active_since_ms: number | null;
  /** What was published last, and when by the monotonic clock; null when something is not published yet. */
  readonly published_mono_ms: number | null;
  readonly is_dirty: boolean;
}

export interface Slice {
  readonly log?: FollowedLog | null;
  readonly seen?: SeenPart | null;
  readonly zombies?: ZombiesPart | null;
  readonly ledger?: LedgerPart | null;
  readonly grouping?: ClustersRecord | null;
  readonly kinds?: KindsPart | null;
  readonly pattern?: PatternPart | null;
}

export const patternKey = (patternId: string): string => `pattern:${patternId}`;

export type { PatternRecord };
