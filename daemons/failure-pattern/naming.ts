/** Gives a failure its category and type, and the signature by which failures are one pattern. Pure. @module */
import { shortHash } from "../../lib/domain/hash.js";
import type { EvidenceKind } from "../../lib/schema/pattern.js";
import type { Failure, Sighting } from "./messages.js";

/** What a dead attempt left, as far as it could be read. */
export interface LastWords {
  readonly reason: string | null;
  readonly evidence: string | null;
  readonly exit_code: number | null;
  readonly signal: string | null;
  readonly signal_inferred: boolean;
  readonly killed_by: string | null;
  readonly log_tail: string;
}

/** A group of texts that say the same, as `lib/domain/grouping` will keep it. */
export interface Grouping {
  readonly templates: readonly string[];
}

interface Named {
  readonly category: string;
  readonly type: string;
  readonly evidence: EvidenceKind;
  readonly confidence: number;
}

const SILENT = new Set(["hung", "blocked", "lost", "stuck", "busy", "paused", "unhealthy", "gone"]);

/** Names one failure. */
export function nameFailure(sighting: Sighting, words: LastWords | null): Failure {
  const named = nameOf(sighting, words);
  const { event_id, event_type, at_ms, worker_id, worker_type, task_id, attempt, weight } = sighting;
  const givenUp = sighting.kind === "given_up";
  const message = sighting.message;
  return {
    ...{ event_id, event_type, given_up: givenUp, at_ms, worker_id, worker_type, task_id, attempt, weight },
    ...named,
    message,
    signature: named.type,
  };
}

function nameOf(sighting: Sighting, words: LastWords | null): Named {
  if (sighting.event_type === "worker_restart_exhausted")
    return { category: "systemic", type: "max_retries_exceeded", evidence: "exit", confidence: 0.9 };
  if (sighting.event_type === "task_quarantined")
    return { category: "systemic", type: "recurring_failure", evidence: "exit", confidence: 0.9 };
  const reason = words?.reason ?? sighting.reason ?? "lost";
  if (reason === "memory_limit")
    return { category: "resource", type: "out_of_memory", evidence: "kernel", confidence: 0.99 };
  if (SILENT.has(reason)) return { category: "resource", type: "unresponsive", evidence: "exit", confidence: 0.9 };
  return { category: "unknown", type: "unclassified", evidence: "text", confidence: 0.6 };
}

/** The id of a pattern: the same failure of the same worker type is the same pattern on every host and after every loss of state. */
export function patternIdOf(failure: Pick<Failure, "category" | "type" | "worker_type">, signature: string): string {
  return `pattern-${shortHash(`${failure.category}:${failure.type}|${failure.worker_type}|${signature}`)}`;
}
