/** Guarantee: a stall is told of whenever it was, and an idle daemon writes no file to say that all is well. */
import { describe, expect, test } from "vitest";
import { LoopLag } from "../../../lib/runtime/loop-lag.js";

/** A lag whose pulses came so late, one after another. */
function pulsed(...lateMs: readonly number[]): LoopLag {
  const lag = new LoopLag(1000);
  lag.begin(0);
  let atMs = 0;
  for (const late of lateMs) {
    atMs += 1000 + late;
    lag.pulse(atMs);
  }
  return lag;
}

describe("the lag of a loop", () => {
  test("is the worst since it was asked for, and not that of the last pulse", () => {
    const lag = pulsed(3, 1500, 0, 2);
    expect(lag.take()).toBe(1500);
    expect(lag.take()).toBe(0);
  });

  test("is none before the first pulse, and where a timer is early", () => {
    expect(new LoopLag(1000).take()).toBe(0);
    expect(pulsed(-1, -0.4).take()).toBe(0);
  });

  test("is worth noting when it is another by fifty milliseconds than what was noted last", () => {
    const lag = pulsed();
    expect([0, 49, 50, 1500].map((ms) => lag.isWorthNoting(ms))).toEqual([false, false, true, true]);
    lag.noted(1500);
    expect([1480, 40, 0].map((ms) => lag.isWorthNoting(ms))).toEqual([false, true, true]);
    expect(lag.notedMs).toBe(1500);
  });
});
