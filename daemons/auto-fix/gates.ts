/**
 * Asks the gates of a fix in their fixed order. Changes nothing.
 *
 * Live, a decision ends with the first gate that does not pass. A dry run asks the same gates, of a ledger of its own, and
 * comes to the same end: only what would be done is not done.
 *
 * @module
 */
import { factorFrom } from "../../lib/domain/field-change.js";
import { confidenceOf } from "../../lib/domain/fix-confidence.js";
import { slidingAllow } from "../../lib/domain/limits.js";
import type { Gate } from "../../lib/schema/events.js";
import { FIX_GATES, type FixGate } from "../../lib/schema/fix-records.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import type { Of } from "./messages.js";
import type { AutoFixSettings } from "./policy.js";
import type { Applied, Slice } from "./state.js";

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

export interface Question {
  readonly slice: Slice;
  readonly event: Of<"consider">;
  readonly settings: AutoFixSettings;
  readonly nowMs: number;
}

interface Answer {
  readonly passed: boolean;
  readonly value: unknown;
  readonly threshold: unknown;
  readonly passesAtMs?: number | null;
  readonly reason?: string;
}

export interface FailedGate {
  readonly gate: FixGate;
  readonly reason: string;
  readonly passesAtMs: number | null;
}

export interface Asked {
  readonly gates: readonly Gate[];
  readonly failed: FailedGate | null;
  readonly band: "apply" | "watch" | "ask" | "refuse";
}

const pass = (value: unknown = null, threshold: unknown = null): Answer => ({ passed: true, value, threshold });
const at = (
  value: unknown,
  threshold: unknown,
  passed: boolean,
  reason: string,
  passesAtMs?: number | null,
): Answer => ({
  passed,
  value,
  threshold,
  reason,
  ...(passesAtMs === undefined ? {} : { passesAtMs }),
});

/** The ledger that this decision spends from. */
function ledgerOf({ slice, settings }: Question): readonly Applied[] {
  return settings.dry_run ? slice.healer.shadow : slice.healer.applied;
}

const times = (log: readonly Applied[], of: (each: Applied) => boolean): number[] =>
  log.filter(of).map((each) => each.at_ms);

interface Limit {
  readonly max: number;
  readonly windowMs: number;
}

function within(log: readonly number[], limits: readonly Limit[], nowMs: number): Answer {
  const answers = limits.map((limit) => ({ limit, ...slidingAllow(log, nowMs, limit) }));
  const worst = answers.find((answer) => !answer.allowed) ?? answers[0];
  if (worst === undefined) return pass(log.length);
  const { limit, allowed, passesAtMs, log: current } = worst;
  const reason = `${current.length} of ${limit.max} within ${limit.windowMs / 1000} s`;
  return at(current.length, limit.max, allowed, reason, passesAtMs);
}

const rateLimits = (
  rate: { max_fixes_per_hour?: number | undefined; max_fixes_per_day?: number | undefined } | undefined,
) => [
  ...(rate?.max_fixes_per_hour === undefined ? [] : [{ max: rate.max_fixes_per_hour, windowMs: HOUR_MS }]),
  ...(rate?.max_fixes_per_day === undefined ? [] : [{ max: rate.max_fixes_per_day, windowMs: DAY_MS }]),
];

/** When the same fix was applied to the same subject, within the ledger's day. */
const appliedTo = (question: Question): readonly Applied[] =>
  ledgerOf(question).filter((each) => each.fix_id === question.event.fix_id && each.subject === question.event.subject);

