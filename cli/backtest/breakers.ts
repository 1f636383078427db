/** The recorded outcomes of restarts, given to the breakers of both policies as the decisions pass by. @module */
import { BreakerComparison } from "../../daemons/worker-restart/breaker-backtest.js";
import { historyEvent, isOfFuture } from "../../daemons/worker-restart/history-event.js";
import type { DecisionRecord } from "../../lib/schema/events.js";
import type { Policy } from "../../lib/schema/policy.js";
import { restartHistorySchema } from "../../lib/schema/records.js";
import { linesOfLog } from "../../lib/store/decisions.js";
import type { Layout } from "../../lib/store/layout.js";
import type { PolicyTimeline } from "./timeline.js";

type Outcome = ReturnType<typeof historyEvent>;
type ByHand = Parameters<BreakerComparison["hear"]>[0];

export class BreakerHistory {
  readonly #comparison: BreakerComparison;
  readonly #outcomes: Generator<Outcome>;
  #next: Outcome | undefined;

  constructor(layout: Layout, timeline: PolicyTimeline<never>, other: Policy<never>, sinceMs: number) {
    this.#comparison = new BreakerComparison((atMs) => timeline.at(atMs), other, sinceMs);
    this.#outcomes = outcomesIn(layout);
    this.#advance();
  }

  /** How the breaker of a type has parted by the time of a decision; null if it has not. */
  partedBy(record: DecisionRecord, workerType: string) {
    this.#hearUntil(record.at_ms);
    if (record.event.kind === "breaker-by-hand") {
      // The place in the history that a hand refers to is one of the daemon's files, not of this reading.
      this.#comparison.hear({ ...record.event, read_to: null } as ByHand, record.at_ms);
    }
    return this.#comparison.partedAt(workerType);
  }

  finish(untilMs: number): void {
    this.#hearUntil(untilMs);
  }

  get trips(): { readonly live: number; readonly other: number } {
    return this.#comparison.trips;
  }

  #hearUntil(atMs: number): void {
    while (this.#next !== undefined && this.#next.outcome.atMs <= atMs) {
      this.#comparison.hear(this.#next, this.#next.outcome.atMs);
      this.#advance();
    }
  }

  #advance(): void {
    const next = this.#outcomes.next();
    this.#next = next.done === true ? undefined : next.value;
  }
}

function* outcomesIn(layout: Layout): Generator<Outcome> {
  const nowMs = Date.now();
  let offset = 0;
  for (const line of linesOfLog(layout, layout.history)) {
    offset += 1;
    const outcome = outcomeIn(line, offset, nowMs);
    if (outcome !== null) yield outcome;
  }
}

/** Null for what the daemon passes over: one line from the year 2099 would hide all that follow it. */
function outcomeIn(line: string, offset: number, nowMs: number): Outcome | null {
  try {
    const read = restartHistorySchema.safeParse(JSON.parse(line));
    if (!read.success) return null;
    const event = historyEvent(read.data, { file: "history", offset }, 0);
    return isOfFuture(read.data, event.outcome.atMs, nowMs) ? null : event;
  } catch {
    return null; // The daemon has passed it over too, and has said so.
  }
}
