/** Guarantee: the tokens of an attempt that is over come back, also where the ledger could not be read when it ended. */
import { readFileSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, test } from "vitest";
import { LeaseSource } from "../../../daemons/heartbeat-monitor/lease-source.js";
import { Performer } from "../../../daemons/heartbeat-monitor/perform.js";
import type { PerformContext } from "../../../lib/runtime/core.js";
import type { Layout } from "../../../lib/store/layout.js";
import { SpecStore } from "../../../lib/store/specs.js";
import { age, temporaryLayout } from "../store/temporary-home.js";

const LEASES = {
  "w.attempt-1": { allocated: 100 },
  "v.attempt-1": { allocated: 50 },
  "u.attempt-1": { allocated: 20 },
};
const BUDGET = { total_budget: 1000, total_used: 170, leases: LEASES };

let layout: Layout;
let said: string[];
let leases: LeaseSource;

/** The worker w has ended, v lives, and of u nobody knows how it ended. */
beforeEach(() => {
  layout = temporaryLayout();
  said = [];
  leases = open();
  const specs = new SpecStore(layout);
  specs.fileZombie({ worker_id: "w", attempt: 1, token_budget: { allocated: 100, used: 30 } }, 1);
  specs.createActive({ worker_id: "w", attempt: 2 });
  specs.createActive({ worker_id: "v", attempt: 1 });
});

function open(): LeaseSource {
  const log = { info: () => undefined, warn: (_fields: object, sentence: string) => void said.push(sentence) };
  return new LeaseSource({ layout, log } as unknown as ConstructorParameters<typeof LeaseSource>[0]);
}

/** What the monitor does when the attempt has ended. */
async function returnTokens(): Promise<void> {
  const context = { layout, log: { info: () => undefined } };
  const performer = new Performer(context as never, null as never, null as never, null as never, leases);
  const effect = { kind: "return_tokens", worker_id: "w", attempt: 1, used: 30 } as const;
  await performer.perform(effect, { again: false } as PerformContext);
}

function writeBudget(text: string): void {
  writeFileSync(layout.tokenBudget, text);
  age(layout.tokenBudget, 60);
}

const budget = (): unknown => JSON.parse(readFileSync(layout.tokenBudget, "utf8"));
const RETURNED = { ...LEASES, "w.attempt-1": { allocated: 100, used: 30, returned: 70 } };

async function scan(): Promise<void> {
  leases.scan();
  await leases.idle();
}

describe("a lease", () => {
  test("that could not be returned while the ledger was spoilt is returned when it is mended, and no other", async () => {
    writeBudget(JSON.stringify({ ...BUDGET, leases: {}, total_used: 0 }));
    await scan();
    writeBudget(`${JSON.stringify(BUDGET)},`);
    await returnTokens();
    for (let nth = 0; nth < 3; nth++) await scan();
    expect(said).toHaveLength(2);
    expect(said[0]).toContain("The tokens of w.attempt-1 are returned later: Cannot read token budget");

    writeBudget(JSON.stringify(BUDGET));
    await scan();
    expect(budget()).toEqual({ ...BUDGET, total_used: 100, leases: RETURNED });
  });

  test("that an earlier run of the monitor left is returned at the start", async () => {
    writeBudget(JSON.stringify(BUDGET));
    await scan();
    expect(budget()).toMatchObject({ total_used: 100, leases: RETURNED });
    expect(said).toEqual([]);
  });

  test("is not looked for while none is owed", async () => {
    writeBudget(JSON.stringify({ ...BUDGET, leases: {} }));
    await scan();
    writeBudget(JSON.stringify(BUDGET));
    await scan();
    expect(budget()).toEqual(BUDGET);
  });
});
