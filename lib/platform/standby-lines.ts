/**
 * The line that tells a launcher which stands by what to start.
 *
 * A shell reads a line byte by byte, half a microsecond each: with five hundred bytes that was the longest part of a start. So what a
 * launcher knows is not sent. Either a line fills in a *form*, which holds everything that starts of workers of one type have
 * in common, and which the launcher's session was told while it had nothing to do; or, where there is no form for it yet, letters stand in it for
 * words that are frequent. launcher.sh reads all of these. Forms hold what workers have in their environment, so
 * they go through the pipe and are no argument of a process.
 * @module
 */
import { fieldsOf, type StartDescription } from "./launcher-host.js";

/** Ends each field. */
export const LINE_FIELD_END = "\u001c";
/** Comes before each letter that stands for a word or a blank. */
export const MARK = "\u001d";
/** Letters that stand for words; launcher.sh knows as many. */
const LETTERS = "abcdefghijklmnopqrstuv";
/** What a line with letters begins with; no letter of a word. A form does too. */
const WITH_WORDS = "0";
/** What a line begins with that fills in a form. */
const FILLED_IN = "1";
/** What a line begins with that is a form. */
const A_FORM = "2";
/** So many bytes are written to a pipe whole or not at all (PIPE_BUF). */
const LINE_BYTES_MAX = 4096;
/** A session reads and keeps that many characters; two milliseconds of a processor, before it is needed. */
const FORMS_CHARS_MAX = 4096;

const UNTELLABLE = new RegExp(`[\n${MARK}${LINE_FIELD_END}]`);

export type Shorten = (text: string) => string;

/** Writes a letter for each word that a text has. @throws {RangeError} If there are more words than letters. */
export function shortener(words: readonly string[]): Shorten {
  if (words.length > LETTERS.length) throw new RangeError(`Only ${LETTERS.length} words have letters`);
  if (words.length === 0) return (text) => `${WITH_WORDS}${text}`;
  const letters = new Map(words.map((word, nth) => [word, `${MARK}${LETTERS[nth]}`]));
  const pattern = new RegExp(longestFirst(words), "g");
  return (text) => `${WITH_WORDS}${text.replace(pattern, (word) => letters.get(word) as string)}`;
}

/** All that a line has to tell of a start; null if it cannot be told in a line. */
export function textOf({ variables, ofLauncher, ofProgram, program, blanks }: StartDescription): string | null {
  const fields = fieldsOf(variables, [...ofLauncher, ...ofProgram], program);
  // A shell might take it for an option of its own.
  if (fields === null || program[0]?.startsWith("-")) return null;
  return fields.some((field) => UNTELLABLE.test(field)) || blanks.some((blank) => UNTELLABLE.test(blank))
    ? null
    : joined(fields);
}

/** The line with words in it; null if it is too long. */
export function lineWithWords(text: string, shorten: Shorten): string | null {
  return withinPipe(`${shorten(text)}\n`);
}

/** The line that fills in the form with this number among what a launcher knows; null if it is too long. */
export function lineFilledIn(nth: number, blanks: readonly string[]): string | null {
  return withinPipe(`${joined([`${FILLED_IN}${nth}`, ...blanks])}\n`);
}

/** The line that tells a session of a form; null if it is too long. */
export function lineOfForm(form: Form): string | null {
  return withinPipe(`${A_FORM}${form.text}\n`);
}

function joined(fields: readonly string[]): string {
  return `${fields.join(LINE_FIELD_END)}${LINE_FIELD_END}`;
}

function withinPipe(line: string): string | null {
  return Buffer.byteLength(line) > LINE_BYTES_MAX ? null : line;
}

/** What texts have in common: letters stand instead of what the blanks hold. */
export class Form {
  /** As launchers are given it. */
  readonly text: string;
  /** Between the letters; the first before all of them. */
  readonly #parts: readonly (readonly [blank: number, rest: string])[];

  /**
   * The form of a text with blanks in it.
   *
   * A number in the arguments that happens to be the attempt's becomes a blank too. That does no harm: filled in, the form
   * is the text, and the next attempt has another form.
   */
  constructor(text: string, blanks: readonly string[]) {
    const filled = blanks.filter((each) => each !== "");
    const pattern = new RegExp(`(?<!\\w)(?:${longestFirst(filled)})(?!\\w)`, "g");
    const marked = text.replace(pattern, (value) => (value === "" ? "" : `${MARK}${LETTERS[blanks.indexOf(value)]}`));
    this.text = `${WITH_WORDS}${marked}`;
    this.#parts = this.text.split(MARK).map((part) => [LETTERS.indexOf(part[0] as string), part.slice(1)] as const);
  }

  /** Whether it is this text when it is filled in: quick, since a start waits for it. */
  fits(text: string, blanks: readonly string[]): boolean {
    let at = 0;
    for (const [blank, rest] of this.#parts) {
      const value = blanks[blank] ?? "";
      if (!text.startsWith(value, at) || !text.startsWith(rest, at + value.length)) return false;
      at += value.length + rest.length;
    }
    return at === text.length;
  }
}

/** The forms that launchers are told of when they are made: those that were needed last. */
export class Forms {
  /** The one that was needed last first. */
  #known: Form[] = [];

  get known(): readonly Form[] {
    return this.#known;
  }

  /** The form of a text, if it is known. */
  find(text: string, blanks: readonly string[]): Form | null {
    const nth = this.#known.findIndex((form) => form.fits(text, blanks));
    if (nth === -1) return null;
    const [form] = this.#known.splice(nth, 1) as [Form];
    this.#known.unshift(form);
    return form;
  }

  /** Forgets those that were not needed for longest, if they are too many. A text that would take all the room has no form. */
  learn(text: string, blanks: readonly string[]): void {
    if (text.length > FORMS_CHARS_MAX || this.find(text, blanks) !== null) return;
    this.#known.unshift(new Form(text, blanks));
    let chars = 0;
    const end = this.#known.findIndex((form) => {
      chars += form.text.length;
      return chars > FORMS_CHARS_MAX;
    });
    if (end !== -1) this.#known.splice(end);
  }
}

function longestFirst(texts: readonly string[]): string {
  return [...texts]
    .sort((a, b) => b.length - a.length)
    .map((text) => text.replace(/\W/g, "\\$&"))
    .join("|");
}
