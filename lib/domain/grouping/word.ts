/** Says of one word of a line whether it is a value, a name, or something between. Linear in the word. @module */

/** What stands for a value in a template. */
export const WILDCARD = "<*>";

/**
 * How ready a word is to be a parameter.
 *
 * `value`: is one (a number, an address, a path). `mixed`: a name with digits, or a quoted text; two different ones in the
 * same place make a parameter. `plain`: a word; it takes many. `capitals`: a state or a code such as `ECONNREFUSED`, which
 * mostly says what happened, not to whom. `fixed`: true, false and null: a truth is never averaged away.
 */
export type WordClass = "value" | "mixed" | "plain" | "capitals" | "fixed";

export interface Word {
  readonly text: string;
  readonly class: WordClass;
}

export const VALUE: Word = { text: WILDCARD, class: "value" };
/** A place for a value with nothing in it, as in `from 10.0.0.1 ()`. */
export const EMPTY: Word = { text: "", class: "value" };

const FIXED = new Set(["true", "false", "null", "none", "nil", "undefined", "yes", "no"]);
/** Hexadecimal texts at least this long are values even if they have no digit. */
const HEX_LENGTH = 8;
/** Shorter ones need digits and letters. */
const HEX_LENGTH_MIXED = 6;
/** A run of digits this long is never part of a name. */
const DIGITS_LONG = 4;
/** Letters and digits in one word this long are a key, a token or a hash. */
const TOKEN_LENGTH = 24;

const DIGIT = 1;
const HEX_LETTER = 2;
const UPPER = 4;
const LOWER = 8;
const JOINT = 16;

const CLASSES = new Uint8Array(128);
for (let code = 0; code < 128; code += 1) {
  const letter = String.fromCharCode(code);
  CLASSES[code] =
    (letter >= "0" && letter <= "9" ? DIGIT : 0) |
    ((letter >= "a" && letter <= "f") || (letter >= "A" && letter <= "F") ? HEX_LETTER : 0) |
    (letter >= "A" && letter <= "Z" ? UPPER : 0) |
    (letter >= "a" && letter <= "z" ? LOWER : 0) |
    (letter === "_" || letter === "-" || letter === "." ? JOINT : 0);
}

function classOf(code: number): number {
  return code < 128 ? (CLASSES[code] as number) : LOWER;
}

/** Classifies a word, and masks the part of it that is certainly a value: `blk_-7724` becomes `blk_<*>`. */
export function classify(text: string): Word {
  const first = text.charCodeAt(0);
  if (classOf(first) & DIGIT) return VALUE;
  if ((first === 0x2d || first === 0x2b) && classOf(text.charCodeAt(1)) & DIGIT) return VALUE;
  let all = 0;
  let isHex = text.length >= HEX_LENGTH_MIXED;
  for (let at = 0; at < text.length; at += 1) {
    const one = classOf(text.charCodeAt(at));
    all |= one;
    if (isHex && (one & (DIGIT | HEX_LETTER)) === 0) isHex = false;
  }
  if (isHex && (text.length >= HEX_LENGTH || all & DIGIT)) return VALUE;
  if (all & DIGIT) return classifyMixed(text);
  if (!(all & LOWER) && all & UPPER && text.length > 1) return { text, class: "capitals" };
  return { text, class: FIXED.has(text.toLowerCase()) ? "fixed" : "plain" };
}

/** A word that begins with a letter and has digits: a name with a number (`L3`), or a kind and an id (`task_17`). */
function classifyMixed(text: string): Word {
  let maskedFrom = -1;
  let ended = 0;
  let firstEnded = -1;
  for (let at = 0; at < text.length; at += 1) {
    if (!(classOf(text.charCodeAt(at)) & DIGIT)) continue;
    const from = at;
    while (at < text.length && classOf(text.charCodeAt(at)) & DIGIT) at += 1;
    const isEnded = at === text.length || classOf(text.charCodeAt(at)) & JOINT;
    if (isEnded) ended += 1;
    if (isEnded && firstEnded === -1) firstEnded = from;
    const isJoined = isEnded && classOf(text.charCodeAt(from - 1)) & JOINT;
    if (maskedFrom === -1 && (isJoined || at - from >= DIGITS_LONG)) maskedFrom = from;
  }
  // `v2.6.5`: two numbers with a joint between are a version or an address, from the first of them on.
  if (ended >= 2 && (maskedFrom === -1 || firstEnded < maskedFrom)) maskedFrom = firstEnded;
  if (maskedFrom === -1)
    return text.length >= TOKEN_LENGTH && ended === 0 && isToken(text) ? VALUE : { text, class: "mixed" };
  return { text: `${text.slice(0, beforeSign(text, maskedFrom))}${WILDCARD}`, class: "mixed" };
}

/** `blk_-77`: the minus belongs to the number. */
function beforeSign(text: string, at: number): number {
  return text[at - 1] === "-" && at >= 2 && classOf(text.charCodeAt(at - 2)) & JOINT ? at - 1 : at;
}

/** Letters and digits that change places often are no name that a person gave. */
function isToken(text: string): boolean {
  let changes = 0;
  let was = 0;
  for (let at = 0; at < text.length; at += 1) {
    const now = classOf(text.charCodeAt(at)) & (DIGIT | UPPER | LOWER);
    if (now !== was) changes += 1;
    was = now;
  }
  return changes * 3 >= text.length;
}
