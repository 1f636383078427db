/** What a gate is asked, what it answers, and how far a fix is trusted. Pure. @module */
import { factorFrom } from "../../lib/domain/field-change.js";
import { confidenceOf } from "../../lib/domain/fix-confidence.js";
import type { Of } from "./messages.js";
import type { AutoFixSettings } from "./policy.js";
import type { Applied, Slice } from "./state.js";

export interface Question {
  readonly slice: Slice;
  readonly event: Of<"consider">;
  readonly settings: AutoFixSettings;
  readonly nowMs: number;
}

export interface Answer {
  readonly passed: boolean;
  readonly value: unknown;
  readonly threshold: unknown;
  readonly passesAtMs?: number | null;
  readonly reason?: string;
}

export type Band = "apply" | "watch" | "ask" | "refuse";

/** What a gate is, as code. */
export type AskGate = (question: Question) => Answer;

export const pass = (value: unknown = null, threshold: unknown = null): Answer => ({ passed: true, value, threshold });
export const at = (
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
export function ledgerOf({ slice, settings }: Question): readonly Applied[] {
  return settings.dry_run ? slice.healer.shadow : slice.healer.applied;
}

/** When the same fix was applied to the same subject, within the ledger's day. */
export const appliedTo = (question: Question): readonly Applied[] =>
  ledgerOf(question).filter((each) => each.fix_id === question.event.fix_id && each.subject === question.event.subject);

export const own = <T>(of: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(of, key) ? of[key] : undefined;

/** How much the fix is trusted now. */
export function trustOf({ slice, event, settings, nowMs }: Question) {
  const { score } = event.plan;
  const verdicts = settings.learning.enabled ? slice.learning.verdicts : [];
  return confidenceOf(score, verdicts, nowMs, settings.learning.min_samples);
}

export function bandOf(question: Question): Band {
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
