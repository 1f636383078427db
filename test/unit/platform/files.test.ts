import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  watch,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { FileGone, FileRefused, HealdError, RecordTooLarge, RecordTorn } from "../../../lib/errors.js";
import {
  Appender,
  appendRecord,
  createExclusive,
  freeBytes,
  isDiskFull,
  moveExclusive,
  readSmall,
  readTail,
  replaceFile,
  safetyOf,
  weatherCode,
} from "../../../lib/platform/files.js";
import { compile, start, temporaryFolder, until } from "./helpers.js";

const isRoot = process.geteuid?.() === 0;

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof HealdError) return error.code;
    throw error;
  }
  return "nothing thrown";
}

/** A file system of 64 KiB, gone after the test. */
function tinyDisk(): string {
  const folder = temporaryFolder();
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]);
  if (mounted.status !== 0) throw new Error(`Cannot mount: ${mounted.stderr}`);
  onTestFinished(() => {
    spawnSync("umount", ["-l", folder]);
  });
  return folder;
}

/** A disk of which a fifth is kept back for root. */
function diskOfExt4(skip: (why: string) => never): string {
  const image = join(temporaryFolder(), "image");
  writeFileSync(image, Buffer.alloc(8 * 1024 * 1024));
  if (spawnSync("mkfs.ext4", ["-q", "-m", "20", image]).status !== 0) skip("there is no mkfs.ext4 here");
  const folder = temporaryFolder();
  if (spawnSync("mount", ["-o", "loop", image, folder]).status !== 0) skip("no image can be mounted here");
  onTestFinished(() => void spawnSync("umount", [folder]));
  return folder;
}

describe("replaceFile()", () => {
  test("puts the new content in the place of the old, with mode 0640 and nothing left beside it", () => {
    const folder = temporaryFolder();
    const path = join(folder, "spec.json");
    replaceFile(path, "one");
    replaceFile(path, "two ü", { sync: true });
    expect(readFileSync(path, "utf8")).toBe("two ü");
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(readdirSync(folder)).toEqual(["spec.json"]);
  });

  test("leaves a reader of the old file its old content", () => {
    const folder = temporaryFolder();
    const path = join(folder, "spec.json");
    replaceFile(path, "one");
    linkSync(path, join(folder, "old"));
    replaceFile(path, "two");
    expect(readFileSync(join(folder, "old"), "utf8")).toBe("one");
  });

  test("leaves nothing behind when it fails", () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "taken"));
    expect(() => replaceFile(join(folder, "taken"), "text")).toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
    expect(readdirSync(folder)).toEqual(["taken"]);
  });

  test.runIf(isRoot)("keeps the old file when the disk is full, and names the weather", () => {
    const folder = tinyDisk();
    const path = join(folder, "spec.json");
    replaceFile(path, "one");
    let code: string | null = null;
    try {
      replaceFile(path, "x".repeat(200_000));
    } catch (error) {
      code = weatherCode(error);
    }
    expect(code).toBe("ENOSPC");
    expect(readFileSync(path, "utf8")).toBe("one");
    expect(readdirSync(folder)).toEqual(["spec.json"]);
  });
});

