/** Deadlines, not rounds: the nearest of many wakes sets the one timer. @module */
import type { LoopClock } from "./loop.js";

interface Entry {
  readonly key: string;
  readonly atMonoMs: number;
}

/** A binary heap of wakes with one timer; a replaced wake stays in the heap and is skipped when it surfaces. */
export class WakeQueue {
  readonly #clock: LoopClock;
  readonly #onDue: (key: string) => void;
  readonly #due = new Map<string, number>();
  #heap: Entry[] = [];
  #cancel: (() => void) | null = null;
  #armedFor = Number.POSITIVE_INFINITY;

  constructor(clock: LoopClock, onDue: (key: string) => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  set(key: string, atMonoMs: number | null): void {
    if (atMonoMs === null) {
      this.#due.delete(key);
      return;
    }
    if (this.#due.get(key) === atMonoMs) return;
    this.#due.set(key, atMonoMs);
    // Beats replace their worker's wake again and again; the heap is made anew before stale entries outnumber live ones.
    if (this.#heap.length > 64 + this.#due.size * 4) this.#rebuild();
    else push(this.#heap, { key, atMonoMs });
    this.#arm();
  }

  /** When a key is due, on the monotonic clock; null if it is not. */
  dueOf(key: string): number | null {
    return this.#due.get(key) ?? null;
  }

  close(): void {
    this.#cancel?.();
    this.#due.clear();
    this.#heap = [];
  }

  #rebuild(): void {
    this.#heap = [];
    for (const [key, atMonoMs] of this.#due) push(this.#heap, { key, atMonoMs });
  }

  #arm(): void {
    while (this.#heap.length > 0 && !this.#isLive(this.#heap[0] as Entry)) pop(this.#heap);
    const next = this.#heap[0]?.atMonoMs ?? Number.POSITIVE_INFINITY;
    if (next === this.#armedFor) return;
    // A timer that is early costs one look at the heap; re-arming for every beat would cost more.
    if (this.#armedFor < next && this.#cancel !== null) return;
    this.#cancel?.();
    this.#armedFor = next;
    this.#cancel = next === Number.POSITIVE_INFINITY ? null : this.#clock.callAt(next, () => this.#fire());
  }

  #isLive(entry: Entry): boolean {
    return this.#due.get(entry.key) === entry.atMonoMs;
  }

  #fire(): void {
    this.#cancel = null;
    this.#armedFor = Number.POSITIVE_INFINITY;
    const { monoMs } = this.#clock.now();
    const due: string[] = [];
    while (this.#heap.length > 0 && (this.#heap[0] as Entry).atMonoMs <= monoMs) {
      const entry = pop(this.#heap);
      if (entry && this.#isLive(entry)) {
        this.#due.delete(entry.key);
        due.push(entry.key);
      }
    }
    for (const key of due) this.#onDue(key);
    this.#arm();
  }
}

function push(heap: Entry[], entry: Entry): void {
  heap.push(entry);
  let child = heap.length - 1;
  while (child > 0) {
    const parent = (child - 1) >> 1;
    if ((heap[parent] as Entry).atMonoMs <= (heap[child] as Entry).atMonoMs) return;
    swap(heap, parent, child);
    child = parent;
  }
}

function pop(heap: Entry[]): Entry | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (heap.length === 0 || last === undefined) return first;
  heap[0] = last;
  let parent = 0;
  for (;;) {
    const left = parent * 2 + 1;
    let least = parent;
    for (const child of [left, left + 1]) {
      if (child < heap.length && (heap[child] as Entry).atMonoMs < (heap[least] as Entry).atMonoMs) least = child;
    }
    if (least === parent) return first;
    swap(heap, parent, least);
    parent = least;
  }
}

function swap(heap: Entry[], a: number, b: number): void {
  const kept = heap[a] as Entry;
  heap[a] = heap[b] as Entry;
  heap[b] = kept;
}
