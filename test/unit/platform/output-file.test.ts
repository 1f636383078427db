import { spawnSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { readTailOf } from "../../../lib/platform/files.js";
import { openNameless, openOutput } from "../../../lib/platform/output-file.js";
import { temporaryFolder } from "./helpers.js";

describe("openOutput()", () => {
  test("creates a file with mode 0640, and empties one that is there", () => {
    const path = join(temporaryFolder(), "words");
    for (const text of ["a long first sentence", "short"]) {
      const descriptor = openOutput(path);
      writeSync(descriptor, text);
      closeSync(descriptor);
      expect(readFileSync(path, "utf8")).toBe(text);
    }
    expect(statSync(path).mode & 0o777 & ~0o640).toBe(0);
  });

  test("refuses a link, and leaves the file behind it as it is", () => {
    const folder = temporaryFolder();
    const victim = join(folder, "victim");
    writeFileSync(victim, "mine");
    symlinkSync(victim, join(folder, "words"));
    expect(() => openOutput(join(folder, "words"))).toThrow(`Cannot write "${join(folder, "words")}": a symbolic link`);
    expect(readFileSync(victim, "utf8")).toBe("mine");
  });

  test("refuses a pipe that nobody reads without waiting for a reader, and a folder", () => {
    const folder = temporaryFolder();
    spawnSync("mkfifo", [join(folder, "pipe")]);
    mkdirSync(join(folder, "folder"));
    expect(() => openOutput(join(folder, "pipe"))).toThrow(/^Cannot write ".*pipe": not a regular file$/);
    expect(() => openOutput(join(folder, "folder"))).toThrow(/EISDIR/);
  });
});

describe("openNameless()", () => {
  test("opens a file of which nothing is left in its folder, and whose last words can be read", () => {
    const memory = temporaryFolder();
    const descriptor = openNameless(memory) as number;
    onTestFinished(() => closeSync(descriptor));
    expect(readdirSync(memory)).toEqual([]);
    writeSync(descriptor, `${"first\n".repeat(1000)}the reason\n`);
    expect(readTailOf(descriptor, 17)).toBe("first\nthe reason\n");
    expect(readTailOf(descriptor, 8192)).toHaveLength(6011);
  });

  test("gives null where there is no such place, or nobody but another may write there", () => {
    const memory = temporaryFolder();
    expect(openNameless(join(memory, "none"))).toBeNull();
    chmodSync(memory, 0o555);
    if (process.geteuid?.() === 0) {
      process.seteuid?.(65534);
      onTestFinished(() => void process.seteuid?.(0));
    }
    expect(openNameless(memory)).toBeNull();
  });

  // As many files as there may be: there is room for a folder still, and for none in it.
  test.runIf(process.geteuid?.() === 0).for(["size=32k", "nr_inodes=2"])(
    "gives null where there is no room in it (%s), and leaves nothing there",
    (limit, { skip }) => {
      const memory = temporaryFolder();
      if (spawnSync("mount", ["-t", "tmpfs", "-o", limit, "tmpfs", memory]).status !== 0)
        skip("nothing can be mounted here");
      onTestFinished(() => void spawnSync("umount", ["-l", memory]));
      expect(openNameless(memory)).toBeNull();
      expect(readdirSync(memory)).toEqual([]);
    },
  );
});
