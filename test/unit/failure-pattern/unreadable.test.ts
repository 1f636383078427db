import { describe, expect, test } from "vitest";
import { reportsOf } from "../../../daemons/failure-pattern/unreadable.js";
import type { LinesRead } from "../../../lib/domain/followed-log.js";
import type { Stamped } from "../../../lib/runtime/core.js";

const batch = (more: Partial<LinesRead>): Stamped<LinesRead> => ({
  kind: "lines-read",
  log: "heartbeat",
  events: 3,
  unreadable: 0,
  checkpoint: { inode: 7, birth_ms: 1, offset: 300, head_hash: "x" },
  stamp: { id: "0a-b-00001", atMs: 1_795_301_139_000, monoMs: 1000 },
  ...more,
});

describe("reportsOf()", () => {
  test("reports nothing of a batch that could all be read", () => {
    expect(reportsOf(batch({}))).toEqual([]);
  });

  test("reports lines that are no events once for a batch", () => {
    expect(reportsOf(batch({ unreadable: 2, firstUnreadableOffset: 34 }))).toMatchObject([
      {
        kind: "report",
        record: {
          event_type: "record_refused",
          source: "failure-pattern",
          reason: "unreadable_line",
          message: "events/heartbeat-events.jsonl: 2 lines are no events and are passed over, the first at byte 34",
          data: { path: "events/heartbeat-events.jsonl", lines: 2, offset: 34 },
        },
      },
    ]);
  });

  test("says when lines may have been missed", () => {
    expect(reportsOf(batch({ gap: "truncated" }))).toMatchObject([
      { record: { message: "events/heartbeat-events.jsonl was truncated: reading goes on from its start" } },
    ]);
  });

  test("gives the same lines for the same batch, so that a repeat after a crash is known by its id", () => {
    const again = () => reportsOf(batch({ unreadable: 1, gap: "lost" }));
    expect(again()).toEqual(again());
    expect(new Set(again().map(({ record }) => record.event_id)).size).toBe(2);
  });
});
