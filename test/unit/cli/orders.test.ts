/** What the commands write is what the store reads: holds, restart requests, new workers. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { addHold, holdSubject, readActs, refuseHeld, removeHold } from "../../../cli/holding.js";
import { fileRequest } from "../../../cli/requests.js";
import { createWorker, type Order } from "../../../cli/spawning.js";
import { NotFound, Refused, UsageError } from "../../../lib/errors.js";
import { readDesired, writeDesired } from "../../../lib/store/desired.js";
import { heldBy, readHolds } from "../../../lib/store/holds.js";
import { openHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";
import { SpecStore } from "../../../lib/store/specs.js";

let root: string;
let layout: Layout;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "heald-orders-"));
  const home = {
    home: root,
    coordination: join(root, "coordination"),
    logs: join(root, "logs"),
    namedBy: "flag",
  } as const;
  openHome(home, { create: true, claimOwnership: false });
  layout = new Layout(home);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("holdSubject()", () => {
  test.each([
    ["all", { scope: "all", name: "", file: "all" }],
    ["worker-scan-1", { scope: "worker", name: "worker-scan-1", file: "worker.worker-scan-1" }],
    ["worker:worker-scan-1", { scope: "worker", name: "worker-scan-1", file: "worker.worker-scan-1" }],
    ["type:scan-worker", { scope: "worker_type", name: "scan-worker", file: "worker_type.scan-worker" }],
    ["target:billing", { scope: "target", name: "billing", file: "target.billing" }],
  ])("reads %s", (text, subject) => {
    expect(holdSubject(text)).toEqual(subject);
  });

  test.each(["../x", "type:", "team:a", "worker:a/b", ""])("refuses %s", (text) => {
    expect(() => holdSubject(text)).toThrow(UsageError);
  });
});

describe("addHold()", () => {
  const hour = { seconds: 3600, acts: readActs(undefined), why: "debugging" };

  test("writes a hold that the daemons' reader finds in force for its subject alone", () => {
    addHold(layout, holdSubject("type:scan-worker"), hour, Date.now());
    const holds = readHolds(layout, Date.now());
    expect(heldBy(holds, "kill", { worker_id: "a", worker_type: "scan-worker" }, Date.now())?.why).toBe("debugging");
    expect(heldBy(holds, "kill", { worker_id: "a", worker_type: "other" }, Date.now())).toBeNull();
  });

  test("forbids only the acts that were named", () => {
    addHold(layout, holdSubject("all"), { ...hour, acts: readActs("restart, fix") }, Date.now());
    const holds = readHolds(layout, Date.now());
    expect(heldBy(holds, "restart", {}, Date.now())).not.toBeNull();
    expect(heldBy(holds, "kill", {}, Date.now())).toBeNull();
  });

  test("replaces an earlier hold for the same subject", () => {
    addHold(layout, holdSubject("a"), hour, Date.now());
    addHold(layout, holdSubject("a"), { ...hour, seconds: 60 }, Date.now());
    const [hold, ...others] = readHolds(layout, Date.now());
    expect(others).toEqual([]);
    expect((hold?.expiresAtMs ?? 0) - Date.now()).toBeLessThanOrEqual(60_000);
  });

  test("refuses more than seven days", () => {
    expect(() => addHold(layout, holdSubject("a"), { ...hour, seconds: 8 * 86_400 }, Date.now())).toThrow(
      "A hold lasts at most 7 days",
    );
  });
});

describe("removeHold()", () => {
  test("takes the file's name and the subject alike, also of a hold that was made with touch", () => {
    writeFileSync(join(layout.holdsDir, "all"), "");
    writeFileSync(join(layout.holdsDir, "maintenance"), "");
    addHold(layout, holdSubject("type:t"), { seconds: 60, acts: readActs("kill"), why: undefined }, Date.now());
    expect([removeHold(layout, "all"), removeHold(layout, "maintenance"), removeHold(layout, "type:t")]).toEqual([
      "all",
      "maintenance",
      "worker_type.t",
    ]);
    expect(readHolds(layout, Date.now())).toEqual([]);
  });

  test("removes nothing outside of holds/", () => {
    expect(() => removeHold(layout, "../VERSION")).toThrow(NotFound);
    expect(readFileSync(layout.version, "utf8")).toContain("format");
  });
});

describe("refuseHeld()", () => {
  test("names the hold and the way past it", () => {
    addHold(layout, holdSubject("a"), { seconds: 60, acts: readActs("kill"), why: undefined }, Date.now());
    const hold = heldBy(readHolds(layout, Date.now()), "kill", { worker_id: "a" }, Date.now());
    expect(() => refuseHeld(hold, "end a")).toThrow(
      /^Refused to end a: the hold "worker\.a" forbids it for \d+s more; --override-hold passes it$/,
    );
    expect(() => refuseHeld(null, "end a")).not.toThrow();
  });
});

describe("fileRequest()", () => {
  const worker = {
    workerId: "w-1",
    spec: { worker_id: "w-1", worker_type: "t", task_id: "k", attempt: 4 },
    attempt: 4,
    isActive: true,
  };
  const order = { reason: "retry", force: false, override: ["backoff"] } as const;
  const queued = () => JSON.parse(readFileSync(layout.queueRequest("w-1"), "utf8")) as Record<string, unknown>;

  test("files a request that carries the attempt that ended, the person, and the gates to pass", () => {
    expect(fileRequest(layout, worker, order, Date.now())).toBe("filed");
    expect(queued()).toMatchObject({
      worker_id: "w-1",
      worker_type: "t",
      task_id: "k",
      attempt: 4,
      reason: "retry",
      override: ["backoff"],
    });
    expect(String(queued().requested_by)).toMatch(/^person:/);
  });

  const waits = (attempt: number, more: object = {}): void => {
    const waiting = {
      worker_id: "w-1",
      worker_type: "t",
      attempt,
      incident_id: "i-9",
      ended: { exit_code: 1 },
      deferred: { gate: "backoff", next_at: "2030-01-01T00:00:00Z" },
      ...more,
    };
    writeFileSync(layout.queueRequest("w-1"), JSON.stringify(waiting));
  };

  test("turns a request that waits into a retry and keeps its incident and attempt, but not its waiting", () => {
    waits(5);
    expect(fileRequest(layout, worker, order, Date.now())).toBe("changed");
    expect(queued()).toMatchObject({ attempt: 5, incident_id: "i-9", ended: { exit_code: 1 }, override: ["backoff"] });
    expect(queued()).not.toHaveProperty("deferred");
  });

  test("names the last attempt where the request that waits tells of an earlier one, which has its successor", () => {
    waits(3);
    expect(fileRequest(layout, worker, order, Date.now())).toBe("changed");
    expect(queued()).toMatchObject({ attempt: 4, incident_id: "i-9" });
    expect(queued()).not.toHaveProperty("ended");
  });

  /** A trial of auto-fix, with a colleague's remark and times. */
  const LATER = "2999-01-01T00:00:00Z";
  const TRIAL = {
    ...{ reason: "fix_trial", requested_by: "auto-fix", override: ["circuit_breaker", "backoff"], run_id: "r-1" },
    ...{ not_before: LATER, expires_at: LATER, why: "after the release", ticket: "OPS-7" },
  };

  test("keeps what others have written into a request that waits, and adds its own gates to theirs", () => {
    waits(4, TRIAL);
    fileRequest(layout, worker, { ...order, override: ["holds", "backoff"] }, Date.now());
    expect(queued()).toMatchObject({
      ...{ reason: "retry", requested_by: expect.stringMatching(/^person:/), ticket: "OPS-7", run_id: "r-1" },
      ...{ override: ["circuit_breaker", "backoff", "holds"], why: "after the release" },
      ...{ not_before: LATER, expires_at: LATER },
    });
  });

  test("lets what the person says now win", () => {
    waits(4, { ...TRIAL, expires_at: "2020-01-01T00:00:00Z" });
    fileRequest(layout, worker, { ...order, force: true, why: "the disk is free" }, Date.now());
    expect(queued()).toMatchObject({ why: "the disk is free", force: true, ticket: "OPS-7" });
    // A restart means now, and a request that was over is made anew.
    expect(queued()).not.toHaveProperty("not_before");
    expect(queued()).not.toHaveProperty("expires_at");
  });

  test("takes over nothing that was asked for a start which has happened since", () => {
    waits(3, TRIAL);
    fileRequest(layout, worker, order, Date.now());
    expect(queued()).toMatchObject({ attempt: 4, override: ["backoff"], ticket: "OPS-7" });
    for (const key of ["not_before", "expires_at", "why", "run_id"]) expect(queued()).not.toHaveProperty(key);
  });

  test("takes over nothing from a request that is about another worker", () => {
    waits(4, { ...TRIAL, worker_id: "w-2" });
    fileRequest(layout, worker, order, Date.now());
    expect(queued()).toMatchObject({ worker_id: "w-1", override: ["backoff"] });
    expect(queued()).not.toHaveProperty("run_id");
  });

  test("takes back an earlier wish to keep it stopped", () => {
    writeDesired(layout, "w-1", { state: "stopped" });
    fileRequest(layout, worker, order, Date.now());
    expect(readDesired(layout, "w-1", Date.now())?.state).toBe("running");
  });

  test("refuses a worker whose type is not known", () => {
    expect(() => fileRequest(layout, { ...worker, spec: { worker_id: "w-1" } }, order, Date.now())).toThrow(Refused);
  });
});

