/** Writes templates, and folds runs of values so that lists of different lengths agree. @module */
import type { Shape } from "./partition.js";
import { VALUE, WILDCARD, type Word } from "./word.js";

/** The text of a shape, with the parameters masked. */
export function render(shape: Pick<Shape, "separators" | "words">, parameters: ReadonlySet<number>): string {
  let text = shape.separators[0] ?? "";
  for (let at = 0; at < shape.words.length; at += 1) {
    text += (parameters.has(at) ? VALUE : (shape.words[at] as Word)).text + (shape.separators[at + 1] ?? "");
  }
  return text;
}

const JOINTS = " ,:;.-/|#@&+=_";

/**
 * Makes one wildcard of each run of them with nothing but joints between, one word of a list of words that became equal
 * by masking, and one space of each run of spaces.
 */
export function fold(template: string): string {
  let folded = "";
  let from = 0;
  for (let at = template.indexOf(WILDCARD); at !== -1; at = template.indexOf(WILDCARD, from)) {
    const between = template.slice(from, at);
    if (from === 0 || !isJoint(between)) folded += between + WILDCARD;
    from = at + WILDCARD.length;
  }
  return oneOfEach(oneSpaced(folded + template.slice(from)));
}

/** `blk_<*> blk_<*> blk_<*>` is a list of one kind, however long. */
function oneOfEach(folded: string): string {
  const words = folded.split(" ");
  return words.filter((word, at) => word !== words[at - 1] || !word.includes(WILDCARD)).join(" ");
}

function isJoint(text: string): boolean {
  for (const letter of text) if (!JOINTS.includes(letter)) return false;
  return true;
}

/** One space for each run of white space, none at the ends. */
export function oneSpaced(text: string): string {
  return squeeze(text.trim());
}

/** One space for each run of white space. */
export function squeeze(text: string): string {
  return text.length < 2 ? text : text.replace(/\s{2,}/g, " ");
}
