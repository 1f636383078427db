/** Guarantee: whoever starts a worker reads of the heartbeat policy what the monitor reads. */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { givenHeartbeatOf } from "../../../lib/store/heartbeat-policy.js";
import type { Layout } from "../../../lib/store/layout.js";
import { temporaryLayout } from "./temporary-home.js";

function write(layout: Layout, text: string): void {
  // Another inode each time, as of an operator's editor.
  rmSync(layout.config("heartbeat-policy"), { force: true });
  writeFileSync(layout.config("heartbeat-policy"), text, { mode: 0o640 });
}

const policy = { heartbeat_interval_seconds: 5, overrides: { slow: { heartbeat_interval_seconds: 90 }, other: {} } };

test("a type's own values count before everybody's, and without a file nothing is given", () => {
  const layout = temporaryLayout();
  const of = (type: string): unknown => givenHeartbeatOf(layout, type, Date.now());
  expect(of("slow")).toEqual({});
  write(layout, JSON.stringify(policy));
  expect(of("slow")).toEqual({ heartbeat_interval_seconds: 90 });
  for (const type of ["other", "constructor", "unknown"]) expect(of(type)).toEqual({ heartbeat_interval_seconds: 5 });
  rmSync(layout.config("heartbeat-policy"));
  expect(of("slow")).toEqual({});
});

test("the nested dialect is read as the monitor reads it", () => {
  const layout = temporaryLayout();
  write(
    layout,
    JSON.stringify({ thresholds: { critical: { seconds: 4 } }, overrides: { slow: { busy_multiple: 2 } } }),
  );
  expect(givenHeartbeatOf(layout, "slow", Date.now())).toEqual({ heartbeat_timeout_seconds: 4, busy_multiple: 2 });
});

test.each([
  ["is torn", (layout: Layout) => write(layout, '{"heartbeat_interval_seconds": 1')],
  ["has a wrong type", (layout: Layout) => write(layout, '{"heartbeat_interval_seconds": "1"}')],
  ["is refused for a key", (layout: Layout) => write(layout, '{"heartbeat_interval_seconds": 1, "interval": 1}')],
  [
    "is refused for its order",
    (layout: Layout) => write(layout, '{"heartbeat_interval_seconds": 1, "heartbeat_timeout_seconds": 1}'),
  ],
  [
    "may be written by others",
    (layout: Layout) => {
      write(layout, '{"heartbeat_interval_seconds": 1}');
      chmodSync(layout.config("heartbeat-policy"), 0o666);
    },
  ],
])("while the file %s, what was in force goes on", (_, spoil) => {
  const layout = temporaryLayout();
  const interval = (): number | undefined => givenHeartbeatOf(layout, "other", Date.now()).heartbeat_interval_seconds;
  write(layout, JSON.stringify(policy));
  expect(interval()).toBe(5);
  spoil(layout);
  expect(interval()).toBe(5);
  write(layout, JSON.stringify({ heartbeat_interval_seconds: 7 }));
  expect(interval()).toBe(7);
});

test("who comes when the file is bad already goes by the policy that the monitor has in force", () => {
  const layout = temporaryLayout();
  write(layout, '{"heartbeat_interval_seconds": "1"}');
  mkdirSync(layout.policyTextsDir, { recursive: true });
  writeFileSync(join(layout.policyTextsDir, "0123456789abcdef.json"), JSON.stringify(policy));
  writeFileSync(layout.runFile("heartbeat-monitor"), JSON.stringify({ policy_hash: "0123456789abcdef" }));
  expect(givenHeartbeatOf(layout, "slow", Date.now())).toEqual({ heartbeat_interval_seconds: 90 });
});
