/** What reaches auto-fix's core and what it asks for, as plain values. @module */
import type { Counted } from "../../lib/domain/fix-verdict.js";
import type { LinesRead, ReadOn } from "../../lib/domain/followed-log.js";
import type { ConditionAnswer } from "../../lib/domain/metric-conditions.js";
import type { QuietAnswer } from "../../lib/domain/quiet-moment.js";
import type { Decided, Stamped, Wake } from "../../lib/runtime/core.js";
import type { ReportEffect } from "../../lib/runtime/reporting.js";
import type { FixHistory, PendingRecord, RunRecord } from "../../lib/schema/fix-records.js";
import type { Sign } from "./signs.js";
import type { BeforeImage, Diff, MatchPart, Plan, RunPart, RunRef, Slice } from "./state.js";

export interface PatternFacts {
  readonly pattern_id: string;
  /** `category:type`. */
  readonly key: string;
  /** And sure enough for the policy of failure-pattern. */
  readonly is_active: boolean;
  readonly confidence: number;
  readonly occurrences: number;
  readonly total: number;
  readonly last_seen_ms: number;
  readonly message: string;
  readonly root_cause: string;
}

/** Which policy's conditions hold for a component, and whether it is this one's turn. */
export interface ConditionFacts {
  readonly policy: string;
  readonly component: string;
  readonly answers: readonly ConditionAnswer[];
  readonly holds: boolean | null;
  /** Of a policy with a forecast that holds: whether now is the moment for what it plans. */
  readonly planned: QuietAnswer | null;
  /** Policies of higher priority whose conditions hold as well, the highest first. */
  readonly before: readonly string[];
}

/** Everything that the gates need, read in one go. */
export interface Facts {
  /** Absent in what was recorded before it was asked. */
  readonly host?: "running" | "stopping" | "unknown";
  readonly hold: { readonly name: string; readonly why: string; readonly until_ms: number } | null;
  readonly component: { readonly name: string; readonly is_valid: boolean; readonly is_known: boolean };
  /** Workers of the type with a task that is not among the pattern's. */
  readonly other_tasks: number;
  /** Workers that the fix touches at once, and all that should be alive. */
  readonly affected: number;
  readonly fleet: number;
  readonly diff: readonly Diff[];
  /** Fields of the template among the differences, for the baseline. */
  readonly fields: readonly { readonly field: string; readonly before: unknown; readonly after: unknown }[];
  /** Why the change cannot be made; null if it can. */
  readonly impossible: string | null;
  readonly prerequisites: readonly { readonly what: string; readonly value: unknown; readonly met: boolean }[];
  readonly memory: { readonly committed_mb: number; readonly host_mb: number } | null;
}

/** Another fix for an active pattern of the same worker type, with what tells whether it may still come. */
export interface Rival {
  readonly fix_id: string;
  readonly subject: string;
  readonly plan: Plan;
  readonly pattern: PatternFacts;
  readonly facts: Pick<Facts, "impossible" | "prerequisites" | "diff" | "fields" | "memory" | "other_tasks">;
  readonly match: MatchPart;
  /** The lower bound of its confidence. */
  readonly trust: number;
}

export type Event =
  | (RunRef & {
      readonly kind: "consider";
      readonly plan: Plan;
      readonly scope: string;
      readonly workers: readonly string[];
      readonly pattern: PatternFacts | null;
      readonly condition: ConditionFacts | null;
      readonly facts: Facts;
      /** None for a policy: its ladder says whose turn it is. */
      readonly rivals?: readonly Rival[];
      /** Who approved the proposal; null for one that nobody was asked about. */
      readonly approved_by: string | null;
    })
  | (RunRef & { readonly kind: "declined"; readonly by: string })
  /** It was approved, and what it was proposed for is not there any more. */
  | (RunRef & { readonly kind: "withdrawn"; readonly why: string })
  | (RunRef & { readonly kind: "undo-asked"; readonly by: string })
  | (RunRef & { readonly kind: "prepared"; readonly before: readonly BeforeImage[] })
  | (RunRef & { readonly kind: "applied"; readonly step: number; readonly note: string })
  | (RunRef & { readonly kind: "apply-failed"; readonly step: number; readonly message: string })
  /** A rolling restart has stopped at a worker that is not well. */
  | (RunRef & { readonly kind: "roll-failed"; readonly message: string })
  | (RunRef & { readonly kind: "undone"; readonly step: number; readonly conflicts: readonly string[] })
  | (RunRef & {
      readonly kind: "measured";
      readonly before: Counted;
      readonly after: Counted;
      /** For a policy: whether its clear conditions hold, or its conditions still do; null: not known. */
      readonly cleared: boolean | null;
      readonly pattern_resolved: boolean;
    })
  | (RunRef & { readonly kind: "check-due" })
  | (RunRef & { readonly kind: "expire-due" })
  | (RunRef & { readonly kind: "resume" })
  | (RunRef & { readonly kind: "forget" })
  | (RunRef & { readonly kind: "look-due" })
  | { readonly kind: "ladder-cleared"; readonly component: string }
  /** Every policy whose conditions hold was tried. */
  | { readonly kind: "ladder-ended"; readonly component: string; readonly seen: string }
  /** The conditions of a policy that names a time for its person hold, or are not known to be over. */
  | {
      readonly kind: "trouble-seen";
      readonly component: string;
      readonly policy: string;
      readonly seen: string;
      readonly person_after_seconds: number;
    }
  | { readonly kind: "trouble-over"; readonly component: string; readonly policy: string }
  | { readonly kind: "person-clears-breaker"; readonly by: string }
  /** The logs of other daemons are read for the first time. */
  | { readonly kind: "calls-begin" }
  | LinesRead<Sign>
  | { readonly kind: "sign-seen"; readonly sign: Sign }
  /** A call that is followed no further, or may not be: the core looks. */
  | { readonly kind: "call-old"; readonly subject: string };

export type Effect =
  | ReportEffect
  | ReadOn
  /** Has one sign decided upon by itself. */
  | { readonly kind: "take-sign"; readonly sign: Sign }
  | (RunRef & { readonly kind: "prepare"; readonly run: RunPart })
  | (RunRef & { readonly kind: "apply"; readonly run: RunPart; readonly step: number })
  | (RunRef & { readonly kind: "undo"; readonly run: RunPart; readonly step: number })
  | (RunRef & { readonly kind: "measure" })
  | (RunRef & { readonly kind: "look" })
  | (RunRef & {
      readonly kind: "trial";
      readonly scope: string;
      readonly workers: readonly string[];
      readonly reason: "trial" | "released" | "rolling";
    })
  | { readonly kind: "write-run"; readonly record: RunRecord }
  | { readonly kind: "write-pending"; readonly record: PendingRecord }
  | { readonly kind: "remove-pending"; readonly run_id: string }
  | {
      readonly kind: "refuse-answer";
      readonly folder: "approved" | "rejected" | "undo";
      readonly run_id: string;
      readonly why: string;
    }
  | { readonly kind: "append-history"; readonly record: FixHistory & { readonly history_id: string } };

export type Of<Kind extends Event["kind"]> = Stamped<Extract<Event, { kind: Kind }>>;
export type Step = Decided<Slice, Effect>;
export type Act = Effect | Wake;
