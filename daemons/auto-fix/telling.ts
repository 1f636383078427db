/** The events, records and history lines of a run: what it says of itself. Pure. @module */
import type { ConditionAnswer } from "../../lib/domain/metric-conditions.js";
import type { EventType } from "../../lib/schema/catalogue.js";
import { type EventContent, type EventSubject, makeEvent, type Stamp } from "../../lib/schema/events.js";
import { undoWords } from "../../lib/schema/fix-actions.js";
import type { FixHistory, PendingRecord, RunRecord } from "../../lib/schema/fix-records.js";
import { OPERATOR_SIGNS } from "../../lib/schema/healing-policies.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import type { Act } from "./messages.js";
import type { Diff, RunPart } from "./state.js";

export class Telling {
  readonly #stamp: Stamp;
  #reports = 0;

  constructor(stamp: Stamp) {
    this.#stamp = stamp;
  }

  /** An event about a scope. */
  event(type: EventType, scope: string, incident: string, content: EventContent): Act {
    return this.about(type, { worker_type: scope, incident_id: incident }, content);
  }

  /** An event about whatever it may be. */
  about(type: EventType, subject: EventSubject, content: EventContent): Act {
    return { kind: "report", record: makeEvent(this.#stamp, this.#reports++, "auto-fix", type, subject, content) };
  }

  ofRun(
    type: EventType,
    run: RunPart,
    message: string,
    reason?: string,
    more: Readonly<Record<string, unknown>> = {},
  ): Act {
    return this.event(type, run.scope, incidentOf(run.subject), {
      message,
      reason,
      data: {
        run_id: run.run_id,
        fix_id: run.fix_id,
        subject: run.subject,
        mode: run.mode,
        ...(run.pattern_id === null ? {} : { pattern_id: run.pattern_id }),
        ...more,
      },
    });
  }

  /** Calls a person: what was seen, what was tried, what is suggested, and the command to run. */
  escalation(run: RunPart, seen: string, tried: readonly string[], suggested: string, command: string): Act {
    return this.ofRun("escalation_opened", run, `${seen}: ${suggested}`, "person_needed", {
      title: `${run.plan.name}: ${run.scope}`,
      ...{ seen, tried, suggested, command },
    });
  }
}

/** One incident for each subject: what follows from it is told together. */
export const incidentOf = (subject: string): string => `fix-${subject}`.slice(0, 128);

export function runRecord(run: RunPart, nowMs: number): RunRecord {
  const instant = (ms: number | null): string | null => (ms === null ? null : writeInstant(ms));
  return {
    run_id: run.run_id,
    fix_id: run.fix_id,
    name: run.plan.name,
    subject: run.subject,
    scope: run.scope,
    phase: run.phase,
    mode: run.mode,
    message: run.message,
    why: run.why,
    verdict: run.verdict,
    diff: run.diff.map((each) => ({ ...each })),
    before: [...run.before],
    undo: undoWords(run.plan.actions),
    actions: run.plan.actions,
    step: run.step,
    workers: run.workers,
    approved_by: run.approved_by,
    conflicts: run.conflicts,
    undo_reason: run.undo_reason,
    started_at: writeInstant(run.started_ms),
    applied_at: instant(run.applied_ms),
    ends_at: instant(run.ends_ms),
    updated_at: writeInstant(nowMs),
  };
}

export const writeRun = (run: RunPart, nowMs: number): Act => ({ kind: "write-run", record: runRecord(run, nowMs) });

export function pendingRecord(run: RunPart): PendingRecord {
  return {
    run_id: run.run_id,
    fix_id: run.fix_id,
    subject: run.subject,
    scope: run.scope,
    why: run.why,
    message: run.message,
    diff: run.diff.map((each) => ({ ...each })),
    risk: run.plan.risk,
    undo: undoWords(run.plan.actions),
    command: `heald fix approve ${run.run_id}`,
    proposed_at: writeInstant(run.started_ms),
    expires_at: writeInstant(run.expires_ms ?? run.started_ms),
  };
}

export function historyRecord(
  run: RunPart,
  result: FixHistory["result"],
  stamp: Stamp,
  message: string,
  verdict: string | null = run.verdict,
): Act {
  return {
    kind: "append-history",
    record: {
      history_id: `${run.run_id}:${result}:${verdict ?? ""}`,
      run_id: run.run_id,
      fix_id: run.fix_id,
      pattern_id: run.pattern_id,
      scope: run.scope,
      subject: run.subject,
      result,
      verdict,
      mode: run.mode,
      timestamp: writeInstant(stamp.atMs),
      at_ms: Math.round(stamp.atMs),
      before: sides(run.diff, "before"),
      after: sides(run.diff, "after"),
      message: message.slice(0, 160),
    },
  };
}

function sides(diff: readonly Diff[], side: "before" | "after"): Readonly<Record<string, unknown>> {
  return Object.fromEntries(diff.map((each) => [each.what, each[side]]));
}

/** `error_rate 0.5 > 0.15`, or `memory_util 0.62, > 0.9 in 20 min`. */
export function answerWords(answers: readonly ConditionAnswer[]): string {
  const words = answers.map(({ metric, value, operator, threshold, meets_in_seconds: ahead }) => {
    const sign = OPERATOR_SIGNS[operator];
    const shown = value === null ? "unknown" : Number(value.toFixed(3));
    return ahead == null || ahead === 0
      ? `${metric} ${shown} ${sign} ${threshold}`
      : `${metric} ${shown}, ${sign} ${threshold} in ${Math.ceil(ahead / 60)} min`;
  });
  return [...new Set(words)].join(", ").slice(0, 120);
}

/** `resources.memory_limit_mb 512 → 768`. */
export function diffWords(diff: readonly Diff[]): string {
  return diff
    .map(({ what, before, after }) =>
      after === null && before === null ? what : `${what} ${word(before)} → ${word(after)}`,
    )
    .join(", ")
    .slice(0, 100);
}

const word = (value: unknown): string =>
  value === null ? "unset" : typeof value === "string" ? value : JSON.stringify(value);
