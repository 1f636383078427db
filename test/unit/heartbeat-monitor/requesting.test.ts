/** Guarantee: a death is told to worker-restart, whatever waits in the queue under the name of its request. */
import { spawnSync } from "node:child_process";
import { chmodSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { fileRequest } from "../../../daemons/heartbeat-monitor/requesting.js";
import type { RestartRequest } from "../../../lib/schema/records.js";
import type { Layout } from "../../../lib/store/layout.js";
import { Mailbox } from "../../../lib/store/mailbox.js";
import { age, temporaryLayout } from "../store/temporary-home.js";

const DEATH: RestartRequest = {
  worker_id: "w",
  worker_type: "scan",
  reason: "killed",
  created_at: "2026-11-21T13:00:00Z",
  attempt: 3,
  incident_id: "incident-1",
  requested_by: "heartbeat-monitor",
  ended: { class: "signal", signal: "SIGSEGV", by_itself: true, spends_retry: true, detected_at_ms: 5 },
};
const PERSONS = {
  worker_id: "w",
  worker_type: "scan",
  reason: "requested",
  created_at: "2026-11-21T12:00:00Z",
  expires_at: "2026-11-21T14:00:00Z",
  attempt: 3,
  force: true,
  override: ["backoff"],
  requested_by: "person:anna",
  why: "new weights",
  deferred: { gate: "holds", count: 2 },
};

let layout: Layout;
let queue: Mailbox;

beforeEach(() => {
  layout = temporaryLayout();
  const { queueDir, claimedDir, doneDir, failedRequestsDir, rejectedDir } = layout;
  const folders = { claimed: claimedDir, done: doneDir, failed: failedRequestsDir, rejected: rejectedDir };
  queue = new Mailbox(queueDir, folders);
});

const file = () => fileRequest(layout, queue, DEATH);
const waits = (name = "w-restart.json"): unknown => JSON.parse(readFileSync(join(layout.queueDir, name), "utf8"));
const put = (request: object): void => writeFileSync(layout.queueRequest("w"), JSON.stringify(request));

describe("fileRequest()", () => {
  test("files a request where none waits, and the same once", () => {
    expect([file(), file()]).toEqual(["filed", "told"]);
    expect(waits()).toEqual(DEATH);
  });

  test("tells of the death in a person's request, which stays theirs and expires no more", () => {
    put(PERSONS);
    expect([file(), file()]).toEqual(["merged", "told"]);
    const { expires_at: _, ...kept } = PERSONS;
    expect(waits()).toEqual({ ...kept, incident_id: "incident-1", ended: DEATH.ended });
  });

  test("tells of the attempt that ended where what waits names an earlier one, or none", () => {
    put({ worker_id: "w", worker_type: "scan", attempt: 2, ended: { detected_at_ms: 1 } });
    expect(file()).toBe("merged");
    expect(waits()).toMatchObject({ attempt: 3, ended: DEATH.ended });
    put({ worker_id: "w", worker_type: "scan" });
    expect(file()).toBe("merged");
    expect(waits()).toMatchObject({ attempt: 3, ended: DEATH.ended });
  });

  test("tells how the attempt ended in a request of auto-fix, which says only what it costs", () => {
    put({ ...PERSONS, requested_by: "auto-fix", ended: { spends_retry: false } });
    expect(file()).toBe("merged");
    expect(waits()).toMatchObject({ requested_by: "auto-fix", ended: DEATH.ended });
  });

  test("waits for a request that a person has half written", async () => {
    writeFileSync(layout.queueRequest("w"), '{"worker_id":"w",');
    const filed = file();
    expect(filed).toBeInstanceOf(Promise);
    put(PERSONS);
    expect(await filed).toBe("merged");
  });

  test("takes the name as soon as a request that is no request is rejected", async () => {
    writeFileSync(layout.queueRequest("w"), "{}");
    const filed = file();
    unlinkSync(layout.queueRequest("w"));
    expect(await filed).toBe("filed");
  });

  test("takes another name where nobody rejects it", async () => {
    writeFileSync(layout.queueRequest("w"), "not json");
    age(layout.queueRequest("w"), 60);
    expect(await file()).toBe("filed");
    expect(readdirSync(layout.queueDir).sort()).toEqual(["w-restart.after-3.json", "w-restart.json"]);
    expect(waits("w-restart.after-3.json")).toEqual(DEATH);
  });

  test.skipIf(process.geteuid?.() !== 0)("takes another name where what waits is root's", async () => {
    put(PERSONS);
    spawnSync("chown", ["-R", "65534", layout.home.home]);
    spawnSync("chown", ["0", layout.queueRequest("w")]);
    chmodSync(layout.queueRequest("w"), 0o600);
    process.seteuid?.(65534);
    onTestFinished(() => void process.seteuid?.(0));
    expect(await file()).toBe("filed");
    process.seteuid?.(0);
    expect(waits("w-restart.after-3.json")).toEqual(DEATH);
    expect(waits()).toEqual(PERSONS);
  });
});
