/**
 * The circuit breakers of recorded outcomes, under the policy that was in force and under another, side by side. Pure.
 *
 * Outcomes reach a breaker as lines of the history and make no decisions, so they are decided upon here again, by the same
 * `decide`. Where the two first differ, the worker type's ways part: what its workers were allowed is known no further.
 *
 * @module
 */
import type { Stamped, Wake } from "../../lib/runtime/core.js";
import type { EventRecord } from "../../lib/schema/events.js";
import type { Policy } from "../../lib/schema/policy.js";
import { decide } from "./decide.js";
import type { Event } from "./messages.js";
import type { RestartSettings } from "./settings.js";
import { FLEET_NEW, type Slice, TASK_NEW, TYPE_NEW, type TypePart } from "./state.js";

/** Something that a breaker did. */
export interface BreakerEdge {
  readonly worker_type: string;
  readonly at_ms: number;
  readonly event: string;
}

interface Lane {
  type: TypePart;
  dueMs: number | null;
}

type BreakerEvent = Extract<Event, { kind: "history" | "breaker-by-hand" | "breaker-due" }>;

/** Breakers of all types under one policy. */
class Breakers {
  readonly edges: BreakerEdge[] = [];
  readonly #policyAt: (atMs: number) => Policy<RestartSettings>;
  readonly #lanes = new Map<string, Lane>();

  constructor(policyAt: (atMs: number) => Policy<RestartSettings>) {
    this.#policyAt = policyAt;
  }

  hear(event: BreakerEvent, atMs: number): void {
    const lane = this.#laneOf(event.worker_type);
    for (let dueMs = lane.dueMs; dueMs !== null && dueMs <= atMs; dueMs = lane.dueMs) {
      lane.dueMs = null;
      this.#decide(lane, { kind: "breaker-due", worker_type: event.worker_type }, dueMs);
    }
    this.#decide(lane, event, atMs);
  }

  #laneOf(workerType: string): Lane {
    const known = this.#lanes.get(workerType);
    if (known !== undefined) return known;
    const lane: Lane = { type: TYPE_NEW, dueMs: null };
    this.#lanes.set(workerType, lane);
    return lane;
  }

  #decide(lane: Lane, event: BreakerEvent, atMs: number): void {
    const slice: Slice = { worker: null, type: lane.type, task: TASK_NEW, fleet: FLEET_NEW };
    // Both clocks are the wall clock here: a breaker knows no other.
    const stamped: Stamped<BreakerEvent> = { ...event, stamp: { id: "backtest", atMs, monoMs: atMs } };
    const decided = decide(slice, stamped, this.#policyAt(atMs));
    lane.type = decided.slice.type;
    for (const effect of decided.effects) {
      if (effect.kind === "wake") {
        const { atMonoMs } = effect as Wake;
        lane.dueMs = atMonoMs !== null && atMonoMs <= atMs ? null : atMonoMs;
      } else if (effect.kind === "report") {
        const { event_type: name } = (effect as { record: EventRecord }).record;
        if (name.startsWith("circuit_breaker_"))
          this.edges.push({ worker_type: event.worker_type, at_ms: atMs, event: name });
      }
    }
  }
}

/** The breakers under two policies, which part ways at `sinceMs` at the earliest. */
export class BreakerComparison {
  readonly #live: Breakers;
  readonly #other: Breakers;
  readonly #sinceMs: number;
  readonly #parted = new Map<string, { readonly at_ms: number; readonly live: string; readonly other: string }>();
  readonly #compared = { live: 0, other: 0 };

  constructor(liveAt: (atMs: number) => Policy<RestartSettings>, other: Policy<RestartSettings>, sinceMs: number) {
    this.#live = new Breakers(liveAt);
    this.#other = new Breakers((atMs) => (atMs < sinceMs ? liveAt(atMs) : other));
    this.#sinceMs = sinceMs;
  }

  hear(event: BreakerEvent, atMs: number): void {
    this.#live.hear(event, atMs);
    this.#other.hear(event, atMs);
    this.#compare(event.worker_type);
  }

  /** When and how a type's breaker under the other policy first did what the live one did not, or the reverse. */
  partedAt(workerType: string): { readonly at_ms: number; readonly live: string; readonly other: string } | null {
    return this.#parted.get(workerType) ?? null;
  }

  get parted(): readonly (readonly [
    string,
    { readonly at_ms: number; readonly live: string; readonly other: string },
  ])[] {
    return [...this.#parted];
  }

  /** How often breakers opened, under the live policy and under the other. */
  get trips(): { readonly live: number; readonly other: number } {
    const count = (edges: readonly BreakerEdge[]): number =>
      edges.filter(({ event, at_ms }) => event === "circuit_breaker_tripped" && at_ms >= this.#sinceMs).length;
    return { live: count(this.#live.edges), other: count(this.#other.edges) };
  }

  #compare(workerType: string): void {
    const live = this.#live.edges.slice(this.#compared.live);
    const other = this.#other.edges.slice(this.#compared.other);
    this.#compared.live = this.#live.edges.length;
    this.#compared.other = this.#other.edges.length;
    if (this.#parted.has(workerType)) return;
    for (let nth = 0; nth < Math.max(live.length, other.length); nth++) {
      const [was, would] = [live[nth], other[nth]];
      if (was?.event === would?.event && was?.at_ms === would?.at_ms) continue;
      const at_ms = Math.min(was?.at_ms ?? Number.POSITIVE_INFINITY, would?.at_ms ?? Number.POSITIVE_INFINITY);
      this.#parted.set(workerType, { at_ms, live: wordOf(was, at_ms), other: wordOf(would, at_ms) });
      return;
    }
  }
}

const WORDS: Readonly<Record<string, string>> = {
  circuit_breaker_tripped: "its breaker opens",
  circuit_breaker_half_open: "its breaker lets a probe through",
  circuit_breaker_reset: "its breaker closes",
};

function wordOf(edge: BreakerEdge | undefined, atMs: number): string {
  return edge === undefined || edge.at_ms !== atMs ? "its breaker stays as it is" : (WORDS[edge.event] ?? edge.event);
}
