import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  assign,
  type Clusters,
  find,
  learn,
  newClusters,
  resolve,
  settleAll,
} from "../../../../lib/domain/grouping/clusters.js";
import { fromRecord, toRecord } from "../../../../lib/domain/grouping/clusters-record.js";

function grouped(lines: readonly string[], clusters: Clusters = newClusters()): string[] {
  for (const line of lines) learn(clusters, line);
  settleAll(clusters);
  return lines.map((line) => find(clusters, line)?.template ?? "none");
}

const NAMES = ["alice", "bob", "carol", "dave", "erin"];

describe("template clustering", () => {
  test("makes one group of lines that differ in their values", () => {
    expect(new Set(grouped(["task 1 took 20 ms", "task 2 took 31 ms"]))).toEqual(new Set(["task <*> took <*> ms"]));
  });

  test("takes four different words in one place for a parameter, and three for three statements", () => {
    const lines = NAMES.map((name) => `session opened for user ${name} on console`);
    expect(new Set(grouped(lines.slice(0, 4)))).toEqual(new Set(["session opened for user <*> on console"]));
    expect(grouped(lines.slice(0, 3))).toEqual(lines.slice(0, 3));
  });

  test("takes a word for a value where a number has stood", () => {
    expect(new Set(grouped(["reverse lookup of 10.0.0.1 failed", "reverse lookup of gateway failed"]))).toEqual(
      new Set(["reverse lookup of <*> failed"]),
    );
  });

  test("keeps error codes apart, however many there are", () => {
    const lines = ["ECONNREFUSED", "ETIMEDOUT", "ENOSPC", "EACCES", "ENOENT", "EMFILE"].map(
      (code) => `cannot connect to it: ${code}`,
    );
    expect(grouped(lines)).toEqual(lines);
  });

  test("keeps true, false and null apart", () => {
    const lines = ["is the feature on: true", "is the feature on: false", "is the feature on: null"];
    expect(grouped(lines)).toEqual(lines);
  });

  test("keeps lines apart that have only their length in common", () => {
    const lines = [
      "get a lock now",
      "get some rest soon",
      "get one file back",
      "get two parts only",
      "get that thing here",
    ];
    expect(new Set(grouped(lines)).size).toBe(5);
  });

  test("puts lists of different lengths into one group", () => {
    const clusters = newClusters();
    grouped(["ask to delete blk_1", "ask to delete blk_2 blk_3", "ask to delete blk_4 blk_5 blk_6"], clusters);
    expect(clusters.groups.size).toBe(1);
  });

  test("gives the same groups and ids for any order of the lines", () => {
    const words = fc.constantFrom(
      "open",
      "close",
      "alice",
      "bob",
      "carol",
      "dave",
      "erin",
      "1",
      "2",
      "EIO",
      "true",
      "node-3",
    );
    const line = fc.array(words, { minLength: 1, maxLength: 5 }).map((parts) => parts.join(" "));
    const lists = fc.array(line, { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(
        lists.chain((lines) => fc.tuple(fc.constant(lines), fc.shuffledSubarray(lines, { minLength: lines.length }))),
        ([lines, shuffled]) => {
          const [one, other] = [newClusters(), newClusters()];
          grouped(lines, one);
          grouped(shuffled, other);
          for (const each of lines) expect(find(other, each)).toEqual(find(one, each));
        },
      ),
      { numRuns: 200 },
    );
  });

  test("follows an id through merges when lines come one by one", () => {
    const clusters = newClusters();
    const ids = NAMES.map((name) => assign(clusters, `session opened for user ${name} on console`).id);
    expect(new Set(ids).size).toBeGreaterThan(1);
    const now = ids.map((id) => resolve(clusters, id));
    expect(new Set(now.map((group) => group?.id)).size).toBe(1);
    expect(now[0]).toMatchObject({ count: 5, template: "session opened for user <*> on console" });
  });

  test("goes on from its record as if it had never stopped", () => {
    const lines = fc.array(fc.tuple(fc.constantFrom("a", "b", "7", "x_9"), fc.constantFrom(...NAMES, "12")), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(lines, fc.nat(), (pairs, at) => {
        const texts = pairs.map(([first, second]) => `job ${first} was given to ${second}`);
        const cut = texts.length === 0 ? 0 : at % texts.length;
        const whole = newClusters({ shapesMax: 20, bucketMax: 6 });
        const before = newClusters({ shapesMax: 20, bucketMax: 6 });
        const expected = texts.map((text) => assign(whole, text).id);
        const first = texts.slice(0, cut).map((text) => assign(before, text).id);
        const after = fromRecord(JSON.parse(JSON.stringify(toRecord(before))), { shapesMax: 20, bucketMax: 6 });
        expect([...first, ...texts.slice(cut).map((text) => assign(after, text).id)]).toEqual(expected);
        expect(toRecord(after)).toEqual(toRecord(whole));
      }),
      { numRuns: 100 },
    );
  });

  test("stays within its limits under lines that share nothing, and lines that never end to differ", () => {
    const limits = { shapesMax: 200, bucketMax: 16 };
    const clusters = newClusters(limits);
    for (let nth = 0; nth < 5000; nth += 1) {
      const word = [...String(nth)].map((digit) => "abcdefghij"[Number(digit)]).join("");
      assign(clusters, `${word} first`);
      assign(clusters, `session opened for user q${word} on console`);
      assign(clusters, `state of it is X${word.toUpperCase()}Q`);
    }
    expect(clusters.shapes.size).toBeLessThanOrEqual(limits.shapesMax);
    expect(clusters.groups.size).toBeLessThanOrEqual(2 * limits.shapesMax);
    expect(clusters.aliases.size).toBeLessThanOrEqual(2 * limits.shapesMax);
    expect(clusters.templates.size).toBeLessThanOrEqual(4 * limits.shapesMax);
    expect(assign(clusters, "session opened for user zoe on console").template).toBe(
      "session opened for user <*> on console",
    );
  });
});
