/** A changed template brought to workers that run: one after another, each well before the next, and back when one is not. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { BEATS, Healing } from "./support/healing.js";
import { isAlive, until } from "./support/launched.js";

let healing: Healing;

beforeEach(() => {
  healing = new Healing();
});

afterEach(() => healing.close());

const IDS = ["press-1", "press-2", "press-3"];
const HALVED = [
  {
    type: "modify-worker-spec",
    apply_to_running: "rolling",
    changes: [{ field: "processing.batch_size", operation: "multiply", value: 0.5 }],
  },
];

/** Three workers of one type with a batch size of 100, and a fix that halves it. */
async function threeWorkers(script: string): Promise<void> {
  healing.template("press", script, { processing: { batch_size: 100 } });
  healing.fix(HALVED);
  await healing.start("heartbeat-monitor", "worker-restart", "auto-fix");
  await healing.spawn("press", ...IDS);
}

const batchOf = (id: string): unknown =>
  (healing.active(id)?.processing as { batch_size?: number } | undefined)?.batch_size;
const inTemplate = (): unknown => healing.line.read("worker-specs", "templates", "press.json").processing;

/** When each worker's second attempt proved itself, by the restart history. */
function provedAt(id: string, attempt: number): number | null {
  const line = healing.line
    .lines("metrics", "worker-restart-history.jsonl")
    .find((each) => each.worker_id === id && each.attempt === attempt && each.result === "success");
  return line === undefined ? null : Number(line.at_ms);
}

describe("a rolling restart", () => {
  test("restarts one worker after another, and waits until each has proved itself", async () => {
    await threeWorkers(BEATS);
    healing.publish("press", IDS);
    await until(() => IDS.every((id) => provedAt(id, 2) !== null), "all three are well with the change", 60_000);
    expect(IDS.map(batchOf)).toEqual([50, 50, 50]);
    for (const [nth, id] of IDS.entries()) {
      const before = IDS[nth - 1];
      if (before === undefined) continue;
      expect(healing.launch(id, 2)?.started_at_ms).toBeGreaterThan((provedAt(before, 2) ?? Number.NaN) - 1);
    }
    expect(healing.events("fix_failed")).toEqual([]);
  }, 90_000);

  test("stops at the first worker that is not well, takes the change back, and leaves the others alone", async () => {
    // It has no retry to lose: what it loses to the change is given back to it.
    healing.config("worker-restart-policy", {
      max_retries: 1,
      retry_interval_seconds: 0.2,
      jitter: "none",
      success_after_seconds: 1,
    });
    await threeWorkers(`test "$SETTING_PROCESSING_BATCH_SIZE" = 50 && exit 3\n${BEATS}`);
    const untouched = IDS.slice(1).map((id) => healing.launch(id, 1)?.pid as number);
    healing.publish("press", IDS);
    await healing.said("fix_undone");
    expect(healing.data("fix_failed").problem).toMatch(/stopped: press-1 did not come back well \(it was the first/);
    expect(inTemplate()).toEqual({ batch_size: 100 });
    expect(healing.events("escalation_opened")).toHaveLength(1);
    await until(
      () => healing.state("press-1") === "healthy" && batchOf("press-1") === 100,
      "press-1 is well again",
      30_000,
    );
    expect(untouched.map(isAlive)).toEqual([true, true]);
    expect(IDS.slice(1).map((id) => healing.attempt(id))).toEqual([1, 1]);
  }, 90_000);

  test("goes on where it was when the daemon was killed in the middle, and restarts none twice", async () => {
    await threeWorkers(BEATS);
    healing.publish("press", IDS);
    await until(() => healing.launch("press-2", 2) !== null, "the second worker is being restarted", 60_000);
    await healing.kill("auto-fix");
    await healing.start("auto-fix");
    await until(() => IDS.every((id) => provedAt(id, 2) !== null), "all three are well with the change", 60_000);
    expect(IDS.map((id) => healing.attempt(id))).toEqual([2, 2, 2]);
  }, 120_000);

  test("is rolled back when a person takes the fix back", async () => {
    await threeWorkers(BEATS);
    healing.publish("press", IDS);
    await until(() => healing.launch("press-1", 2) !== null, "the first worker is being restarted", 60_000);
    const [run = {}] = healing.runs();
    expect((await healing.line.heald("fix", "undo", String(run.run_id))).code).toBe(0);
    await healing.said("fix_undone");
    await until(() => batchOf("press-1") === 100 && healing.attempt("press-1") === 3, "press-1 is rolled back", 30_000);
    expect(healing.attempt("press-3")).toBe(1);
  }, 120_000);
});
