/** Guarantee: whatever stands in a home, fsck names it and goes on; whatever the stores do, it names nothing. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { entriesOf } from "../../../cli/fsck/entries.js";
import { KeySet } from "../../../cli/fsck/key-set.js";
import { SoundHome } from "./sound-home.js";

/** What may stand in a file's place, or become of its content. */
const RUIN = fc.oneof(
  fc.record({ kind: fc.constant("bytes" as const), bytes: fc.uint8Array({ maxLength: 300 }) }),
  fc.record({ kind: fc.constant("json" as const), text: fc.json() }),
  fc.record({ kind: fc.constant("cut" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ kind: fc.constant("flip" as const), at: fc.nat(), byte: fc.nat(255) }),
  fc.record({ kind: fc.constantFrom("folder" as const, "link" as const, "gone" as const, "pipe" as const) }),
);

function ruin(path: string, how: typeof RUIN extends fc.Arbitrary<infer T> ? T : never): void {
  if (how.kind === "cut") return truncateSync(path, Math.floor(lstatSync(path).size * how.share));
  if (how.kind === "flip") {
    const bytes = readFileSync(path);
    if (bytes.length > 0) bytes[how.at % bytes.length] = how.byte;
    return writeFileSync(path, bytes);
  }
  rmSync(path);
  if (how.kind === "bytes") writeFileSync(path, how.bytes);
  if (how.kind === "json") writeFileSync(path, how.text);
  if (how.kind === "folder") mkdirSync(path);
  if (how.kind === "link") symlinkSync("/proc/self/mem", path);
  if (how.kind === "pipe") execFileSync("mkfifo", [path]);
}

describe("fsck", () => {
  test("survives any ruin of any files", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(), RUIN), { minLength: 1, maxLength: 5 }), async (ruins) => {
        const home = new SoundHome();
        const files = entriesOf(home.layout, true).filter(({ kind }) => kind === "file");
        for (const [nth, how] of ruins) {
          const [file] = files.splice(nth % files.length, 1);
          if (file !== undefined) ruin(file.path, how);
        }
        const findings = await home.findings();
        for (const { about, message } of findings) expect([typeof about, typeof message]).toEqual(["string", "string"]);
        rmSync(home.layout.home.home, { recursive: true });
      }),
      { numRuns: 150 },
    );
  }, 60_000);

  test("says of each file that is replaced by junk that it cannot be read", async () => {
    const home = new SoundHome();
    const records = entriesOf(home.layout, true).filter(
      ({ kind, shown }) =>
        kind === "file" && shown.endsWith(".json") && !/^(?:decisions|metrics|restart\/(?:done|rejected))/.test(shown),
    );
    expect(records.length).toBeGreaterThan(12);
    for (const { path } of records) writeFileSync(path, "junk");
    const named = new Set(
      (await home.findings()).flatMap(({ about, message }) => (message.startsWith("cannot be read") ? about : [])),
    );
    const expected = records.map(({ shown }) => shown).filter((shown) => shown !== "patterns/pattern-index.json");
    expect(expected.filter((shown) => !named.has(shown))).toEqual([]);
  });

  test("goes on where it may not read", async () => {
    const home = new SoundHome();
    chmodSync(home.layout.zombieDir, 0);
    chmodSync(home.layout.status, 0);
    expect(Array.isArray(await home.findings())).toBe(true);
    chmodSync(home.layout.zombieDir, 0o750);
  });
});

describe("KeySet", () => {
  test("knows what was added, and takes nothing new for known, among a hundred thousand", () => {
    const keys = new KeySet();
    const names = Array.from({ length: 100_000 }, (_, nth) => `0mx1ok3gm-3fi41mjj-${nth.toString(36)}-0`);
    expect(names.filter((name) => !keys.add(name))).toEqual([]);
    expect(names.filter((name) => keys.add(name))).toEqual([]);
  });
});
