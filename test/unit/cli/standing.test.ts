/** Guarantee: `heald why` says why a worker that beats is taken for silent, and calls none well whose process is gone. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { standingOf } from "../../../cli/story/standing.js";
import { refusedSentence } from "../../../daemons/heartbeat-monitor/refused-beats.js";
import { identityOf } from "../../../lib/platform/processes.js";
import { writeRunFile } from "../../../lib/runtime/identity-files.js";
import { temporaryLayout } from "../store/temporary-home.js";

test.each([
  ["critical", "silent for the heartbeat time-out"],
  ["starting", "it was started and has its grace time"],
])("of a worker that is %s it says that its beats are refused", (state, sentence) => {
  const layout = temporaryLayout();
  const identity = identityOf(process.pid);
  if (identity === null) throw new Error("No identity");
  const run = { ...identity, version: "1", started_at: Date.now(), policy_hash: "x", loop_lag_ms: 0 };
  writeRunFile(layout, "heartbeat-monitor", run);
  const worker = { worker_id: "w-1", worker_type: "scan-worker", status: "running", attempt: 1 };
  writeFileSync(layout.activeSpec("w-1"), JSON.stringify(worker));
  const why = refusedSentence("attempt must be a number");
  writeFileSync(layout.status, JSON.stringify({ ok: false, workers: [{ ...worker, state, why }], restart_queue: [] }));
  expect(standingOf(layout, "w-1", [], Date.now()).reasons).toEqual([`${sentence}; ${why}`]);
});

test("of a worker that status.json calls healthy and whose process is gone it says so, as heald status does", () => {
  const layout = temporaryLayout();
  const identity = identityOf(process.pid);
  if (identity === null) throw new Error("No identity");
  const run = { ...identity, version: "1", started_at: Date.now(), policy_hash: "x", loop_lag_ms: 0 };
  writeRunFile(layout, "heartbeat-monitor", run);
  const { pid } = spawnSync("true");
  const worker = { worker_id: "w-1", worker_type: "scan-worker", status: "running", attempt: 1 };
  writeFileSync(layout.activeSpec("w-1"), JSON.stringify({ ...worker, execution: { ...identity, pid } }));
  const row = { ...worker, pid, state: "healthy", desired: "running", why: "", last_seen: Date.now() };
  writeFileSync(layout.status, JSON.stringify({ ok: true, workers: [row], restart_queue: [] }));
  const { state, reasons } = standingOf(layout, "w-1", [], Date.now());
  expect(state).toBe("exited");
  expect(reasons.join()).not.toContain("there is nothing to do");
});
