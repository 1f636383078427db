/**
 * Guarantees that examples 1 to 5 do what their READMEs say: real daemons, real workers, each outcome as expected, no
 * process left, and decisions that come out the same when they are computed again. Two of them by default; all with HEALD_ALL_EXAMPLES=1.
 * @module
 */
import { rmSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { familyOf } from "../../lib/platform/processes.js";
import { expectReplay, expectSound, runBuilt } from "./runs.js";

const LIMIT_MS = 120_000;

/** How each row of the table begins, in its order. */
const EXAMPLES: readonly (readonly [number, string, readonly string[]])[] = [
  [
    1,
    "raises a memory limit that is too small, proves it on one attempt, and releases the siblings",
    [
      "three workers outgrow",
      "the pattern is found",
      "the limit in the",
      "one attempt is tried",
      "the verdict",
      "its siblings",
    ],
  ],
  [
    2,
    "undoes what does not help a leak, twice, and calls a person with the whole story",
    ["the limit is raised", "its verdicts", "the template afterwards", "a person", "the message to the person"],
  ],
  [
    3,
    "holds a task that kills whoever takes it, and leaves its siblings alone",
    ["two workers take page-13", "the task", "after the hold", "the siblings on other", "a person"],
  ],
  [
    4,
    "slows a worker down that is answered 429, until nothing more is refused",
    ["the service answers 429", "the rate in the template", "the slower worker", "the verdict"],
  ],
  [
    5,
    "starts a worker with corrupt state anew, and keeps the old state",
    ["replay-1 finds its state", "its state folder", "replay-1 afterwards", "the verdict", "replay-2, of the same"],
  ],
];

/** A whole life of a fix, and the shortest. */
const BY_DEFAULT: ReadonlySet<number> = new Set([1, 3]);

describe.each(EXAMPLES)("example %i", (number, what, rows) => {
  const isChosen = BY_DEFAULT.has(number) || process.env.HEALD_ALL_EXAMPLES === "1";

  test.runIf(isChosen)(
    `${what}, leaves no process, and decisions that come out the same`,
    { timeout: LIMIT_MS, retry: 1 },
    async () => {
      const run = await runBuilt("examples/main.js", String(number));
      try {
        const found = run.output.split("\n").filter((line) => /^(ok|FAILED) {2}/.test(line));
        expect(
          found.map((line) => line.slice(0, 2)),
          run.output,
        ).toEqual(rows.map(() => "ok"));
        for (const [nth, row] of rows.entries()) expect(found[nth]).toContain(row);
        expect(run.output).toMatch(
          new RegExp(`^${rows.length} of ${rows.length} outcomes were as expected, in \\d+ s\\.$`, "m"),
        );
        expect(run.code).toBe(0);
        expect(familyOf({ name: "HEALD_HOME", value: run.home })).toEqual([]);
        await expectSound(run.home);
        const decisions = await expectReplay(run.home);
        expect(Object.values(decisions).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
      } finally {
        if (run.home !== "") rmSync(run.home, { recursive: true, force: true });
      }
    },
  );
});
