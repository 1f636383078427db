/** Runs the programs of the demo and the examples, and holds what they leave against what must be so. */
import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { packageRoot } from "../../lib/platform/package.js";
import { familyOf } from "../../lib/platform/processes.js";

export interface Run {
  readonly code: number | null;
  readonly output: string;
  /** Where it left its files; empty if it did not say. */
  readonly home: string;
}

/** Runs a built program to its end. `npm test` builds before it runs: this is the second half of `npm run demo`. */
export function runBuilt(program: string, ...args: readonly string[]): Promise<Run> {
  return new Promise((resolve) => {
    const path = join(packageRoot(), "dist", program);
    const child = spawn(process.execPath, [path, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    child.once("close", (code) => resolve({ code, output, home: /^Everything is in (\S+)$/m.exec(output)?.[1] ?? "" }));
  });
}

/**
 * Expects that every decision that was recorded in a home comes out the same when it is computed again.
 *
 * @returns How many decisions of each daemon there were.
 */
export async function expectReplay(home: string): Promise<Readonly<Record<string, number>>> {
  const { output, code } = await runBuilt("cli/main.js", "replay", "--json", "--home", home);
  const { ok, differences, daemons } = JSON.parse(output) as {
    ok: boolean;
    differences: unknown[];
    daemons: { daemon: string; decisions: number; unreadable_lines: unknown[] }[];
  };
  expect(differences).toEqual([]);
  expect(daemons.flatMap(({ unreadable_lines }) => unreadable_lines)).toEqual([]);
  expect({ ok, code }).toEqual({ ok: true, code: 0 });
  return Object.fromEntries(daemons.map(({ daemon, decisions }) => [daemon, decisions]));
}

/** Expects that every invariant holds in a home, with a second as the bound: all of it is over. */
export async function expectSound(home: string): Promise<void> {
  const { output } = await runBuilt("cli/main.js", "fsck", "--once", "--within", "1s", "--json", "--home", home);
  const { findings, ok } = JSON.parse(output) as { findings: unknown[]; ok: boolean };
  expect(findings).toEqual([]);
  expect(ok).toBe(true);
}

/** An example's number, what it shows, and how each row of its table begins, in their order. */
export type Example = readonly [number, string, readonly string[]];

const EXAMPLE_LIMIT_MS = 120_000;

/** Defines a test for each example; only the chosen ones run, or all with HEALD_ALL_EXAMPLES=1. */
export function testExamples(examples: readonly Example[], chosen: ReadonlySet<number>): void {
  describe.each(examples)("example %i", (number, what, rows) => {
    const isChosen = chosen.has(number) || process.env.HEALD_ALL_EXAMPLES === "1";

    test.runIf(isChosen)(
      `${what}, leaves no process, and decisions that come out the same`,
      { timeout: EXAMPLE_LIMIT_MS, retry: 1 },
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
}
