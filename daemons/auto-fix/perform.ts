/** Carries out what auto-fix decides. Each effect may be carried out twice: values are compared, and names are exclusive. @module */

import { weatherCode } from "../../lib/platform/files.js";
import type { Answer, Perform, PerformContext } from "../../lib/runtime/core.js";
import type { Notifications } from "../../lib/runtime/notifying.js";
import { appendFixHistory, refuseAnswer, removePending, writePending, writeRun } from "../../lib/store/fix-runs.js";
import type { Acting } from "./acting.js";
import { edgeOf } from "./edges.js";
import type { FactReader } from "./facts.js";
import { measure } from "./measuring.js";
import type { Effect, Event } from "./messages.js";
import type { MetricSource } from "./metric-source.js";
import type { PatternSource } from "./pattern-source.js";
import { endQuarantine, letThrough } from "./requests.js";
import { ROLL_MS_MAX, Rolling } from "./rolling.js";
import type { Context } from "./rules.js";
import type { SignSource } from "./sign-source.js";
import { type RunPart, refOf } from "./state.js";

type Of<Kind extends Effect["kind"]> = Extract<Effect, { kind: Kind }>;

/** Those that are let go after a fix come this far apart. */
const APART_MS = 1000;

export interface Parts {
  readonly context: Context;
  readonly acting: Acting;
  readonly reader: FactReader;
  readonly patterns: PatternSource;
  readonly metrics: MetricSource;
  readonly signs: SignSource;
  readonly notifications: Notifications;
}

export class Performer {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  readonly perform: Perform<Event, Effect> = (effect, performing) => {
    const { layout } = this.#parts.context;
    switch (effect.kind) {
      case "report":
        return this.#report(effect, performing);
      case "read-on":
        return this.#parts.signs.readOn(effect);
      case "take-sign":
        return { kind: "sign-seen", sign: effect.sign };
      case "prepare":
        return { kind: "prepared", ...refOf(effect), before: this.#parts.acting.prepare(effect.run) };
      case "apply":
        return this.#apply(effect);
      case "undo":
        return this.#undo(effect);
      case "measure":
        return this.#measure(effect);
      case "look":
        return this.#look(effect);
      case "trial":
        return effect.reason === "rolling" ? this.#roll(effect) : void this.#trial(effect);
      case "write-run":
        return void writeRun(layout, effect.record);
      case "write-pending":
        return void writePending(layout, effect.record);
      case "remove-pending":
        return void removePending(layout, effect.run_id);
      case "refuse-answer":
        return void refuseAnswer(layout, effect.folder, effect.run_id, effect.why);
      case "append-history":
        return void appendFixHistory(layout, effect.record, performing.again);
    }
  };

  /** People first: the same edge twice is told once, and the same line twice would be two. */
  #report(effect: Of<"report">, performing: PerformContext): undefined {
    const { notifier } = this.#parts.notifications;
    const edge = edgeOf(effect.record);
    // Of what nobody was told, as while people were not to be told, nobody is told that it is over.
    const isNews = edge !== null && (edge.kind !== "resolved" || notifier.incident(edge.incident_id) !== null);
    if (isNews) notifier.notify(edge);
    this.#parts.context.reporter.report(effect, performing);
    return undefined;
  }

  async #apply(effect: Of<"apply">): Promise<Event> {
    const note = await this.#parts.acting.apply(effect.run, effect.step);
    return { kind: "applied", ...refOf(effect), step: effect.step, note };
  }

  async #undo(effect: Of<"undo">): Promise<Event> {
    const conflicts = await this.#parts.acting.undo(effect.run, effect.step);
    return { kind: "undone", ...refOf(effect), step: effect.step, conflicts };
  }

  #measure(effect: Of<"measure">): Answer<Event> {
    const { context, patterns, metrics } = this.#parts;
    const run = context.part<RunPart>(`run:${effect.run_id}`);
    if (run === null) return undefined;
    const pattern = run.pattern_id === null ? null : patterns.pattern(run.pattern_id);
    return {
      kind: "measured",
      ...refOf(effect),
      ...measure(context.layout, run, pattern, Date.now()),
      cleared: run.pattern_id === null ? metrics.cleared(run) : null,
      pattern_resolved: pattern?.status === "resolved",
    };
  }

  #look(effect: Of<"look">): Answer<Event> {
    const { patterns, metrics } = this.#parts;
    return (effect.subject.includes("@") ? metrics.again(effect) : patterns.again(effect)) ?? undefined;
  }

  /** Takes as long as it takes; the run's other effects wait for it. */
  async #roll(effect: Of<"trial">): Promise<undefined> {
    const { layout, log } = this.#parts.context;
    const part = (): RunPart | null => this.#parts.context.part<RunPart>(`run:${effect.run_id}`);
    const limitSeconds = part()?.plan.actions.find((action) => action.type === "modify-worker-spec")?.timeout_seconds;
    const rolling = new Rolling(layout);
    if (part()?.phase === "done") rolling.release(effect.run_id, effect.scope);
    const count = await rolling.roll({
      run_id: effect.run_id,
      scope: effect.scope,
      limitMs: limitSeconds === undefined ? ROLL_MS_MAX : limitSeconds * 1000,
      isOff: () => part() === null || part()?.phase === "undoing",
    });
    log.info({ run_id: effect.run_id, worker_type: effect.scope, count }, "the rolling restart is over");
    return undefined;
  }

  /** Lets through one worker that waits, or all of them. */
  #trial(effect: Of<"trial">): void {
    const { layout, log } = this.#parts.context;
    const nowMs = Date.now();
    const pattern = this.#parts.patterns.pattern(effect.subject);
    if (effect.reason === "released") for (const task of pattern?.tasks ?? []) endQuarantine(layout, task);
    const waiting = this.#parts.reader.waiting().filter((id) => effect.workers.includes(id));
    let through = 0;
    for (const id of waiting) {
      if (effect.reason === "trial" && through > 0) break;
      try {
        const at = nowMs + through * APART_MS;
        if (letThrough(layout, id, effect.run_id, effect.reason === "trial" ? "fix_trial" : "fix_released", at))
          through += 1;
      } catch (error) {
        if (weatherCode(error) !== null) throw error;
        log.warn({ worker_id: id, cause: String(error) }, "a waiting worker could not be let through");
      }
    }
  }
}
