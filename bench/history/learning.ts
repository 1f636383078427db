/** failure-pattern of a made-up history: it reads every event line that the others wrote, and publishes patterns. @module */
import { failurePatternCore } from "../../daemons/failure-pattern/decide.js";
import { Likeness } from "../../daemons/failure-pattern/likeness.js";
import type { Effect, Event, Failure, Sighting } from "../../daemons/failure-pattern/messages.js";
import { type LastWords, nameFailure } from "../../daemons/failure-pattern/naming.js";
import { type FailurePatternSettings, failurePatternPolicy } from "../../daemons/failure-pattern/policy.js";
import { recordOf } from "../../daemons/failure-pattern/record.js";
import { shippedRules } from "../../daemons/failure-pattern/rules.js";
import { sightingOf } from "../../daemons/failure-pattern/sightings.js";
import type { PatternPart, Slice } from "../../daemons/failure-pattern/state.js";
import { ruleBook } from "../../lib/domain/classify.js";
import type { Answer } from "../../lib/runtime/core.js";
import { EVENTS, type EventLog } from "../../lib/schema/catalogue.js";
import type { EventRecord } from "../../lib/schema/events.js";
import type { PatternRecord } from "../../lib/schema/pattern.js";
import { settingsFor } from "../../lib/schema/policy.js";
import type { Layout } from "../../lib/store/layout.js";
import { PatternStore } from "../../lib/store/patterns.js";
import { Host } from "./host.js";
import type { SimulatedTime } from "./time.js";

const READ_EVERY_MS = 5000;
const BOOK = ruleBook(shippedRules());

export interface LearningOptions {
  readonly layout: Layout;
  readonly time: SimulatedTime;
  /** What a dead attempt left; null if nothing is known. */
  readonly wordsOf: (workerId: string, attempt: number) => LastWords | null;
  readonly onReported: (record: EventRecord) => void;
  readonly onPublished: (record: PatternRecord) => void;
}

interface Unread {
  events: number;
  picked: Sighting[];
  offset: number;
}

export class Learning {
  readonly #options: LearningOptions;
  readonly host: Host<Slice, Event, Effect, FailurePatternSettings>;
  readonly #likeness = new Likeness(() => this.#patterns());
  readonly #store: PatternStore;
  readonly #unread = new Map<EventLog, Unread>();

  constructor(options: LearningOptions) {
    this.#options = options;
    const { layout, time, onReported } = options;
    this.#store = new PatternStore(layout);
    this.host = new Host({
      core: failurePatternCore,
      policy: failurePatternPolicy,
      raw: {},
      layout,
      time,
      perform: (effect) => this.#perform(effect),
      onReported,
    });
  }

  start(): void {
    this.#options.time.callAfter(READ_EVERY_MS, () => {
      this.#read();
      this.start();
    });
  }

  /** A line was written to one of the logs. */
  note(record: EventRecord): void {
    const { log } = EVENTS[record.event_type];
    if (log === "failure-pattern") return;
    const unread = this.#unread.get(log) ?? { events: 0, picked: [], offset: 0 };
    const sighting = sightingOf({ ...record }, log);
    unread.events += 1;
    if (sighting !== null) unread.picked.push(sighting);
    this.#unread.set(log, unread);
  }

  /** What the daemon's library does from time to time. */
  compact(): void {
    const published = this.#patterns().filter((each) => each.status !== "candidate");
    if (!this.#store.wantsCompaction(published.length)) return;
    const { policy } = this.host;
    const { atMs } = this.#options.time;
    this.#store.rewrite(published.map((each) => recordOf(each, atMs, settingsFor(policy, each.worker_type))));
  }

  close(): void {
    this.#read();
    this.#store.close();
  }

  #patterns(): PatternPart[] {
    return [...this.host.loop.partsWith<PatternPart>("pattern:").values()];
  }

  #read(): void {
    for (const [log, unread] of this.#unread) {
      if (unread.events === 0) continue;
      const { events, picked } = unread;
      unread.offset += events;
      Object.assign(unread, { events: 0, picked: [] });
      const checkpoint = { inode: 1, birth_ms: 0, offset: unread.offset, head_hash: "" };
      this.host.offer({ kind: "lines-read", log, checkpoint, events, unreadable: 0, picked });
    }
  }

  #named(sighting: Sighting): Failure {
    const isAttempt = sighting.kind === "ended" && sighting.attempt !== null;
    const words = isAttempt ? this.#options.wordsOf(sighting.worker_id, sighting.attempt ?? 0) : null;
    const failure = nameFailure(BOOK, sighting, words);
    const { similarity_threshold } = settingsFor(this.host.policy, failure.worker_type).detection;
    return this.#likeness.joined(failure, similarity_threshold);
  }

  #perform(effect: Effect): Answer<Event> {
    switch (effect.kind) {
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
      case "publish":
        this.#store.append(effect.record);
        this.#options.onPublished(effect.record);
        return undefined;
      case "ask-lag":
        return { kind: "lag-known", pattern_id: effect.pattern_id, caught_up: true };
      default:
        return undefined;
    }
  }
}