const own = <T>(of: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(of, key) ? of[key] : undefined;

/** How much the fix is trusted now. */
export function trustOf({ slice, event, settings, nowMs }: Question) {
  const { score } = event.plan;
  const verdicts = settings.learning.enabled ? slice.learning.verdicts : [];
  return confidenceOf(score, verdicts, nowMs, settings.learning.min_samples);
}

export function bandOf(question: Question): Asked["band"] {
  const { bound } = trustOf(question);
  const { apply_at, watch_at, ask_at } = question.settings.safety;
  if (bound >= apply_at) return "apply";
  if (bound >= watch_at) return "watch";
  return bound >= ask_at ? "ask" : "refuse";
}

/** Why a person must be asked; null if nobody needs to be. */
export function whyAsk(question: Question): string | null {
  const { event, settings } = question;
  const { plan } = event;
  const { approval } = settings;
  if (plan.actions.some((action) => action.type === "ask-person")) return "only a person can do it";
  if (plan.requires_approval) return "the fix asks a person each time";
  if (own(settings.categories, plan.category)?.requires_approval === true)
    return `fixes of ${plan.category} ask a person`;
  if (plan.risk === "medium" && approval.for_medium_risk) return "its risk is medium";
  if ((plan.risk === "high" || plan.risk === "critical") && approval.for_high_risk) return `its risk is ${plan.risk}`;
  const factor = largestFactor(question);
  if (factor > settings.limits.max_change_from_baseline + 1e-9)
    return `a value would be ${factor.toFixed(2)} times from where it began`;
  return bandOf(question) === "ask" ? "it is not trusted enough to be applied by itself" : null;
}

function largestFactor({ slice, event }: Question): number {
  const factors = event.facts.fields.map(({ field, before, after }) => {
    const key = `${event.scope}|${field}`;
    return factorFrom(own(slice.healer.baselines, key) ?? before, after);
  });
  return Math.max(1, ...factors);
}

const ASK: Readonly<Record<FixGate, (question: Question) => Answer>> = {
  enabled: ({ event, settings }) =>
    at(settings.enabled && event.plan.enabled, true, settings.enabled && event.plan.enabled, "it is switched off"),
  // Asked for the record: a dry run goes on to the end.
  dry_run: ({ settings }) => pass(settings.dry_run),
  hold: ({ event }) => {
    const { hold } = event.facts;
    if (hold === null) return pass("none", "none");
    return at(
      hold.name,
      "none",
      false,
      `the hold "${hold.name}" forbids it${hold.why ? `: ${hold.why}` : ""}`,
      hold.until_ms,
    );
  },
  component: ({ event }) => {
    const { name, is_known, is_valid } = event.facts.component;
    return at(
      name,
      "known",
      is_known && is_valid,
      is_valid ? "no worker or template of it is known" : "its name is no id",
    );
  },
  category: ({ event, settings }) => {
    const category = own(settings.categories, event.plan.category);
    const why = category?.reason ?? `fixes of ${event.plan.category} are switched off`;
    return at(event.plan.category, "enabled", category?.enabled !== false, why);
  },
  confidence: ({ event, settings }) => {
    if (event.pattern === null) return pass();
    const wanted = Math.max(settings.min_confidence_threshold, event.plan.min_confidence);
    return at(
      event.pattern.confidence,
      wanted,
      event.pattern.confidence >= wanted,
      "the classification is not sure enough",
    );
  },
  occurrences: ({ event, settings }) => {
    if (event.pattern === null) return pass();
    const wanted = event.plan.min_occurrences || settings.min_pattern_occurrences;
    return at(
      event.pattern.occurrences,
      wanted,
      event.pattern.occurrences >= wanted,
      "it has not occurred often enough",
    );
  },
  fresh: (question) => {
    const { event, settings, nowMs } = question;
    const { pattern, condition } = event;
    if (condition !== null) return at(condition.holds, true, condition.holds === true, "its conditions do not hold");
    if (pattern === null) return pass();
    // What was fixed and has not come back since needs no second fix.
    const known = Math.max(0, ...appliedTo(question).map((each) => each.occurrences));
    if (pattern.total <= known) return at(pattern.total, known + 1, false, "it was not seen since the fix was applied");
    const age = (nowMs - pattern.last_seen_ms) / HOUR_MS;
    const value = { active: pattern.is_active, hours: Number(age.toFixed(2)) };
    const threshold = { active: true, hours: settings.max_pattern_age_hours };
    return at(
      value,
      threshold,
      pattern.is_active && age <= settings.max_pattern_age_hours,
      "it is over, long ago, or not sure enough for failure-pattern's policy",
    );
  },
  prerequisites: ({ slice, event, settings }) => {
    const missing = event.facts.prerequisites.filter((each) => !each.met).map((each) => each.what);
    const before =
      event.condition === null ? [] : turnsBefore(slice, event.condition.component, event.condition.before);
    const tried = settings.undo.max_attempts;
    const rungs = event.condition === null ? [] : triedOn(slice, event.condition.component);
    const isTried = event.condition !== null && rungs.includes(event.condition.policy);
    const all = [
      ...missing,
      ...(isTried ? ["it was tried, and its conditions still hold"] : []),
      ...before.map((name) => `${name} comes first`),
      ...(tried > 0 && slice.match.ineffective >= tried ? [`${slice.match.ineffective} runs did not help`] : []),
    ];
    return at(all, [], all.length === 0, all.join("; "));
  },
  precondition: ({ slice, event }) => {
    const { impossible, diff } = event.facts;
    if (impossible !== null) return at(impossible, "possible", false, impossible);
    const { run } = slice;
    const changed = run?.phase === "pending" && JSON.stringify(run.diff) !== JSON.stringify(diff);
    return at(diff, run?.diff ?? diff, !changed, "what is to be changed is not any more as it was proposed");
  },
  cooldown: (question) => {
    const { slice, event, settings, nowMs } = question;
    const seconds = event.plan.cooldown_seconds ?? settings.cooldown_seconds;
    const last = Math.max(0, ...appliedTo(question).map((each) => each.at_ms));
    // A person who approves answers exactly the proposal that was declined for others.
    const declined = event.approved_by === null ? slice.match.declined_until_ms : 0;
    const until = Math.max(last === 0 ? 0 : last + seconds * 1000, declined);
    return at(
      writeInstant(nowMs),
      until === 0 ? null : writeInstant(until),
      nowMs >= until,
      "it was tried a moment ago",
      until,
    );
  },
  limit_fix: (question) => {
    const { event, settings, nowMs } = question;
    const { min_seconds_between, max_per_day } = settings.limits.per_fix;
    // The pause is for one fix on one worker type: another type's trouble is not this one's.
    const log = times(ledgerOf(question), (each) => each.fix_id === event.fix_id && each.scope === event.scope);
    const pauses = event.condition === null && min_seconds_between > 0;
    const limits = [
      { max: max_per_day, windowMs: DAY_MS },
      ...(pauses ? [{ max: 1, windowMs: min_seconds_between * 1000 }] : []),
      ...(event.plan.max_per_hour === null ? [] : [{ max: event.plan.max_per_hour, windowMs: HOUR_MS }]),
    ];
    return within(log, event.condition === null ? limits : limits.slice(1), nowMs);
  },
  limit_target: (question) =>
    within(
      times(ledgerOf(question), (each) => each.subject === question.event.subject),
      [{ max: question.settings.max_fixes_per_day, windowMs: DAY_MS }],
      question.nowMs,
    ),
  limit_worker_type: (question) =>
    within(
      times(ledgerOf(question), (each) => each.scope === question.event.scope),
      rateLimits(own(question.settings.limits.per_worker_type, question.event.scope)),
      question.nowMs,
    ),
  limit_category: (question) =>
    within(
      times(ledgerOf(question), (each) => each.category === question.event.plan.category),
      rateLimits(own(question.settings.limits.per_category, question.event.plan.category)),
      question.nowMs,
    ),
  limit_hour: (question) => {
    const { settings, nowMs } = question;
    const pause = settings.min_seconds_between_fixes;
    const limits = [{ max: settings.max_fixes_per_hour, windowMs: HOUR_MS }];
    if (pause > 0) limits.push({ max: 1, windowMs: pause * 1000 });
    return within(
      times(ledgerOf(question), () => true),
      limits,
      nowMs,
    );
  },
  limit_day: (question) =>
    within(
      times(ledgerOf(question), () => true),
      [{ max: question.settings.max_fixes_per_day, windowMs: DAY_MS }],
      question.nowMs,
    ),
  concurrency: ({ slice, event, settings }) => {
    const open = Object.entries(slice.healer.open).filter(
      ([id, each]) => id !== event.run_id && !each.is_judged,
    ).length;
    return at(open, settings.max_concurrent_fixes, open < settings.max_concurrent_fixes, `${open} fixes are under way`);
  },
  blast_radius: (question) => {
    const { event, settings, nowMs } = question;
    const { max_fraction_per_hour, max_workers_per_hour, min_workers } = settings.blast_radius;
    const recent = ledgerOf(question).filter((each) => each.at_ms > nowMs - HOUR_MS);
    const touched = recent.reduce((sum, each) => sum + each.workers, 0) + event.facts.affected;
    const allowed = Math.min(
      max_workers_per_hour,
      Math.max(min_workers, Math.floor(event.facts.fleet * max_fraction_per_hour)),
    );
    const oldest = recent[0];
    const passesAtMs = oldest === undefined ? null : oldest.at_ms + HOUR_MS;
    return at(
      touched,
      allowed,
      event.facts.affected === 0 || touched <= allowed,
      `${touched} workers would be touched within an hour`,
      passesAtMs,
    );
  },
  memory_commit: ({ event, settings }) => {
    const { memory } = event.facts;
    if (memory === null || memory.host_mb <= 0) return pass();
    const share = Number((memory.committed_mb / memory.host_mb).toFixed(3));
    const max = settings.limits.memory_commit_max;
    return at(share, max, share <= max, `the limits would sum up to ${Math.round(share * 100)} % of the host's memory`);
  },
  breaker: ({ slice, settings }) => {
    const { ineffective_fraction, window_fixes } = settings.breaker;
    const last = slice.healer.verdicts.slice(-window_fixes);
    const bad = last.filter((each) => each.verdict === "ineffective").length;
    const value = { ineffective: bad, of: last.length };
    const reason = "half of the last fixes did not help; a person says when to go on (heald fix resume)";
    return at(value, ineffective_fraction, slice.healer.tripped_at_ms === null, reason);
  },
  in_window: ({ slice, event }) => {
    const other = Object.entries(slice.healer.open).find(
      ([id, each]) => id !== event.run_id && each.scope === event.scope,
    );
    return at(
      other?.[0] ?? "none",
      "none",
      other === undefined,
      `${other?.[1].fix_id} is being verified on ${event.scope}`,
    );
  },
  safety_band: (question) => {
    const { bound } = trustOf(question);
    const band = bandOf(question);
    const asks = question.settings.safety.ask_at;
    return at({ score: Number(bound.toFixed(3)), band }, asks, band !== "refuse", "it is not trusted any more");
  },
  approval: (question) => {
    const why = whyAsk(question);
    const by = question.event.approved_by;
    return at(by ?? (why === null ? "not needed" : "not given"), why ?? "none", why === null || by !== null, why ?? "");
  },
};

/** Rungs of the ladder that come before this one and were not tried yet. */
function turnsBefore(slice: Slice, component: string, before: readonly string[]): readonly string[] {
  const tried = triedOn(slice, component);
  return before.filter((name) => !tried.includes(name));
}

const triedOn = (slice: Slice, component: string): readonly string[] => own(slice.healer.ladders, component) ?? [];

export function askGates(question: Question): Asked {
  const gates: Gate[] = [];
  for (const gate of Object.keys(FIX_GATES) as FixGate[]) {
    const { passed, value, threshold, passesAtMs = null, reason } = ASK[gate](question);
    const passes = passed || passesAtMs === null ? {} : { passes_at: writeInstant(passesAtMs) };
    gates.push({ gate, value, threshold, passed, ...passes });
    if (!passed)
      return {
        gates,
        failed: { gate, reason: (reason ?? FIX_GATES[gate]).slice(0, 120), passesAtMs },
        band: bandOf(question),
      };
  }
  return { gates, failed: null, band: bandOf(question) };
}
