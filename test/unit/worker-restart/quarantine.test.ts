/** Guarantee: a task that costs its workers is held each time that it does so, not only the first. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { WorkerPart } from "../../../daemons/worker-restart/state.js";
import { RealLoop } from "./real-loop.js";

const DAY_MS = 86_400_000;

afterEach(() => {
  vi.useRealTimers();
});

/** Three workers of one task die one after another. */
function killThree(real: RealLoop, prefix: string): void {
  for (const nth of [1, 2, 3]) real.fileDeath(`${prefix}-${nth}`, 1, { task_id: "t" });
}

const gateOf = (real: RealLoop, id: string): unknown =>
  real.loop.part<WorkerPart>(`worker:${id}`)?.waiting?.gate ?? null;

/** A look when that much of the wall clock has passed. */
function lookAfter(real: RealLoop, ms: number): void {
  vi.setSystemTime(Date.now() + ms);
  real.queue.lookAtWaiting();
}

describe("a task that was quarantined before", () => {
  test("is held again when it kills on after its hold is over", () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    // A hold counts from its file's time, which cannot be set: what is long ago here is so by the clock that is moved.
    vi.setSystemTime(Date.now() - 9 * DAY_MS);
    const real = new RealLoop();
    killThree(real, "first");
    expect(gateOf(real, "first-3")).toBe("poison_task");

    lookAfter(real, 8 * DAY_MS);
    expect(gateOf(real, "first-3")).not.toBe("poison_task");
    killThree(real, "second");
    expect(gateOf(real, "second-3")).toBe("poison_task");
    for (let minute = 0; minute < 3; minute++) {
      lookAfter(real, 60_000);
      expect(gateOf(real, "second-3")).toBe("poison_task");
    }
    expect(real.reported.filter((each) => each.event_type === "task_quarantined")).toHaveLength(2);
    expect(readdirSync(real.layout.holdsDir)).toEqual(["task-t.json"]);
  });

  test("leaves a person's hold as it is", () => {
    const real = new RealLoop();
    const path = join(real.layout.holdsDir, "task-t.json");
    const text = JSON.stringify({ by: "anna", acts: ["restart"], expires_at: "2026-01-01T00:00:00Z" });
    writeFileSync(path, text);
    killThree(real, "first");
    expect(real.reported.some((each) => each.event_type === "task_quarantined")).toBe(true);
    expect(readFileSync(path, "utf8")).toBe(text);
  });
});
