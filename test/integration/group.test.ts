/**
 * Guarantee: any corpus can score the grouping through `heald group`: one line out for each line in, in order, with the
 * group that the line has at the end. Runs the compiled command.
 */
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { finished, MAIN, type Ran } from "./support/command-line.js";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "heald-group-test-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const LINES = [
  "session opened for user alice on console",
  "disk 3 is full",
  "session opened for user bob on console",
  "",
  "session opened for user carol on console",
  "disk 4 is full",
  "session opened for user dave on console",
];

function fromFile(bytes: string | Buffer, ...args: string[]): Promise<Ran> {
  const path = join(folder, "lines");
  writeFileSync(path, bytes);
  const descriptor = openSync(path, "r");
  const child = spawn(process.execPath, [MAIN, "group", ...args], { cwd: folder, stdio: [descriptor, "pipe", "pipe"] });
  closeSync(descriptor);
  return finished(child);
}

function fromPipe(bytes: string | Buffer, ...args: string[]): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, "group", ...args], { cwd: folder, stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.end(bytes);
  return finished(child);
}

function rows(out: string): string[][] {
  return out
    .split("\n")
    .slice(0, -1)
    .map((row) => row.split("\t"));
}

describe("heald group", () => {
  test("prints group and template of each line in input order, as they are at the end of the text", async () => {
    const { code, out } = await fromFile(`${LINES.join("\n")}\n`);
    expect(code).toBe(0);
    const printed = rows(out);
    const opened = "session opened for user <*> on console";
    expect(printed.map(([, template]) => template)).toEqual([
      opened,
      "disk <*> is full",
      opened,
      "",
      opened,
      "disk <*> is full",
      opened,
    ]);
    const ids = printed.map(([id]) => id);
    expect(new Set(ids).size).toBe(3);
    expect(new Set([0, 2, 4, 6].map((at) => ids[at])).size).toBe(1);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{16}$/);
  });

  test("says the same of a pipe, and of a text whose last line does not end", async () => {
    const text = LINES.join("\n");
    const [file, pipe, again] = [await fromFile(text), await fromPipe(text), await fromFile(`${text}\r\n`)];
    expect(pipe).toEqual(file);
    expect(again.out).toBe(file.out);
    expect(rows(file.out)).toHaveLength(LINES.length);
  });

  test("gives each line the group it has when it comes with --live", async () => {
    const { code, out } = await fromPipe(`${LINES.join("\n")}\n`, "--live");
    expect(code).toBe(0);
    const templates = rows(out).map(([, template]) => template);
    expect(templates[0]).toBe(LINES[0]);
    expect(templates.at(-1)).toBe("session opened for user <*> on console");
  });

  test("prints nothing for nothing", async () => {
    expect(await fromFile("")).toEqual({ code: 0, out: "", err: "" });
  });

  test("answers hostile lines, a line for a line, with nothing that a terminal acts upon", async () => {
    const hostile = Buffer.concat([
      Buffer.from(`${"a".repeat(10_000_000)}\n\u001b]0;owned\u0007\u001b[2Jred\u202e\n`),
      Buffer.from([0xff, 0xc0, 0x80, 0x00, 0x41, 0x0a]),
      Buffer.from(`${'"/a'.repeat(3_000_000)}\na\tb\n`),
    ]);
    const { code, out } = await fromFile(hostile);
    expect(code).toBe(0);
    const printed = rows(out);
    expect(printed.map((row) => row.length)).toEqual([2, 2, 2, 2, 2]);
    expect(printed[1]?.[1]).toBe("red");
    expect(printed[4]?.[1]).toBe("a b");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
    expect(out).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(out.length).toBeLessThan(30_000);
  });

  test("exits 2 and says why when it is used in another way", async () => {
    const { code, err } = await fromFile("", "--nonsense");
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining("--nonsense") });
  });
});
