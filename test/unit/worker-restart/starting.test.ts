/** Guarantee: whatever keeps a start from being made, its request is in somebody's hands: an attempt's, or the queue's. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { WorkerPart } from "../../../daemons/worker-restart/state.js";
import { Mailbox } from "../../../lib/store/mailbox.js";
import { SpecStore } from "../../../lib/store/specs.js";
import { returnTokens } from "../../../lib/store/tokens.js";
import { until } from "../../integration/support/launched.js";
import { age } from "../store/temporary-home.js";
import { RealLoop } from "./real-loop.js";

const SLEEP = { command: "sleep", args: ["600"] };
const storm = (code: string): Error => Object.assign(new Error(`${code}: simulated`), { code });

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const runOf = ({ loop }: RealLoop): WorkerPart["run"] => loop.part<WorkerPart>("worker:scan-1")?.run ?? null;

/** The claims that no attempt on probation accounts for. */
function leftClaimed(real: RealLoop): string[] {
  const claimed = runOf(real)?.claimed;
  return readdirSync(real.layout.claimedDir).filter((name) => claimed === undefined || name !== basename(claimed));
}

describe("a start whose request is claimed already when the disk is full", () => {
  test("is made as soon as it can be", () => {
    const real = new RealLoop();
    vi.spyOn(SpecStore.prototype, "createActive").mockImplementationOnce(() => {
      throw storm("ENOSPC");
    });
    real.fileDeath("scan-1", 1);
    expect(real.launched).toEqual([]);
    expect(readdirSync(real.layout.queueDir)).toEqual([]);

    real.advance(1000);
    expect(real.launched).toEqual([real.layout.launch("scan-1", 2)]);
    expect(runOf(real)).toMatchObject({ attempt: 2 });
    expect(leftClaimed(real)).toEqual([]);
  });

  test("carries out a request that took its name meanwhile, and settles the first", () => {
    const real = new RealLoop();
    vi.spyOn(SpecStore.prototype, "createActive").mockImplementationOnce(() => {
      throw storm("EMFILE");
    });
    real.fileDeath("scan-1", 1);
    writeFileSync(
      real.layout.queueRequest("scan-1"),
      JSON.stringify({ worker_id: "scan-1", worker_type: "scan", attempt: 1, why: "the second" }),
    );

    real.advance(1000);
    expect(runOf(real)).toMatchObject({ attempt: 2 });
    expect(leftClaimed(real)).toEqual([]);
    expect(readdirSync(real.layout.doneDir)).toHaveLength(1);
  });
});

test("a start for which the host has no descriptor left is made with the spec that waits for it", () => {
  const real = new RealLoop();
  const { launch } = real;
  real.launch = () => {
    throw storm("EMFILE");
  };
  real.fileDeath("scan-1", 1);
  expect(real.specs.readActive("scan-1", Date.now())).toMatchObject({ kind: "ok", value: { status: "pending" } });

  real.launch = launch;
  real.advance(1000);
  expect(real.launched).toEqual([real.layout.launch("scan-1", 2)]);
  expect(runOf(real)).toMatchObject({ attempt: 2 });
  expect(leftClaimed(real)).toEqual([]);
});

