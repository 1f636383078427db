/**
 * What another policy would have made of recorded decisions, up to the first divergence of each subject and not past it.
 *
 * Each decision is computed anew from its slice and event under both policies. Until a subject diverges, its recorded
 * slice is what the other policy would have had too. After that it is not, and nothing more is said of it. Parts that
 * subjects share (budgets, breakers, the guard) are taken as they were recorded; a decision that hangs on one of them
 * after some other subject has diverged is not judged either. Pure; memory grows with subjects, not with decisions.
 *
 * @module
 */
import type { DecisionDraft, DecisionRecord } from "../schema/events.js";
import type { Policy } from "../schema/policy.js";
import type { Core, Decided, Stamped } from "./core.js";
import { type Compared, type Divergence, divergenceOf, wordsOf } from "./divergence.js";
import { BusiestTimes, Peaks } from "./peaks.js";

/** What a backtest must know of a daemon beside its core. */
export interface BacktestRules extends Compared {
  /** Verdicts by which something is done, with the word for it. */
  readonly acts: Readonly<Record<string, string>>;
  /** What a subject waits for that is put off. */
  readonly awaited: string;
  /** Gates that count against a limit; those that `spend` count one more with each act. */
  readonly limits: Readonly<Record<string, "spends" | "counts">>;
  /** Gates that hang on what was done for other subjects, with the name of what they share: `all`, or less, such as a type. */
  readonly sharedGates: Readonly<Record<string, (record: DecisionRecord) => string>>;
  /** The event as the other policy would have been given it; null where that is not known. Absent: as it was. */
  readonly eventUnder?: (event: Stamped<{ readonly kind: string }>) => Stamped<{ readonly kind: string }> | null;
}

export type AnyCore = Core<
  Record<string, unknown>,
  { readonly kind: string },
  { readonly kind: string },
  Policy<never>
>;
type AnyDecided = Decided<Record<string, unknown>, { readonly kind: string }>;

/** Where a subject's ways part. */
export interface SubjectDivergence {
  readonly subject: string;
  readonly worker_type: string | null;
  readonly at_ms: number;
  /** `shared`: a shared part was not what it would have been. `earlier`: found from a silence, between two decisions. */
  readonly kind: Divergence["kind"] | "shared" | "earlier" | "breaker" | "unknown";
  readonly live: string;
  readonly other: string;
  readonly later_ms: number | null;
  /** The record at which it was found; null where it was no record. */
  readonly decision_id: string | null;
  /** Decisions of the subject after it, which are not judged. */
  not_judged: number;
}

export interface ActChange {
  readonly change: "added" | "dropped" | "later" | "sooner";
  readonly act: string;
  readonly subject: string;
  readonly at_ms: number;
  /** By how much; null where that is not known, as when only a change elsewhere makes it happen. */
  readonly by_ms: number | null;
}

/** The name of what everybody shares. */
export const ALL = "all";

export class Backtest {
  readonly #core: AnyCore;
  readonly #rules: BacktestRules;
  readonly #other: Policy<never> | null;
  readonly #diverged = new Map<string, SubjectDivergence>();
  readonly #subjects = new Set<string>();
  /** From when on a shared part is no longer what was recorded, because somebody's acts are not. */
  readonly #staleFrom = new Map<string, number>();
  readonly changes: ActChange[] = [];
  readonly peaks = new Peaks();
  readonly liveTimes = new BusiestTimes();
  readonly otherTimes = new BusiestTimes();
  decisions = 0;
  judged = 0;
  /** Decisions that do not come out as recorded under their own policy: another version made them. */
  unexplained = 0;

  /** @param other The other policy; null where not the policy differs but what `rules` make of the events. */
  constructor(core: AnyCore, rules: BacktestRules, other: Policy<never> | null) {
    this.#core = core;
    this.#rules = rules;
    this.#other = other;
  }

  get subjects(): number {
    return this.#subjects.size;
  }