describe("createWorker()", () => {
  const order: Order = { type: "scan-worker", taskId: "t-1", command: ["sleep", "1"], env: [] };

  test("writes a pending spec under the next free id, resolved, with what was given as overrides", async () => {
    const record = await createWorker(layout, { ...order, zombieAfterSeconds: 15, env: ["A=b=c"] }, Date.now());
    expect(record).toMatchObject({
      worker_id: "worker-scan-1",
      status: "pending",
      attempt: 1,
      launch: { target: "process", command: "sleep", args: ["1"], env: { A: "b=c" } },
      heartbeat: { zombie_threshold_seconds: 15 },
      overrides: { heartbeat: { zombie_threshold_seconds: 15 } },
    });
    const reading = new SpecStore(layout).readActive("worker-scan-1", Date.now());
    expect(reading.kind).toBe("ok");
  });

  test("does not use a number again of which evidence is left", async () => {
    writeFileSync(layout.zombieSpec("worker-scan-7", 2), "{}");
    expect((await createWorker(layout, order, Date.now())).worker_id).toBe("worker-scan-8");
  });

  test("goes on with the attempts of an id that was asked for by name", async () => {
    writeFileSync(layout.zombieSpec("scan", 2), "{}");
    expect((await createWorker(layout, { ...order, id: "scan" }, Date.now())).attempt).toBe(3);
  });

  test("refuses an id that is active", async () => {
    await createWorker(layout, { ...order, id: "scan" }, Date.now());
    await expect(createWorker(layout, { ...order, id: "scan" }, Date.now())).rejects.toThrow(
      /^Cannot spawn "scan": it is active already/,
    );
  });

  test("gives twenty that ask at once twenty ids", async () => {
    const made = await Promise.all(Array.from({ length: 20 }, () => createWorker(layout, order, Date.now())));
    expect(new Set(made.map(({ worker_id }) => worker_id)).size).toBe(20);
  });

  test("says that nothing tells how to start it", async () => {
    await expect(createWorker(layout, { ...order, type: "nothing-here", command: [] }, Date.now())).rejects.toThrow(
      /^Nothing says how to start a "nothing-here": there is no template of that name, and no command after --$/,
    );
  });

  test("refuses a template that others can write", async () => {
    writeFileSync(layout.template("scan-worker"), '{"launch":{"command":"sleep"}}', { mode: 0o666 });
    const { chmodSync } = await import("node:fs");
    chmodSync(layout.template("scan-worker"), 0o666);
    await expect(createWorker(layout, order, Date.now())).rejects.toThrow(/writable by others/);
  });

  test("leaves nothing active when the tokens are spent", async () => {
    writeFileSync(layout.tokenBudget, '{"total_budget":100,"total_used":60}');
    await expect(createWorker(layout, { ...order, tokens: 50 }, Date.now())).rejects.toThrow(
      'Refused to spawn a "scan-worker" with 50 tokens: 40 are left',
    );
    expect(new SpecStore(layout).listActive()).toEqual([]);
  });

  test("refuses a variable without a name", async () => {
    await expect(createWorker(layout, { ...order, env: ["=x"] }, Date.now())).rejects.toThrow(
      '--env must be NAME=value, got "=x"',
    );
  });
});
