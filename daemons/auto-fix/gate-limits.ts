/** The gates about how often and how far fixes may go. Pure. @module */
import { slidingAllow } from "../../lib/domain/limits.js";
import type { FixGate } from "../../lib/schema/catalogue.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { type Answer, type AskGate, appliedTo, at, ledgerOf, own, pass } from "./gate-question.js";
import type { Applied } from "./state.js";

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

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

type LimitGate = Extract<
  FixGate,
  "cooldown" | `limit_${string}` | "concurrency" | "blast_radius" | "memory_commit" | "breaker"
>;

export const LIMIT_GATES: Readonly<Record<LimitGate, AskGate>> = {
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
      declined > nowMs
        ? "it was declined, ran out, or failed, and is not asked for again so soon"
        : "it was tried a moment ago",
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
      times(ledgerOf(question), (each) => each.scope === question.event.scope),
      [{ max: question.settings.limits.per_target.max_per_day, windowMs: DAY_MS }],
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
};
