import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { paint, plain, safe, wrap } from "../../../cli/screen.js";

describe("safe()", () => {
  test("leaves nothing that a terminal would act upon", () => {
    expect(safe("a\u001b[31mb\u0007\rc\u009b2Jd\u202ee\tf")).toBe("a\ufffd[31mb\ufffd\ufffdc\ufffd2Jd\ufffde f");
  });

  test("keeps line feeds and every printable text", () => {
    expect(safe("one\ntwo: ähm, 漢字, 🙂")).toBe("one\ntwo: ähm, 漢字, 🙂");
  });

  test("never lets an escape through, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        const codes = [...safe(text)].map((character) => character.codePointAt(0) as number);
        expect(codes.filter((code) => (code < 0x20 && code !== 0x0a) || (code >= 0x7f && code <= 0x9f))).toEqual([]);
      }),
    );
  });
});

describe("paint()", () => {
  test("marks a text so that without a terminal nothing of the colour is left", () => {
    expect(plain(paint("red", "open"))).toBe("open");
  });

  test("contains no escape sequence itself: only print makes one", () => {
    expect(paint("red", "open")).not.toContain("\u001b");
  });
});

describe("wrap()", () => {
  test("breaks at spaces before the width and indents what follows", () => {
    expect(wrap("the quick brown fox jumps", 12, "  ")).toBe("the quick\n  brown fox\n  jumps");
  });

  test("keeps the margin of the first line", () => {
    expect(wrap("    one two three", 11, "      ")).toBe("    one two\n      three");
  });

  test("does not break a word that is longer than the width", () => {
    expect(wrap("aaaaaaaaaaaaaaa b", 5, "")).toBe("aaaaaaaaaaaaaaa\nb");
  });

  test("does not count the marks of a colour", () => {
    expect(wrap(`${paint("red", "abc")} def`, 7, "")).toBe(`${paint("red", "abc")} def`);
  });
});
