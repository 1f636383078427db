/** Runs the programs of the demo and the examples, and holds what they leave against what must be so. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect } from "vitest";
import { packageRoot } from "../../lib/platform/package.js";

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
