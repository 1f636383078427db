import { describe, expect, test } from "vitest";
import { type Limits, limits, tightLimits } from "../../../lib/platform/host.js";

const AMPLE: Limits = {
  openFiles: { soft: 65_536, hard: 65_536 },
  inotify: { max_user_watches: 100_000, max_user_instances: 128 },
};

describe("tightLimits()", () => {
  test("says nothing of what is enough, unlimited or unknown", () => {
    expect(tightLimits(AMPLE)).toEqual([]);
    expect(
      tightLimits({
        openFiles: { soft: null, hard: null },
        inotify: { max_user_watches: null, max_user_instances: null },
      }),
    ).toEqual([]);
  });

  test("names each limit that will be met, and what to set", () => {
    expect(
      tightLimits({
        openFiles: { soft: 256, hard: 4096 },
        inotify: { max_user_watches: 100, max_user_instances: 8 },
      }),
    ).toEqual([
      "only 256 open files are allowed; raise LimitNOFILE (ulimit -n) to 1024 or more",
      "only 8 inotify instances are allowed; raise fs.inotify.max_user_instances to 32 or more",
      "only 100 inotify watches are allowed; raise fs.inotify.max_user_watches to 512 or more",
    ]);
  });
});

test("limits() reads what holds for this process", () => {
  expect(limits().openFiles.soft).toBeGreaterThan(0);
  expect(limits().inotify.max_user_instances).toBeGreaterThan(0);
});
