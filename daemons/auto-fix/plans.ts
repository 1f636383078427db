/** Makes one plan of a registry's fix and of a healing policy, so that both go through the same gates. Pure. @module */
import { ACTIONS } from "../../lib/schema/fix-actions.js";
import type { Fix } from "../../lib/schema/fix-registry.js";
import { type Healing, policyFixId } from "../../lib/schema/healing-policies.js";
import type { Plan } from "./state.js";

const MIN_DECREASE = 0.5;
const NEW_FAILURES_MAX = 3;

export function planOfFix(fix: Fix): Plan {
  const { safety, validation = {}, rollback = {}, prerequisites = {} } = fix;
  return {
    name: fix.name,
    category: fix.category,
    enabled: fix.enabled ?? true,
    score: safety.safety_score,
    requires_approval: safety.requires_approval ?? false,
    risk: safety.risk_level ?? "low",
    actions: fix.actions,
    target: fix.target ?? "process",
    target_name: null,
    min_confidence: prerequisites.min_pattern_confidence ?? 0,
    min_occurrences: prerequisites.min_pattern_occurrences ?? 0,
    cooldown_seconds: null,
    max_per_hour: null,
    settle_seconds: 0,
    window_seconds: validation.monitoring_period_seconds ?? null,
    criteria: {
      min_decrease: validation.min_decrease ?? MIN_DECREASE,
      min_success_rate: validation.min_success_rate ?? null,
      new_failures_max: validation.new_failures_max ?? NEW_FAILURES_MAX,
    },
    undo_on_ineffective: (rollback.on_ineffective ?? true) && (safety.rollback_supported ?? true),
    on_inconclusive: rollback.on_inconclusive ?? "keep",
  };
}

/** A person who has given a policy its scope has consented to it: its risk is theirs. */
export function planOfPolicy(policy: Healing): Plan {
  return {
    name: policy.name,
    category: "healing",
    enabled: policy.enabled,
    score: policy.safety_score,
    requires_approval: policy.requires_approval,
    risk: "low",
    actions: policy.actions,
    target: policy.target,
    target_name: policy.target_name,
    min_confidence: 0,
    min_occurrences: 0,
    cooldown_seconds: policy.cooldown_seconds,
    max_per_hour: policy.max_executions_per_hour,
    settle_seconds: policy.settle_seconds,
    window_seconds: policy.verify_seconds,
    criteria: { min_decrease: MIN_DECREASE, min_success_rate: null, new_failures_max: NEW_FAILURES_MAX },
    undo_on_ineffective: policy.actions.some((action) => ACTIONS[action.type].canUndo),
    on_inconclusive: "keep",
  };
}

export const fixIdOfPolicy = ({ name }: Pick<Healing, "name">): string => policyFixId(name);

export const subjectOfPolicy = (policy: Pick<Healing, "name">, component: string): string =>
  `${fixIdOfPolicy(policy)}@${component}`;