describe("createExclusive()", () => {
  test("creates a file once, and never over another or over a link that leads nowhere", () => {
    const folder = temporaryFolder();
    const path = join(folder, "claim.json");
    expect(createExclusive(path, "first")).toBe(true);
    expect(createExclusive(path, "second")).toBe(false);
    expect(readFileSync(path, "utf8")).toBe("first");
    symlinkSync(join(folder, "elsewhere"), join(folder, "link"));
    expect(createExclusive(join(folder, "link"), "text")).toBe(false);
    expect(readdirSync(folder).sort()).toEqual(["claim.json", "link"]);
  });

  test("shows whoever watches the folder nothing but the finished file, where there is a folder for drafts", async () => {
    const parent = temporaryFolder();
    const folder = join(parent, "queue");
    mkdirSync(folder);
    const events: string[] = [];
    const watcher = watch(folder, (event, name) => events.push(`${event} ${name}`));
    onTestFinished(() => watcher.close());
    expect(createExclusive(join(folder, "one.json"), "1", { draftFolder: parent })).toBe(true);
    expect(createExclusive(join(folder, "one.json"), "2", { draftFolder: parent })).toBe(false);
    expect(createExclusive(join(folder, "two.json"), "2", { draftFolder: parent })).toBe(true);
    await until("both are seen", () => events.length >= 2);
    expect(events).toEqual(["rename one.json", "rename two.json"]);
    expect(readdirSync(parent)).toEqual(["queue"]);
    expect(readFileSync(join(folder, "one.json"), "utf8")).toBe("1");
  });

  test("drafts beside the file where the folder for drafts is on another file system", () => {
    const folder = temporaryFolder();
    const elsewhere = tinyDisk();
    expect(createExclusive(join(folder, "one.json"), "1", { draftFolder: elsewhere })).toBe(true);
    expect(readFileSync(join(folder, "one.json"), "utf8")).toBe("1");
    expect([readdirSync(folder), readdirSync(elsewhere)]).toEqual([["one.json"], []]);
  });
});

describe("moveExclusive()", () => {
  test("moves a file, and leaves both where they are when the name is taken", () => {
    const folder = temporaryFolder();
    const [from, to] = [join(folder, "from"), join(folder, "to")];
    writeFileSync(from, "1");
    writeFileSync(to, "2");
    expect(moveExclusive(from, to)).toBe(false);
    expect(readFileSync(to, "utf8")).toBe("2");
    rmSync(to);
    expect(moveExclusive(from, to)).toBe(true);
    expect(readdirSync(folder)).toEqual(["to"]);
    expect(readFileSync(to, "utf8")).toBe("1");
  });

  test("says that a file is gone, whether or not the new name is free", () => {
    const folder = temporaryFolder();
    const from = join(folder, "from");
    expect(() => moveExclusive(from, join(folder, "to"))).toThrow(FileGone);
    writeFileSync(join(folder, "to"), "");
    expect(codeOf(() => moveExclusive(from, join(folder, "to")))).toBe("ENOENT");
  });

  test("does not take a missing target folder for a missing file", () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "from"), "");
    let thrown: unknown;
    try {
      moveExclusive(join(folder, "from"), join(folder, "missing", "to"));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: "ENOENT", syscall: "link" });
    expect(thrown).not.toBeInstanceOf(FileGone);
  });

  test("completes a move that a crash cut in two", () => {
    const folder = temporaryFolder();
    const [from, to] = [join(folder, "from"), join(folder, "to")];
    writeFileSync(from, "1");
    linkSync(from, to);
    expect(moveExclusive(from, to)).toBe(true);
    expect(readdirSync(folder)).toEqual(["to"]);
  });
});

