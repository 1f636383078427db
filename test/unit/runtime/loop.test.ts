/** The one loop: what is decided is journaled before it is done, and done once for all that a crash or bad weather do. */
import { describe, expect, test } from "vitest";
import type { Perform } from "../../../lib/runtime/core.js";
import { type Journal, MemoryJournal } from "../../../lib/runtime/journal.js";
import { type DecisionEffect, Loop, type LoopClock, type Weather } from "../../../lib/runtime/loop.js";
import { type Account, type ToyEffect, type ToyEvent, toyCore } from "./toy-core.js";

class HandClock implements LoopClock {
  monoMs = 1000;
  #calls: { at: number; callback: () => void }[] = [];

  now(): { atMs: number; monoMs: number } {
    return { atMs: 1_700_000_000_000 + this.monoMs, monoMs: this.monoMs };
  }

  callAt(monoMs: number, callback: () => void): () => void {
    const call = { at: monoMs, callback };
    this.#calls.push(call);
    return () => {
      this.#calls = this.#calls.filter((one) => one !== call);
    };
  }

  advance(ms: number): void {
    const until = this.monoMs + ms;
    for (;;) {
      const next = this.#calls.filter((call) => call.at <= until).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.monoMs = Math.max(this.monoMs, next.at);
      this.#calls = this.#calls.filter((one) => one !== next);
      next.callback();
    }
    this.monoMs = until;
  }
}

const weather = (code: string): Error => Object.assign(new Error(`${code}: simulated`), { code });

/** The world outside: payments made, by id, so that paying twice shows and paying again does not. */
class World {
  readonly paid = new Map<string, number>();
  readonly performed: string[] = [];
  /** By id: each is written once, as appendOnce does it for one that may be there already. */
  readonly records: { readonly id: string; readonly message: string }[] = [];
  storm: string | null = null;
  crashAfter: number | null = null;
  readonly journal = new MemoryJournal();
  readonly clock = new HandClock();
  readonly weathers: (Weather | null)[] = [];
  nextId = 0;

  get decisions(): string[] {
    return this.records.map(({ message }) => message);
  }

  perform: Perform<ToyEvent, ToyEffect | DecisionEffect> = (effect, { again, stamp: { id } }) => {
    if (this.storm !== null) throw weather(this.storm);
    // A killed process does nothing more and never hears an answer.
    if (this.crashAfter !== null && this.performed.length >= this.crashAfter) return new Promise(() => {});
    this.performed.push(effect.kind);
    if (effect.kind === "decision" && !(again && this.records.some((record) => record.id === id)))
      this.records.push({ id, message: effect.draft.message });
    if (effect.kind === "pay") this.paid.set(effect.id, effect.amount);
    if (this.performed.length === this.crashAfter) return new Promise(() => {});
    if (effect.kind === "pay") return { kind: "paid", account: effect.account, amount: effect.amount };
    return effect.kind === "question" ? { kind: "answered", account: effect.account } : undefined;
  };

  loop(
    options: {
      bootId?: string;
      perform?: Perform<ToyEvent, ToyEffect | DecisionEffect>;
      factor?: number;
      journal?: Journal;
      core?: typeof toyCore;
    } = {},
  ) {
    return new Loop({
      core: options.core ?? toyCore,
      policy: { factor: options.factor ?? 1 },
      policyHash: "hash",
      journal: options.journal ?? this.journal,
      perform: options.perform ?? this.perform,
      clock: this.clock,
      newId: () => `id-${this.nextId++}`,
      onWeather: (one) => this.weathers.push(one),
      ...(options.bootId ? { bootId: options.bootId } : {}),
    });
  }

  total(): number {
    return [...this.paid.values()].reduce((sum, amount) => sum + amount, 0);
  }
}

const accountOf = (loop: { part<T>(key: string): T | null }, name: string): Account | null =>
  loop.part<Account>(`account:${name}`);

