/** Asks the conditions of healing policies of the samples: which hold for a component, and whose turn it is. @module */
import { askForecast } from "../../lib/domain/forecast.js";
import {
  allHold,
  askCondition,
  type ConditionAnswer,
  type MetricCondition,
} from "../../lib/domain/metric-conditions.js";
import { askQuiet, isDue, type QuietAnswer } from "../../lib/domain/quiet-moment.js";
import type { Healing } from "../../lib/schema/healing-policies.js";
import type { ConditionFacts } from "./messages.js";
import { subjectOfPolicy } from "./plans.js";
import type { Context, Rules } from "./rules.js";
import type { Series } from "./series.js";
import type { HealerPart, RunPart } from "./state.js";

const MINUTE_MS = 60_000;

export interface Asked extends ConditionFacts {
  readonly rule: Healing;
}

export class AskedPolicies {
  readonly #context: Context;
  readonly #rules: Rules;
  readonly #series: Series;

  constructor(context: Context, rules: Rules, series: Series) {
    this.#context = context;
    this.#rules = rules;
    this.#series = series;
  }

  active(): readonly Healing[] {
    return this.#rules.policies.filter((policy) => policy.enabled && policy.components.length > 0);
  }

  /** Every metric that a policy asks about, by component. */
  wanted(): Map<string, Set<string>> {
    const wanted = new Map<string, Set<string>>();
    for (const policy of this.active())
      for (const component of policy.components) {
        const metrics = wanted.get(component) ?? new Set<string>();
        wanted.set(component, metrics);
        for (const { metric } of [...policy.conditions, ...policy.clear_conditions]) metrics.add(metric);
        for (const metric of policy.predict?.load_metrics ?? []) metrics.add(metric);
      }
    return wanted;
  }

  of(subject: string): Asked | null {
    const component = subject.slice(subject.lastIndexOf("@") + 1);
    return this.allFor(component).find((each) => subjectOfPolicy(each.rule, component) === subject) ?? null;
  }

  /** Every policy for a component, the first rung of the ladder first. */
  allFor(component: string): Asked[] {
    const nowMs = Date.now();
    const rules = this.active()
      .filter((policy) => policy.components.includes(component))
      .sort((a, b) => b.priority - a.priority);
    const asked = rules.map((rule) => {
      const answers = this.#answers(rule, rule.conditions, component, nowMs);
      const holds = allHold(answers);
      const planned = holds === true ? this.#planned(rule, answers, component, nowMs) : null;
      return { rule, policy: rule.name, component, answers, holds, planned };
    });
    // One that only waits for a quiet moment keeps nobody from acting on what is so already.
    const isFirst = (of: Omit<Asked, "before">): boolean =>
      of.holds === true && (of.planned === null || isDue(of.planned, nowMs));
    const isHolding = (name: string): boolean => asked.some((each) => each.policy === name && isFirst(each));
    return asked.map((each, index) => ({
      ...each,
      before: [
        ...asked
          .slice(0, index)
          .filter(isFirst)
          .map((other) => other.policy),
        ...rules.filter((other) => other.next === each.policy && isHolding(other.name)).map((other) => other.name),
      ].filter((name, nth, all) => name !== each.policy && all.indexOf(name) === nth),
    }));
  }

  /** Whether the policy's clear conditions hold; false if it is still as bad; null if it is not known. */
  cleared(run: RunPart): boolean | null {
    const asked = this.of(run.subject);
    if (asked === null) return null;
    const { rule, component } = asked;
    const clear = allHold(this.#answers(rule, rule.clear_conditions, component, Date.now()));
    // What was only foretold was clear from the start: it is over when it is not foretold any more.
    const isOver = rule.predict === null || asked.holds === false;
    if (rule.clear_conditions.length > 0 && clear === true && isOver) return true;
    return asked.holds === true || clear === false ? false : null;
  }

  #answers(rule: Healing, conditions: readonly MetricCondition[], component: string, nowMs: number): ConditionAnswer[] {
    const sinceMs = this.#settledMs(rule, component);
    const { predict } = rule;
    return conditions.map((condition) => {
      const samples = this.#series.of(component, condition.metric);
      return predict !== null && conditions === rule.conditions
        ? askForecast(condition, samples, predict.horizon_minutes * MINUTE_MS, nowMs, sinceMs)
        : askCondition(condition, samples, nowMs, sinceMs);
    });
  }

  /** The load of the component, for what is planned: by the first of its metrics that is measured. */
  #planned(
    { predict }: Healing,
    answers: readonly ConditionAnswer[],
    component: string,
    nowMs: number,
  ): QuietAnswer | null {
    if (predict === null) return null;
    const meetsInSeconds = Math.max(0, ...answers.map(({ meets_in_seconds }) => meets_in_seconds ?? 0));
    const metric = predict.load_metrics.find((name) => this.#series.of(component, name).length > 0) ?? null;
    const load = metric === null ? [] : this.#series.of(component, metric);
    return askQuiet(predict, metric, load, meetsInSeconds, nowMs);
  }

  /** While an action of ours settles, what the component says does not count. */
  #settledMs(rule: Healing, component: string): number {
    const applied = this.#context.part<HealerPart>("healer")?.applied ?? [];
    const last = applied.filter((each) => each.scope === component).at(-1);
    return last === undefined ? 0 : last.at_ms + rule.settle_seconds * 1000;
  }
}
