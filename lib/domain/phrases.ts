/**
 * Finds phrases in a text: whole words, in any case, `#` for one digit. No regular expression, so that neither a rule nor a
 * log can make it slow: at most the length of the text for each phrase, times the phrase's own where it begins alike.
 *
 * @module
 */

export interface Phrase {
  readonly text: string;
  /** What stands before the first `#`. */
  readonly start: string;
}

export type Phrases = readonly Phrase[];

export function phrasesOf(texts: readonly string[]): Phrases {
  return texts.map((one) => {
    const text = inSmallLetters(one);
    const digit = text.indexOf("#");
    return { text, start: digit === -1 ? text : text.slice(0, digit) };
  });
}

/** With A to Z made small, and nothing else: every place stays where it is. */
export function inSmallLetters(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Where the last of the phrases begins in a text of small letters; -1 if there is none. */
export function lastPhrase(lower: string, phrases: Phrases): number {
  let last = -1;
  for (const { text, start } of phrases) {
    for (let at = lower.lastIndexOf(start); at > last; at = at === 0 ? -1 : lower.lastIndexOf(start, at - 1)) {
      if (!stands(lower, text, at)) continue;
      last = at;
      break;
    }
  }
  return last;
}

function stands(lower: string, phrase: string, at: number): boolean {
  for (let index = 0; index < phrase.length; index += 1) {
    const wanted = phrase[index];
    if (wanted === "#" ? !isDigit(lower, at + index) : lower[at + index] !== wanted) return false;
  }
  const end = at + phrase.length;
  const opens = !isWord(phrase, 0) || !isWord(lower, at - 1);
  return opens && (!isWord(phrase, phrase.length - 1) || !isWord(lower, end));
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 48 && code <= 57;
}

function isWord(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return isDigit(text, at) || (code >= 97 && code <= 122) || code === 0x5f || code === 0x23;
}
