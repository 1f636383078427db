/** Guarantee: an instant is read in every form that people and programs write, and what is none is never taken for one. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readInstant } from "../../lib/schema/primitives.js";
import { readHolds } from "../../lib/store/holds.js";
import { temporaryLayout } from "./store/temporary-home.js";

const AT_MS = Date.UTC(2026, 10, 21, 21, 8, 4);

describe("readInstant()", () => {
  test.each([
    ["2026-11-21T21:08:04Z", AT_MS],
    ["2026-11-21 21:08:04", AT_MS],
    ["2026-11-21t21:08:04z", AT_MS],
    ["2026-11-21T15:08:04-06:00", AT_MS],
    ["2026-11-21T15:08:04-0600", AT_MS],
    ["2026-11-21T21:08:04.250Z", AT_MS + 250],
    ["2026-11-21T21:08Z", AT_MS - 4000],
    ["2026-11-21T21Z", AT_MS - 484_000],
    ["2026-11-21", Date.UTC(2026, 10, 21)],
    ["20261121T210804Z", AT_MS],
    ["20261121T210804", AT_MS],
    ["20261121T210804.25Z", AT_MS + 250],
    ["20261121T210804,25+0000", AT_MS + 250],
    ["20261121T150804-0600", AT_MS],
    ["20261121T150804-06:00", AT_MS],
    ["20261122T023804+0530", AT_MS],
    ["20261121T150804-06", AT_MS],
    ["20261121T2108Z", AT_MS - 4000],
    ["20261121T21Z", AT_MS - 484_000],
    ["20261121T21:08:04Z", AT_MS],
    ["2026-11-21T210804Z", AT_MS],
    ["20261121", Date.UTC(2026, 10, 21)],
    [" 20261121T210804Z\n", AT_MS],
    ["1795295284", AT_MS],
    ["1795295284000", AT_MS],
    [1_795_295_284, AT_MS],
    [1_795_295_284_000, AT_MS],
  ])("reads %j", (text, atMs) => {
    expect(readInstant(text)).toBe(atMs);
  });

  test.each([
    ...[
      "",
      "tomorrow",
      "2026",
      "2026-11",
      "202611",
      "20261321",
      "20261121T250804Z",
      "20261121T216104Z",
      "20261121T2108041Z",
    ],
    ...["20261121T210804+", "20261121T210804Z0600", "2026-1121", "20261121T21:0804Z", "20261121210804", "2026-W47-6"],
    ...[-1, Number.NaN, null, {}],
  ])("takes %j for none", (value) => {
    expect(readInstant(value)).toBeNull();
  });
});

test("a hold that ends at an instant in the basic form holds what it names until then, and nothing else", () => {
  const layout = temporaryLayout();
  const hold = { scope: "worker", name: "w-1", acts: ["kill"], expires_at: "20261121T210804Z" };
  writeFileSync(join(layout.holdsDir, "w.json"), JSON.stringify(hold));
  expect(readHolds(layout, AT_MS - 60_000)).toMatchObject([{ scope: "worker", target: "w-1", expiresAtMs: AT_MS }]);
});
