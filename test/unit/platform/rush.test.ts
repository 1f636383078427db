/** Guarantee: while workers die in numbers V8 optimizes no code, and not for long. */
import { spawnSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Rush } from "../../../lib/platform/rush.js";

let nowMs: number;
let said: boolean[];
let rush: Rush;
beforeEach(() => {
  vi.useFakeTimers();
  nowMs = 0;
  said = [];
  rush = new Rush({ now: () => nowMs, compile: (allowed) => void said.push(allowed) });
});
afterEach(() => {
  vi.useRealTimers();
});

function pass(ms: number): void {
  for (let nth = 0; nth < ms; nth++) {
    nowMs += 1;
    vi.advanceTimersByTime(1);
  }
}

function die(times: number, everyMs: number): void {
  for (let nth = 0; nth < times; nth++) {
    rush.died();
    pass(everyMs);
  }
}

describe("Rush", () => {
  test("begins with the second of two deaths that are close, and is over 100 ms after the last", () => {
    rush.died();
    expect(said).toEqual([]);
    pass(3);
    rush.died();
    expect(said).toEqual([false]);
    pass(99);
    expect(said).toEqual([false]);
    pass(1);
    expect(said).toEqual([false, true]);
  });

  test("is none where deaths are further apart than 50 ms", () => {
    die(20, 60);
    expect(said).toEqual([]);
  });

  test("is over after half a second, however many die after that, until they have left off for a while", () => {
    die(400, 3);
    expect(said).toEqual([false, true]);
    pass(101);
    die(2, 3);
    expect(said).toEqual([false, true, false]);
  });

  test("turns a flag that this Node knows", () => {
    const turn = "for (const f of ['--no-turbofan', '--turbofan']) require('node:v8').setFlagsFromString(f)";
    const { status, stderr } = spawnSync(process.execPath, ["-e", turn], { encoding: "utf8" });
    expect([status, stderr]).toEqual([0, ""]);
  });

  test("leaves compiling allowed in the end, whatever the deaths were", () => {
    for (const everyMs of [1, 7, 20, 49, 51, 99, 101, 150]) die(30, everyMs);
    pass(600);
    expect(said.at(-1)).toBe(true);
    expect(said.filter((allowed) => allowed)).toHaveLength(said.filter((allowed) => !allowed).length);
  });
});
