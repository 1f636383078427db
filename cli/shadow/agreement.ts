/**
 * How far a shadow policy and the live one agree, from the decisions of both in the order in which they were made. Pure.
 *
 * Both decide on the same facts, so most decisions come in pairs on one event. What a shadow says at an instant of its own
 * (a shorter time-out) is paired with the live decision of the same subject, attempt, silence and verdict, whichever came
 * first.
 *
 * @module
 */
import type { DecisionRecord } from "../../lib/schema/events.js";

/** What is kept of a decision that has no partner yet. */
export interface Alone {
  readonly decision_id: string;
  readonly subject: string;
  readonly verdict: string;
  readonly reason: string;
  readonly at_ms: number;
  readonly attempt: number | null;
  /** The silence that it is about; null where it is about none. */
  readonly silence: number | null;
}

export interface Tally {
  both: number;
  only_live: number;
  only_shadow: number;
  /** Of the live decisions of this verdict, those at which the shadow decided otherwise on the same facts. */
  otherwise: number;
}

/** A decision that both made, at different times. */
export interface Shifted {
  readonly live: Alone;
  readonly shadow: Alone;
}

export class Agreement {
  readonly #live = new Map<string, Alone[]>();
  readonly #shadow = new Map<string, Alone[]>();
  readonly #tallies = new Map<string, Tally>();
  readonly shifted: Shifted[] = [];
  #last: DecisionRecord | null = null;

  /** Hears the next decision, live or shadow. On one event the live decision comes first. */
  hear(record: DecisionRecord): void {
    if (record.mode === "shadow") return this.#hearShadow(record);
    this.#settle();
    this.#last = record;
  }

  /** Ends the reading: what has no partner by now has none. */
  finish(): void {
    this.#settle();
    for (const alone of this.onlyLive) this.#tally(alone.verdict).only_live += 1;
    for (const alone of this.onlyShadow) this.#tally(alone.verdict).only_shadow += 1;
  }

  get tallies(): ReadonlyMap<string, Readonly<Tally>> {
    return this.#tallies;
  }

  get onlyShadow(): Alone[] {
    return [...this.#shadow.values()].flat();
  }

  get onlyLive(): Alone[] {
    return [...this.#live.values()].flat();
  }

  /** Decisions that were counted, and the share of them that both made; null without any. */
  get total(): { readonly decisions: number; readonly share: number | null } {
    const all = [...this.#tallies.values()];
    const decisions = all.reduce(
      (sum, each) => sum + each.both + each.only_live + each.only_shadow + each.otherwise,
      0,
    );
    const both = all.reduce((sum, each) => sum + each.both, 0);
    return { decisions, share: decisions === 0 ? null : both / decisions };
  }

  #hearShadow(record: DecisionRecord): void {
    const live = this.#last;
    if (live !== null && record.decision_id === `${live.decision_id}-shadow`) {
      this.#last = null;
      if (record.verdict !== live.verdict) this.#tally(live.verdict).otherwise += 1;
      else this.#tally(live.verdict).both += 1;
      return;
    }
    this.#settle();
    this.#pair(aloneOf(record), this.#live, this.#shadow, (shadow, other) => ({ live: other, shadow }));
  }

  #settle(): void {
    const live = this.#last;
    this.#last = null;
    if (live !== null) this.#pair(aloneOf(live), this.#shadow, this.#live, (own, shadow) => ({ live: own, shadow }));
  }

  #pair(
    alone: Alone,
    among: Map<string, Alone[]>,
    own: Map<string, Alone[]>,
    shiftedOf: (alone: Alone, partner: Alone) => Shifted,
  ): void {
    const key = `${alone.subject} ${alone.verdict} ${alone.attempt ?? ""} ${alone.silence ?? ""}`;
    const partner = among.get(key)?.pop();
    if (partner !== undefined) {
      if (among.get(key)?.length === 0) among.delete(key);
      this.#tally(alone.verdict).both += 1;
      this.shifted.push(shiftedOf(alone, partner));
      return;
    }
    const waiting = own.get(key);
    if (waiting) waiting.push(alone);
    else own.set(key, [alone]);
  }

  #tally(verdict: string): Tally {
    const known = this.#tallies.get(verdict);
    if (known !== undefined) return known;
    const tally: Tally = { both: 0, only_live: 0, only_shadow: 0, otherwise: 0 };
    this.#tallies.set(verdict, tally);
    return tally;
  }
}

function aloneOf(record: DecisionRecord): Alone {
  const { decision_id, subject, verdict, reason, at_ms } = record;
  return { decision_id, subject, verdict, reason, at_ms, ...ofWorker(record) };
}

/** The attempt, and the silence of it, that a decision of the monitor is about. */
function ofWorker({ slice }: DecisionRecord): Pick<Alone, "attempt" | "silence"> {
  const worker = slice.worker as { spec?: { attempt?: unknown }; silent_from_mono_ms?: unknown } | null | undefined;
  const { attempt } = worker?.spec ?? {};
  const from = worker?.silent_from_mono_ms;
  return {
    attempt: typeof attempt === "number" ? attempt : null,
    silence: typeof from === "number" ? Math.round(from) : null,
  };
}
