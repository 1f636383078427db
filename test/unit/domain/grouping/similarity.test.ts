/** How alike templates are. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { areSimilar, similarity, wordsOf } from "../../../../lib/domain/grouping/similarity.js";

const alike = (a: string, b: string): number => similarity(wordsOf(a), wordsOf(b));

describe("similarity()", () => {
  test.each([
    ["cannot read table <*>", "cannot read table <*>", 1],
    ["cannot read table <*>", "cannot write table <*>", 0.75],
    ["cannot read table <*>", "cannot read <*>", 6 / 7],
    ["dog bites man", "man bites dog", 1 / 3],
    ["a b", "c d", 0],
  ])("of %j and %j is %d", (a, b, wanted) => {
    expect(alike(a, b)).toBeCloseTo(wanted, 10);
  });

  const sentence = fc.array(fc.constantFrom("a", "b", "c", "<*>"), { maxLength: 12 }).map((words) => words.join(" "));

  test("is the same both ways, a share, and 1 with itself", () => {
    fc.assert(
      fc.property(sentence, sentence, (a, b) => {
        expect(alike(a, b)).toBe(alike(b, a));
        expect(alike(a, b)).toBeGreaterThanOrEqual(0);
        expect(alike(a, b)).toBeLessThanOrEqual(1);
        expect(alike(a, a)).toBe(1);
      }),
    );
  });

  test("is what areSimilar() goes by, its shortcuts included", () => {
    fc.assert(
      fc.property(sentence, sentence, fc.double({ min: 0, max: 1, noNaN: true }), (a, b, threshold) => {
        expect(areSimilar(wordsOf(a), wordsOf(b), threshold)).toBe(alike(a, b) >= threshold);
      }),
    );
  });
});
