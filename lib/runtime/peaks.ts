/** The highest use of each limit, and the busiest hour and day, of decisions that come in order. @module */
import type { Gate } from "../schema/events.js";

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** How far a limit was used at most. */
export interface Peak {
  readonly gate: string;
  readonly value: number;
  readonly limit: number;
  readonly at_ms: number;
  readonly subject: string;
}

/** Of each gate that compares numbers, the answer nearest to its limit. */
export class Peaks {
  readonly #highest = new Map<string, Peak>();

  /** @param spent What the decision itself adds to the use that its gate found. */
  note(gate: Gate, spent: number, atMs: number, subject: string): void {
    if (typeof gate.value === "number")
      return this.#compare(gate.gate, gate.value + spent, gate.threshold, atMs, subject);
    if (typeof gate.value !== "object" || gate.value === null || typeof gate.threshold !== "object") return;
    const thresholds = (gate.threshold ?? {}) as Readonly<Record<string, unknown>>;
    for (const [name, value] of Object.entries(gate.value))
      if (typeof value === "number")
        this.#compare(`${gate.gate}.${name}`, value + spent, thresholds[name], atMs, subject);
  }

  get all(): readonly Peak[] {
    return [...this.#highest.values()];
  }

  #compare(gate: string, value: number, limit: unknown, at_ms: number, subject: string): void {
    // 0 of 0 is a rule that is switched off.
    if (typeof limit !== "number" || limit === Number.MAX_SAFE_INTEGER || (limit === 0 && value === 0)) return;
    const known = this.#highest.get(gate);
    if (
      known !== undefined &&
      (known.limit === limit ? value <= known.value : value * known.limit <= known.value * limit)
    )
      return;
    this.#highest.set(gate, { gate, value, limit, at_ms, subject });
  }
}

/** The largest number of acts in any hour and in any day. */
export class BusiestTimes {
  readonly #hour: number[] = [];
  readonly #day: number[] = [];
  total = 0;
  perHour = 0;
  perDay = 0;

  note(atMs: number): void {
    this.total += 1;
    this.perHour = Math.max(this.perHour, within(this.#hour, atMs, HOUR_MS));
    this.perDay = Math.max(this.perDay, within(this.#day, atMs, DAY_MS));
  }
}

function within(log: number[], atMs: number, windowMs: number): number {
  log.push(atMs);
  const first = log.findIndex((each) => each > atMs - windowMs);
  if (first > 0) log.splice(0, first);
  return log.length;
}
