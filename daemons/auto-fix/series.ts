/** The latest samples of the metrics that policies ask about. Bounded; only numbers, and no name that an object has by birth. @module */
import type { Sample } from "../../lib/domain/metric-conditions.js";
import { readInstant } from "../../lib/schema/primitives.js";

const SAMPLES_MAX = 3000;
/** What several workers of a component say within the same second is one sample: their mean. */
const SAME_MS = 1000;

interface Slot {
  at_ms: number;
  sum: number;
  count: number;
}

export class Series {
  readonly #byKey = new Map<string, Slot[]>();

  /** Takes a line of `samples.jsonl`; false if it is none. */
  take(line: string, wanted: ReadonlyMap<string, ReadonlySet<string>>): boolean {
    const sample = parsed(line);
    if (sample === null) return false;
    const names = [sample.component, sample.worker_type, sample.worker_id].filter((name) => typeof name === "string");
    for (const component of new Set(names)) {
      for (const metric of wanted.get(component) ?? []) {
        const value = Object.hasOwn(sample.metrics, metric) ? sample.metrics[metric] : undefined;
        if (typeof value === "number" && Number.isFinite(value))
          this.#add(`${component}|${metric}`, sample.at_ms, value);
      }
    }
    return true;
  }

  of(component: string, metric: string): readonly Sample[] {
    return (this.#byKey.get(`${component}|${metric}`) ?? []).map(({ at_ms, sum, count }) => ({
      at_ms,
      value: sum / count,
    }));
  }

  clear(): void {
    this.#byKey.clear();
  }

  #add(key: string, atMs: number, value: number): void {
    const slots = this.#byKey.get(key) ?? [];
    this.#byKey.set(key, slots);
    const last = slots.at(-1);
    if (last !== undefined && Math.abs(atMs - last.at_ms) < SAME_MS) {
      last.sum += value;
      last.count += 1;
      return;
    }
    slots.push({ at_ms: atMs, sum: value, count: 1 });
    if (last !== undefined && atMs < last.at_ms) slots.sort((a, b) => a.at_ms - b.at_ms);
    if (slots.length > SAMPLES_MAX) slots.shift();
  }
}

interface Line {
  readonly at_ms: number;
  readonly component?: string;
  readonly worker_type?: string;
  readonly worker_id?: string;
  readonly metrics: Readonly<Record<string, unknown>>;
}

function parsed(line: string): Line | null {
  try {
    const json = JSON.parse(line) as Partial<Line> & { timestamp?: unknown };
    if (typeof json !== "object" || json === null || typeof json.metrics !== "object" || json.metrics === null)
      return null;
    const atMs = typeof json.at_ms === "number" ? json.at_ms : readInstant(json.timestamp);
    return atMs === null ? null : ({ ...json, at_ms: atMs } as Line);
  } catch {
    return null; // Torn: the next line says more.
  }
}
