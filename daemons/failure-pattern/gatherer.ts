/** Performs `gather`: waits a moment for the last words of those that just ended, reads them, and names each failure. @module */

import { statSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { type Policy, settingsFor } from "../../lib/schema/policy.js";
import type { Layout } from "../../lib/store/layout.js";
import { readRemains, whyNothing } from "./evidence.js";
import type { Likeness } from "./likeness.js";
import type { Event, Failure, Sighting } from "./messages.js";
import { nameFailure } from "./naming.js";
import type { FailurePatternSettings } from "./policy.js";
import type { Rules } from "./rules.js";

/** How long the record of an attempt may take to follow the event of its end. */
const PATIENCE_MS = 3000;
const LOOK_EVERY_MS = 100;
/** For how long it is remembered which attempts were read by their events, and of how many. */
const REMEMBER_MS = 120_000;
const REMEMBERED_MAX = 20_000;

type Gathered = Extract<Event, { kind: "gathered" }>;

interface Host {
  readonly layout: Layout;
  policy(): Policy<FailurePatternSettings>;
}

export class Gatherer {
  readonly #host: Host;
  readonly #rules: Rules;
  readonly #likeness: Likeness;
  /** Attempts that were gathered lately, by `<id>.attempt-<n>`, with the instant. */
  readonly #seen = new Map<string, number>();
  #underWay = 0;

  constructor(host: Host, rules: Rules, likeness: Likeness) {
    this.#host = host;
    this.#rules = rules;
    this.#likeness = likeness;
  }

  /** Whether nothing is in hand. */
  get isIdle(): boolean {
    return this.#underWay === 0;
  }

  /** Whether the attempt came in by an event. */
  hasSeen(workerId: string, attempt: number): boolean {
    return this.#seen.has(`${workerId}.attempt-${attempt}`);
  }

  async gather(sightings: readonly Sighting[]): Promise<Gathered> {
    this.#underWay += 1;
    try {
      this.#remember(sightings);
      await this.#waitForRecords(sightings.filter((each) => each.kind === "ended" && each.attempt !== null));
      const failures = sightings.filter((each) => each.kind !== "back").flatMap((each) => this.#read(each) ?? []);
      return { kind: "gathered", failures, back: sightings.filter((each) => each.kind === "back") };
    } finally {
      this.#underWay -= 1;
    }
  }

  /** Only those that ended just now are waited for: of others the record is there, or never will be. */
  async #waitForRecords(ended: readonly Sighting[]): Promise<void> {
    let missing = ended;
    for (;;) {
      const now = Date.now();
      missing = missing.filter((each) => Math.abs(now - each.at_ms) < PATIENCE_MS && !this.#hasRecord(each));
      if (missing.length === 0) return;
      await pause(LOOK_EVERY_MS, undefined, { ref: false });
    }
  }

  #hasRecord(sighting: Sighting): boolean {
    const path = this.#host.layout.zombieSpec(sighting.worker_id, sighting.attempt ?? 0);
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  }

  #read(sighting: Sighting): Failure | null {
    const { layout } = this.#host;
    const isAttempt = sighting.kind === "ended" && sighting.attempt !== null;
    const remains = isAttempt ? readRemains(layout, sighting.worker_id, sighting.attempt ?? 0) : null;
    if (whyNothing(layout, sighting, remains) !== null) return null;
    const failure = nameFailure(this.#rules.book(), sighting, remains?.words ?? null);
    const { similarity_threshold } = settingsFor(this.#host.policy(), failure.worker_type).detection;
    return this.#likeness.joined(failure, similarity_threshold);
  }

  #remember(sightings: readonly Sighting[]): void {
    const now = Date.now();
    for (const { kind, worker_id, attempt } of sightings)
      if (kind === "ended" && attempt !== null) this.#seen.set(`${worker_id}.attempt-${attempt}`, now);
    for (const [attempt, at] of this.#seen) {
      if (now - at < REMEMBER_MS && this.#seen.size <= REMEMBERED_MAX) break;
      this.#seen.delete(attempt);
    }
  }
}