describe("a start for which the token ledger cannot be read", () => {
  const BUDGET = { total_budget: 1000, total_used: 0, leases: {} };
  /** What it says when a test ends. */
  const leases = (real: RealLoop): object =>
    (JSON.parse(readFileSync(real.layout.tokenBudget, "utf8")) as { readonly leases: object }).leases;

  test("gives its request back, and is made when the ledger is mended", async () => {
    const real = new RealLoop({ check_token_budget: false });
    writeFileSync(real.layout.tokenBudget, '{"total_budget": 1000,,}');
    age(real.layout.tokenBudget, 60);
    real.fileDeath("scan-1", 1, { token_budget: { allocated: 100, used: 0 } });
    await until(() => real.loop.idle && readdirSync(real.layout.queueDir).length === 1, "it waits again");
    expect(leftClaimed(real)).toEqual([]);
    expect(readdirSync(real.layout.activeDir)).toEqual([]);
    expect(real.loop.part<WorkerPart>("worker:scan-1")).toMatchObject({ attempts: 0, waiting: { phase: "waiting" } });

    writeFileSync(real.layout.tokenBudget, JSON.stringify(BUDGET));
    real.advance(30_000);
    await until(() => runOf(real) !== null, "it is started");
    expect(leases(real)).toEqual({ "scan-1.attempt-2": { allocated: 100 } });
    expect(leftClaimed(real)).toEqual([]);
  });

  test("is taken for made where its launcher was started before the answer was lost", async () => {
    const real = new RealLoop({ check_token_budget: false });
    writeFileSync(real.layout.tokenBudget, JSON.stringify(BUDGET));
    real.launch = (claim) => {
      writeFileSync(claim, "{}");
      writeFileSync(real.layout.tokenBudget, '{"total_budget": 1000,,}');
      age(real.layout.tokenBudget, 60);
      throw storm("EMFILE");
    };
    real.fileDeath("scan-1", 1, { token_budget: { allocated: 100, used: 0 } });
    await until(() => real.loop.weather !== null, "its answer is lost");
    real.advance(1000);
    await until(() => runOf(real) !== null, "it is known to be started");
    expect(real.specs.readActive("scan-1", Date.now()).kind).toBe("ok");
    expect(leftClaimed(real)).toEqual([]);
  });

  test("fails like any other when its launcher cannot be started, and its request waits", async () => {
    const real = new RealLoop();
    writeFileSync(real.layout.tokenBudget, JSON.stringify(BUDGET));
    real.launch = () => {
      writeFileSync(real.layout.tokenBudget, "{");
      age(real.layout.tokenBudget, 60);
      throw new Error("No such luck");
    };
    real.fileDeath("scan-1", 1, { token_budget: { allocated: 100, used: 0 } });
    await until(() => real.loop.idle && readdirSync(real.layout.queueDir).length === 1, "it waits again");
    expect(leftClaimed(real)).toEqual([]);
    expect(readdirSync(real.layout.activeDir)).toEqual([]);
    expect(real.reported.map((each) => each.event_type)).toContain("worker_restart_failed");
  });
});

describe("the tokens of an attempt", () => {
  const BUDGET = { total_budget: 1000, total_used: 0, leases: {} };
  const LEASE = "scan-1.attempt-2";
  const NEEDS = { token_budget: { allocated: 400, used: 0 } };
  const ledger = (real: RealLoop): unknown => JSON.parse(readFileSync(real.layout.tokenBudget, "utf8"));

  function withBudget(): RealLoop {
    const real = new RealLoop({ check_token_budget: false });
    writeFileSync(real.layout.tokenBudget, JSON.stringify(BUDGET));
    return real;
  }

  test("are taken again after a start that failed, and what it uses is counted once", async () => {
    const real = withBudget();
    const { launch } = real;
    real.launch = () => {
      throw new Error("No such luck");
    };
    real.fileDeath("scan-1", 1, NEEDS);
    await until(() => real.loop.idle && readdirSync(real.layout.queueDir).length === 1, "it waits again");
    expect(ledger(real)).toEqual({ ...BUDGET, leases: { [LEASE]: { allocated: 400, used: 0, returned: 400 } } });

    real.launch = launch;
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_600_000 });
    real.advance(3_600_000);
    await until(() => runOf(real) !== null, "it is started");
    expect(ledger(real)).toEqual({ ...BUDGET, total_used: 400, leases: { [LEASE]: { allocated: 400 } } });

    await returnTokens(real.layout, LEASE, 350);
    const returned = { [LEASE]: { allocated: 400, used: 350, returned: 50 } };
    expect(ledger(real)).toEqual({ ...BUDGET, total_used: 350, leases: returned });
  });

  test("are taken once by a start whose answer is lost before its launcher has begun", async () => {
    const real = withBudget();
    const { launch } = real;
    real.launch = () => {
      throw storm("EMFILE");
    };
    real.fileDeath("scan-1", 1, NEEDS);
    await until(() => real.loop.weather !== null, "its answer is lost");
    real.launch = launch;
    real.advance(1000);
    await until(() => runOf(real) !== null, "it is started");
    expect(ledger(real)).toEqual({ ...BUDGET, total_used: 400, leases: { [LEASE]: { allocated: 400 } } });
  });

  test("are not taken again by a start whose answer was lost, and whose worker has ended meanwhile", async () => {
    const real = withBudget();
    const { launch } = real;
    real.launch = (claim) => {
      writeFileSync(claim, "{}");
      throw storm("EMFILE");
    };
    real.fileDeath("scan-1", 1, NEEDS);
    await until(() => real.loop.weather !== null, "its answer is lost");
    // What the monitor does at the end of an attempt.
    real.specs.fileZombie({ worker_id: "scan-1", worker_type: "scan", attempt: 2, status: "zombie" }, 2);
    real.specs.removeActive("scan-1", 2);
    await returnTokens(real.layout, LEASE, 350);

    real.launch = launch;
    real.advance(1000);
    await until(() => runOf(real) !== null, "it is known to be started");
    const returned = { [LEASE]: { allocated: 400, used: 350, returned: 50 } };
    expect(ledger(real)).toEqual({ ...BUDGET, total_used: 350, leases: returned });
  });
});

