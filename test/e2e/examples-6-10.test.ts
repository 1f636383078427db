/**
 * Guarantees that examples 6 to 10 do what their READMEs say: real daemons, real workers, each outcome as expected, and no
 * process left. Two of them by default; all with HEALD_ALL_EXAMPLES=1.
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { packageRoot } from "../../lib/platform/package.js";
import { familyOf } from "../../lib/platform/processes.js";

const LIMIT_MS = 120_000;

interface ExampleRun {
  readonly code: number | null;
  readonly output: string;
  readonly home: string;
}

/** `npm test` builds before it runs; this is the second half of `npm run example`. */
function runExample(number: number): Promise<ExampleRun> {
  return new Promise((resolve) => {
    const program = join(packageRoot(), "dist", "examples", "main.js");
    const child = spawn(process.execPath, [program, String(number)], { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    child.once("close", (code) => resolve({ code, output, home: /^Everything is in (\S+)$/m.exec(output)?.[1] ?? "" }));
  });
}

/** What `heald fsck` finds, with a second as the bound: all of it is over. */
function unsound(home: string): unknown[] {
  const program = join(packageRoot(), "dist", "cli", "main.js");
  const fsck = spawnSync(process.execPath, [program, "fsck", "--once", "--within", "1s", "--json", "--home", home]);
  return (JSON.parse(fsck.stdout.toString()) as { findings: unknown[] }).findings;
}

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

  test.runIf(isChosen)(`${what}, and leaves no process`, { timeout: LIMIT_MS, retry: 1 }, async () => {
    const run = await runExample(number);
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
      expect(unsound(run.home)).toEqual([]);
    } finally {
      if (run.home !== "") rmSync(run.home, { recursive: true, force: true });
    }
  });
});
