import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { workerSpecSchema } from "../../../lib/schema/worker-spec.js";
import { firstFault } from "../../../lib/store/json-position.js";
import { type Reading, RefusalBook, readRecord } from "../../../lib/store/records.js";
import { age, temporaryFolder } from "./temporary-home.js";

function read(path: string, options: { nowMs?: number; mayBeUnfinished?: boolean } = {}): Reading<unknown> {
  return readRecord(path, workerSpecSchema, { maxBytes: 1000, nowMs: Date.now(), what: "worker spec", ...options });
}

describe("readRecord()", () => {
  test("gives the value and the very text of a sound record", () => {
    const path = join(temporaryFolder(), "a.json");
    writeFileSync(path, '{"worker_id":"a","mine":1}\n');
    expect(read(path)).toMatchObject({
      kind: "ok",
      value: { worker_id: "a", mine: 1 },
      text: '{"worker_id":"a","mine":1}\n',
    });
  });

  test("gives what a text meant before when it is read again, and lets nobody change that", () => {
    const path = join(temporaryFolder(), "a.json");
    writeFileSync(path, '{"worker_id":"again","resources":{"memory_limit_mb":64}}');
    const [first, second] = [read(path), read(path)];
    if (first.kind !== "ok" || second.kind !== "ok") throw new Error("It cannot be read");
    expect(second.value).toBe(first.value);
    expect(() => Object.assign((first.value as { resources: object }).resources, { memory_limit_mb: 1 })).toThrow(
      TypeError,
    );
    writeFileSync(path, '{"worker_id":"again","resources":{"memory_limit_mb":65}}');
    expect(read(path)).toMatchObject({ kind: "ok", value: { resources: { memory_limit_mb: 65 } } });
  });

  test("says absent when there is no file", () => {
    expect(read(join(temporaryFolder(), "a.json"))).toEqual({ kind: "absent" });
  });

  test("waits two seconds for a half-written record, then names line and column", () => {
    const path = join(temporaryFolder(), "a.json");
    writeFileSync(path, '{\n  "worker_id": "a",\n  "attempt": ');
    expect(read(path)).toEqual({ kind: "unfinished" });
    expect(read(path, { nowMs: Date.now() + 1_900 })).toEqual({ kind: "unfinished" });
    expect(read(path, { nowMs: Date.now() + 2_100 })).toMatchObject({
      kind: "bad",
      code: "not_json",
      sentence: `Cannot read worker spec "${path}": line 3, column 14: not valid JSON`,
    });
  });

  test("refuses at once what no person can be writing", () => {
    const path = join(temporaryFolder(), "a.json");
    writeFileSync(path, "{");
    expect(read(path, { mayBeUnfinished: false })).toMatchObject({ kind: "bad", code: "not_json" });
  });

  test("does not wait for ever for a torn file that is dated in the future", () => {
    const path = join(temporaryFolder(), "a.json");
    writeFileSync(path, "{");
    age(path, -86_400);
    expect(read(path)).toMatchObject({ kind: "bad" });
  });

  test("names the field, what was wanted and what was got", () => {
    const path = join(temporaryFolder(), "a.json");
    writeFileSync(path, '{"worker_id":"../../etc/passwd","attempt":"two"}');
    const reading = read(path);
    expect(reading).toMatchObject({ kind: "bad", code: "wrong_field" });
    expect(reading.kind === "bad" && reading.sentence).toMatch(
      /worker_id must match .*got "\.\.\/\.\.\/etc\/passwd"; attempt must be a number, got "two"/,
    );
  });

  test("refuses a link, a folder and a huge file by name, without reading them", () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "target.json"), '{"worker_id":"a"}');
    symlinkSync(join(folder, "target.json"), join(folder, "link.json"));
    mkdirSync(join(folder, "folder.json"));
    writeFileSync(join(folder, "huge.json"), `{"worker_id":"${"a".repeat(2000)}"}`);
    expect(read(join(folder, "link.json"))).toMatchObject({ kind: "bad", code: "symlink" });
    expect(read(join(folder, "folder.json"))).toMatchObject({ kind: "bad", code: "not_a_file" });
    expect(read(join(folder, "huge.json"))).toMatchObject({
      code: "too_large",
      sentence: `Cannot read worker spec "${join(folder, "huge.json")}": 2016 bytes, at most 1000`,
    });
  });

  test("throws what is the host's fault, so that nobody takes it for a bad record", () => {
    const path = join(temporaryFolder(), "a.json", "below-a-file.json");
    writeFileSync(join(path, ".."), "{}");
    expect(() => read(path)).toThrow(expect.objectContaining({ code: "ENOTDIR" }));
  });
});

describe("firstFault()", () => {
  test.each([
    ['{"a": ,}', 1, 7],
    ["[1, 2,]", 1, 7],
    ['{"a": 1\n "b": 2}', 2, 2],
    ['{"a": "x\ny"}', 1, 9],
    ["{'a': 1}", 1, 2],
    ['{"a": 01}', 1, 8],
    ['{"a": "\\q"}', 1, 8],
    ['{"a": 1}}', 1, 9],
    ['{"a": tru', 1, 7],
    ["", 1, 1],
  ])("finds the fault of %j at line %i, column %i", (text, line, column) => {
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
    expect(firstFault(text)).toEqual({ line, column });
  });

  test("never points before the end of a text that was cut off", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 3 }), fc.nat(), (text, where) => {
        // A bare number or word cut short is another value or another fault; structures are what is cut here.
        const whole = `[${text}]`;
        const cut = whole.slice(0, 1 + (where % Math.max(1, whole.length - 1)));
        const { column } = firstFault(cut);
        const rest = cut.slice(column - 1);
        expect(rest).toMatch(/^[-+.\deEa-z\\"]*$/i);
      }),
      { numRuns: 200 },
    );
  });

  test("does not overflow on deep nesting", () => {
    expect(firstFault("[".repeat(200_000)).column).toBe(200_001);
  });
});

describe("RefusalBook", () => {
  test("reports each version of a bad file once", () => {
    const book = new RefusalBook();
    expect(book.seenBefore("a", 1, 10)).toBe(false);
    expect(book.seenBefore("a", 1, 10)).toBe(true);
    expect(book.seenBefore("a", 2, 10)).toBe(false);
    expect(book.seenBefore("b", 2, 10)).toBe(false);
    book.forget("a");
    expect(book.seenBefore("a", 2, 10)).toBe(false);
  });

  test("stays bounded over a flood of names", () => {
    const book = new RefusalBook();
    for (let index = 0; index < 10_001; index++) book.seenBefore(`f${index}`, 1, 1);
    expect(book.seenBefore("f10000", 1, 1)).toBe(true);
    expect(book.seenBefore("f0", 1, 1)).toBe(false);
  });
});
