/** Guarantee: a worker that crashes while a person's request for it waits comes back, however long the request has waited. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { fileRequest } from "../../../daemons/heartbeat-monitor/requesting.js";
import type { WorkerPart } from "../../../daemons/worker-restart/state.js";
import { Mailbox } from "../../../lib/store/mailbox.js";
import { RealLoop } from "./real-loop.js";

const HOUR_MS = 3_600_000;

afterEach(() => {
  vi.useRealTimers();
});

const part = (real: RealLoop): WorkerPart | null => real.loop.part<WorkerPart>("worker:scan-1");
const iso = (atMs: number): string => new Date(atMs).toISOString();

/** A person holds the worker for two hours, asks for its restart with force, and it crashes by itself. */
function crashUnderHold(real: RealLoop, told: boolean): void {
  const hold = { acts: ["restart"], by: "person:anna", expires_at: iso(Date.now() + 2 * HOUR_MS) };
  writeFileSync(join(real.layout.holdsDir, "scan-1"), JSON.stringify(hold));
  const base = { worker_id: "scan-1", worker_type: "scan", attempt: 1 };
  const launch = { command: "sleep", args: ["600"] };
  real.specs.createActive({ ...base, status: "running", launch });
  const asked = { ...base, requested_by: "person:anna", force: true, created_at: iso(Date.now()) };
  writeFileSync(real.layout.queueRequest("scan-1"), JSON.stringify(asked));
  real.queue.scan();
  expect(part(real)?.waiting?.gate).toBe("holds");

  real.specs.fileZombie({ ...base, status: "zombie", launch }, 1);
  real.specs.removeActive("scan-1", 1);
  const { queueDir, claimedDir, doneDir, failedRequestsDir, rejectedDir } = real.layout;
  const folders = { claimed: claimedDir, done: doneDir, failed: failedRequestsDir, rejected: rejectedDir };
  const ended = { class: "signal", signal: "SIGSEGV", by_itself: true, spends_retry: true, detected_at_ms: Date.now() };
  const death = { ...base, requested_by: "heartbeat-monitor", reason: "killed", incident_id: "incident-1", ended };
  if (told) expect(fileRequest(real.layout, new Mailbox(queueDir, folders), death)).toBe("merged");
  real.queue.scan();
}

/** A hold counts from its file's time, which cannot be set: so the past is where the test begins. */
function begin(): RealLoop {
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(Date.now() - 4 * HOUR_MS);
  return new RealLoop();
}

function passTwoHours(real: RealLoop): void {
  vi.setSystemTime(Date.now() + 2 * HOUR_MS + 1000);
  real.queue.lookAtWaiting();
}

test("a crash that is told in a forced restart under a hold ends in the next attempt when the hold is over", () => {
  const real = begin();
  crashUnderHold(real, true);
  expect(part(real)).toMatchObject({ died: 1, waiting: { gate: "holds", incident_id: "incident-1" } });

  passTwoHours(real);
  expect(real.launched).toEqual([real.layout.launch("scan-1", 2)]);
  // It was a person's wish all the same, and costs no retry.
  expect(part(real)).toMatchObject({ run: { attempt: 2, incident_id: "incident-1" }, attempts: 0 });
});

test("a person's request of which no death is told expires after an hour, as before", () => {
  const real = begin();
  crashUnderHold(real, false);
  passTwoHours(real);
  expect(real.launched).toEqual([]);
  expect(real.reported.map((each) => each.reason)).toContain("expired");
});