describe("Appender", () => {
  test("writes several lines as it writes each, after a torn one too, and none of them where one is refused", () => {
    const path = join(temporaryFolder(), "log.jsonl");
    writeFileSync(path, "torn");
    const appender = new Appender(path, { bytesMax: 8 });
    appender.appendAll(["1", "ü"]);
    appender.append("3");
    appender.appendAll([]);
    expect(() => appender.appendAll(["4", "123456789"])).toThrow(RecordTooLarge);
    expect(() => appender.appendAll(["4", "5\n6"])).toThrow(RangeError);
    appender.close();
    expect(readFileSync(path, "utf8")).toBe("torn\n1\nü\n3\n");
  });

  test("appends lines and knows the file's length", () => {
    const path = join(temporaryFolder(), "log.jsonl");
    const appender = new Appender(path);
    onTestFinished(() => appender.close());
    appender.append('{"a":1}');
    appender.append('{"b":"ü"}');
    expect(readFileSync(path, "utf8")).toBe('{"a":1}\n{"b":"ü"}\n');
    expect(appender.size).toBe(statSync(path).size);
    expect(statSync(path).mode & 0o777).toBe(0o640);
  });

  test("closes a torn last line before its own, whoever tore it and whenever", () => {
    const path = join(temporaryFolder(), "log.jsonl");
    writeFileSync(path, '{"torn');
    const appender = new Appender(path);
    onTestFinished(() => appender.close());
    appender.append("1");
    appender.append("2");
    appendFileSync(path, '{"torn again');
    appender.append("3");
    truncateSync(path, statSync(path).size - 1);
    appender.append("4");
    expect(readFileSync(path, "utf8")).toBe('{"torn\n1\n2\n{"torn again\n3\n4\n');
  });

  test("goes on in the fresh file after a rotation by rename, and after a removal", () => {
    const folder = temporaryFolder();
    const path = join(folder, "log.jsonl");
    const appender = new Appender(path);
    onTestFinished(() => appender.close());
    appender.append("1");
    renameSync(path, join(folder, "archived"));
    appender.append("2");
    expect(readFileSync(join(folder, "archived"), "utf8")).toBe("1\n");
    expect(readFileSync(path, "utf8")).toBe("2\n");
    rmSync(path);
    appender.append("3");
    expect(readFileSync(path, "utf8")).toBe("3\n");
    renameSync(path, join(folder, "archived"));
    writeFileSync(path, "by another\n");
    appender.append("4");
    expect(readFileSync(path, "utf8")).toBe("by another\n4\n");
  });

  test("takes a record of 64 KiB with its newline, not a byte more", () => {
    const path = join(temporaryFolder(), "log.jsonl");
    const appender = new Appender(path);
    onTestFinished(() => appender.close());
    appender.append("x".repeat(65_535));
    expect(() => appender.append("x".repeat(65_536))).toThrow(RecordTooLarge);
    expect(statSync(path).size).toBe(65_536);
  });

  test("refuses a record of two lines", () => {
    expect(() => appendRecord(join(temporaryFolder(), "log"), "a\nb")).toThrow("must be one line");
  });

  test("refuses a link, a pipe and a folder", () => {
    const folder = temporaryFolder();
    symlinkSync(join(folder, "target"), join(folder, "link"));
    spawnSync("mkfifo", [join(folder, "pipe")]);
    expect(codeOf(() => appendRecord(join(folder, "link"), "1"))).toBe("symlink");
    expect(codeOf(() => appendRecord(join(folder, "pipe"), "1"))).toBe("not_a_file");
    expect(() => appendRecord(folder, "1")).toThrow("EISDIR");
    expect(readdirSync(folder).sort()).toEqual(["link", "pipe"]);
  });

  test.runIf(isRoot)("says so when the disk takes only a part, and closes that line when there is room again", () => {
    const folder = tinyDisk();
    const path = join(folder, "log.jsonl");
    const appender = new Appender(path);
    onTestFinished(() => appender.close());
    writeFileSync(join(folder, "ballast"), "x".repeat(32_768));
    appender.append("x".repeat(20_000));
    let thrown: unknown;
    try {
      for (let turn = 0; turn < 3; turn++) appender.append("y".repeat(20_000));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(RecordTorn);
    expect(weatherCode(thrown)).toBe("ENOSPC");
    rmSync(join(folder, "ballast"));
    appender.append("after");
    const lines = readFileSync(path, "utf8").split("\n");
    expect(lines.at(-2)).toBe("after");
    expect(lines.at(-3)).toMatch(/^y+$/);
    expect(lines[0]).toBe("x".repeat(20_000));
  });

  test.runIf(isRoot)("takes back what a full disk took of a record, where nobody else writes", () => {
    const folder = tinyDisk();
    const path = join(folder, "log.jsonl");
    const appender = new Appender(path, { isOnlyWriter: true });
    onTestFinished(() => appender.close());
    writeFileSync(join(folder, "ballast"), "x".repeat(32_768));
    appender.append("x".repeat(20_000));
    const records = [["y".repeat(20_000)], ["z", "y".repeat(20_000)]];
    for (const lines of [...records, ...records])
      expect(() => appender.appendAll(lines)).toThrow(`Cannot write "${path}": the disk is full (ENOSPC)`);
    expect(readFileSync(path, "utf8")).toBe(`${"x".repeat(20_000)}\n`);
    appender.append("fits");
    rmSync(join(folder, "ballast"));
    for (const lines of records) appender.appendAll(lines);
    expect(readFileSync(path, "utf8")).toBe(`${["x".repeat(20_000), "fits", ...records.flat()].join("\n")}\n`);
  });
});

describe("several processes", () => {
  let compiled: { readonly folder: string; remove(): void };
  beforeAll(() => {
    compiled = compile(["lib/platform/files.ts"]);
    writeFileSync(
      join(compiled.folder, "writer.js"),
      `import { Appender, moveExclusive } from "./lib/platform/files.js";
       import { readdirSync, writeFileSync } from "node:fs";
       const [kind, folder, name] = process.argv.slice(2);
       if (kind === "append") {
         const appender = new Appender(folder + "/log");
         for (let n = 0; n < 300; n++) appender.append(name.repeat(1 + n * 7));
       } else {
         const won = [];
         for (const item of readdirSync(folder + "/queue")) {
           try { if (moveExclusive(folder + "/queue/" + item, folder + "/claimed/" + (kind === "own" ? name + "-" : "") + item)) won.push(item); }
           catch (error) { if (error.code !== "ENOENT") throw error; }
         }
         writeFileSync(folder + "/won-" + name, JSON.stringify(won));
       }`,
    );
  });
  afterAll(() => compiled.remove());

  async function runFour(kind: string, folder: string): Promise<void> {
    const writers = ["a", "b", "c", "d"].map((name) =>
      start(process.execPath, [join(compiled.folder, "writer.js"), kind, folder, name], { stdio: "inherit" }),
    );
    await until("all writers are done", () => writers.every((writer) => writer.exitCode !== null));
    expect(writers.map((writer) => writer.exitCode)).toEqual([0, 0, 0, 0]);
  }

  test("append to one log and never mix their records", async () => {
    const folder = temporaryFolder();
    await runFour("append", folder);
    const lines = readFileSync(join(folder, "log"), "utf8").split("\n");
    expect(lines.pop()).toBe("");
    // A writer that lost its CPU in the middle of a long record may cost an empty line, never a record.
    const records = lines.filter((line) => line !== "");
    const expected = ["a", "b", "c", "d"].flatMap((name) =>
      Array.from({ length: 300 }, (_, number) => name.repeat(1 + number * 7)),
    );
    expect(records.sort()).toEqual(expected.sort());
  });

  test.each(["own", "same"])("claim each of 300 files once, under %s names", async (kind) => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "queue"));
    mkdirSync(join(folder, "claimed"));
    for (let number = 0; number < 300; number++) writeFileSync(join(folder, "queue", `item-${number}`), `${number}`);
    await runFour(kind, folder);
    const won = ["a", "b", "c", "d"].flatMap(
      (name) => JSON.parse(readFileSync(join(folder, `won-${name}`), "utf8")) as string[],
    );
    expect(won).toHaveLength(300);
    expect(new Set(won).size).toBe(300);
    expect(readdirSync(join(folder, "queue"))).toEqual([]);
    expect(readdirSync(join(folder, "claimed"))).toHaveLength(300);
  });
});

