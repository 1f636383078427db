import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openOutput } from "../../../lib/platform/output-file.js";
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
