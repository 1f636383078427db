/** What auto-fix remembers, as plain JSON: one part for each match, run and record of trust, and one for the healer itself. @module */
import type { PastVerdict } from "../../lib/domain/fix-confidence.js";
import type { FollowedLog } from "../../lib/domain/followed-log.js";
import type { FixAction, TargetKind } from "../../lib/schema/fix-actions.js";
import type { CallType, SignType } from "./signs.js";
import type { FixVerdict, Risk, RunPhase } from "./words.js";

/** Names a run and everything whose state it changes. */
export interface RunRef {
  readonly run_id: string;
  readonly fix_id: string;
  /** A pattern's id, or `policy:<name>@<component>`. */
  readonly subject: string;
  /** Under which name verdicts about the fix are collected: `<fix>:<category>:<type>`. */
  readonly learn: string;
}

/** A fix or a healing policy, with every default filled in. */
export interface Plan {
  readonly name: string;
  readonly category: string;
  readonly enabled: boolean;
  readonly score: number;
  readonly requires_approval: boolean;
  readonly risk: Risk;
  readonly actions: readonly FixAction[];
  readonly target: TargetKind;
  readonly target_name: string | null;
  readonly min_confidence: number;
  readonly min_occurrences: number;
  readonly cooldown_seconds: number | null;
  readonly max_per_hour: number | null;
  readonly settle_seconds: number;
  readonly window_seconds: number | null;
  readonly criteria: {
    readonly min_decrease: number;
    readonly min_success_rate: number | null;
    readonly new_failures_max: number;
  };
  readonly undo_on_ineffective: boolean;
  readonly on_inconclusive: "keep" | "undo";
}

