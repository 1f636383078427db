/** Gives a failure its category and type, and the signature by which failures are one pattern. Pure. @module */
import { type Classification, classify, type RuleBook } from "../../lib/domain/classify.js";
import { fingerprint } from "../../lib/domain/grouping/fingerprint.js";
import { shortHash } from "../../lib/domain/hash.js";
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

const EXAMPLE_MAX = 400;
/** Of another system's corpse nothing more is known than that it was silent. */
const SILENT: ReadonlySet<string> = new Set(["worker_presumed_dead", "zombie_detected"]);

/** Names one failure. */
export function nameFailure(book: RuleBook, sighting: Sighting, words: LastWords | null): Failure {
  const { event_id, event_type, at_ms, worker_id, worker_type, task_id, attempt, weight } = sighting;
  const found = classify(book, factsOf(sighting, words));
  const group = groupOf(found, sighting, words);
  return {
    ...{ event_id, event_type, given_up: sighting.kind === "given_up" },
    ...{ at_ms, worker_id, worker_type, task_id, attempt, weight },
    category: found.category,
    type: found.type,
    evidence: found.evidence,
    confidence: found.confidence,
    root_cause: found.rule_id === null ? null : found.root_cause,
    message: (found.line ?? sighting.error ?? "").slice(0, EXAMPLE_MAX),
    ...group,
  };
}

/** The event's own sentence is ours, about the worker; only what the worker said is text of the failure. */
function factsOf(sighting: Sighting, words: LastWords | null): Parameters<typeof classify>[1] {
  const code = sighting.error_code === null ? "" : `${sighting.error_code} `;
  return {
    event_type: sighting.event_type,
    reason: words?.reason ?? sighting.reason ?? (SILENT.has(sighting.event_type) ? "lost" : null),
    exit_code: words?.exit_code ?? sighting.exit_code,
    signal: words?.signal ?? sighting.signal,
    killed_by: words?.killed_by ?? null,
    evidence: words?.evidence ?? sighting.evidence,
    log_tail: words?.log_tail ?? "",
    message: `${code}${sighting.error ?? ""}`,
  };
}

/**
 * What makes failures of one type and worker type the same: the task, where a task was given up; nothing more, where kernel or
 * exit status say it; else what the worker itself names, the stack, or the deciding line with its values masked.
 */
function groupOf(
  found: Classification,
  sighting: Sighting,
  words: LastWords | null,
): Pick<Failure, "signature" | "template" | "line"> {
  const plain = (signature: string): Pick<Failure, "signature" | "template" | "line"> => ({
    signature,
    template: signature,
    line: null,
  });
  if (sighting.event_type === "task_quarantined" && sighting.task_id !== null) return plain(`task ${sighting.task_id}`);
  if (sighting.fingerprint === null && (found.evidence === "kernel" || found.evidence === "exit"))
    return plain(found.type);
  const isNamed = found.rule_id !== null;
  const print = fingerprint(null, {
    explicit: sighting.fingerprint,
    text: `${sighting.error ?? ""}\n${words?.log_tail ?? ""}`,
    message: isNamed ? found.line : sighting.error,
  });
  if (print !== null) return { signature: `${print.kind} ${print.id}`, template: print.signature, line: null };
  // Of these only the core knows the like: the line is clustered there.
  return { signature: null, template: found.type, line: found.line };
}

/** The id of a pattern: the same failure of the same worker type is the same pattern on every host and after every loss of state. */
export function patternIdOf(failure: Pick<Failure, "category" | "type" | "worker_type">, signature: string): string {
  return `pattern-${shortHash(`${failure.category}:${failure.type}|${failure.worker_type}|${signature}`)}`;
}
