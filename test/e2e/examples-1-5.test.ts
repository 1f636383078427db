/**
 * Guarantees that examples 1 to 5 do what their READMEs say: real daemons, real workers, each outcome as expected, and no
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
