import { describe, expect, test } from "vitest";
import { type FollowedLog, type LinesRead, takeOver } from "../../../lib/domain/followed-log.js";

const at = (offset: number) => ({ inode: 7, birth_ms: 1, offset, head_hash: "x" });
const batch = (more: Partial<LinesRead>): LinesRead => ({
  kind: "lines-read",
  log: "heartbeat",
  events: 3,
  unreadable: 0,
  checkpoint: at(300),
  ...more,
});

describe("takeOver()", () => {
  test("moves the place and the count together", () => {
    const first = takeOver(null, batch({}));
    const second = takeOver(first, batch({ events: 2, checkpoint: at(500) }));
    expect(second).toEqual<FollowedLog>({ checkpoint: at(500), events_read: 5, unreadable_lines: 0, gaps: 0 });
  });

  test("counts lines that are no events, and gaps", () => {
    const first = takeOver(null, batch({ unreadable: 2, gap: "truncated" }));
    expect(takeOver(first, batch({ unreadable: 1 }))).toMatchObject({ unreadable_lines: 3, gaps: 1 });
  });
});
