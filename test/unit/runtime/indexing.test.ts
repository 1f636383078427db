/** A daemon makes the indexes of its own rotated logs, one after the other, and leaves nothing half-made. */
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Log } from "../../../lib/platform/log.js";
import { Indexing } from "../../../lib/runtime/indexing.js";
import type { Layout } from "../../../lib/store/layout.js";
import { temporaryLayout } from "../store/temporary-home.js";

const silent = { warn: () => {} } as unknown as Log;

function rotated(layout: Layout, name: string, lines: number): string {
  const path = join(layout.archiveDir, `${name}.20261121T010000Z.jsonl`);
  const line = `${JSON.stringify({ at_ms: 1, worker_id: "w-1", note: "x".repeat(1000) })}\n`;
  writeFileSync(path, line.repeat(lines));
  return path;
}

function indexing(layout: Layout): Indexing {
  const made = new Indexing(layout, "heartbeat-monitor", silent);
  onTestFinished(() => made.close());
  return made;
}

describe("Indexing", () => {
  test("makes an index of each of its daemon's rotated logs, and of no other's", async () => {
    const layout = temporaryLayout();
    const own = [rotated(layout, "heartbeat-events", 10), rotated(layout, "heartbeat-monitor", 10)];
    const other = rotated(layout, "worker-restart-events", 10);
    const daemon = indexing(layout);
    await vi.waitFor(
      () => {
        daemon.look(); // As housekeeping does, every few seconds.
        expect(own.map((path) => existsSync(`${path}.index`))).toEqual([true, true]);
      },
      { timeout: 10_000 },
    );
    expect(existsSync(`${other}.index`)).toBe(false);
  });

  test("that is stopped half-way leaves no index, and the next start makes it", async () => {
    const layout = temporaryLayout();
    const path = rotated(layout, "heartbeat-events", 5000);
    const first = indexing(layout);
    first.look();
    await new Promise((resolve) => setImmediate(resolve));
    first.close();
    expect(readdirSync(layout.archiveDir)).toEqual(["heartbeat-events.20261121T010000Z.jsonl"]);
    const second = indexing(layout);
    await vi.waitFor(
      () => {
        second.look();
        expect(existsSync(`${path}.index`)).toBe(true);
      },
      { timeout: 20_000 },
    );
  });
});
