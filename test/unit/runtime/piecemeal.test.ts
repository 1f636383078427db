/** Guarantee: long work piece by piece is done once for each, in order, and lets timers speak in between. */
import { describe, expect, test } from "vitest";
import { piecemeal } from "../../../lib/runtime/piecemeal.js";

const plain = {
  each: () => expect.unreachable(),
  within: (piece: () => void): boolean => {
    piece();
    return true;
  },
  givenUp: () => expect.unreachable(),
};

const busy = (ms: number): void => {
  for (const end = performance.now() + ms; performance.now() < end; );
};

describe("piecemeal()", () => {
  test("is done when it returns if it takes one turn", () => {
    const seen: number[] = [];
    let isDone = false;
    piecemeal([1, 2, 3], {
      ...plain,
      each: (item) => seen.push(item),
      done: () => {
        isDone = true;
      },
    });
    expect([seen, isDone]).toEqual([[1, 2, 3], true]);
  });

  test("lets a timer that falls due speak before it is done", async () => {
    const log: string[] = [];
    const items = Array.from({ length: 20 }, (_, nth) => nth);
    const seen: number[] = [];
    await new Promise<void>((resolve) => {
      setTimeout(() => log.push("timer"), 1);
      piecemeal(items, {
        ...plain,
        each: (item) => {
          seen.push(item);
          busy(1);
        },
        done: (tookMs) => {
          log.push("done");
          expect(tookMs).toBeGreaterThanOrEqual(19);
          resolve();
        },
      });
    });
    expect(log).toEqual(["timer", "done"]);
    expect(seen).toEqual(items);
  });

  test("is done at once with nothing to do", () => {
    const calls: number[] = [];
    piecemeal([], { ...plain, done: (tookMs) => calls.push(tookMs) });
    expect(calls).toHaveLength(1);
  });

  test("leaves the rest and says so where a piece came to nothing", () => {
    const seen: number[] = [];
    let givenUp = 0;
    piecemeal([1, 2, 3], {
      each: (item) => {
        if (item === 2) throw new Error("no");
        seen.push(item);
      },
      done: () => expect.unreachable(),
      within: (piece) => {
        try {
          piece();
          return true;
        } catch {
          return false;
        }
      },
      givenUp: () => {
        givenUp += 1;
      },
    });
    expect([seen, givenUp]).toEqual([[1], 1]);
  });
});
