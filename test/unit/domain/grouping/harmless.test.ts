import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { harmless, LINE_BYTES_MAX } from "../../../../lib/domain/grouping/harmless.js";

describe("harmless()", () => {
  test.each([
    ["colours", "\u001b[1;31mfailed\u001b[0m", "failed"],
    ["a window title", "\u001b]0;owned\u0007failed", "failed"],
    ["a title ended by a string terminator", "\u001b]0;owned\u001b\\failed", "failed"],
    ["an escape without an end", "\u001b[99999", "99999"],
    ["an eight-bit introducer", "\u009b31mfailed", "failed"],
    ["bells, returns and backspaces", "a\u0007b\rc\bd", "abcd"],
    ["marks that turn text round", "user\u202e txt.exe\u2066", "user txt.exe"],
    ["characters that nobody sees", "pass\u200bword\ufeff", "password"],
    ["half a surrogate pair", "a\ud800b", "a\ufffdb"],
    ["tabs, as spaces", "a\tb", "a b"],
  ])("removes %s", (_, text, clean) => {
    expect(harmless(text)).toBe(clean);
  });

  test("leaves what people write as it is", () => {
    for (const text of ["", "plain", "Größe überschritten — 日本語 🙂", "a [b] (c) <d>"])
      expect(harmless(text)).toBe(text);
  });

  test("keeps at most 8 KiB of UTF-8, and cuts no character in two", () => {
    for (const letter of ["a", "é", "語", "🙂"]) {
      const clean = harmless(letter.repeat(10_000_000 / letter.length));
      expect(Buffer.byteLength(clean)).toBeLessThanOrEqual(LINE_BYTES_MAX);
      expect(Buffer.byteLength(clean)).toBeGreaterThan(LINE_BYTES_MAX - 4);
      expect(clean.replaceAll(letter, "")).toBe("");
    }
  });

  test("changes nothing more when it is applied again, and leaves no control character", () => {
    const nasty = fc.string({
      unit: fc.constantFrom("\u001b", "[", "]", "3", "m", "\\", "\u0007", "\u009b", "a", "\ud83d", "\u202e", "\n"),
    });
    fc.assert(
      fc.property(fc.oneof(nasty, fc.string({ unit: "binary" })), (text) => {
        const clean = harmless(text);
        expect(harmless(clean)).toBe(clean);
        for (const letter of clean) expect(letter.codePointAt(0)).toBeGreaterThanOrEqual(0x20);
      }),
      { numRuns: 500 },
    );
  });
});
