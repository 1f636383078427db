/** Keeps the published patterns in order: snapshots, index, compaction, and room for new ones. @module */

import { weatherCode } from "../../lib/platform/files.js";
import type { DaemonContext, Source } from "../../lib/runtime/daemon.js";
import type { PatternIndex, PatternRecord } from "../../lib/schema/pattern.js";
import { settingsFor } from "../../lib/schema/policy.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { PatternStore } from "../../lib/store/patterns.js";
import type { Event } from "./messages.js";
import type { FailurePatternSettings } from "./policy.js";
import { recordOf } from "./record.js";
import { type PatternPart, patternKey } from "./state.js";

/** One index for all that is published within this time. */
const INDEX_AFTER_MS = 500;
const DAY_MS = 86_400_000;
/** So much above the limit is let grow before room is made, so that not every new pattern costs a look at all. */
const SLACK = 1.1;

type Host = Pick<
  DaemonContext<Event, FailurePatternSettings>,
  "layout" | "log" | "partsWith" | "part" | "offer" | "policy"
>;

export class Library implements Source {
  readonly name = "patterns";
  readonly scanEverySeconds = 5;
  readonly isCaughtUp: () => boolean;
  readonly #host: Host;
  readonly #store: PatternStore;
  #count: number | null = null;
  #isIndexOld = true;
  #isWoken = false;
  #timer: NodeJS.Timeout | null = null;
  #soon: NodeJS.Timeout | null = null;
  #isStopped = false;

  constructor(host: Host, isCaughtUp: () => boolean) {
    this.#host = host;
    this.#store = new PatternStore(host.layout);
    this.isCaughtUp = isCaughtUp;
  }

  start(): void {
    this.#timer = setInterval(() => this.#wake(), 250);
    this.#timer.unref();
    this.scan();
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    // What was published a moment ago is not in the index yet, and nobody else writes it until the next start.
    if (this.#soon !== null) this.#writeIndex();
    this.#store.close();
  }

  reopen(): void {
    this.#store.reopen();
  }

  /** What is published says what the policy now in force makes of it. */
  policyChanged(): void {
    for (const { pattern_id } of this.#published()) this.#host.offer({ kind: "policy-changed", pattern_id });
  }

  publish(record: PatternRecord): void {
    this.#store.append(record);
    this.#isIndexOld = true;
    this.#soon ??= setTimeout(() => this.#index(), INDEX_AFTER_MS).unref();
  }

  #index(): void {
    this.#soon = null;
    if (!this.#isStopped) this.scan();
  }

  #writeIndex(): void {
    try {
      this.#store.writeIndex(indexOf(this.#published(), Date.now()));
    } catch (error) {
      const code = weatherCode(error);
      if (code === null) throw error;
      this.#host.log.warn({ code }, "the index of patterns is left to the next start");
    }
  }

  patterns(): PatternPart[] {
    return [...this.#host.partsWith<PatternPart>("pattern:").values()];
  }

  /** The published patterns as they are now. */
  records(): PatternRecord[] {
    return this.#published().map((each) => this.#record(each));
  }

  #published(): PatternPart[] {
    return this.patterns().filter((each) => each.status !== "candidate");
  }

  /** A new pattern takes the place of the one that was given nothing for the longest time; those never published first. */
  makeRoom(patternId: string): void {
    if (this.#host.part(patternKey(patternId)) !== null) return;
    const { max_patterns } = this.#host.policy().settings.storage;
    this.#count = (this.#count ?? this.patterns().length) + 1;
    if (this.#count <= max_patterns * SLACK + 1) return;
    const inOrder = this.patterns().sort((a, b) => rank(a) - rank(b) || a.counted_ms - b.counted_ms);
    const leaving = inOrder.slice(0, Math.max(0, inOrder.length - max_patterns));
    this.#count = inOrder.length - leaving.length + 1;
    for (const { pattern_id } of leaving) this.#host.offer({ kind: "forget", pattern_id });
  }

  /** The index, compaction and what has expired. */
  scan(): void {
    try {
      this.#expire();
      const published = this.#published();
      if (this.#store.wantsCompaction(published.length)) this.#store.rewrite(this.records());
      if (this.#isIndexOld) this.#store.writeIndex(indexOf(published, Date.now()));
      this.#isIndexOld = false;
    } catch (error) {
      const code = weatherCode(error);
      if (code === null) throw error;
      this.#host.log.warn({ code }, "the index of patterns is put off");
    }
  }

  /** Patterns that wait for their quiet are asked once everything written meanwhile has been read. */
  #wake(): void {
    if (this.#isWoken || !this.isCaughtUp()) return;
    this.#isWoken = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const { pattern_id } of this.patterns()) this.#host.offer({ kind: "pattern-due", pattern_id });
  }

  #expire(): void {
    const { pattern_retention_days, event_retention_days } = this.#host.policy().settings.storage;
    const now = Date.now();
    for (const pattern of this.patterns()) {
      const days = pattern.status === "candidate" ? event_retention_days : pattern_retention_days;
      if (pattern.status === "active" || now - pattern.counted_ms < days * DAY_MS) continue;
      this.#host.offer({ kind: "forget", pattern_id: pattern.pattern_id });
      this.#isIndexOld = true;
      this.#count = null;
    }
  }

  #record(pattern: PatternPart): PatternRecord {
    return recordOf(pattern, Date.now(), settingsFor(this.#host.policy(), pattern.worker_type));
  }
}

function rank(pattern: PatternPart): number {
  return ["candidate", "resolved", "active"].indexOf(pattern.status);
}

/** What the index counts of a pattern. */
type Counted = Pick<PatternPart, "status" | "category" | "type" | "worker_type" | "severity">;

/** The index of the patterns that are published. */
export function indexOf(published: readonly Counted[], nowMs: number): PatternIndex {
  const active = published.filter((each) => each.status === "active");
  const by = (key: (pattern: Counted) => string): Record<string, number> => {
    const counts = new Map<string, number>();
    for (const each of active) counts.set(key(each), (counts.get(key(each)) ?? 0) + 1);
    return Object.fromEntries(counts);
  };
  return {
    updated_at: writeInstant(nowMs),
    patterns: published.length,
    active: active.length,
    by_category: by((each) => each.category),
    by_type: by((each) => `${each.category}:${each.type}`),
    by_worker_type: by((each) => each.worker_type),
    by_severity: by((each) => each.severity),
  };
}
