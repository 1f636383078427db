/**
 * Cuts a line into separators and words, and masks what is certainly a value. Each character is looked at a bounded number
 * of times: no regular expression, no going back.
 *
 * @module
 */
import { classify, EMPTY, VALUE, type Word } from "./word.js";

/** `separators[0] words[0] separators[1] … words[n-1] separators[n]`. */
export interface Lexed {
  readonly separators: readonly string[];
  readonly words: readonly Word[];
}

/** Words looked at in a line; what follows is one value. */
export const WORDS_MAX = 128;
const QUOTED_LENGTH_MAX = 96;
const ADDRESS_LENGTH_MAX = 48;

const WORD = 1;
const ALNUM = 2;
const HEX = 4;
const PATH_END = 8;
const DIGIT = 16;
const QUOTE = 32;

const KINDS = new Uint8Array(128);
for (let code = 0; code < 128; code += 1) {
  const one = String.fromCharCode(code);
  const isAlnum = (one >= "0" && one <= "9") || (one >= "a" && one <= "z") || (one >= "A" && one <= "Z");
  KINDS[code] =
    (isAlnum ? WORD | ALNUM : 0) |
    ("_-.+$%\\~&*".includes(one) ? WORD : 0) |
    ((one >= "0" && one <= "9") || (one >= "a" && one <= "f") || (one >= "A" && one <= "F") ? HEX : 0) |
    (" \t\"'<>|,;:()[]{}=`".includes(one) ? PATH_END : 0) |
    (one >= "0" && one <= "9" ? DIGIT : 0) |
    (one === '"' || one === "'" || one === "`" ? QUOTE : 0);
}

function kindAt(line: string, at: number): number {
  const code = line.charCodeAt(at);
  return code < 128 ? (KINDS[code] as number) : code >= 128 ? WORD | ALNUM : 0;
}

/** Lexes a line that {@link harmless} has gone over. */
export function lex(line: string): Lexed {
  const separators: string[] = [];
  const words: Word[] = [];
  let from = 0;
  let at = 0;
  while (at < line.length) {
    const found = wordAt(line, at);
    if (found === null) {
      at += 1;
      continue;
    }
    separators.push(line.slice(from, found.from));
    const isLast = words.length + 1 === WORDS_MAX;
    words.push(isLast ? VALUE : found.word);
    from = isLast ? line.length : found.end;
    // A value that is missing has no length: its closing bracket is behind us.
    at = found.end === found.from ? from + 1 : from;
  }
  separators.push(line.slice(from));
  maskCompanions(words, separators);
  return { separators, words };
}

interface Found {
  readonly from: number;
  readonly end: number;
  readonly word: Word;
}

function wordAt(line: string, at: number): Found | null {
  const kind = kindAt(line, at);
  if (kind & QUOTE) return quotedAt(line, at);
  if (line[at] === "/") return pathAt(line, at);
  if (line[at] === ")" || line[at] === "]") return emptyAt(line, at);
  if (!(kind & WORD)) return null;
  if (!(kind & ALNUM) && !isSign(line, at)) return null;
  if (kind & HEX) {
    const end = addressEnd(line, at);
    if (end !== -1) return { from: at, end, word: VALUE };
  }
  const end = wordEnd(line, at);
  if (line[end] === ":" && line[end + 1] === "\\" && end - at === 1)
    return { from: at, end: pathEnd(line, end + 1), word: VALUE };
  if (line.startsWith("://", end)) return schemeAt(line, at, end);
  if (line[end] === "/") {
    const whole = relativePathEnd(line, at, end);
    if (whole !== -1) return { from: at, end: whole, word: VALUE };
  }
  return { from: at, end, word: classify(line.slice(at, end)) };
}

/** Brackets of their own with nothing between hold a value that is missing; after a name they are a call. */
function emptyAt(line: string, at: number): Found | null {
  const opens = line[at] === ")" ? "(" : "[";
  const isOwn = at >= 2 && line[at - 1] === opens && (line[at - 2] === " " || line[at - 2] === "=");
  return isOwn ? { from: at, end: at, word: EMPTY } : null;
}

/** `+` or `-` before a digit belongs to the number, unless it joins. */
function isSign(line: string, at: number): boolean {
  const one = line[at];
  return (one === "-" || one === "+") && (kindAt(line, at + 1) & DIGIT) !== 0 && !(kindAt(line, at - 1) & ALNUM);
}

/** Where the word ends: two joints in a row are a separator (`touch......0`), and joints at its end are not part of it. */
function wordEnd(line: string, at: number): number {
  let last = at;
  for (let index = at + 1; index < line.length; index += 1) {
    const kind = kindAt(line, index);
    if (!(kind & WORD)) break;
    if (kind & ALNUM) {
      last = index;
      continue;
    }
    const doubled = index > last + 1 && line[index] === line[index - 1] && line[index] !== "_";
    if (doubled || index > last + 2) break;
  }
  return last + 1;
}

