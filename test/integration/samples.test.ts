/** Guarantee: the real monitor samples real workers, and what `heald metric` appends stands in the same file. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "./support/command-line.js";
import { Monitored, SHORT } from "./support/monitored.js";

const BURNS = "while :; do :; done";
const BEATS = `while :; do printf '{"worker_id":"%s","metrics":{"queue_depth":7,"constructor":8,"note":"text"}}' "$HEALD_WORKER_ID" > "$HEALD_HEARTBEAT_FILE.t" && mv "$HEALD_HEARTBEAT_FILE.t" "$HEALD_HEARTBEAT_FILE"; sleep 0.5; done`;

let home: Monitored;
beforeEach(() => {
  home = new Monitored({ ...SHORT, sample_interval_seconds: 1 });
});
afterEach(() => home.close());

function samplesOf(workerId: string): Record<string, unknown>[] {
  return home.line.lines("metrics", "samples.jsonl").filter((line) => line.worker_id === workerId);
}

function metricsOf(workerId: string): Record<string, number>[] {
  return samplesOf(workerId)
    .filter((line) => line.kind !== "gaps")
    .map((line) => line.metrics as Record<string, number>);
}

describe("samples of real workers", () => {
  test("tell a busy worker from an idle one, whose beats' numbers they carry", async () => {
    await home.start();
    await home.spawn("busy", BURNS, { resources: { memory_limit_mb: 512 } });
    await home.spawn("idle", BEATS);
    await until(() => metricsOf("busy").length >= 3 && metricsOf("idle").length >= 3, "samples are there");
    const busy = metricsOf("busy").at(-1) as Record<string, number>;
    const idle = metricsOf("idle").at(-1) as Record<string, number>;
    expect(busy.cpu_util).toBeGreaterThan(0.05);
    expect(idle.cpu_util).toBeLessThan(0.05);
    expect(busy.memory_util).toBeCloseTo((busy.rss_mb as number) / 512, 3);
    const carried = metricsOf("idle").findLast((metrics) => "queue_depth" in metrics);
    expect(carried).toMatchObject({ queue_depth: 7 });
    expect(Object.keys(carried as object).sort()).toEqual(["cpu_util", "memory_util", "queue_depth", "rss_mb"]);
  });

  test("are followed by the gaps between beats when the monitor stops", async () => {
    await home.start();
    await home.spawn("a", BEATS);
    const received = (): number =>
      Number(home.line.lines("metrics", "heartbeat-monitor-metrics.json")[0]?.heartbeats_received);
    await until(() => received() >= 12, "beats were received");
    home.monitor?.kill("SIGTERM");
    await until(() => samplesOf("a").some((line) => line.kind === "gaps"), "the gaps are written");
    const gaps = samplesOf("a").find((line) => line.kind === "gaps");
    expect(gaps).toMatchObject({ worker_type: "test-worker", attempt: 1, interval_seconds: 1 });
    const buckets = (gaps?.buckets ?? []) as [number, number][];
    const counted = buckets.reduce((sum, [, count]) => sum + count, 0);
    expect(counted).toBeGreaterThan(0);
    expect(counted).toBeLessThan(received());
  });

  test("stand beside what a person appends, while the monitor writes", async () => {
    await home.start();
    await home.spawn("a", "exec sleep 600");
    const ran = await home.line.heald("metric", "checkout-api", "latency_p99=512.5", "error_rate=0.02");
    expect(ran.code).toBe(0);
    await until(() => metricsOf("a").length >= 1, "the monitor's own sample is there");
    const line = home.line.lines("metrics", "samples.jsonl").find((each) => each.component === "checkout-api");
    expect(line).toMatchObject({ component: "checkout-api", metrics: { latency_p99: 512.5, error_rate: 0.02 } });
  });
});