describe("readSmall()", () => {
  test("returns the text and the status of the very file, and null when there is none", () => {
    const path = join(temporaryFolder(), "beat.json");
    expect(readSmall(path, { maxBytes: 10 })).toBeNull();
    writeFileSync(path, "\uFEFFü{}");
    const found = readSmall(path, { maxBytes: 10 });
    expect(found?.text).toBe("ü{}");
    expect(found?.stat.ino).toBe(statSync(path).ino);
  });

  test("says the same of a file that was seen before, and of one that went meanwhile", () => {
    const folder = temporaryFolder();
    expect(readSmall(join(folder, "gone"), { maxBytes: 10, isThere: true })).toBeNull();
    symlinkSync("/etc/passwd", join(folder, "link"));
    expect(codeOf(() => readSmall(join(folder, "link"), { maxBytes: 10, isThere: true }))).toBe("symlink");
    writeFileSync(join(folder, "file"), "{}");
    expect(readSmall(join(folder, "file"), { maxBytes: 10, isThere: true })?.text).toBe("{}");
  });

  test("takes a file of the limit and refuses one byte more", () => {
    const path = join(temporaryFolder(), "beat.json");
    writeFileSync(path, "1234567890");
    expect(readSmall(path, { maxBytes: 10 })?.text).toBe("1234567890");
    expect(() => readSmall(path, { maxBytes: 9 })).toThrow(new FileRefused("too_large", path, "10 bytes, at most 9"));
  });

  test("refuses what says it is empty and never ends", () => {
    expect(codeOf(() => readSmall("/proc/self/environ", { maxBytes: 4 }))).toBe("too_large");
  });

  test("refuses a link, a pipe without waiting for its writer, a folder, a socket, a device and other bytes than UTF-8", () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "target"), "secret");
    symlinkSync(join(folder, "target"), join(folder, "link"));
    spawnSync("mkfifo", [join(folder, "pipe")]);
    writeFileSync(join(folder, "bytes"), Buffer.of(0x7b, 0xff, 0x7d));
    const codes = ["link", "pipe", ".", "bytes"].map((name) =>
      codeOf(() => readSmall(`${folder}/${name}`, { maxBytes: 100 })),
    );
    expect(codes).toEqual(["symlink", "not_a_file", "not_a_file", "not_utf8"]);
    expect(codeOf(() => readSmall("/dev/zero", { maxBytes: 100 }))).toBe("not_a_file");
  });
});

