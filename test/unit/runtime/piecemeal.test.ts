/** Guarantee: long work piece by piece is done once for each, in order, and lets timers speak in between. */
import { describe, expect, test } from "vitest";
import { inPieces, piecemeal } from "../../../lib/runtime/piecemeal.js";

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

describe("inPieces()", () => {
  function* counting(to: number, seen: number[]): Generator<undefined, string> {
    for (let nth = 1; nth <= to; nth++) {
      seen.push(nth);
      busy(1);
      yield;
    }
    return "done";
  }
  const never = (): boolean => false;

  test("lets a timer that falls due speak before it is done, and returns what the work returns", async () => {
    const seen: number[] = [];
    let seenThen = 0;
    setTimeout(() => {
      seenThen = seen.length;
    }, 1);
    expect(await inPieces(counting(20, seen), never)).toBe("done");
    expect(seenThen).toBeGreaterThan(0);
    expect(seenThen).toBeLessThan(20);
    expect(seen).toHaveLength(20);
  });

  test("leaves the rest as soon as it is over", async () => {
    const seen: number[] = [];
    expect(await inPieces(counting(1000, seen), () => seen.length > 5)).toBeNull();
    expect(seen.length).toBeLessThan(100);
  });

  test("throws what a step throws, at once or later", async () => {
    function* failing(after: number): Generator<undefined, void> {
      yield* counting(after, []);
      throw new Error("no");
    }
    for (const after of [0, 10]) await expect(inPieces(failing(after), never)).rejects.toThrow("no");
  });
});
