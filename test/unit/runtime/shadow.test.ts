/** A shadow has accounts of its own, no effect, and no way to hurt the live side. */
import { describe, expect, test } from "vitest";
import type { Core, Shadowing } from "../../../lib/runtime/core.js";
import type { DecisionEffect } from "../../../lib/runtime/loop.js";
import { Shadow } from "../../../lib/runtime/shadow.js";
import { type Account, type ToyEffect, type ToyEvent, type ToySlice, toyCore } from "./toy-core.js";

type Policy = { readonly factor: number };

const shadowing: Shadowing<ToySlice, ToyEvent> = {
  hears: (event) => event.kind !== "paid",
  view: (live, own) => ({ slice: { account: own.account ?? live.account }, decides: true }),
  keeps: ["account"],
  questions: new Set(["question"]),
  wakes: true,
};
const stamp = { id: "s1", atMs: 0, monoMs: 0 };
const LIVE: Account = { sum: 10, paid: 0, answers: 0, woken: 0, failures: [] };

function shadowOf(
  core: Partial<Core<ToySlice, ToyEvent, ToyEffect, Policy>> = {},
  beforeWake: (key: string) => void = () => {},
) {
  const written: DecisionEffect[] = [];
  const asked: ToyEffect[] = [];
  const failures: unknown[] = [];
  const timers: { at: number; callback: () => void }[] = [];
  const shadow = new Shadow<ToySlice, ToyEvent, ToyEffect, Policy>({
    core: { ...toyCore, ...core },
    shadowing,
    policy: { factor: 2 },
    policyHash: "h",
    clock: {
      now: () => ({ atMs: 0, monoMs: 0 }),
      callAt: (at, callback) => {
        timers.push({ at, callback });
        return () => {};
      },
    },
    newId: () => "own",
    sliceFor: () => ({ account: LIVE }),
    ask: (effect) => {
      asked.push(effect);
      return { kind: "answered", account: effect.account };
    },
    beforeWake,
    write: (decision) => written.push(decision),
    failed: (error) => failures.push(error),
  });
  const hear = (event: ToyEvent, besideLive = true): void =>
    shadow.heard({ account: LIVE }, { ...event, stamp }, besideLive);
  return { shadow, written, asked, failures, timers, hear };
}

describe("a shadow", () => {
  test("writes what it would do in mode shadow, with the slice that it saw, and pays nothing", () => {
    const { hear, written, asked } = shadowOf();
    hear({ kind: "add", account: "a", amount: 3 });
    hear({ kind: "add", account: "a", amount: 1 });
    expect(written.map(({ draft }) => [draft.mode, draft.message])).toEqual([
      ["shadow", "Pay 6"],
      ["shadow", "Pay 2"],
    ]);
    expect(written.map(({ slice }) => (slice as unknown as ToySlice).account?.sum)).toEqual([10, 16]);
    expect(asked).toEqual([]);
  });

  test("does not say the same twice where the live policy is silent", () => {
    const { hear, written } = shadowOf();
    hear({ kind: "add", account: "a", amount: 3 }, false);
    hear({ kind: "add", account: "a", amount: 3 }, false);
    expect(written).toHaveLength(1);
  });

  test("has its questions answered, and is woken at its own instants", () => {
    const { hear, asked, timers, shadow } = shadowOf();
    hear({ kind: "ask", account: "a" });
    expect(asked).toEqual([{ kind: "question", account: "a" }]);
    hear({ kind: "later", account: "a", atMonoMs: 500 });
    expect(timers.map(({ at }) => at)).toEqual([500]);
    expect(shadow.figures.events).toBe(3);
  });

  test("does not hear what only the live side did", () => {
    const { hear, shadow } = shadowOf();
    hear({ kind: "paid", account: "a", amount: 3 });
    expect(shadow.figures.events).toBe(0);
  });

  test("ends itself when its policy makes it throw, and says so once", () => {
    const { hear, failures, written } = shadowOf({
      decide: () => {
        throw new RangeError("no such limit");
      },
    });
    expect(() => hear({ kind: "add", account: "a", amount: 3 })).not.toThrow();
    hear({ kind: "add", account: "a", amount: 3 });
    expect(failures).toEqual([new RangeError("no such limit")]);
    expect(written).toEqual([]);
  });

  test("ends itself when it cannot be woken, and the timer that woke it goes on", () => {
    const { hear, failures, timers } = shadowOf({}, () => {
      throw new Error("no beats");
    });
    hear({ kind: "later", account: "a", atMonoMs: 0 });
    expect(() => timers[0]?.callback()).not.toThrow();
    expect(failures).toEqual([new Error("no beats")]);
  });
});
