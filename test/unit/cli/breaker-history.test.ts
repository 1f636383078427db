/** Guarantee: a backtest gives the breakers the outcomes that the daemon counts, and no others. */
import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { BreakerHistory } from "../../../cli/backtest/breakers.js";
import { readRestartPolicy } from "../../../daemons/worker-restart/policy.js";
import { temporaryLayout } from "../store/temporary-home.js";

test("a line that a person has dated years ahead hides none of those that follow it", () => {
  const read = readRestartPolicy({ circuit_breaker_threshold: 3 });
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  const { policy } = read.value;
  const layout = temporaryLayout();
  const nowMs = Date.now();
  const failure = (atMs: number) =>
    JSON.stringify({ worker_type: "scan", result: "failure", timestamp: new Date(atMs).toISOString() });
  const lines = [
    failure(Date.parse("2099-01-01T00:00:00Z")),
    ...[9, 8, 7].map((seconds) => failure(nowMs - seconds * 1000)),
  ];
  writeFileSync(layout.history, `${lines.join("\n")}\n`);
  const history = new BreakerHistory(layout, { at: () => policy } as never, policy as never, 0);
  history.finish(nowMs);
  expect(history.trips).toEqual({ live: 1, other: 1 });
});
