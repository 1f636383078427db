/**
 * Finds the place where a text stops being JSON. Runs only after `JSON.parse` has refused it: the runtime's own messages
 * name a position in some cases and in some versions only.
 * @module
 */

/** A place in a text, both counted from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

const SPACE = /[ \t\n\r]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them inside strings
const STRING_START = /"(?:[^"\\\u0000-\u001f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*/y;
const WORD = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** The first place at which no JSON text can go on as this one does. The end of the text, if it is only cut off. */
export function firstFault(text: string): Place {
  return placeOf(text, faultOffset(text));
}

/** Converts an offset into a line and a column. */
export function placeOf(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  let line = 1;
  for (let at = before.indexOf("\n"); at >= 0; at = before.indexOf("\n", at + 1)) line++;
  return { line, column: offset - lineStart + 1 };
}

type Expected = "value" | "value-or-end" | "key" | "key-or-end" | "colon" | "comma";

/** Walks the text with a stack of its own: deep nesting in a hostile file must not overflow ours. */
function faultOffset(text: string): number {
  const open: ("{" | "[")[] = [];
  let expected: Expected = "value";
  let offset = 0;
  for (;;) {
    offset += matchAt(SPACE, text, offset);
    if (expected === "comma" && open.length === 0) return offset;
    const character = text[offset];
    if (character === undefined) return offset;
    const inside: "{" | "[" | undefined = open.at(-1);
    if (expected === "comma" || expected.endsWith("-or-end")) {
      if (character === (inside === "{" ? "}" : "]")) {
        open.pop();
        expected = "comma";
        offset++;
        continue;
      }
    }
    if (expected === "comma") {
      if (character !== ",") return offset;
      expected = inside === "{" ? "key" : "value";
      offset++;
    } else if (expected === "colon") {
      if (character !== ":") return offset;
      expected = "value";
      offset++;
    } else if (expected.startsWith("value") && (character === "{" || character === "[")) {
      open.push(character);
      expected = character === "{" ? "key-or-end" : "value-or-end";
      offset++;
    } else {
      const isKey = expected.startsWith("key");
      if (isKey && character !== '"') return offset;
      const length = character === '"' ? matchAt(STRING_START, text, offset) + 1 : matchAt(WORD, text, offset);
      if (length === 0) return offset;
      if (character === '"' && text[offset + length - 1] !== '"') return offset + length - 1;
      expected = isKey ? "colon" : "comma";
      offset += length;
    }
  }
}

function matchAt(pattern: RegExp, text: string, offset: number): number {
  pattern.lastIndex = offset;
  return pattern.exec(text)?.[0].length ?? 0;
}
