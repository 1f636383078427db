/**
 * Guarantees that examples 6 to 10 do what their READMEs say: real daemons, real workers, each outcome as expected, no
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
    6,
    "does not restart a configuration error until its file changes",
    ["it exits with 78", "another file is written", "its file changes", "its file is mended"],
  ],
  [
    7,
    "runs the command that is allowed, and no other",
    ["make-shelf shelf-7", "rm shelf-8", "make-shelf with ../", "write-note with $("],
  ],
  [
    8,
    "applies what was approved with mv, in time, and as it was proposed",
    ["pending/ is moved to", "nobody answers", "approved, but the"],
  ],
  [
    9,
    "undoes a fix that makes things worse, and trusts it less",
    ["batches are doubled", "the change itself", "confidence in the fix", "the same failure"],
  ],
  [
    10,
    "goes up a ladder of policies only as far as it must",
    ["rung 1: restart-service", "rung 2", "rung 2: scale-up", "rung 3: alert-oncall"],
  ],
];

/** Those that show the most of the daemons in the least time. */
const BY_DEFAULT: ReadonlySet<number> = new Set([7, 8]);

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
