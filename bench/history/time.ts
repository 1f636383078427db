/** Simulated time: a clock that stands until the next thing is due, so that a week passes in minutes. @module */
import type { LoopClock } from "../../lib/runtime/loop.js";

interface Due {
  readonly monoMs: number;
  /** Of two things that are due together, the one that was asked for first comes first. */
  readonly nth: number;
  readonly callback: () => void;
}

/** Monotonic time begins here: as of a host that has run for a quarter of an hour. */
const BOOT_MS = 1_000_000;

export class SimulatedTime implements LoopClock {
  readonly #heap: Due[] = [];
  readonly #cancelled = new Set<number>();
  readonly #wallAheadMs: number;
  #monoMs = BOOT_MS;
  #nth = 0;

  constructor(startAtMs: number) {
    this.#wallAheadMs = startAtMs - BOOT_MS;
  }

  get atMs(): number {
    return this.#monoMs + this.#wallAheadMs;
  }

  get monoMs(): number {
    return this.#monoMs;
  }

  now(): { readonly atMs: number; readonly monoMs: number } {
    return { atMs: this.atMs, monoMs: this.#monoMs };
  }

  callAt(monoMs: number, callback: () => void): () => void {
    const due = { monoMs: Math.max(monoMs, this.#monoMs), nth: this.#nth++, callback };
    this.#push(due);
    return () => void this.#cancelled.add(due.nth);
  }

  callAfter(ms: number, callback: () => void): void {
    this.callAt(this.#monoMs + ms, callback);
  }

  /** Lets time pass; whatever is due on the way happens at its instant and in its order. */
  advance(ms: number): void {
    const untilMs = this.#monoMs + ms;
    for (let due = this.#heap[0]; due !== undefined && due.monoMs <= untilMs; due = this.#heap[0]) {
      this.#pop();
      if (this.#cancelled.delete(due.nth)) continue;
      this.#monoMs = Math.max(this.#monoMs, due.monoMs);
      due.callback();
    }
    this.#monoMs = untilMs;
  }

  #push(due: Due): void {
    const heap = this.#heap;
    let child = heap.push(due) - 1;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!isBefore(due, heap[parent] as Due)) break;
      heap[child] = heap[parent] as Due;
      child = parent;
    }
    heap[child] = due;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Due;
    if (heap.length === 0) return;
    let parent = 0;
    for (;;) {
      let least = parent * 2 + 1;
      if (least >= heap.length) break;
      if (least + 1 < heap.length && isBefore(heap[least + 1] as Due, heap[least] as Due)) least += 1;
      if (!isBefore(heap[least] as Due, last)) break;
      heap[parent] = heap[least] as Due;
      parent = least;
    }
    heap[parent] = last;
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.monoMs === b.monoMs ? a.nth < b.nth : a.monoMs < b.monoMs;
}
