/** A core small enough to see through: each account adds what it hears and pays it out. @module */
import type { Core } from "../../../lib/runtime/core.js";

export type ToyEvent =
  | { readonly kind: "add"; readonly account: string; readonly amount: number }
  | { readonly kind: "paid"; readonly account: string; readonly amount: number }
  | { readonly kind: "ask"; readonly account: string }
  | { readonly kind: "answered"; readonly account: string }
  | { readonly kind: "later"; readonly account: string; readonly atMonoMs: number }
  | { readonly kind: "woke"; readonly account: string }
  | { readonly kind: "failed"; readonly account: string; readonly message: string };

export type ToyEffect =
  | { readonly kind: "pay"; readonly account: string; readonly amount: number; readonly id: string }
  | { readonly kind: "question"; readonly account: string };

export interface Account {
  readonly sum: number;
  readonly paid: number;
  readonly answers: number;
  readonly woken: number;
  readonly failures: readonly string[];
}
export interface ToySlice {
  readonly account: Account | null;
}

const EMPTY: Account = { sum: 0, paid: 0, answers: 0, woken: 0, failures: [] };

export const toyCore: Core<ToySlice, ToyEvent, ToyEffect, { readonly factor: number }> = {
  name: "auto-fix",
  address: (event) => ({ account: `account:${event.account}` }),
  blank: () => null,
  decide: (slice, event, policy) => {
    const account = slice.account ?? EMPTY;
    const keep = (patch: Partial<Account>): ToySlice => ({ account: { ...account, ...patch } });
    switch (event.kind) {
      case "add": {
        const amount = event.amount * policy.factor;
        const decision = {
          subject: event.account,
          verdict: "pay",
          reason: "asked",
          message: `Pay ${amount}`,
          gates: [],
        };
        return {
          slice: keep({ sum: account.sum + amount }),
          effects: [{ kind: "pay", account: event.account, amount, id: event.stamp.id }],
          decision,
        };
      }
      case "paid":
        return { slice: keep({ paid: account.paid + event.amount }), effects: [] };
      case "ask":
        return { slice, effects: [{ kind: "question", account: event.account }] };
      case "answered":
        return { slice: keep({ answers: account.answers + 1 }), effects: [] };
      case "later":
        return { slice, effects: [{ kind: "wake", key: event.account, atMonoMs: event.atMonoMs }] };
      case "woke":
        return { slice: keep({ woken: account.woken + 1 }), effects: [] };
      case "failed":
        return { slice: keep({ failures: [...account.failures, event.message] }), effects: [] };
    }
  },
  wake: (key) => ({ kind: "woke", account: key }),
  failed: (effect, message) => ({ kind: "failed", account: effect.account, message }),
  coalesced: new Set(["ask"]),
  transient: new Set(["question"]),
  afterReboot: (_key, part) => ({ ...(part as Account), woken: 0 }),
};
