/** The samples of metrics, asked against the conditions of every policy that is enabled and has a scope. @module */

import {
  allHold,
  askCondition,
  type ConditionAnswer,
  forecast,
  type MetricCondition,
} from "../../lib/domain/metric-conditions.js";
import { weatherCode } from "../../lib/platform/files.js";
import { newEventIdBase } from "../../lib/platform/ids.js";
import { watchFew } from "../../lib/platform/watching.js";
import type { Source } from "../../lib/runtime/daemon.js";
import type { Healing } from "../../lib/schema/healing-policies.js";
import { Tailer } from "../../lib/store/logs.js";
import type { FactReader } from "./facts.js";
import type { ConditionFacts, Event } from "./messages.js";
import { fixIdOfPolicy, planOfPolicy, subjectOfPolicy } from "./plans.js";
import type { Context, Rules } from "./rules.js";
import { Series } from "./series.js";
import { type HealerPart, type MatchPart, type RunPart, type RunRef, refOf } from "./state.js";

const SCAN_EVERY_SECONDS = 1;
const LINE_BYTES_MAX = 64 * 1024;
const READ_BYTES = 1024 * 1024;
const MINUTE_MS = 60_000;

interface Asked extends ConditionFacts {
  readonly rule: Healing;
}

export class MetricSource implements Source {
  readonly name = "metrics";
  readonly scanEverySeconds = SCAN_EVERY_SECONDS;
  readonly #context: Context;
  readonly #rules: Rules;
  readonly #reader: FactReader;
  readonly #series = new Series();
  #tailer: Tailer | null = null;
  #wanted = new Map<string, Set<string>>();
  #watch: { close(): void } | null = null;
  #isStarted = false;

  constructor(context: Context, rules: Rules, reader: FactReader) {
    this.#context = context;
    this.#rules = rules;
    this.#reader = reader;
  }

