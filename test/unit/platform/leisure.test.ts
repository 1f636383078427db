import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { watchDirectoryAtLeisure } from "../../../lib/platform/leisure.js";
import { temporaryFolder, until } from "./helpers.js";

/** A folder that is watched until the test is over, and the hints that it gave. */
function watched(): { readonly folder: string; readonly hints: readonly (string | null)[] } {
  const folder = temporaryFolder();
  const hints: (string | null)[] = [];
  const watch = watchDirectoryAtLeisure(
    folder,
    (name) => hints.push(name),
    () => undefined,
  );
  onTestFinished(() => watch.close());
  return { folder, hints };
}

describe("watchDirectoryAtLeisure()", () => {
  test("hints once at each name of a burst, and at all of them", async () => {
    const { folder, hints } = watched();
    const names = Array.from({ length: 20 }, (_, nth) => `w-${nth}.json`);
    for (let round = 0; round < 5; round++) for (const name of names) writeFileSync(join(folder, name), String(round));
    await until("every name is hinted", () => names.every((name) => hints.includes(name)));
    // A hundred writes, of which the kernel alone tells two hundred times.
    expect(hints.length).toBeLessThan(100);
  });

  test("puts nothing off for ever where changes never end", async () => {
    const { folder, hints } = watched();
    const writing = setInterval(() => writeFileSync(join(folder, "restless.json"), String(Math.random())), 1);
    onTestFinished(() => clearInterval(writing));
    await until("it is hinted while it goes on changing", () => hints.includes("restless.json"));
  });

  test("lets others have their turn between the names of a storm, and is silent once closed in its midst", async () => {
    const folder = temporaryFolder();
    const names = Array.from({ length: 30 }, (_, nth) => `w-${nth}.json`);
    let turns = 0;
    const turnsAtHint: number[] = [];
    const watch = watchDirectoryAtLeisure(
      folder,
      () => {
        if (turnsAtHint.length === 0) setImmediate(countTurn);
        turnsAtHint.push(turns);
        for (const untilMs = performance.now() + 1; performance.now() < untilMs; );
        if (turnsAtHint.length === 20) watch.close();
      },
      () => undefined,
    );
    onTestFinished(() => watch.close());
    const countTurn = (): void => {
      turns += 1;
      if (turns < 100) setImmediate(countTurn);
    };
    for (const name of names) writeFileSync(join(folder, name), "{}");
    await until("the turns after the close have passed", () => turns === 100);
    expect(turnsAtHint).toHaveLength(20);
    expect(new Set(turnsAtHint).size).toBeGreaterThanOrEqual(7);
  });
});

describe("watchDirectoryAtLeisure(), with a sense of what is news", () => {
  test("gives no hint at what is no news, and asks about each change", async () => {
    const folder = temporaryFolder();
    const hints: (string | null)[] = [];
    const asked = new Set<string>();
    const watch = watchDirectoryAtLeisure(
      folder,
      (name) => hints.push(name),
      () => undefined,
      {
        isNews: (name) => {
          asked.add(name);
          return name !== "ours.json";
        },
      },
    );
    onTestFinished(() => watch.close());
    writeFileSync(join(folder, "ours.json"), "{}");
    writeFileSync(join(folder, "theirs.json"), "{}");
    await until("the other's change is hinted", () => hints.includes("theirs.json"));
    expect([...asked].sort()).toEqual(["ours.json", "theirs.json"]);
    expect(hints).not.toContain("ours.json");
  });
});

describe("watchDirectoryAtLeisure(), with a sense of what is urgent", () => {
  test("gives its hints at once when somebody waits for them, those before included", async () => {
    // Quiet never comes.
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const folder = temporaryFolder();
    const hints: (string | null)[] = [];
    const asked = new Set<string>();
    let isUrgent = false;
    const watch = watchDirectoryAtLeisure(
      folder,
      (name) => hints.push(name),
      () => undefined,
      { isNews: (name) => asked.add(name).size > 0, isUrgent: () => isUrgent },
    );
    onTestFinished(() => watch.close());
    for (const name of ["w-0.json", "w-1.json"]) writeFileSync(join(folder, name), "{}");
    await until("both have been heard of", () => asked.size === 2);
    expect(hints).toEqual([]);
    isUrgent = true;
    writeFileSync(join(folder, "w-2.json"), "{}");
    await until("the third is hinted", () => hints.includes("w-2.json"));
    expect([...new Set(hints)].sort()).toEqual(["w-0.json", "w-1.json", "w-2.json"]);
  });
});
