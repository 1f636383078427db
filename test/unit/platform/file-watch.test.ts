/** Files anywhere: a change is told, a file that appears is a change, and one that is not on the list any more is not told. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FileWatch } from "../../../lib/platform/file-watch.js";

let folder: string;
let hints: string[];
let watch: FileWatch;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "heald-file-watch-"));
  mkdirSync(join(folder, "far", "away"), { recursive: true });
  hints = [];
  watch = new FileWatch(
    (path) => hints.push(path),
    (error) => {
      throw error;
    },
  );
});
afterEach(() => {
  watch.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The watch arms itself some milliseconds after it was asked: the file is changed until the change is told. */
const untilTold = async (path: string, change: (nth: number) => void) => {
  let nth = 0;
  await expect
    .poll(
      () => {
        change(nth++);
        return hints.includes(path);
      },
      { timeout: 10_000, interval: 200 },
    )
    .toBe(true);
};

describe("FileWatch", () => {
  test("tells that a file was written, that one was replaced by mv, and that a missing one appeared", async () => {
    const [written, replaced, missing] = ["far/away/script.sh", "config.json", "not-yet"].map((name) =>
      join(folder, name),
    ) as [string, string, string];
    writeFileSync(written, "1");
    writeFileSync(replaced, "1");
    watch.set([written, replaced, missing]);
    await untilTold(written, (nth) => writeFileSync(written, `written ${nth}`));
    await untilTold(replaced, (nth) => {
      writeFileSync(join(folder, "new"), `replaced ${nth}`);
      renameSync(join(folder, "new"), replaced);
    });
    await untilTold(missing, (nth) => writeFileSync(missing, `appeared ${nth}`));
  });

  test("forgets a file that is taken off the list", async () => {
    const [kept, dropped] = [join(folder, "kept"), join(folder, "dropped")];
    writeFileSync(kept, "1");
    writeFileSync(dropped, "1");
    watch.set([kept, dropped]);
    await untilTold(dropped, (nth) => writeFileSync(dropped, `${nth}`));
    watch.set([kept]);
    hints = [];
    writeFileSync(dropped, "changed while nobody asks");
    await untilTold(kept, (nth) => writeFileSync(kept, `${nth}`));
    expect(hints).not.toContain(dropped);
  });
});
