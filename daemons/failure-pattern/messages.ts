/** What reaches failure-pattern's core and what it asks for, as plain values. @module */
import type { LinesRead, ReadOn } from "../../lib/domain/followed-log.js";
import type { ReportEffect } from "../../lib/runtime/reporting.js";
import type { EvidenceKind, PatternRecord } from "../../lib/schema/pattern.js";
import type { Sighting } from "./sightings.js";

/** A failure that was read, with all that is left of it, and named. */
export interface Failure {
  readonly event_id: string;
  readonly event_type: string;
  /** Not a death, but that heald gave up on a worker or a task. */
  readonly given_up: boolean;
  readonly at_ms: number;
  readonly worker_id: string;
  readonly worker_type: string;
  readonly task_id: string | null;
  readonly attempt: number | null;
  readonly category: string;
  readonly type: string;
  readonly evidence: EvidenceKind;
  /** How sure the classification is. */
  readonly confidence: number;
  /** The rule's own sentence; null where no rule fits. */
  readonly root_cause: string | null;
  /** What stands in the pattern's example. */
  readonly message: string;
  /** What makes it the same as others; null where its line is to be clustered. */
  readonly signature: string | null;
  /** The signature for people. */
  readonly template: string;
  readonly line: string | null;
  readonly weight: number;
}

/** A failure of one pattern, without what the pattern knows. */
export interface Occurrence {
  readonly event_id: string;
  readonly at_ms: number;
  readonly worker_id: string;
  readonly task_id: string | null;
  readonly evidence: EvidenceKind;
  readonly confidence: number;
  readonly weight: number;
}

/** What makes a pattern that pattern. */
export interface PatternName {
  readonly pattern_id: string;
  readonly category: string;
  readonly type: string;
  readonly worker_type: string;
  readonly signature: string;
}

/** A pattern that failures of this one follow. */
export interface Follows {
  readonly pattern: string;
  readonly occurrences: number;
  readonly expected: number;
  readonly p_value: number;
  readonly lag_seconds: number;
}

/** What happened to one pattern. */
export interface Count extends PatternName {
  readonly kind: "count";
  readonly occurrences: readonly Occurrence[];
  readonly template: string;
  readonly example: string;
  readonly root_cause: string | null;
  /** Share of the group's failures that are of this type. */
  readonly purity: number;
  /** Of the last failures of this worker type, how many were of this pattern. */
  readonly recent: { readonly occurrences: number; readonly of: number };
  readonly follows: readonly Follows[];
}

/** Workers of a pattern that are well again. */
export interface Recover {
  readonly kind: "recover";
  readonly pattern_id: string;
  readonly workers: readonly string[];
}

export type Event =
  | LinesRead<Sighting>
  | { readonly kind: "zombies-found"; readonly sightings: readonly Sighting[]; readonly through_ms: number }
  | { readonly kind: "gathered"; readonly failures: readonly Failure[]; readonly back: readonly Sighting[] }
  | (Omit<Count, "kind"> & { readonly kind: "counted" })
  | (Omit<Recover, "kind"> & { readonly kind: "recovered" })
  | { readonly kind: "pattern-due"; readonly pattern_id: string }
  | { readonly kind: "policy-changed"; readonly pattern_id: string }
  | { readonly kind: "lag-known"; readonly pattern_id: string; readonly caught_up: boolean }
  | { readonly kind: "forget"; readonly pattern_id: string };

export type Effect =
  | ReportEffect
  | ReadOn
  /** Reads the last words of those that ended, and names each failure. Answered by `gathered`. */
  | { readonly kind: "gather"; readonly sightings: readonly Sighting[] }
  /** Hands a pattern what happened to it; answered by the same as an event, so that each pattern has its own part. */
  | Count
  | Recover
  | { readonly kind: "publish"; readonly record: PatternRecord }
  /** Asks whether everything written so far has been read: quiet is only quiet then. */
  | { readonly kind: "ask-lag"; readonly pattern_id: string };

export type { Sighting } from "./sightings.js";
