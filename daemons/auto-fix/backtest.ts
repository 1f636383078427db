/** What a backtest knows of auto-fix's decisions: of another policy, and of another fix registry. @module */
import { ALL, type BacktestRules } from "../../lib/runtime/backtest.js";
import type { Stamped } from "../../lib/runtime/core.js";
import type { DecisionRecord } from "../../lib/schema/events.js";
import type { RegistrySettings } from "../../lib/schema/fix-registry.js";
import { planOfFix } from "./plans.js";
import type { Plan } from "./state.js";

const scopeOf = ({ event }: DecisionRecord): string => `scope ${String(event.scope)}`;
const learntOf = ({ event }: DecisionRecord): string => `learning ${String(event.learn)}`;
const categoryOf = ({ event }: DecisionRecord): string =>
  `category ${String((event.plan as Partial<Plan> | undefined)?.category)}`;

export const rules: BacktestRules = {
  acts: { apply: "fix", ask: "proposal" },
  awaited: "fix",
  limits: {
    ...{ limit_fix: "spends", limit_target: "spends", limit_worker_type: "spends", limit_category: "spends" },
    ...{
      limit_hour: "spends",
      limit_day: "spends",
      concurrency: "spends",
      blast_radius: "counts",
      memory_commit: "counts",
    },
  },
  sharedGates: {
    ...{ limit_hour: () => ALL, limit_day: () => ALL, concurrency: () => ALL, blast_radius: () => ALL },
    ...{ memory_commit: () => ALL, breaker: () => ALL, limit_category: categoryOf, safety_band: learntOf },
    ...{ limit_worker_type: scopeOf, in_window: scopeOf, limit_fix: scopeOf },
  },
  quietEffects: new Set(["write-run"]),
  ownPart: "match",
};

/**
 * The rules for another registry under the policy in force: each look at a pattern is asked again with the fix's new plan.
 *
 * What a fix would change was read from the templates at the time, so a fix that is to do something else cannot be judged.
 */
export function rulesUnder({ fixes }: Pick<RegistrySettings, "fixes">): BacktestRules {
  const plans = new Map(fixes.map((fix) => [fix.fix_id, planOfFix(fix)]));
  const eventUnder: BacktestRules["eventUnder"] = (event) => {
    const { fix_id, plan, condition } = event as unknown as ConsiderFacts;
    if (event.kind !== "consider" || condition !== null) return event;
    const next = plans.get(fix_id) ?? { ...plan, enabled: false };
    if (JSON.stringify(next.actions) !== JSON.stringify(plan.actions)) return null;
    return { ...event, plan: next } as Stamped<{ readonly kind: string }>;
  };
  return { ...rules, eventUnder };
}

interface ConsiderFacts {
  readonly fix_id: string;
  readonly plan: Plan;
  readonly condition: unknown;
}