describe("readTail()", () => {
  test("returns the last bytes, begins with a whole character, and is empty without a file", () => {
    const path = join(temporaryFolder(), "log");
    expect(readTail(path, 10)).toBe("");
    writeFileSync(path, `${"x".repeat(100)}üü-end\n`);
    expect(readTail(path, 8)).toBe("ü-end\n");
    expect(readTail(path, 7)).toBe("ü-end\n");
    expect(readTail(path, 6)).toBe("-end\n");
    expect(readTail(path, 1000)).toHaveLength(107);
  });

  test("makes control characters, terminal escapes and turned text harmless", () => {
    const path = join(temporaryFolder(), "log");
    writeFileSync(path, "a\u001b[31mred\u001b[0m\u001b]0;title\u0007 b\u0007 c\u009b2J d\u202e e\r\n\tf\rg\u0000");
    expect(readTail(path, 1000)).toBe("ared b\uFFFD c\uFFFD2J d\uFFFD e\n\tf\uFFFDg\uFFFD");
  });

  test("replaces bytes that are no characters", () => {
    const path = join(temporaryFolder(), "log");
    writeFileSync(path, Buffer.of(0x61, 0xff, 0x62));
    expect(readTail(path, 10)).toBe("a\uFFFDb");
  });

  test("refuses a link", () => {
    const folder = temporaryFolder();
    symlinkSync("/etc/shadow", join(folder, "log"));
    expect(codeOf(() => readTail(join(folder, "log"), 10))).toBe("symlink");
  });
});

