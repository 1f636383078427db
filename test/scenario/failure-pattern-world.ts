/** A world in memory for failure-pattern: logs that grow, a disk for snapshots and events, and the daemon's own naming. */
import { failurePatternCore } from "../../daemons/failure-pattern/decide.js";
import { Likeness } from "../../daemons/failure-pattern/likeness.js";
import type { Effect, Event, Failure, Sighting } from "../../daemons/failure-pattern/messages.js";
import { nameFailure } from "../../daemons/failure-pattern/naming.js";
import { type FailurePatternSettings, readFailurePatternPolicy } from "../../daemons/failure-pattern/policy.js";
import { shippedRules } from "../../daemons/failure-pattern/rules.js";
import { sightingOf } from "../../daemons/failure-pattern/sightings.js";
import type { PatternPart, Slice } from "../../daemons/failure-pattern/state.js";
import { ruleBook } from "../../lib/domain/classify.js";
import { type FollowedLog, followedKey, type LinesRead } from "../../lib/domain/followed-log.js";
import type { Answer, PerformContext } from "../../lib/runtime/core.js";
import type { DecisionEffect } from "../../lib/runtime/loop.js";
import type { EventLog } from "../../lib/schema/catalogue.js";
import type { EventRecord } from "../../lib/schema/events.js";
import type { PatternRecord } from "../../lib/schema/pattern.js";
import { type Policy, settingsFor } from "../../lib/schema/policy.js";
import { Simulation } from "./simulation.js";

const BOOK = ruleBook(shippedRules());
const BATCH = 4;

type PatternSimulation = Simulation<Slice, Event, Effect, Policy<FailurePatternSettings>>;

export function policyOf(raw: object): Policy<FailurePatternSettings> {
  const read = readFailurePatternPolicy(raw);
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return read.value.policy;
}

export class PatternWorld {
  readonly simulation: PatternSimulation;
  #likeness = new Likeness(() => this.patterns);
  #policy: Policy<FailurePatternSettings>;
  readonly #logs = new Map<EventLog, object[]>();
  readonly #inHand = new Set<EventLog>();
  /** Event lines as a log holds them: one for each id. */
  readonly events = new Map<string, EventRecord>();
  readonly snapshots = new Map<string, PatternRecord>();
  readonly decisions = new Set<string>();
  publications = 0;
  #ids = 0;

  constructor(crashAfter: readonly number[] = [], policy: object = {}) {
    this.#policy = policyOf(policy);
    this.simulation = new Simulation({
      core: failurePatternCore,
      policy: this.#policy,
      crashAfter,
      world: () => ({
        perform: (effect, context) => this.#perform(effect, context),
        scan: (offer) => {
          this.#inHand.clear();
          this.#likeness = new Likeness(() => this.patterns);
          for (const log of this.#logs.keys()) this.#pump(log, offer);
          for (const [, { pattern_id }] of this.simulation?.partsWith<PatternPart>("pattern:") ?? [])
            offer({ kind: "pattern-due", pattern_id });
        },
      }),
    });
  }

  /** Appends an event line as the monitor would. */
  write(log: EventLog, event: object): void {
    const lines = this.#logs.get(log) ?? [];
    this.#logs.set(log, lines);
    this.#ids += 1;
    lines.push({ event_id: `line-${String(this.#ids).padStart(5, "0")}`, at_ms: this.simulation.nowMs, ...event });
    this.read();
  }

  exits(workerId: string, attempt: number, more: object = {}): void {
    this.write("heartbeat", {
      event_type: "worker_exited",
      severity: "warning",
      worker_id: workerId,
      worker_type: "scan-worker",
      attempt,
      reason: "exited",
      data: { exit_code: 78 },
      ...more,
    });
  }

  /** A person writes another policy. */
  setPolicy(raw: object): void {
    this.#policy = policyOf(raw);
    this.simulation.setPolicy(this.#policy);
    for (const { pattern_id, status } of this.patterns)
      if (status !== "candidate") this.simulation.offer({ kind: "policy-changed", pattern_id });
  }

  /** Replaces a log by what a person left of it. */
  edit(log: EventLog, keep: (line: object, index: number) => boolean): void {
    const lines = (this.#logs.get(log) ?? []).filter(keep);
    this.#logs.set(log, lines);
    this.simulation.offer(this.#batch(log, lines, 0, "replaced"));
    this.read();
  }

  /** Reads on until everything written has been read and done. */
  read(): void {
    for (let turn = 0; turn < 1000; turn++) {
      const before = this.#places();
      for (const log of this.#logs.keys()) this.#pump(log, (event) => this.simulation.offer(event));
      if (this.#places() === before && this.simulation.idle) return;
    }
    throw new Error("The logs are never read to their end");
  }

  pass(ms: number): void {
    this.simulation.advance(ms);
    this.read();
  }

  get patterns(): PatternPart[] {
    return [...this.simulation.partsWith<PatternPart>("pattern:").values()];
  }

  typesOfEvents(): string[] {
    return [...this.events.values()].map((each) => `${each.event_type} ${each.reason}`);
  }

  #places(): string {
    return [...this.#logs.keys()].map((log) => this.#place(log)).join();
  }

  #place(log: EventLog): number {
    return this.simulation?.part<FollowedLog>(followedKey(log))?.checkpoint.offset ?? 0;
  }

  #pump(log: EventLog, offer: (event: Event) => void): void {
    const lines = this.#logs.get(log) ?? [];
    const from = this.#place(log);
    if (this.#inHand.has(log) || from >= lines.length) return;
    this.#inHand.add(log);
    offer(this.#batch(log, lines, from));
  }

  #batch(log: EventLog, lines: readonly object[], from: number, gap?: string): LinesRead<Sighting> {
    const read = lines.slice(from, gap === undefined ? from + BATCH : undefined);
    const picked = read.flatMap((line) => sightingOf(line as Record<string, unknown>, log) ?? []);
    const offset = from + read.length;
    const place = { checkpoint: { inode: 1, birth_ms: 0, offset, head_hash: "" }, events: read.length, unreadable: 0 };
    return { kind: "lines-read", log, ...place, ...(gap === undefined ? {} : { gap }), picked };
  }

  #named(sighting: Sighting): Failure {
    const failure = nameFailure(BOOK, sighting, null);
    const { similarity_threshold } = settingsFor(this.#policy, failure.worker_type).detection;
    return this.#likeness.joined(failure, similarity_threshold);
  }

  #perform(effect: Effect | DecisionEffect, context: PerformContext): Answer<Event> {
    switch (effect.kind) {
      case "decision":
        this.decisions.add(context.stamp.id);
        return undefined;
      case "report":
        this.events.set(effect.record.event_id, effect.record);
        return undefined;
      case "publish":
        this.snapshots.set(effect.record.pattern_id, effect.record);
        this.publications += 1;
        return undefined;
      case "read-on":
        this.#inHand.delete(effect.log);
        return undefined;
      case "gather": {
        const failures = effect.sightings.filter(({ kind, cause }) => kind !== "back" && cause === null);
        const back = effect.sightings.filter(({ kind }) => kind === "back");
        return { kind: "gathered", failures: failures.map((each) => this.#named(each)), back };
      }
      case "count":
        this.#likeness.learn(effect);
        return { ...effect, kind: "counted" };
      case "recover":
        return { ...effect, kind: "recovered" };
      case "ask-lag":
        return { kind: "lag-known", pattern_id: effect.pattern_id, caught_up: this.#inHand.size === 0 };
    }
  }
}
