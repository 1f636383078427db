import { describe, expect, test } from "vitest";
import { age } from "../../../lib/domain/clock-words.js";

describe("age()", () => {
  test.each([
    [0, "0 s"],
    [999, "0 s"],
    [12_400, "12 s"],
    [119_999, "119 s"],
    [120_000, "2 min"],
    [3_599_999, "59 min"],
    [3_600_000, "1 h"],
    [7_500_000, "2 h 5 min"],
    [172_799_999, "47 h 59 min"],
    [172_800_000, "2 d"],
    [273_600_000, "3 d 4 h"],
    [-5_000, "0 s"],
    [Number.NaN, "0 s"],
  ])("words %d ms as %s", (ms, words) => {
    expect(age(ms)).toBe(words);
  });
});
