/** Guarantee: what is to come every so many seconds comes then, all of it with one waking, and not once it was ended. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { everySeconds } from "../../../lib/platform/seconds.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("whole seconds share one timer, which goes with the last of them", () => {
  const told: string[] = [];
  const endFirst = everySeconds(1, () => told.push("first"));
  vi.advanceTimersByTime(400);
  const endSecond = everySeconds(2, () => told.push("second"));
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(600);
  expect(told).toEqual(["first"]);
  // Both at the same moment, as they were asked for.
  vi.advanceTimersByTime(1000);
  expect(told).toEqual(["first", "first", "second"]);
  endFirst();
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(4000);
  expect(told.slice(3)).toEqual(["second", "second"]);
  endSecond();
  endSecond();
  expect(vi.getTimerCount()).toBe(0);
});

test("what one call ends or begins counts from the next second on", () => {
  const told: string[] = [];
  const ends: (() => void)[] = [];
  ends.push(
    everySeconds(1, () => {
      told.push("a");
      ends[1]?.();
      if (ends.length < 3) ends.push(everySeconds(1, () => told.push("c")));
    }),
  );
  ends.push(everySeconds(1, () => told.push("b")));
  vi.advanceTimersByTime(1000);
  expect(told).toEqual(["a"]);
  vi.advanceTimersByTime(1000);
  expect(told).toEqual(["a", "a", "c"]);
  for (const end of ends) end();
  vi.advanceTimersByTime(5000);
  expect(told).toHaveLength(3);
});

test("parts of a second have a timer of their own", () => {
  let count = 0;
  const end = everySeconds(0.25, () => {
    count += 1;
  });
  vi.advanceTimersByTime(1000);
  expect(count).toBe(4);
  end();
  expect(vi.getTimerCount()).toBe(0);
});