export interface Diff {
  readonly what: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** What stood there before an action, as the action itself understands it. */
export type BeforeImage = Readonly<Record<string, unknown>>;

export interface RunPart extends RunRef {
  readonly plan: Plan;
  readonly phase: RunPhase;
  readonly mode: "live" | "dry_run";
  /** The worker type or component that it is about. */
  readonly scope: string;
  readonly workers: readonly string[];
  readonly pattern_id: string | null;
  /** Occurrences of the pattern when the fix was applied. */
  readonly occurrences: number;
  readonly last_seen_ms: number;
  readonly why: string;
  readonly diff: readonly Diff[];
  readonly before: readonly BeforeImage[];
  readonly step: number;
  readonly approved_by: string | null;
  /** It is applied, but not trusted enough to be looked at only now and then. */
  readonly is_watched?: boolean;
  readonly started_ms: number;
  readonly expires_ms: number | null;
  readonly applied_ms: number | null;
  readonly ends_ms: number | null;
  readonly verdict: FixVerdict | null;
  readonly conflicts: readonly string[];
  /** Why it is being undone. */
  readonly undo_reason: string | null;
  readonly message: string;
}

/** A fix for one subject: the gate that was said last, and the run that is open. */
export interface MatchPart {
  readonly gate: string | null;
  readonly open_run: string | null;
  readonly declined_until_ms: number;
  /** Runs in a row that did not help. */
  readonly ineffective: number;
  readonly told_given_up: boolean;
  readonly touched_ms: number;
}

export const MATCH_NEW: MatchPart = {
  gate: null,
  open_run: null,
  declined_until_ms: 0,
  ineffective: 0,
  told_given_up: false,
  touched_ms: 0,
};

export interface LearningPart {
  readonly verdicts: readonly (PastVerdict & { readonly run_id: string })[];
}

export const LEARNING_NEW: LearningPart = { verdicts: [] };

/** A fix that was applied; limits are counted from these. */
export interface Applied {
  readonly run_id: string;
  readonly fix_id: string;
  readonly subject: string;
  readonly scope: string;
  readonly category: string;
  readonly at_ms: number;
  readonly workers: number;
  /** Occurrences of the pattern by then. */
  readonly occurrences: number;
}

export interface OpenRun {
  readonly fix_id: string;
  readonly scope: string;
  /** Until its verdict it counts as under way. */
  readonly is_judged: boolean;
}

/** What came of a fix, for the healer's own brake. */
export interface JudgedFix {
  /** Missing in what older versions kept: such an entry stays as it is. */
  readonly run_id?: string;
  readonly verdict: FixVerdict;
  readonly at_ms: number;
}

export interface HealerPart {
  readonly applied: readonly Applied[];
  /** What a dry run would have applied. */
  readonly shadow: readonly Applied[];
  readonly open: Readonly<Record<string, OpenRun>>;
  /** One for each run, the last. */
  readonly verdicts: readonly JudgedFix[];
  /** The healer stopped itself: half of its last fixes did not help. */
  readonly tripped_at_ms: number | null;
  /** Values before the first change of ours, by `<type>|<field>`. */
  readonly baselines: Readonly<Record<string, unknown>>;
  /** Policies that were tried for a component since its conditions began to hold. */
  readonly ladders: Readonly<Record<string, readonly string[]>>;
  /** Since when the conditions of a policy hold that calls a person after a time, by `<policy>@<component>`. */
  readonly troubles?: Readonly<Record<string, number>>;
  readonly totals: Readonly<Record<Total, number>>;
}

export const TOTALS = [
  "fixes_applied",
  "fixes_effective",
  "fixes_ineffective",
  "fixes_inconclusive",
  "fixes_undone",
  "fixes_failed",
  "fixes_suppressed",
  "fixes_proposed",
  "fixes_dry_run",
] as const;
export type Total = (typeof TOTALS)[number];

export const HEALER_NEW: HealerPart = {
  applied: [],
  shadow: [],
  open: {},
  verdicts: [],
  tripped_at_ms: null,
  baselines: {},
  ladders: {},
  totals: Object.fromEntries(TOTALS.map((name) => [name, 0])) as Record<Total, number>,
};

/** How far another daemon's log was read. */
export interface ReadPart extends FollowedLog {
  /** Of the signs that were read. */
  readonly newest_ms: number;
  /** The log comes again from its start, and what is not newer than this was read before; null while it does not. */
  readonly again_until_ms: number | null;
}

/** What a person was called for, until it is over. */
export interface CallPart {
  readonly subject: string;
  readonly incident_id: string;
  readonly worker_id: string | null;
  readonly worker_type: string | null;
  readonly title: string;
  /** Everything that is to end before it is over. */
  readonly troubles: readonly CallType[];
  /** When it was written by the other daemon, and when it was told. */
  readonly at_ms: number;
  readonly opened_ms: number;
}

/** All calls together. */
export interface CallsPart {
  /** What was written before is history. */
  readonly since_ms: number;
  /** Subjects of open calls, the oldest first. */
  readonly open: readonly string[];
  /** Ends that were read late, before what they end was. */
  readonly ended: Readonly<Record<string, { readonly by: SignType; readonly at_ms: number }>>;
}

export const CALLS_NEW: CallsPart = { since_ms: 0, open: [], ended: {} };

/** What is about a run has the first four parts; what comes of other daemons' logs has the others, and no other. */
export interface Slice {
  readonly run: RunPart | null;
  readonly match: MatchPart;
  readonly learning: LearningPart;
  readonly healer: HealerPart;
  readonly log?: ReadPart | null;
  readonly call?: CallPart | null;
  readonly calls?: CallsPart | null;
}

export const callKey = (subject: string): string => `call:${subject}`;

export type Address = { readonly [Part in keyof Slice]: string };

export function addressOf(ref: RunRef): Address {
  return {
    run: `run:${ref.run_id}`,
    match: `match:${ref.fix_id}|${ref.subject}`,
    learning: `learning:${ref.learn}`,
    healer: "healer",
  };
}

export const refOf = ({ run_id, fix_id, subject, learn }: RunRef): RunRef => ({ run_id, fix_id, subject, learn });

export function counted(healer: HealerPart, ...names: readonly Total[]): HealerPart {
  const totals = { ...healer.totals };
  for (const name of names) totals[name] += 1;
  return { ...healer, totals };
}

/** What a person has taken back stays so: it is not done again at the next look, nor taken back a second time. */
export const isUndoneByPerson = (run: RunPart): boolean => run.undo_reason?.startsWith("person") === true;