test("a request that is claimed for its end when the disk is full is settled as soon as it can be", () => {
  const real = new RealLoop();
  real.specs.fileZombie({ worker_id: "scan-1", worker_type: "scan", attempt: 2, status: "zombie" }, 2);
  vi.spyOn(Mailbox.prototype, "settle").mockImplementationOnce(() => {
    throw storm("ENOSPC");
  });
  real.fileDeath("scan-1", 1);
  expect(readdirSync(real.layout.doneDir)).toEqual([]);

  real.advance(1000);
  expect(readdirSync(real.layout.doneDir)).toHaveLength(1);
  expect(leftClaimed(real)).toEqual([]);
  expect(real.loop.idle).toBe(true);
});

test("a death that is told while an earlier request cannot be settled is answered all the same", () => {
  const real = new RealLoop();
  real.specs.fileZombie({ worker_id: "scan-1", worker_type: "scan", attempt: 2, status: "zombie", launch: SLEEP }, 2);
  vi.spyOn(Mailbox.prototype, "settle").mockImplementationOnce(() => {
    throw storm("EACCES");
  });
  real.fileDeath("scan-1", 1);
  expect(readdirSync(real.layout.doneDir)).toEqual([]);
  real.fileDeath("scan-1", 2);

  real.advance(1000);
  expect(readdirSync(real.layout.doneDir)).toHaveLength(1);
  expect(runOf(real)).toMatchObject({ attempt: 3 });
  expect(leftClaimed(real)).toEqual([]);
});

test("a request that took the name of one that was to be rejected is not rejected for it", () => {
  const real = new RealLoop();
  const path = real.layout.queueRequest("scan-1");
  const record = {
    worker_id: "scan-1",
    worker_type: "scan",
    not_before: new Date(Date.now() + 3_600_000).toISOString(),
  };
  writeFileSync(path, JSON.stringify(record));
  const reject = { kind: "reject", name: basename(path), why: "it was no request" } as const;
  real.performer.perform(reject, { stamp: { id: "1", atMs: 0, monoMs: 0 }, again: true });
  expect(readdirSync(real.layout.queueDir)).toEqual([basename(path)]);
  writeFileSync(path, "{}");
  real.performer.perform(reject, { stamp: { id: "1", atMs: 0, monoMs: 0 }, again: true });
  expect(readdirSync(real.layout.queueDir)).toEqual([]);
});
