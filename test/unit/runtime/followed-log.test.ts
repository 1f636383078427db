import { describe, expect, test } from "vitest";
import { type FollowedLog, type LinesRead, takeOver } from "../../../lib/runtime/followed-log.js";

const stamp = { id: "0a-b-00001", atMs: 1_795_301_139_000, monoMs: 1000 };
const at = (offset: number) => ({ inode: 7, birth_ms: 1, offset, head_hash: "x" });
const batch = (more: Partial<LinesRead>): LinesRead & { readonly stamp: typeof stamp } => ({
  kind: "lines-read",
  log: "heartbeat",
  events: 3,
  unreadable: 0,
  checkpoint: at(300),
  stamp,
  ...more,
});

describe("takeOver()", () => {
  test("moves the place and the count together, and lets the reader read on", () => {
    const first = takeOver(null, batch({}), "auto-fix");
    const second = takeOver(first.log, batch({ events: 2, checkpoint: at(500) }), "auto-fix");
    expect(second.log).toEqual<FollowedLog>({ checkpoint: at(500), events_read: 5, unreadable_lines: 0, gaps: 0 });
    expect(second.effects).toEqual([{ kind: "read-on", log: "heartbeat" }]);
  });

  test("reports lines that are no events once for a batch, before it reads on", () => {
    const { log, effects } = takeOver(null, batch({ unreadable: 2, firstUnreadableOffset: 34 }), "failure-pattern");
    expect(log.unreadable_lines).toBe(2);
    expect(effects.map(({ kind }) => kind)).toEqual(["report", "read-on"]);
    expect(effects[0]).toMatchObject({
      record: {
        event_type: "record_refused",
        source: "failure-pattern",
        reason: "unreadable_line",
        message: "events/heartbeat-events.jsonl: 2 lines are no events and are passed over, the first at byte 34",
        data: { path: "events/heartbeat-events.jsonl", lines: 2, offset: 34 },
      },
    });
  });

  test("says when lines may have been missed", () => {
    const { log, effects } = takeOver(null, batch({ gap: "truncated" }), "auto-fix");
    expect(log.gaps).toBe(1);
    expect(effects[0]).toMatchObject({
      record: { message: "events/heartbeat-events.jsonl was truncated: reading goes on from its start" },
    });
  });

  test("gives the same lines for the same batch, so that a repeat after a crash is known by its id", () => {
    const again = () => takeOver(null, batch({ unreadable: 1, gap: "lost" }), "auto-fix");
    expect(again()).toEqual(again());
  });
});
