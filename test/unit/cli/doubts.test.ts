/** Guarantee: a worker whose process cannot be there any more is not called well, and one closed file hides no other worker. */
import { spawnSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { checked } from "../../../cli/doubts.js";
import type { WorkerRow } from "../../../cli/fleet.js";
import { knownIdentity } from "../../../cli/identities.js";
import { identityOf } from "../../../lib/platform/processes.js";
import type { Layout } from "../../../lib/store/layout.js";
import { temporaryLayout } from "../store/temporary-home.js";

const own = identityOf(process.pid);

function rowOf(pid: number): WorkerRow {
  return { worker_id: "a", state: "healthy", attempt: 1, pid, desired: "running" } as unknown as WorkerRow;
}

function put(layout: Layout, execution: object): void {
  writeFileSync(layout.activeSpec("a"), JSON.stringify({ worker_id: "a", attempt: 1, execution }));
}

test.each([
  ["of another boot", { boot_id: "6a1d2f6e-0000-4000-8000-000000000000" }, ["exited"]],
  ["of another start", { start_time: 1 }, ["exited"]],
  ["of another host, of which nothing is known,", { host: "elsewhere" }, ["healthy"]],
  ["that is there", {}, ["healthy"]],
])("on a full disk a process %s is taken for what it is, whoever has its pid now", (_, other, states) => {
  const layout = temporaryLayout();
  put(layout, { ...own, ...other });
  const { rows, gone } = checked(layout, [rowOf(process.pid)], true, Date.now());
  expect(rows.map(({ state }) => state)).toEqual(states);
  expect(gone).toHaveLength(states[0] === "exited" ? 1 : 0);
});

test("a launch record that may not be read hides its own worker's process alone", () => {
  const layout = temporaryLayout();
  writeFileSync(layout.launch("a", 1), JSON.stringify({ worker_id: "a", attempt: 1, ...own }));
  spawnSync("chmod", ["-R", "a+rX", layout.home.home]);
  chmodSync(layout.launch("a", 1), 0);
  if (process.geteuid?.() === 0) {
    process.seteuid?.(65534);
    onTestFinished(() => void process.seteuid?.(0));
  }
  expect(knownIdentity(layout, { worker_id: "a", attempt: 1 })).toBeNull();
  expect(knownIdentity(layout, { worker_id: "a", attempt: 1, execution: { ...own } })).toEqual(own);
});
