/** Guarantee: a worker is told how often the heartbeat policy in force wants it to beat. */
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { heartbeatIntervalOf } from "../../../lib/store/heartbeat-interval.js";
import type { Layout } from "../../../lib/store/layout.js";
import { temporaryLayout } from "./temporary-home.js";

function write(layout: Layout, text: string): void {
  // Another inode each time, as of an operator's editor.
  rmSync(layout.config("heartbeat-policy"), { force: true });
  writeFileSync(layout.config("heartbeat-policy"), text, { mode: 0o640 });
}

const policy = { heartbeat_interval_seconds: 5, overrides: { slow: { heartbeat_interval_seconds: 90 }, other: {} } };

test("the type's own interval counts before everybody's, and without either there is none", () => {
  const layout = temporaryLayout();
  const of = (type?: string): number | undefined => heartbeatIntervalOf(layout, type, Date.now());
  expect(of("slow")).toBeUndefined();
  write(layout, JSON.stringify(policy));
  expect([of("slow"), of("other"), of("constructor"), of()]).toEqual([90, 5, 5, 5]);
  write(layout, JSON.stringify({ zombie_threshold_seconds: 600 }));
  expect(of("slow")).toBeUndefined();
  rmSync(layout.config("heartbeat-policy"));
  expect(of("slow")).toBeUndefined();
});

test.each([
  ["is torn", (layout: Layout) => write(layout, '{"heartbeat_interval_seconds": 1')],
  ["has a wrong type", (layout: Layout) => write(layout, '{"heartbeat_interval_seconds": "1"}')],
  [
    "may be written by others",
    (layout: Layout) => {
      write(layout, '{"heartbeat_interval_seconds": 1}');
      chmodSync(layout.config("heartbeat-policy"), 0o666);
    },
  ],
])("while the file %s, what was in force goes on", (_, spoil) => {
  const layout = temporaryLayout();
  write(layout, JSON.stringify(policy));
  expect(heartbeatIntervalOf(layout, "other", Date.now())).toBe(5);
  spoil(layout);
  expect(heartbeatIntervalOf(layout, "other", Date.now())).toBe(5);
  write(layout, JSON.stringify({ heartbeat_interval_seconds: 7 }));
  expect(heartbeatIntervalOf(layout, "other", Date.now())).toBe(7);
});
