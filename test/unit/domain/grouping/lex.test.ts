import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parameterise } from "../../../../lib/domain/grouping/fingerprint.js";
import { lex, WORDS_MAX } from "../../../../lib/domain/grouping/lex.js";
import { fold, render } from "../../../../lib/domain/grouping/template.js";

function masked(line: string): string {
  return render(lex(line), new Set());
}

describe("lex()", () => {
  test.each([
    ["numbers", "took 160 of -3.5 and 1e9", "took <*> of <*> and <*>"],
    ["sizes, and their units with them", "17.7 GB free, 96K used", "<*> <*> free, <*> used"],
    ["durations", "in 1000ms, +1s0ms late", "in <*>, <*> late"],
    ["hexadecimal", "at 0x0b85eee0 or 003a90fc or d1c8e63", "at <*> or <*> or <*>"],
    ["uuids", "id 70293f72-844a-4b39-9ad6-fb0ad7e364e4", "id <*>"],
    ["addresses", "from 10.0.0.1:5432 to /10.0.0.2", "from <*>:<*> to /<*>"],
    ["IPv6 and MAC addresses", "fe80:0:0:1:2:3:4:5 FF:F2:9F:16:E2:23", "<*> <*>"],
    ["paths", "open /var/lib/x.db failed", "open <*> failed"],
    ["paths of another system", "open C:\\Users\\me failed", "open <*> failed"],
    ["paths without a root", "load src/lib/a and b/c.js", "load <*> and <*>"],
    ["what follows a scheme", "GET https://host/a?b=1 now", "GET https://<*> now"],
    ["dates", "on Fri Jun 17 07:07:00 PDT 2005 at", "on <*> <*> <*> <*>:<*>:<*> <*> <*> at"],
    ["instants", "2026-11-21T21:08:04Z ready", "<*>:<*>:<*> ready"],
    ["ids, but not their kind", "blk_-7724 task_17_m_3 node-12", "blk_<*> task_<*> node-<*>"],
    ["versions", "v2.6.5 of jetty-6.1.26", "v<*> of jetty-<*>"],
    ["quoted texts with numbers", "tag 'a 1 b' and \"/x\"", "tag '<*>' and \"<*>\""],
  ])("masks %s", (_, line, expected) => {
    expect(masked(line)).toBe(expected);
  });

  test.each([
    "Permission denied",
    "can't open it, won't try",
    "load/store or read",
    "ECONNREFUSED",
    "use IPv4 or L3",
    "restart() ... done.",
    "force=true, ws=null",
    "GET /health",
    "a -- b",
  ])("leaves %j alone", (line) => {
    expect(masked(line)).toBe(line);
  });

  test("gives back every character that it did not mask", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary-ascii", maxLength: 200 }), (line) => {
        const { separators, words } = lex(line);
        expect(separators).toHaveLength(words.length + 1);
        const plain = words.every((word) => !word.text.includes("<*>"));
        if (plain) expect(masked(line)).toBe(line);
      }),
      { numRuns: 500 },
    );
  });

  test("finds nothing more to fold in what was folded", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("<*>", "a", " ", ":", "_", "  ", "blk_<*>"), { maxLength: 30 }), (parts) => {
        const once = fold(parts.join(""));
        expect(fold(once)).toBe(once);
      }),
      { numRuns: 500 },
    );
  });

  test("costs at most twice as many looks for twice as long a line, whatever it is made of", () => {
    const units = [
      "a",
      "1",
      "/a",
      "a/",
      '"',
      "'",
      ":",
      "f:",
      "-",
      ".",
      " /a",
      "(",
      "a:\\",
      "://",
      "x' '",
      "[]",
      "=",
      "Jan 1 ",
      "a.1/",
      "é",
    ];
    for (const unit of units) {
      const cost = (length: number): number => looksAt(unit.repeat(length / unit.length));
      const [once, twice] = [cost(4000), cost(8000)];
      expect({ unit, isLinear: twice <= 2.1 * once + 200 }).toEqual({ unit, isLinear: true });
      expect(twice).toBeLessThan(8000 * 150);
    }
  });

  test("looks at no more than so many words", () => {
    expect(lex("a ".repeat(4000)).words).toHaveLength(WORDS_MAX);
  });
});

/** Counts the characters that a lexer asks for. */
function looksAt(line: string): number {
  let looks = 0;
  const counted = new Proxy(Object(line) as object, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (key === "length") return line.length;
      if (typeof value !== "function") {
        looks += 1;
        return value;
      }
      return (...args: number[]) => {
        const result: unknown = Reflect.apply(value as (...given: number[]) => unknown, line, args);
        looks +=
          typeof result === "string" ? result.length + 1 : key === "indexOf" ? reach(line, args, result as number) : 1;
        return result;
      };
    },
  });
  lex(counted as unknown as string);
  return looks;
}

function reach(line: string, args: readonly unknown[], found: number): number {
  return (found === -1 ? line.length : found) - Number(args[1] ?? 0) + 1;
}

describe("parameterise()", () => {
  test("is the same for messages that differ in their values", () => {
    expect(parameterise("Cannot reach 10.0.0.1:5432 after 3 tries")).toBe(
      parameterise("Cannot reach db/10.0.0.7:5432 after 12 tries"),
    );
    expect(parameterise("lost blk_1 blk_2")).toBe(parameterise("lost blk_3 blk_4 blk_5"));
  });
});
