/**
 * Decides which masked lines are one template: for each place where they differ, whether its words are values of one
 * parameter or different statements.
 *
 * A pure function of the set of shapes; their order does not matter.
 * @module
 */
import type { Word } from "./word.js";

/** A masked line as it was seen: all lines with equal text after masking. */
export interface Shape {
  readonly separators: readonly string[];
  readonly words: readonly Word[];
  readonly count: number;
}

/** Shapes that are one template, with the places where they differ. */
export interface Part<S extends Shape> {
  readonly members: readonly S[];
  readonly parameters: ReadonlySet<number>;
}

/** Different plain words in one place that make it a parameter, where all else agrees. */
export const WORDS_OF_PARAMETER = 4;
/** The same for words in capitals: states and codes are mostly different statements. */
export const CAPITALS_OF_PARAMETER = 16;
/** Share of a template's words that must agree, or its lines have little more than their length in common. */
export const SIMILARITY_MIN = 0.4;

interface Place {
  readonly at: number;
  /** Different texts. */
  readonly variety: number;
  readonly mustSplit: boolean;
  readonly hasPlain: boolean;
}

/** Divides shapes of equal separators into parts. */
export function partition<S extends Shape>(shapes: readonly S[]): Part<S>[] {
  const parts: Part<S>[] = [];
  const waiting: (readonly S[])[] = [shapes];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const places = differingPlaces(next);
    const at = placeToSplit(next, places);
    if (at === null) parts.push({ members: next, parameters: new Set(places.map((place) => place.at)) });
    else waiting.push(...splitAt(next, at));
  }
  return parts;
}

/** The place with the fewest different words tells most about what a line says; the leftmost of equals. */
function placeToSplit(shapes: readonly Shape[], places: readonly Place[]): number | null {
  const must = places.filter((place) => place.mustSplit);
  const tooDifferent = must.length === 0 && places.length > 0 && !areSimilar(shapes, places);
  const candidates = tooDifferent ? places.filter((place) => place.hasPlain) : must;
  let best: Place | null = null;
  for (const place of candidates) if (best === null || place.variety < best.variety) best = place;
  return best?.at ?? null;
}

function areSimilar(shapes: readonly Shape[], places: readonly Place[]): boolean {
  const words = (shapes[0] as Shape).words;
  const differing = new Set(places.map((place) => place.at));
  let agreeing = 0;
  let counted = 0;
  for (let at = 0; at < words.length; at += 1) {
    if ((words[at] as Word).class === "value" && !differing.has(at)) continue;
    counted += 1;
    if (!differing.has(at)) agreeing += 1;
  }
  return agreeing >= SIMILARITY_MIN * counted;
}

function isLoose(word: Word): boolean {
  return word.class === "value" || word.class === "mixed";
}

/** Whether two shapes of equal separators agree in enough words to be one template; all shapes of a part do, in pairs. */
export function areAlike(one: Shape, other: Shape): boolean {
  let agreeing = 0;
  let counted = 0;
  for (let at = 0; at < one.words.length; at += 1) {
    const [word, beside] = [one.words[at] as Word, other.words[at] as Word];
    const isEqual = word.text === beside.text;
    if (isEqual ? word.class === "value" : isLoose(word) && isLoose(beside)) continue;
    counted += 1;
    if (isEqual) agreeing += 1;
  }
  return agreeing >= SIMILARITY_MIN * counted;
}

function differingPlaces(shapes: readonly Shape[]): Place[] {
  const first = shapes[0] as Shape;
  const places: Place[] = [];
  for (let at = 0; at < first.words.length; at += 1) {
    const text = (first.words[at] as Word).text;
    if (shapes.every((shape) => (shape.words[at] as Word).text === text)) continue;
    places.push(judge(at, new Map(shapes.map((shape) => [(shape.words[at] as Word).text, shape.words[at] as Word]))));
  }
  return places;
}

function judge(at: number, values: ReadonlyMap<string, Word>): Place {
  const counts = { value: 0, mixed: 0, plain: 0, capitals: 0, fixed: 0 };
  for (const word of values.values()) counts[word.class] += 1;
  // Where a number has stood, a word is a value as well: a host by its address, a host by its name.
  const plainEnough = counts.plain === 0 || counts.value > 0 || counts.plain + counts.mixed >= WORDS_OF_PARAMETER;
  const capitalsEnough =
    counts.capitals === 0 || counts.capitals + counts.plain + counts.mixed >= CAPITALS_OF_PARAMETER;
  return {
    at,
    variety: values.size,
    mustSplit: counts.fixed > 0 || !plainEnough || !capitalsEnough,
    hasPlain: counts.plain + counts.capitals > 0,
  };
}

/** True, false and null stand apart from each other and from the rest; other words each by itself. */
function splitAt<S extends Shape>(shapes: readonly S[], at: number): S[][] {
  const hasFixed = shapes.some((shape) => (shape.words[at] as Word).class === "fixed");
  const parts = new Map<string, S[]>();
  for (const shape of shapes) {
    const word = shape.words[at] as Word;
    const key = hasFixed && word.class !== "fixed" ? "\0" : word.text;
    const part = parts.get(key);
    if (part === undefined) parts.set(key, [shape]);
    else part.push(shape);
  }
  return [...parts.values()];
}
