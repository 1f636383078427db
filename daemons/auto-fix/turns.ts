/**
 * Which of several fixes for one worker type goes first, so that each is judged by what it did itself. Pure.
 *
 * The narrowest that the evidence allows comes first: a task that kills its workers while others of the type are well is the
 * task's fault; then what the deaths were of; then what only counts that workers die or were given up, which any cause
 * brings about. Last comes the quarantine of the only task that a type has: it stops all of its work.
 *
 * @module
 */
import { LIMIT_GATES } from "./gate-limits.js";
import type { Question } from "./gate-question.js";
import { SUBJECT_GATES } from "./gate-subject.js";
import type { Rival } from "./messages.js";
import type { Plan } from "./state.js";

/** They say that workers die or were given up, not of what. */
const SYMPTOMS: ReadonlySet<string> = new Set([
  "systemic:max_retries_exceeded",
  "systemic:crash_loop",
  "systemic:recurring_failure",
]);

/** The lower one goes first; null: it changes nothing by itself, and waits for nobody. */
export function rankOf(plan: Plan, patternKey: string, otherTasks: number): number | null {
  const types = plan.actions.map((action) => action.type);
  if (types.every((type) => type === "ask-person" || type === "alert-oncall")) return null;
  if (types.includes("quarantine")) return otherTasks > 0 ? 0 : 3;
  return SYMPTOMS.has(patternKey) ? 2 : 1;
}

/** The fixes that go before this one and may still come: not given up, declined, refused or impossible. */
export function whoComesFirst(question: Question): readonly string[] {
  const { pattern, plan, facts, rivals = [] } = question.event;
  const own = pattern === null ? null : rankOf(plan, pattern.key, facts.other_tasks);
  if (own === null) return [];
  return rivals
    .filter((rival) => (rankOf(rival.plan, rival.pattern.key, rival.facts.other_tasks) ?? own) < own)
    .filter((rival) => mayCome(rival, question))
    .map((rival) => `${rival.fix_id} for ${rival.pattern.key}`);
}

/** What passes by itself, such as a cooldown or an hour's limit, is waited for; what does not, is not. */
const LASTING = ["enabled", "category", "confidence", "occurrences", "fresh", "prerequisites", "precondition"] as const;
/** Of these only those that no time will pass: a limit of 0, and a host that has no more memory to promise. */
const LIMITS = ["limit_fix", "limit_target", "limit_worker_type", "limit_category", "memory_commit"] as const;

function mayCome(rival: Rival, { slice, event, settings, nowMs }: Question): boolean {
  if (nowMs < rival.match.declined_until_ms) return false;
  const { fix_id, subject, plan, pattern } = rival;
  const asked: Question = {
    slice: { ...slice, run: null, match: rival.match },
    event: { ...event, fix_id, subject, plan, pattern, facts: { ...event.facts, ...rival.facts }, rivals: [] },
    settings,
    nowMs,
  };
  const isLimited = LIMITS.some((gate) => {
    const { passed, passesAtMs = null } = LIMIT_GATES[gate](asked);
    return !passed && passesAtMs === null;
  });
  if (isLimited || rival.trust < settings.safety.ask_at) return false;
  return LASTING.every((gate) => SUBJECT_GATES[gate](asked).passed);
}