  get divergences(): readonly SubjectDivergence[] {
    return [...this.#diverged.values()].sort((a, b) => a.at_ms - b.at_ms);
  }

  isJudged(subject: string, atMs: number): boolean {
    const known = this.#diverged.get(subject);
    return known === undefined || atMs < known.at_ms;
  }

  /** Judges one decision; those of one subject come in the order in which they were made. */
  judge(record: DecisionRecord, livePolicy: Policy<never>): void {
    this.decisions += 1;
    this.#subjects.add(record.subject);
    const known = this.#diverged.get(record.subject);
    if (known !== undefined && record.at_ms >= known.at_ms) {
      known.not_judged += 1;
      return;
    }
    const event = record.event as unknown as Stamped<{ readonly kind: string }>;
    const live = this.#core.decide(record.slice, event, livePolicy);
    if (live.decision?.verdict !== record.verdict || live.decision.reason !== record.reason) {
      this.unexplained += 1;
      return;
    }
    const otherEvent = this.#rules.eventUnder === undefined ? event : this.#rules.eventUnder(event);
    if (otherEvent === null) return this.#unknown(record, live.decision);
    const other = this.#core.decide(record.slice, otherEvent, this.#other ?? livePolicy);
    if (this.#hangsOnShared(record, live.decision) || this.#hangsOnShared(record, other.decision))
      return this.#shared(record, live.decision, other.decision);
    this.judged += 1;
    this.#count(record, live, other);
    const divergence = divergenceOf(live, other, this.#rules);
    if (divergence !== null) this.#part(record, divergence, live.decision, other.decision);
  }

  /** Says that a subject's ways part between two decisions, as found from elsewhere. The earliest counts. */
  divergeAt(divergence: Omit<SubjectDivergence, "not_judged">): void {
    const known = this.#diverged.get(divergence.subject);
    if (known !== undefined && known.at_ms <= divergence.at_ms) return;
    this.#goesStale(ALL, divergence.at_ms);
    if (divergence.worker_type !== null) this.#goesStale(divergence.worker_type, divergence.at_ms);
    this.#diverged.set(divergence.subject, { ...divergence, not_judged: 0 });
  }

  /** Notes an act that is found from elsewhere. */
  noteChange(change: ActChange): void {
    this.changes.push(change);
  }

  #hangsOnShared(record: DecisionRecord, decision: DecisionDraft | undefined): boolean {
    const failed = decision?.gates.find((gate) => !gate.passed);
    if (failed === undefined || !Object.hasOwn(this.#rules.sharedGates, failed.gate)) return false;
    const shared = this.#rules.sharedGates[failed.gate]?.(record) ?? ALL;
    return (this.#staleFrom.get(shared) ?? Number.POSITIVE_INFINITY) < record.at_ms;
  }

  /** Whatever this subject shares with others is not as recorded from here on. */
  #staleFor(record: DecisionRecord): void {
    for (const shared of new Set(Object.values(this.#rules.sharedGates).map((of) => of(record))))
      this.#goesStale(shared, record.at_ms);
  }

  #goesStale(shared: string, atMs: number): void {
    this.#staleFrom.set(shared, Math.min(atMs, this.#staleFrom.get(shared) ?? atMs));
  }

  #part(
    record: DecisionRecord,
    { kind, live, other, laterMs }: Divergence,
    liveDecision: DecisionDraft | undefined,
    otherDecision: DecisionDraft | undefined,
  ): void {
    this.#staleFor(record);
    const later_ms = laterMs === 0 || !Number.isFinite(laterMs) ? null : laterMs;
    this.#diverge(record, { kind, live, other, later_ms });
    const { subject, at_ms } = record;
    const liveAct = this.#actOf(liveDecision);
    const otherAct = this.#actOf(otherDecision);
    if (liveAct !== otherAct) {
      if (liveAct !== null) this.noteChange({ change: "dropped", act: liveAct, subject, at_ms, by_ms: null });
      if (otherAct !== null) this.noteChange({ change: "added", act: otherAct, subject, at_ms, by_ms: null });
    } else if (liveAct === null && laterMs !== 0) {
      const by_ms = later_ms === null ? null : Math.round(Math.abs(later_ms));
      const change = laterMs > 0 ? "later" : "sooner";
      this.noteChange({ change, act: this.#rules.awaited, subject, at_ms, by_ms });
    }
  }

  #shared(record: DecisionRecord, live: DecisionDraft | undefined, other: DecisionDraft | undefined): void {
    this.#diverge(record, { kind: "shared", live: wordsOf(live), other: wordsOf(other), later_ms: null });
    (this.#diverged.get(record.subject) as SubjectDivergence).not_judged += 1;
  }

  #unknown(record: DecisionRecord, live: DecisionDraft | undefined): void {
    this.#staleFor(record);
    this.#diverge(record, { kind: "unknown", live: wordsOf(live), other: "not known", later_ms: null });
    (this.#diverged.get(record.subject) as SubjectDivergence).not_judged += 1;
  }

  #diverge(record: DecisionRecord, how: Pick<SubjectDivergence, "kind" | "live" | "other" | "later_ms">): void {
    const { subject, at_ms, decision_id } = record;
    this.#diverged.set(subject, { subject, worker_type: typeIn(record), at_ms, decision_id, ...how, not_judged: 0 });
  }

  #count(record: DecisionRecord, live: AnyDecided, other: AnyDecided): void {
    const { at_ms, subject } = record;
    if (this.#actOf(live.decision) !== null) this.liveTimes.note(at_ms);
    if (this.#actOf(other.decision) !== null) this.otherTimes.note(at_ms);
    const isAct = this.#actOf(other.decision) !== null;
    for (const gate of other.decision?.gates ?? []) {
      const limit = this.#rules.limits[gate.gate];
      if (limit !== undefined) this.peaks.note(gate, isAct && limit === "spends" ? 1 : 0, at_ms, subject);
    }
  }

  #actOf(decision: DecisionDraft | undefined): string | null {
    return decision !== undefined && Object.hasOwn(this.#rules.acts, decision.verdict)
      ? (this.#rules.acts[decision.verdict] as string)
      : null;
  }
}

/** The worker type that a decision is about, where its record says so. */
export function typeIn(record: DecisionRecord): string | null {
  const { event, slice } = record;
  const spec = (slice.worker as { spec?: { worker_type?: unknown }; worker_type?: unknown } | null | undefined) ?? null;
  const known = event.worker_type ?? event.scope ?? spec?.worker_type ?? spec?.spec?.worker_type;
  return typeof known === "string" ? known : null;
}
