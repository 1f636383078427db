/** Beats for many workers from one process, so that a machine of two cores measures the monitor and not the workers. @module */
import { renameSync, writeFileSync } from "node:fs";
import type { Layout } from "../lib/store/layout.js";
import { closedInTheEnd, mayBegin } from "./cleanup.js";

export class Beating {
  readonly #layout: Layout;
  readonly #intervalMs: number;
  readonly #ids: string[];
  readonly #silent = new Set<string>();
  readonly #sequences = new Map<string, number>();
  #timer: NodeJS.Timeout | null = null;
  #turn = 0;
  /** Ends the beating, of which the home must not be removed. */
  readonly stop = closedInTheEnd(async () => {
    if (this.#timer) clearInterval(this.#timer);
  });
  /** Right before each worker's last beat was put in its place, wall-clock milliseconds: no earlier can it have been seen. */
  readonly lastAtMs = new Map<string, number>();

  constructor(layout: Layout, ids: readonly string[], intervalMs: number) {
    this.#layout = layout;
    this.#ids = [...ids];
    this.#intervalMs = intervalMs;
  }

  /** One beat for each worker in every interval, spread evenly over it. */
  start(): void {
    mayBegin();
    // Short, so that workers do not beat in bursts: those that beat together would also be late together.
    const stepMs = 4;
    const perStep = (this.#ids.length * stepMs) / this.#intervalMs;
    let due = 0;
    for (const id of this.#ids) this.beat(id);
    this.#timer = setInterval(() => {
      due += perStep;
      for (; due >= 1; due -= 1) {
        const id = this.#ids[this.#turn++ % this.#ids.length] as string;
        if (!this.#silent.has(id)) this.beat(id);
      }
    }, stepMs);
  }

  silence(id: string): void {
    this.#silent.add(id);
  }

  beat(id: string): void {
    const sequence = (this.#sequences.get(id) ?? 0) + 1;
    this.#sequences.set(id, sequence);
    const path = this.#layout.heartbeat(id);
    const temporary = path.replace(/[^/]+$/, `.${id}.tmp`);
    writeFileSync(
      temporary,
      JSON.stringify({ worker_id: id, sequence, timestamp: new Date().toISOString(), health_score: 95, progress: 50 }),
    );
    this.lastAtMs.set(id, performance.timeOrigin + performance.now());
    renameSync(temporary, path);
  }
}
