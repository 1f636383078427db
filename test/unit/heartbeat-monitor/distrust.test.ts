/** A monitor that does not trust itself tries again soon for the silent, and leaves those alone that beat in time. */
import { describe, expect, test } from "vitest";
import { decide } from "../../../daemons/heartbeat-monitor/decide.js";
import type { WorkerPart } from "../../../daemons/heartbeat-monitor/facts.js";
import { openScene, policyOf } from "../../scenario/monitor-world.js";

const LATE_MS = 45_000;

/** The instant that is asked for, from the worker's last beat, after so much silence. */
function wakeAfter(silentMs: number, patch: Partial<NonNullable<WorkerPart["last_beat"]>> = {}): number | null {
  const { world } = openScene();
  world.add("w");
  world.run(60);
  const part = world.part("w") as WorkerPart;
  const beat = part.last_beat as NonNullable<WorkerPart["last_beat"]>;
  const from = beat.arrived_mono_ms;
  const worker = { ...part, silent_from_mono_ms: from, last_beat: { ...beat, ...patch } };
  const nowMonoMs = from + silentMs;
  const fleet = { ...world.fleet, pulse_mono_ms: nowMonoMs, trust_from_mono_ms: nowMonoMs + 30_000 };
  const stamp = { id: "id-1", atMs: 1_700_000_000_000, monoMs: nowMonoMs };
  const { effects } = decide({ worker, fleet }, { kind: "woke", worker_id: "w", stamp }, policyOf({}));
  const wake = effects.find((effect) => effect.kind === "wake");
  return wake?.kind === "wake" && wake.atMonoMs !== null ? wake.atMonoMs - from : null;
}

describe("a monitor that does not trust itself", () => {
  test("wakes for a worker that beats in time when it would be late, as any monitor does", () => {
    expect(wakeAfter(1000)).toBe(LATE_MS);
  });

  test("tries again within two seconds for one whose silence it has not spoken about", () => {
    expect(wakeAfter(LATE_MS + 1000)).toBe(LATE_MS + 3000);
  });

  test("tries again within two seconds for one that reports that it is unwell", () => {
    expect(wakeAfter(1000, { low_since_mono_ms: 0 })).toBe(3000);
  });
});