describe("safetyOf()", () => {
  function policy(mode: number): string {
    const path = join(temporaryFolder(), "policy.json");
    writeFileSync(path, "{}");
    chmodSync(path, mode);
    return path;
  }

  test("accepts a file that only its owner can write, also where everybody may add files of their own", () => {
    const path = policy(0o644);
    expect(safetyOf(path)).toBeNull();
    chmodSync(join(path, ".."), 0o1777);
    expect(safetyOf(path)).toBeNull();
  });

  test("names what is wrong", () => {
    expect(safetyOf(policy(0o646))).toBe("it is writable by others (mode 0646)");
    const link = join(temporaryFolder(), "link");
    symlinkSync(policy(0o644), link);
    expect(safetyOf(link)).toBe("it is a symbolic link");
    const path = policy(0o644);
    chmodSync(join(path, ".."), 0o777);
    expect(safetyOf(path)).toBe("its folder is writable by others (mode 0777)");
  });

  test.runIf(isRoot)("accepts a group's right to write only for the owner's private group", () => {
    const path = policy(0o664);
    expect(safetyOf(path)).toBe("it is writable by its group (mode 0664)");
    process.seteuid?.(54_321);
    onTestFinished(() => process.seteuid?.(0));
    const own = withRoot(() => {
      chownSync(path, 54_321, 54_321);
      chmodSync(join(path, ".."), 0o755);
      return safetyOfAs(path, 54_321);
    });
    expect(own).toBeNull();
    expect(
      withRoot(() => {
        chownSync(path, 54_321, 100);
        return safetyOfAs(path, 54_321);
      }),
    ).toBe("it is writable by its group (mode 0664)");
  });

  test.runIf(isRoot)("refuses a file and a folder of a stranger", () => {
    const path = policy(0o644);
    chownSync(path, 12_345, 0);
    expect(safetyOf(path)).toBe("it belongs to user 12345, not to root or to the user of this process");
    chownSync(path, 0, 0);
    chownSync(join(path, ".."), 12_345, 0);
    expect(safetyOf(path)).toBe("its folder belongs to user 12345, not to root or to the user of this process");
  });

  function withRoot<T>(action: () => T): T {
    process.seteuid?.(0);
    return action();
  }

  function safetyOfAs(path: string, uid: number): string | null {
    process.seteuid?.(uid);
    try {
      return safetyOf(path);
    } finally {
      process.seteuid?.(0);
    }
  }
});

describe("weatherCode()", () => {
  test("finds the code in the causes of an error, and nothing in a defect", () => {
    const cause = Object.assign(new Error("no space"), { code: "ENOSPC" });
    expect(weatherCode(new Error("outer", { cause: new Error("inner", { cause }) }))).toBe("ENOSPC");
    expect(weatherCode(Object.assign(new Error("gone"), { code: "ENOENT" }))).toBeNull();
    expect(weatherCode(new TypeError("defect"))).toBeNull();
    expect(weatherCode(null)).toBeNull();
  });
});

describe("isDiskFull()", () => {
  test.runIf(isRoot)("calls a disk full for all but root, who may write on into what is kept back", (context) => {
    const folder = diskOfExt4(context.skip);
    const theirs = join(folder, "theirs");
    mkdirSync(theirs);
    chownSync(theirs, 12_345, 12_345);
    const { bavail, bsize } = statfsSync(folder);
    writeFileSync(join(folder, "ballast"), Buffer.alloc(bavail * bsize));
    expect([isDiskFull(folder), isDiskFull(theirs)]).toEqual([false, true]);
  });
});

describe("freeBytes()", () => {
  test.runIf(isRoot)("falls as the disk fills", () => {
    const folder = tinyDisk();
    const before = freeBytes(folder);
    writeFileSync(join(folder, "ballast"), "x".repeat(32_768));
    expect(before).toBe(65_536);
    expect(freeBytes(folder)).toBe(before - 32_768);
  });

  test.runIf(isRoot)("counts what ext4 keeps back for root where the folder is root's, and nowhere else", (context) => {
    const folder = diskOfExt4(context.skip);
    const { bavail, bfree, bsize } = statfsSync(folder);
    const theirs = join(folder, "theirs");
    mkdirSync(theirs);
    chownSync(theirs, 12_345, 12_345);
    expect(bfree).toBeGreaterThan(bavail + 1024);
    expect(freeBytes(folder)).toBeGreaterThan((bavail + 1024) * bsize);
    expect(freeBytes(theirs)).toBeLessThanOrEqual(bavail * bsize);
  });
});