  start(): void {
    const { layout, log } = this.#context;
    this.#isStarted = true;
    this.rulesChanged();
    this.#watch = watchFew(
      [layout.samples],
      () => this.scan(),
      (fault) => log.warn({ cause: String(fault) }, "samples are read every second until watching works again"),
    );
  }

  stop(): void {
    this.#watch?.close();
    this.#tailer?.close();
  }

  /** Other metrics may be asked about: the samples are read from the start of the file again. */
  rulesChanged(): void {
    if (!this.#isStarted) return;
    this.#wanted = new Map();
    for (const policy of this.#active())
      for (const component of policy.components) {
        const metrics = this.#wanted.get(component) ?? new Set<string>();
        this.#wanted.set(component, metrics);
        for (const { metric } of [...policy.conditions, ...policy.clear_conditions]) metrics.add(metric);
      }
    this.#series.clear();
    this.#tailer?.close();
    this.#tailer =
      this.#wanted.size === 0 ? null : new Tailer(this.#context.layout.samples, null, { maxLineBytes: LINE_BYTES_MAX });
    this.scan();
  }

  scan(): void {
    try {
      this.#read();
    } catch (fault) {
      if (weatherCode(fault) === null) throw fault;
      this.#context.log.warn({ code: weatherCode(fault) }, "samples cannot be read just now");
      return;
    }
    for (const component of this.#wanted.keys()) this.#ask(component);
  }

  /** Performs `look`. */
  again(ref: RunRef): Event | null {
    const asked = this.#askedFor(ref.subject);
    return asked === null || asked.holds !== true ? null : this.#consider(asked, null);
  }

  approved(run: RunPart, by: string): Event | null {
    const asked = this.#askedFor(run.subject);
    return asked === null ? null : this.#consider(asked, { run, by });
  }

  /** Whether the policy's clear conditions hold; false if it is still as bad; null if it is not known. */
  cleared(run: RunPart): boolean | null {
    const asked = this.#askedFor(run.subject);
    if (asked === null) return null;
    const { rule, component } = asked;
    const clear = allHold(this.#answers(rule, rule.clear_conditions, component, Date.now()));
    if (rule.clear_conditions.length > 0 && clear === true) return true;
    return asked.holds === true || clear === false ? false : null;
  }

  #active(): readonly Healing[] {
    return this.#rules.policies.filter((policy) => policy.enabled && policy.components.length > 0);
  }

  #read(): void {
    const { tailer } = { tailer: this.#tailer };
    if (tailer === null) return;
    for (let found = tailer.read(READ_BYTES); ; found = tailer.read(READ_BYTES)) {
      for (const line of found.lines) this.#series.take(line.text, this.#wanted);
      if (found.more !== true) return;
    }
  }

  #ask(component: string): void {
    const all = this.#allFor(component);
    const holding = all.filter((each) => each.holds === true);
    const ladder = this.#ladder(component);
    if (ladder.length > 0 && all.every((each) => each.holds === false)) {
      this.#context.offer({ kind: "ladder-cleared", component });
      return;
    }
    const open = Object.values(this.#context.part<HealerPart>("healer")?.open ?? {});
    const isAtEnd = holding.length > 0 && holding.every((each) => ladder.includes(each.policy));
    if (isAtEnd && !open.some((each) => each.scope === component))
      this.#context.offer({ kind: "ladder-ended", component, seen: wordsOf(holding) });
    for (const asked of holding) {
      const match = this.#context.part<MatchPart>(
        `match:${fixIdOfPolicy(asked.rule)}|${subjectOfPolicy(asked.rule, component)}`,
      );
      if ((match?.open_run ?? null) === null) this.#context.offer(this.#consider(asked, null));
    }
    for (const [, run] of [...this.#context.partsWith<RunPart>("run:")])
      if (run.pattern_id === null && run.scope === component && run.phase === "verifying")
        this.#context.offer({ kind: "check-due", ...refOf(run) });
  }

  #ladder(component: string): readonly string[] {
    const ladders = this.#context.part<HealerPart>("healer")?.ladders ?? {};
    return Object.hasOwn(ladders, component) ? (ladders[component] ?? []) : [];
  }

  #askedFor(subject: string): Asked | null {
    const component = subject.slice(subject.lastIndexOf("@") + 1);
    return this.#allFor(component).find((each) => subjectOfPolicy(each.rule, component) === subject) ?? null;
  }

  /** Every policy for a component, the first rung of the ladder first. */
  #allFor(component: string): Asked[] {
    const nowMs = Date.now();
    const rules = this.#active()
      .filter((policy) => policy.components.includes(component))
      .sort((a, b) => b.priority - a.priority);
    const asked = rules.map((rule) => {
      const answers = this.#answers(rule, rule.conditions, component, nowMs);
      return { rule, policy: rule.name, component, answers, holds: allHold(answers) };
    });
    const isHolding = (name: string): boolean => asked.some((each) => each.policy === name && each.holds === true);
    return asked.map((each, index) => ({
      ...each,
      before: [
        ...asked
          .slice(0, index)
          .filter((other) => other.holds === true)
          .map((other) => other.policy),
        ...rules.filter((other) => other.next === each.policy && isHolding(other.name)).map((other) => other.name),
      ].filter((name, nth, all) => name !== each.policy && all.indexOf(name) === nth),
    }));
  }

  #answers(rule: Healing, conditions: readonly MetricCondition[], component: string, nowMs: number): ConditionAnswer[] {
    const sinceMs = this.#settledMs(rule, component);
    return conditions.map((condition) => {
      const samples = this.#series.of(component, condition.metric).filter((sample) => sample.at_ms >= sinceMs);
      const isForecast = rule.predict_minutes !== null && conditions === rule.conditions;
      const asked = isForecast ? forecast(samples, (rule.predict_minutes ?? 0) * MINUTE_MS) : samples;
      return askCondition(condition, asked ?? [], nowMs, sinceMs);
    });
  }

  /** While an action of ours settles, what the component says does not count. */
  #settledMs(rule: Healing, component: string): number {
    const applied = this.#context.part<HealerPart>("healer")?.applied ?? [];
    const last = applied.filter((each) => each.scope === component).at(-1);
    return last === undefined ? 0 : last.at_ms + rule.settle_seconds * 1000;
  }

  #consider(asked: Asked, approved: { readonly run: RunPart; readonly by: string } | null): Event {
    const nowMs = Date.now();
    const { rule, policy, component, answers, holds, before } = asked;
    const plan = planOfPolicy(rule);
    const fix_id = fixIdOfPolicy(rule);
    const ref =
      approved === null
        ? {
            run_id: `run-${newEventIdBase(nowMs)}`,
            fix_id,
            subject: subjectOfPolicy(rule, component),
            learn: `${fix_id}:${component}`,
          }
        : refOf(approved.run);
    return {
      kind: "consider",
      ...ref,
      plan,
      scope: component,
      workers: [],
      pattern: null,
      condition: { policy, component, answers, holds, before },
      facts: this.#reader.read(plan, component, null, {}, nowMs),
      approved_by: approved?.by ?? null,
    };
  }
}

function wordsOf(holding: readonly Asked[]): string {
  const answers = holding.flatMap((each) => each.answers);
  return [...new Set(answers.map(({ metric, value }) => `${metric} is ${value}`))].join(", ").slice(0, 100);
}
