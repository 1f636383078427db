import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { replaceFile } from "../../../lib/platform/files.js";
import { watchContents, watchDirectory, watchFew } from "../../../lib/platform/watching.js";
import { temporaryFolder, until } from "./helpers.js";

interface Watched {
  readonly hints: (string | null)[];
  readonly errors: unknown[];
}

function watchFolder(path: string): Watched {
  const watched: Watched = { hints: [], errors: [] };
  const watch = watchDirectory(
    path,
    (name) => watched.hints.push(name),
    (error) => watched.errors.push(error),
  );
  onTestFinished(() => watch.close());
  return watched;
}

describe("watchContents()", () => {
  test("hints at what is written into a file, and not at one that is created or moved there", async () => {
    const folder = temporaryFolder();
    const hints: (string | null)[] = [];
    const watch = watchContents(
      folder,
      (name) => hints.push(name),
      () => undefined,
    );
    onTestFinished(() => watch.close());
    writeFileSync(join(folder, "empty.json"), "");
    renameSync(join(folder, "empty.json"), join(folder, "moved.json"));
    writeFileSync(join(folder, "written.json"), "{}");
    await until("a hint comes", () => hints.length > 0);
    expect(new Set(hints)).toEqual(new Set(["written.json"]));
  });
});

describe("watchDirectory()", () => {
  test("hints at a file that was replaced, and not at its temporary name", async () => {
    const folder = temporaryFolder();
    const watched = watchFolder(folder);
    replaceFile(join(folder, "w-1.json"), "{}");
    await until("a hint comes", () => watched.hints.includes("w-1.json"));
    expect(new Set(watched.hints)).toEqual(new Set(["w-1.json"]));
  });

  test("arms itself again when the folder is removed and comes back", async () => {
    const folder = join(temporaryFolder(), "beats");
    mkdirSync(folder);
    const watched = watchFolder(folder);
    rmSync(folder, { recursive: true });
    await until("the loss is told", () => watched.errors.length > 0);
    expect(watched.errors).toEqual([expect.objectContaining({ code: "ENOENT" })]);
    mkdirSync(folder);
    await until("a full scan is asked for", () => watched.hints.includes(null));
    writeFileSync(join(folder, "w-2.json"), "{}");
    await until("a hint comes", () => watched.hints.includes("w-2.json"));
    expect(watched.errors).toHaveLength(1);
  });

  test("arms itself again when the folder is replaced by another in one step", async () => {
    const parent = temporaryFolder();
    const folder = join(parent, "beats");
    mkdirSync(folder);
    mkdirSync(join(parent, "other"));
    const watched = watchFolder(folder);
    renameSync(folder, join(parent, "old"));
    renameSync(join(parent, "other"), folder);
    await until("a full scan is asked for", () => watched.hints.includes(null));
    writeFileSync(join(parent, "old", "w-old.json"), "{}");
    writeFileSync(join(folder, "w-3.json"), "{}");
    await until("a hint comes", () => watched.hints.includes("w-3.json"));
    expect(watched.hints).not.toContain("w-old.json");
  });

  test("waits for a folder that cannot be looked at, whatever the reason, and tells of it once", async () => {
    const folder = join(temporaryFolder(), "beats");
    mkdirSync(folder);
    const watched = watchFolder(folder);
    renameSync(folder, `${folder}-away`);
    symlinkSync(folder, folder);
    const begunMs = performance.now();
    await until("it was looked at twice", () => performance.now() - begunMs > 2200);
    expect(watched.errors.at(-1)).toMatchObject({ code: "ELOOP" });
    expect(watched.errors.length).toBeLessThan(3);
    rmSync(folder);
    renameSync(`${folder}-away`, folder);
    await until("a full scan is asked for", () => watched.hints.includes(null));
  });

  test("waits for a folder that is not there yet", async () => {
    const folder = join(temporaryFolder(), "beats");
    const watched = watchFolder(folder);
    expect(watched.errors).toHaveLength(1);
    mkdirSync(folder);
    await until("a full scan is asked for", () => watched.hints.includes(null));
  });

  test("says nothing after it was closed", async () => {
    const folder = temporaryFolder();
    const hints: unknown[] = [];
    const watch = watchDirectory(
      folder,
      (name) => hints.push(name),
      (error) => hints.push(error),
    );
    const other = watchFolder(folder);
    watch.close();
    watch.close();
    writeFileSync(join(folder, "w-4.json"), "{}");
    await until("the other watch has a hint", () => other.hints.length > 0);
    expect(hints).toEqual([]);
  });
});

describe("watchFew()", () => {
  function watchFiles(paths: readonly string[]): Watched {
    const watched: Watched = { hints: [], errors: [] };
    const watch = watchFew(
      paths,
      (path) => watched.hints.push(path),
      (error) => watched.errors.push(error),
    );
    onTestFinished(() => watch.close());
    return watched;
  }

  test("hints after the last of several replacements by a move, however close together, and not at its neighbours", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "policy.json");
    const watched = watchFiles([path]);
    for (let turn = 0; turn < 30; turn++) {
      replaceFile(path, `first ${turn}`);
      await until("the first hint comes", () => watched.hints.length > 0);
      writeFileSync(join(folder, "tmp"), "second");
      renameSync(join(folder, "tmp"), path);
      watched.hints.length = 0;
      await until(`the last hint of turn ${turn} comes`, () => watched.hints.length > 0);
      expect(new Set(watched.hints)).toEqual(new Set([path]));
      watched.hints.length = 0;
    }
    expect(watched.errors).toEqual([]);
  });

  test("hints at a file that appears, is written in place, is removed, and appears again", async () => {
    const folder = temporaryFolder();
    const [path, other] = [join(folder, "policy.json"), join(folder, "other.json")];
    const watched = watchFiles([path, other]);
    const changes = [() => writeFileSync(path, "{}"), () => writeFileSync(path, "in place"), () => rmSync(path)];
    for (const change of [...changes, ...changes]) {
      watched.hints.length = 0;
      change();
      await until("the hint comes", () => watched.hints.includes(path));
    }
    expect(watched.hints).not.toContain(other);
  });

  test("hints at each of its files when their folder was replaced, and goes on in the new one", async () => {
    const folder = join(temporaryFolder(), "config");
    const paths = [join(folder, "a.json"), join(folder, "b.json")];
    mkdirSync(folder);
    const watched = watchFiles(paths);
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    await until("each is hinted at", () => paths.every((path) => watched.hints.includes(path)));
    watched.hints.length = 0;
    writeFileSync(paths[1] as string, "{}");
    await until("the hint comes", () => watched.hints.length > 0);
    expect(new Set(watched.hints)).toEqual(new Set([paths[1]]));
  });
});
