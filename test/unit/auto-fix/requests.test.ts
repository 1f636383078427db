/** Guarantee: a trial after a fix takes nothing away from the request that it lets through. */
import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { letThrough } from "../../../daemons/auto-fix/requests.js";
import { temporaryLayout } from "../store/temporary-home.js";

const NOW = Date.parse("2026-11-30T10:00:00Z");

test.each([
  ["a later time that a person has set stays", "2026-11-30T12:00:00Z", "2026-11-30T12:00:00Z"],
  ["an earlier one gives way to the fix's", "2026-11-30T09:00:00Z", "2026-11-30T10:00:00Z"],
])("gates that a person passes stay passed, and %s", (_, set, stays) => {
  const layout = temporaryLayout();
  const path = layout.queueRequest("scan-1");
  const waiting = { worker_id: "scan-1", worker_type: "scan", reason: "exited", override: ["holds"], ours: 7 };
  writeFileSync(path, JSON.stringify({ ...waiting, not_before: set, deferred: { gate: "retries", reason: "spent" } }));
  expect(letThrough(layout, "scan-1", "run-1", "fix", NOW)).toBe(true);
  expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({
    ours: 7,
    not_before: stays,
    override: expect.arrayContaining(["holds", "retries", "circuit_breaker"]),
    run_id: "run-1",
  });
});
