/** Guarantee: one screen of `heald top` never has more lines than the screen, and what is in trouble is what stands on it. */
import { describe, expect, test } from "vitest";
import type { WorkerRow } from "../../../cli/fleet.js";
import type { Overview } from "../../../cli/overview.js";
import { plain } from "../../../cli/screen.js";
import { frame } from "../../../cli/top/frame.js";

const NOW = Date.parse("2026-11-21T21:08:04Z");

const worker = (worker_id: string, state: string): WorkerRow => ({
  ...{ worker_id, state, worker_type: "scan", task_id: null, status: "running", attempt: 1, pid: 7, desired: null },
  ...{ why: "", since: null, next_at: null, health_score: null, last_seen: null },
});

const IDENTITY = { pid: 4711, start_time: 1, boot_id: "b", pid_ns: "1", host: "h" };

const daemon = (name: Overview["daemons"][number]["name"], running = true): Overview["daemons"][number] => ({
  ...{ name, running, stopped: false, identity: IDENTITY, version: "1.0.0", startedAt: NOW - 5000, policyHash: null },
  loopLagMs: 3,
});

const fleetOf = (workers: readonly WorkerRow[], more: Partial<Overview> = {}): Overview => ({
  ...{ source: "monitor", ok: true, summary: "s", home: "/srv/fleet", at: "2026-11-21T21:08:03Z" },
  ...{ daemons: [daemon("heartbeat-monitor"), daemon("auto-fix", false)], workers, holds: [], breakers: [] },
  ...{
    pending: [],
    restart_queue: [],
    budgets: null,
    fleet_held: false,
    refused_policies: [],
    foreign_owner: null,
    doubts: [],
    ...more,
  },
});

const linesOf = (fleet: Overview, rows = 40): string[] =>
  frame(fleet, { rows, hint: "q ends it" }, NOW).map((line) => plain(line).trimEnd());

describe("frame()", () => {
  test("puts workers in trouble first, then those that start or are late, and within that sorts by id", () => {
    const states = { a: "healthy", e: "hung", c: "starting", b: "healthy", d: "exited" };
    const lines = linesOf(fleetOf(Object.entries(states).map(([id, state]) => worker(id, state))));
    const at = lines.findIndex((line) => line.startsWith("WORKER"));
    expect(lines.slice(at + 1).map((line) => line[0])).toEqual(["d", "e", "c", "a", "b"]);
  });

  test("counts workers by state, daemons that run, and all that waits", () => {
    const fleet = fleetOf([worker("a", "healthy"), worker("b", "healthy"), worker("c", "hung")], {
      restart_queue: [{ worker_id: "x", gate: "backoff", reason: "r", next_at: null, count: 2 }],
      breakers: [
        { worker_type: "scan", state: "open", failure_count: 5, next_probe_at: null },
        { worker_type: "copy", state: "closed", failure_count: 0, next_probe_at: null },
      ],
      pending: ["fix-1"],
    });
    const lines = linesOf(fleet);
    expect(lines[0]).toMatch(/^heald {2}\/srv\/fleet {2}\d\d:\d\d:\d\d {2}q ends it$/);
    expect(lines[2]).toBe(
      "workers 3: 1 hung, 2 healthy   daemons 1 of 2   queue 1   open breakers 1   holds 0   fixes to approve 1",
    );
    expect(lines).toContain("heartbeat-monitor  runs          4711  5s   1.0.0    3 ms");
    for (const title of ["Restarts that wait", "Circuit breakers"]) expect(lines).toContain(title);
    expect(lines.join("\n")).not.toContain("copy");
  });

  test("keeps to the screen: workers that are well are left out first, and counted", () => {
    const many = Array.from({ length: 200 }, (_, nth) => worker(`w-${String(nth).padStart(3, "0")}`, "healthy"));
    const fleet = fleetOf([...many, worker("z-ill", "hung")]);
    for (const rows of [16, 24, 60]) {
      const lines = linesOf(fleet, rows);
      expect(lines.length).toBe(rows);
      expect(lines.join("\n")).toContain("z-ill");
      expect(lines.at(-1)).toMatch(/^and \d+ more, all well$/);
    }
    const ill = Array.from({ length: 50 }, (_, nth) => worker(`w-${nth}`, "hung"));
    expect(linesOf(fleetOf(ill), 20).at(-1)).toMatch(/^and (\d+) more, \1 of them in trouble$/);
    expect(linesOf(fleet, 5)).toHaveLength(5);
  });

  test("says that nothing is watched while the monitor does not run", () => {
    expect(linesOf(fleetOf([], { source: "files" })).join("\n")).toContain("nothing is watched");
    expect(linesOf(fleetOf([]))).toContain("No workers.");
  });
});