/** After `scheme://`, all that follows is one value. */
function schemeAt(line: string, at: number, end: number): Found {
  const stop = pathEnd(line, end + 3, ":=;");
  return stop > end + 3
    ? { from: end + 3, end: stop, word: VALUE }
    : { from: at, end, word: classify(line.slice(at, end)) };
}

/** @param within Characters that do not end it although they end a path. */
function pathEnd(line: string, at: number, within = ""): number {
  let end = at;
  while (end < line.length && (!(kindAt(line, end) & PATH_END) || within.includes(line[end] as string))) end += 1;
  while (end > at && (line[end - 1] === "." || line[end - 1] === ":")) end -= 1;
  return end;
}

/** An absolute path of two names or more is a value; of one, a word: `/health` says what, `/srv/7/x` says where. */
function pathAt(line: string, at: number): Found | null {
  if (at > 0 && kindAt(line, at - 1) & (WORD | QUOTE) && !(kindAt(line, at - 1) & QUOTE)) return null;
  if (!(kindAt(line, at + 1) & WORD)) return null;
  const end = pathEnd(line, at);
  const second = line.indexOf("/", at + 1);
  return second !== -1 && second < end ? { from: at, end, word: VALUE } : null;
}

/** `a/b/c`, or a pair with a dot or a digit in it; `load/store` is two words. Returns -1 if it is no path. */
function relativePathEnd(line: string, at: number, slash: number): number {
  const kind = kindAt(line, slash + 1);
  if (!(kind & WORD)) return -1;
  const end = pathEnd(line, slash + 1);
  for (let index = at; index < end; index += 1) {
    if (kindAt(line, index) & DIGIT || line[index] === "." || (index > slash && line[index] === "/")) return end;
  }
  return -1;
}

/** A MAC or IPv6 address: at least four groups of hexadecimal digits with colons between. Returns -1 if it is none. */
function addressEnd(line: string, at: number): number {
  let groups = 1;
  let length = 0;
  let hasDigit = false;
  let index = at;
  for (; index < line.length && index < at + ADDRESS_LENGTH_MAX; index += 1) {
    const kind = kindAt(line, index);
    if (kind & HEX) {
      length += 1;
      if (kind & DIGIT) hasDigit = true;
      if (length > 4) return -1;
    } else if (line[index] === ":" && (kindAt(line, index + 1) & HEX || line[index + 1] === ":")) {
      groups += 1;
      length = 0;
    } else break;
  }
  return groups >= 4 && hasDigit && !(kindAt(line, index) & ALNUM) ? index : -1;
}

/** A short quoted text is one word; a quote within a word (`can't`) or without an end is a separator. */
function quotedAt(line: string, at: number): Found | null {
  if (at > 0 && kindAt(line, at - 1) & ALNUM) return null;
  const quote = line[at] as string;
  const limit = Math.min(line.length, at + QUOTED_LENGTH_MAX + 1);
  let hasDigit = false;
  for (let end = at + 1; end < limit; end += 1) {
    if (kindAt(line, end) & DIGIT || line[end] === "/") hasDigit = true;
    if (line[end] !== quote || kindAt(line, end + 1) & ALNUM) continue;
    if (end === at + 1) return null;
    const text = line.slice(at + 1, end);
    return { from: at + 1, end, word: hasDigit ? digitsOf(text) : { text, class: "mixed" } };
  }
  return null;
}

/** A quoted name with a number keeps its kind (`'attempt_17'`); any other text with numbers or paths is a value. */
function digitsOf(text: string): Word {
  for (let at = 0; at < text.length; at += 1) if (!(kindAt(text, at) & WORD)) return VALUE;
  return classify(text);
}

const MONTHS = new Set(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Sept", "Oct", "Nov", "Dec"]);
const DAYS = new Set(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]);
const ZONES = new Set(["UTC", "GMT", "CET", "CEST", "EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT", "Z"]);

const SIZES = new Set(["B", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"]);

/**
 * Month names beside a number, day names before such a month, and zones after a number are parts of a date; the unit of a
 * size is part of the size, for it changes with it.
 */
function maskCompanions(words: Word[], separators: readonly string[]): void {
  for (let at = 0; at < words.length; at += 1) {
    const text = (words[at] as Word).text;
    if (text.length > 4 || text === "") continue;
    const isMonth = MONTHS.has(text) && (isValue(words[at + 1]) || isValue(words[at - 1]));
    const isAfterValue = at > 0 && isValue(words[at - 1]) && separators[at] === " ";
    if (isMonth || (isAfterValue && (ZONES.has(text) || SIZES.has(text)))) words[at] = VALUE;
    if (isMonth && at > 0 && DAYS.has((words[at - 1] as Word).text)) words[at - 1] = VALUE;
  }
}

function isValue(word: Word | undefined): boolean {
  return word?.class === "value";
}