describe("Loop", () => {
  test("performs the effects of a decision in order, its record first, and takes the answers as new events", () => {
    const world = new World();
    const loop = world.loop();
    loop.offer({ kind: "add", account: "a", amount: 5 });
    expect(world.performed).toEqual(["decision", "pay"]);
    expect(accountOf(loop, "a")).toMatchObject({ sum: 5, paid: 5 });
    expect(loop.idle).toBe(true);
  });

  describe("an effect that the core calls urgent", () => {
    const core = { ...toyCore, urgent: new Set(["pay"]) };

    test("is performed before its decision's record is written", () => {
      const world = new World();
      world.loop({ core }).offer({ kind: "add", account: "a", amount: 5 });
      expect(world.performed).toEqual(["pay", "decision"]);
    });

    test("is recorded before it, and once, where the weather stops it", () => {
      const world = new World();
      let isStormy = true;
      const perform: typeof world.perform = (effect, context) => {
        if (isStormy && effect.kind === "pay") throw weather("EAGAIN");
        return world.perform(effect, context);
      };
      const loop = world.loop({ core, perform });
      loop.offer({ kind: "add", account: "a", amount: 5 });
      world.clock.advance(2500);
      expect(world.performed).toEqual(["decision"]);
      isStormy = false;
      world.clock.advance(1500);
      expect(world.performed).toEqual(["decision", "pay"]);
      expect(loop.idle).toBe(true);
    });

    test("is not recorded early where that cannot be written either, and then as one that may be half written", () => {
      const world = new World();
      let isStormy = true;
      const asked: boolean[] = [];
      const perform: typeof world.perform = (effect, context) => {
        if (effect.kind === "decision") asked.push(context.again);
        if (isStormy) throw weather("ENOSPC");
        return world.perform(effect, context);
      };
      world.loop({ core, perform }).offer({ kind: "add", account: "a", amount: 5 });
      isStormy = false;
      world.clock.advance(1500);
      expect(world.performed).toEqual(["pay", "decision"]);
      expect(asked).toEqual([false, true]);
    });

    test("goes on when the weather is over, although its record cannot be written at all", () => {
      const world = new World();
      let isStormy = true;
      const perform: typeof world.perform = (effect, context) => {
        if (effect.kind === "decision") throw new Error("its log is a link");
        if (isStormy) throw weather("EAGAIN");
        return world.perform(effect, context);
      };
      const loop = world.loop({ core, perform });
      loop.offer({ kind: "add", account: "a", amount: 5 });
      isStormy = false;
      world.clock.advance(1500);
      expect(world.performed).toEqual(["pay"]);
      expect(loop.idle).toBe(true);
    });

    test.each([1, 2, 3])("is performed and recorded once when it is killed after effect %i", (crashAfter) => {
      const world = new World();
      world.crashAfter = crashAfter;
      world.loop({ core }).offer({ kind: "add", account: "a", amount: 5 });
      world.crashAfter = null;
      const second = world.loop({ core });
      second.resume();
      expect(world.total()).toBe(5);
      expect(world.decisions).toEqual(["Pay 5"]);
      expect(accountOf(second, "a")).toMatchObject({ sum: 5, paid: 5 });
    });
  });

  test("forgets an event that it rehearsed: nothing is journaled, done or told, and the state is as it was", () => {
    const world = new World();
    const loop = world.loop();
    loop.offer({ kind: "add", account: "a", amount: 3 });
    const before = [world.journal.bytes, [...world.performed], [...world.records], loop.part<Account>("account:a")];
    const ids = world.nextId;
    loop.rehearse({ kind: "add", account: "a", amount: 4 });
    const after = [world.journal.bytes, world.performed, world.records, loop.part<Account>("account:a")];
    expect(after).toEqual(before);
    expect([world.nextId, loop.idle]).toEqual([ids, true]);
    loop.offer({ kind: "add", account: "a", amount: 4 });
    expect(world.performed.length).toBeGreaterThan((before[1] as string[]).length);
  });

  test("journals a decision before anything of it is done", () => {
    const world = new World();
    let linesAtPay = -1;
    const loop = world.loop({
      perform: () => {
        linesAtPay = world.journal.recover().pending.length;
        return undefined;
      },
    });
    loop.offer({ kind: "add", account: "a", amount: 5 });
    expect(linesAtPay).toBe(1);
  });

  test("does not journal questions, which are asked anew after a crash", () => {
    const world = new World();
    const loop = world.loop();
    loop.offer({ kind: "ask", account: "a" });
    expect(accountOf(loop, "a")?.answers).toBe(1);
    expect(world.journal.bytes).toBe(0);
  });

  test.each([1, 2, 3, 4])("pays each amount once when it is killed after effect %i", (crashAfter) => {
    const world = new World();
    world.crashAfter = crashAfter;
    const first = world.loop();
    first.offer({ kind: "add", account: "a", amount: 5 });
    first.offer({ kind: "add", account: "b", amount: 7 });
    first.stop();
    expect(world.total()).toBeLessThanOrEqual(12);
    world.crashAfter = null;
    const second = world.loop();
    second.resume();
    expect(world.total()).toBe(12);
    expect(accountOf(second, "a")?.sum).toBe(5);
    expect(accountOf(second, "b")?.sum).toBe(7);
  });

  test("does not call a decision carried out while its answer waits behind another event", () => {
    const world = new World();
    let offered = false;
    const perform = world.perform;
    world.perform = (effect, context) => {
      const answer = perform(effect, context);
      // Another lane's fact arrives while the first payment is being made, before its answer is heard.
      if (effect.kind === "pay" && !offered) {
        offered = true;
        racing.offer({ kind: "add", account: "b", amount: 7 });
        world.crashAfter = world.performed.length;
      }
      return answer;
    };
    const racing = world.loop({ perform: (effect, context) => world.perform(effect, context) });
    racing.offer({ kind: "add", account: "a", amount: 5 });
    racing.stop();
    world.crashAfter = null;
    world.perform = perform;
    const second = world.loop();
    second.resume();
    expect(accountOf(second, "a")).toMatchObject({ sum: 5, paid: 5 });
  });

  test("keeps what an answer changed, even where nothing follows from it", () => {
    const world = new World();
    world.loop().offer({ kind: "add", account: "a", amount: 5 });
    expect(world.journal.recover().parts.get("account:a")).toMatchObject({ sum: 5, paid: 5 });
  });

  test("tells an effect that is resumed that it may have been performed before", () => {
    const world = new World();
    world.storm = "EIO";
    world.loop().offer({ kind: "add", account: "a", amount: 5 });
    const seen: boolean[] = [];
    const second = world.loop({
      perform: (_effect, context) => {
        seen.push(context.again);
        return undefined;
      },
    });
    second.resume();
    expect(seen).toEqual([true, true]);
  });

  test("tells an effect that the weather stopped, and no other, that a part of it may be done", async () => {
    const world = new World();
    const seen: string[] = [];
    let storms = 2;
    const loop = world.loop({
      perform: (effect, { again }) => {
        seen.push(`${effect.kind} ${again}`);
        if (effect.kind !== "decision" && storms-- > 0) {
          if (storms === 1) throw weather("EMFILE");
          return Promise.reject(weather("ENOSPC"));
        }
        return undefined;
      },
    });
    loop.offer({ kind: "add", account: "a", amount: 5 });
    world.clock.advance(1000);
    await Promise.resolve();
    await Promise.resolve();
    world.clock.advance(1000);
    expect(seen).toEqual(["decision false", "pay false", "pay true", "pay true"]);
    loop.offer({ kind: "add", account: "a", amount: 6 });
    expect(seen.slice(4)).toEqual(["decision false", "pay false"]);
    expect(loop.idle).toBe(true);
  });

  test("keeps a lane's effects in order through a full disk, says it once, and recovers by itself", () => {
    const world = new World();
    const loop = world.loop();
    world.storm = "ENOSPC";
    loop.offer({ kind: "add", account: "a", amount: 1 });
    loop.offer({ kind: "add", account: "a", amount: 2 });
    loop.offer({ kind: "add", account: "b", amount: 3 });
    world.clock.advance(5000);
    expect(world.total()).toBe(0);
    expect(world.weathers.map((one) => one?.code)).toEqual(["ENOSPC"]);
    world.storm = null;
    world.clock.advance(1000);
    expect([...world.paid.values()]).toEqual([1, 2, 3]);
    expect(world.weathers.at(-1)).toBeNull();
    expect(loop.idle).toBe(true);
  });

  test("does not change its state for a decision that could not be journaled, and decides it later with its own stamp", () => {
    const world = new World();
    const append = world.journal.append.bind(world.journal);
    let full = true;
    world.journal.append = (entry) => {
      if (full) throw weather("ENOSPC");
      append(entry);
    };
    const loop = world.loop();
    loop.offer({ kind: "add", account: "a", amount: 5 });
    loop.offer({ kind: "add", account: "b", amount: 6 });
    expect(accountOf(loop, "a")).toBeNull();
    full = false;
    world.clock.advance(1000);
    expect(accountOf(loop, "a")?.paid).toBe(5);
    expect([...world.paid.keys()]).toEqual(["id-0", "id-1"]);
  });

  test("makes an event of an effect that failed for another reason than the weather, and goes on", () => {
    const world = new World();
    const loop = world.loop({
      perform: (effect) => {
        if (effect.kind === "pay") throw new Error("no such account");
        return undefined;
      },
    });
    loop.offer({ kind: "add", account: "a", amount: 5 });
    expect(accountOf(loop, "a")?.failures).toEqual(["no such account"]);
    expect(loop.idle).toBe(true);
  });

  test("waits with a lane for an answer that takes time, and lets other lanes go on", async () => {
    const world = new World();
    let release: () => void = () => {};
    const waiting = new Promise<void>((resolve) => {
      release = resolve;
    });
    const order: string[] = [];
    const loop = world.loop({
      perform: (effect) => {
        if (effect.kind !== "pay") return undefined;
        if (effect.account === "slow" && order.length === 0)
          return waiting.then(() => void order.push(`slow ${effect.amount}`)).then(() => undefined);
        order.push(`${effect.account} ${effect.amount}`);
        return undefined;
      },
    });
    loop.offer({ kind: "add", account: "slow", amount: 1 });
    loop.offer({ kind: "add", account: "slow", amount: 2 });
    expect(order).toEqual([]);
    release();
    await waiting;
    await expect.poll(() => order).toEqual(["slow 1", "slow 2"]);
  });

  test("wakes at the instant that was asked for last, once", () => {
    const world = new World();
    const loop = world.loop();
    loop.offer({ kind: "later", account: "a", atMonoMs: 2000 });
    loop.offer({ kind: "later", account: "a", atMonoMs: 5000 });
    expect([loop.wakeOf("a"), loop.wakeOf("b")]).toEqual([5000, null]);
    world.clock.advance(3000);
    expect(accountOf(loop, "a")?.woken ?? 0).toBe(0);
    world.clock.advance(10_000);
    expect(accountOf(loop, "a")?.woken).toBe(1);
    expect(loop.wakeOf("a")).toBeNull();
  });

  test("starts from its checkpoint, and drops what was of another boot's clock", () => {
    const world = new World();
    const loop = world.loop({ bootId: "one" });
    loop.offer({ kind: "later", account: "a", atMonoMs: 1001 });
    world.clock.advance(10);
    loop.offer({ kind: "add", account: "a", amount: 5 });
    loop.checkpoint();
    expect(world.journal.bytes).toBe(0);
    expect(accountOf(world.loop({ bootId: "one" }), "a")).toMatchObject({ sum: 5, woken: 1 });
    expect(accountOf(world.loop({ bootId: "two" }), "a")).toMatchObject({ sum: 5, woken: 0 });
  });

  test("shows the parts of a kind by their names, those of a checkpoint and those that came since", () => {
    const world = new World();
    const first = world.loop();
    first.offer({ kind: "add", account: "a", amount: 5 });
    first.offer({ kind: "add", account: "b:1", amount: 7 });
    first.checkpoint();
    const loop = world.loop();
    loop.offer({ kind: "add", account: "c", amount: 9 });
    loop.offer({ kind: "add", account: "a", amount: 1 });
    const shown = [...loop.partsWith<Account>("account:")];
    expect(shown.map(([name, { sum }]) => `${name} ${sum}`)).toEqual(["a 6", "b:1 7", "c 9"]);
    expect([...loop.partsWith("nothing:")]).toEqual([]);
    expect([...loop.partsWith("")].map(([key]) => key)).toEqual([...loop.keys()]);
  });

  test("lets go of a part of a kind that was removed", () => {
    const world = new World();
    const closing: typeof toyCore = {
      ...toyCore,
      decide: (slice, event, policy) =>
        event.kind === "woke" ? { slice: { account: null }, effects: [] } : toyCore.decide(slice, event, policy),
    };
    const loop = world.loop({ core: closing });
    loop.offer({ kind: "add", account: "a", amount: 5 });
    loop.offer({ kind: "add", account: "b", amount: 5 });
    loop.offer({ kind: "woke", account: "a" });
    expect([...loop.partsWith("account:")].map(([name]) => name)).toEqual(["b"]);
  });

  test("makes no checkpoint in the middle of a start, and one for a long journal after it", () => {
    const world = new World();
    let checkpoints = 0;
    const journal: Journal = {
      bytes: 16 * 1024 * 1024,
      append: () => undefined,
      checkpoint: () => {
        checkpoints += 1;
      },
      recover: () => world.journal.recover(),
    };
    const loop = world.loop({ journal });
    loop.offer({ kind: "add", account: "a", amount: 5 });
    expect(checkpoints).toBe(0);
    loop.resume();
    expect(checkpoints).toBe(1);
  });

  test("decides by the policy in force at the time", () => {
    const world = new World();
    const loop = world.loop();
    loop.setPolicy({ factor: 10 }, "other");
    loop.offer({ kind: "add", account: "a", amount: 5 });
    expect(world.decisions).toEqual(["Pay 50"]);
  });
});
