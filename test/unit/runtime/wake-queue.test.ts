/** Deadlines: each key fires once, at the last instant it was set to, never early, in order. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { WakeQueue } from "../../../lib/runtime/wake-queue.js";

class TickingClock {
  monoMs = 0;
  calls: { at: number; callback: () => void; live: boolean }[] = [];
  now = () => ({ atMs: this.monoMs, monoMs: this.monoMs });
  callAt = (at: number, callback: () => void) => {
    const call = { at, callback, live: true };
    this.calls.push(call);
    return () => {
      call.live = false;
    };
  };
  runTo(monoMs: number): void {
    for (;;) {
      const next = this.calls.filter((call) => call.live && call.at <= monoMs).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      next.live = false;
      this.monoMs = Math.max(this.monoMs, next.at);
      next.callback();
    }
    this.monoMs = monoMs;
  }
}

describe("WakeQueue", () => {
  test("fires each key once, at the last instant it was set to, and in order", () => {
    const settings = fc.array(
      fc.record({ key: fc.constantFrom("a", "b", "c", "d"), at: fc.integer({ min: 1, max: 500 }) }),
      { maxLength: 300 },
    );
    fc.assert(
      fc.property(settings, (sets) => {
        const clock = new TickingClock();
        const fired: { key: string; at: number }[] = [];
        const queue = new WakeQueue(clock, (key) => fired.push({ key, at: clock.monoMs }));
        const wanted = new Map<string, number>();
        for (const { key, at } of sets) {
          queue.set(key, at);
          wanted.set(key, at);
        }
        clock.runTo(1000);
        expect(new Map(fired.map((one) => [one.key, one.at]))).toEqual(wanted);
        expect(fired.map((one) => one.at)).toEqual([...fired.map((one) => one.at)].sort((a, b) => a - b));
        expect(fired.length).toBe(wanted.size);
      }),
    );
  });

  test("does not fire a key that was cancelled", () => {
    const clock = new TickingClock();
    const fired: string[] = [];
    const queue = new WakeQueue(clock, (key) => fired.push(key));
    queue.set("a", 10);
    queue.set("b", 20);
    queue.set("a", null);
    clock.runTo(100);
    expect(fired).toEqual(["b"]);
  });

  test("keeps its memory in proportion to the keys, however often they are set", () => {
    const clock = new TickingClock();
    let fired = 0;
    const queue = new WakeQueue(clock, () => fired++);
    for (let round = 1; round <= 100_000; round++) queue.set("beating", round);
    clock.runTo(200_000);
    expect(fired).toBe(1);
    expect(clock.calls.length).toBeLessThan(2000);
  });
});
