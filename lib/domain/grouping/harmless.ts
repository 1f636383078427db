/**
 * Makes a line that a stranger wrote safe to store, to show on a terminal and to match against.
 *
 * One pass over at most {@link LINE_BYTES_MAX} bytes: whatever the line holds, the cost is bounded.
 * @module
 */

/** Bytes of UTF-8 that are looked at and kept of a line; what follows is dropped. */
export const LINE_BYTES_MAX = 8192;

const ESCAPE = 0x1b;
const BELL = 0x07;
const REPLACEMENT = "\ufffd";

/**
 * Drops terminal escapes, control characters and characters that reorder or hide text; halves of surrogate pairs become
 * U+FFFD; tabs become spaces; the text is cut at {@link LINE_BYTES_MAX} bytes, never within a character.
 *
 * Applying it twice changes nothing more. Bytes that are no UTF-8 have become U+FFFD when the file was decoded.
 */
export function harmless(line: string): string {
  if (line.length * 3 <= LINE_BYTES_MAX ? isPlain(line) : line.length <= LINE_BYTES_MAX && isAscii(line)) return line;
  let clean = "";
  let bytes = 0;
  for (let at = 0; at < line.length && bytes < LINE_BYTES_MAX; ) {
    const code = line.charCodeAt(at);
    if (code === ESCAPE || code === 0x9b) {
      at = afterEscape(line, at);
      continue;
    }
    const end = at + (isPair(line, at) ? 2 : 1);
    const kept = keptOf(line, at, end, code);
    at = end;
    bytes += bytesOf(kept);
    if (bytes <= LINE_BYTES_MAX) clean += kept;
  }
  return clean;
}

function isPlain(line: string): boolean {
  for (let at = 0; at < line.length; at += 1) {
    const code = line.charCodeAt(at);
    if (code < 0x20 || (code >= 0x7f && (code < 0xa0 || code === 0xad || code === 0x61c || code >= 0x200b)))
      return false;
  }
  return true;
}

function isAscii(line: string): boolean {
  for (let at = 0; at < line.length; at += 1) {
    const code = line.charCodeAt(at);
    if (code < 0x20 || code >= 0x7f) return false;
  }
  return true;
}

function keptOf(line: string, at: number, end: number, code: number): string {
  if (code === 0x09) return " ";
  if (code < 0x20 || (code >= 0x7f && code < 0xa0) || isInvisible(code)) return "";
  if (code >= 0xd800 && code <= 0xdfff && end - at === 1) return REPLACEMENT;
  return line.slice(at, end);
}

/** Characters without a width of their own that change the order or the look of what surrounds them. */
function isInvisible(code: number): boolean {
  return (
    code === 0xad ||
    code === 0x61c ||
    (code >= 0x200b && code <= 0x200f) ||
    (code >= 0x2028 && code <= 0x202e) ||
    (code >= 0x2060 && code <= 0x206f) ||
    code === 0xfeff
  );
}

function isPair(line: string, at: number): boolean {
  const code = line.charCodeAt(at);
  if (code < 0xd800 || code > 0xdbff) return false;
  const next = line.charCodeAt(at + 1);
  return next >= 0xdc00 && next <= 0xdfff;
}

function bytesOf(kept: string): number {
  if (kept === "") return 0;
  const code = kept.charCodeAt(0);
  if (kept.length === 2) return 4;
  return code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
}

/** Longest escape that is dropped whole; a longer one is a text that pretends, and only its introducer goes. */
const ESCAPE_LENGTH_MAX = 256;

/** Where a line goes on after the escape sequence that starts at `at`. */
function afterEscape(line: string, at: number): number {
  const isSingle = line.charCodeAt(at) === 0x9b;
  const kind = isSingle ? "[" : line[at + 1];
  const from = at + (isSingle ? 1 : 2);
  if (kind === "[") {
    for (let index = from; index < line.length && index < from + ESCAPE_LENGTH_MAX; index += 1) {
      const code = line.charCodeAt(index);
      if (code >= 0x40 && code <= 0x7e) return index + 1;
      if (code < 0x20 || code > 0x3f) return index;
    }
    return from;
  }
  if (kind === "]" || kind === "P" || kind === "_" || kind === "^" || kind === "X") {
    for (let index = from; index < line.length && index < from + ESCAPE_LENGTH_MAX; index += 1) {
      if (line.charCodeAt(index) === BELL || line.charCodeAt(index) === 0x9c) return index + 1;
      if (line.charCodeAt(index) === ESCAPE) return line[index + 1] === "\\" ? index + 2 : index;
    }
    return from;
  }
  return at + 1;
}
