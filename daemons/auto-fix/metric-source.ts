/** The samples of metrics, asked against the conditions of every policy that is enabled and has a scope. @module */

import { newEventIdBase } from "../../lib/platform/ids.js";
import { watchFew } from "../../lib/platform/watching.js";
import type { Source } from "../../lib/runtime/daemon.js";
import { Shelter } from "../../lib/runtime/shelter.js";
import { Tailer } from "../../lib/store/logs.js";
import { type Asked, AskedPolicies } from "./asked-policies.js";
import type { FactReader } from "./facts.js";
import { PERSON, troubleOf } from "./ladder.js";
import type { Event } from "./messages.js";
import { fixIdOfPolicy, planOfPolicy, subjectOfPolicy } from "./plans.js";
import type { Context, Rules } from "./rules.js";
import { Series } from "./series.js";
import { type HealerPart, type MatchPart, type RunPart, type RunRef, refOf } from "./state.js";
import { answerWords } from "./telling.js";

const SCAN_EVERY_SECONDS = 1;
const LINE_BYTES_MAX = 64 * 1024;
const READ_BYTES = 1024 * 1024;

export class MetricSource implements Source {
  readonly name = "metrics";
  readonly scanEverySeconds = SCAN_EVERY_SECONDS;
  readonly #context: Context;
  readonly #reader: FactReader;
  readonly #series = new Series();
  readonly #policies: AskedPolicies;
  readonly #shelter: Shelter;
  #tailer: Tailer | null = null;
  #wanted: ReadonlyMap<string, ReadonlySet<string>> = new Map();
  #watch: { close(): void } | null = null;
  #isStarted = false;

  constructor(context: Context, rules: Rules, reader: FactReader) {
    this.#context = context;
    this.#reader = reader;
    this.#shelter = new Shelter(context.log);
    this.#policies = new AskedPolicies(context, rules, this.#series);
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
    this.#wanted = this.#policies.wanted();
    this.#series.clear();
    this.#tailer?.close();
    this.#tailer =
      this.#wanted.size === 0 ? null : new Tailer(this.#context.layout.samples, null, { maxLineBytes: LINE_BYTES_MAX });
    this.scan();
  }

  scan(): void {
    if (!this.#shelter.run("reading samples", () => this.#read())) return;
    let missed = false;
    for (const component of this.#wanted.keys())
      missed = !this.#shelter.run(`looking at ${component}`, () => this.#ask(component)) || missed;
    // Components that nobody asks for any more were not looked at.
    if (!missed) this.#shelter.forget(() => true);
    this.#forgetTroubles();
  }

  /** Performs `look`. */
  again(ref: RunRef): Event | null {
    const asked = this.#policies.of(ref.subject);
    return asked === null || asked.holds !== true ? null : this.#consider(asked, null);
  }

  approved(run: RunPart, by: string): Event | null {
    const asked = this.#policies.of(run.subject);
    return asked === null ? null : this.#consider(asked, { run, by });
  }

  /** Whether what a run was made for is over; false if it is still as bad; null if it is not known. */
  cleared(run: RunPart): boolean | null {
    return this.#policies.cleared(run);
  }

  #read(): void {
    const tailer = this.#tailer;
    if (tailer === null) return;
    for (let found = tailer.read(READ_BYTES); ; found = tailer.read(READ_BYTES)) {
      for (const line of found.lines) this.#series.take(line.text, this.#wanted);
      if (found.more !== true) return;
    }
  }

  #ask(component: string): void {
    const all = this.#policies.allFor(component);
    const holding = all.filter((each) => each.holds === true);
    const ladder = this.#ladder(component);
    for (const asked of all) this.#watchTrouble(asked, ladder);
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
    for (const run of [...this.#context.partsWith<RunPart>("run:").values()])
      if (run.pattern_id === null && run.scope === component && run.phase === "verifying")
        this.#context.offer({ kind: "check-due", ...refOf(run) });
  }

  /** Tells the core when a trouble began, when it is time for a person, and when it is over. */
  #watchTrouble({ rule, policy, component, answers, holds }: Asked, ladder: readonly string[]): void {
    const { person_after_seconds } = rule;
    if (person_after_seconds === null) return;
    const sinceMs = this.#troubles()[troubleOf(policy, component)];
    if (holds === false) {
      if (sinceMs !== undefined) this.#context.offer({ kind: "trouble-over", component, policy });
      return;
    }
    // What is not known yet began nothing; what once began is not over because nothing is known of it any more.
    const isNews = sinceMs === undefined ? holds === true : Date.now() >= sinceMs + person_after_seconds * 1000;
    if (!isNews || ladder.includes(PERSON)) return;
    this.#context.offer({ kind: "trouble-seen", component, policy, seen: answerWords(answers), person_after_seconds });
  }

  /** Of policies that are switched off, or that call nobody any more. */
  #forgetTroubles(): void {
    const known = new Set(
      this.#policies
        .active()
        .filter((policy) => policy.person_after_seconds !== null)
        .flatMap(({ name, components }) => components.map((component) => troubleOf(name, component))),
    );
    for (const key of Object.keys(this.#troubles())) {
      if (known.has(key)) continue;
      const [policy = "", component = ""] = key.split("@");
      this.#context.offer({ kind: "trouble-over", component, policy });
    }
  }

  #troubles(): Readonly<Record<string, number>> {
    return this.#context.part<HealerPart>("healer")?.troubles ?? {};
  }

  #ladder(component: string): readonly string[] {
    const ladders = this.#context.part<HealerPart>("healer")?.ladders ?? {};
    return Object.hasOwn(ladders, component) ? (ladders[component] ?? []) : [];
  }

  #consider(asked: Asked, approved: { readonly run: RunPart; readonly by: string } | null): Event {
    const nowMs = Date.now();
    const { rule, policy, component, answers, holds, planned, before } = asked;
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
      condition: { policy, component, answers, holds, planned, before },
      facts: this.#reader.read(plan, component, null, {}, nowMs),
      approved_by: approved?.by ?? null,
    };
  }
}

const wordsOf = (asked: readonly Asked[]): string => answerWords(asked.flatMap((each) => each.answers));
