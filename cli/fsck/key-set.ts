/** A set of many texts in little memory, for finding those that come twice. @module */
import { unitSample } from "../../lib/domain/hash.js";

const FIRST_SIZE = 1 << 16;

/**
 * Remembers hashes of texts: 16 to 32 MiB for each million.
 *
 * Two texts may share a hash, so what `add` says was there before is a suspect, to be compared in a second pass; what it
 * says is new, is new.
 */
export class KeySet {
  #slots = new Float64Array(FIRST_SIZE);
  #count = 0;

  /** False if the text, or one with the same hash, was added before. */
  add(text: string): boolean {
    if (this.#count * 2 >= this.#slots.length) this.#grow();
    const isNew = place(this.#slots, unitSample(text));
    if (isNew) this.#count++;
    return isNew;
  }

  #grow(): void {
    const larger = new Float64Array(this.#slots.length * 2);
    for (const entry of this.#slots) if (entry !== 0) place(larger, entry - 1);
    this.#slots = larger;
  }
}

/** Puts a sample in `[0, 1)` into the first free slot from its own on. An empty slot is 0, so 1 is added. */
function place(slots: Float64Array, sample: number): boolean {
  const entry = sample + 1;
  for (let at = Math.floor((entry - 1) * slots.length); ; at = at + 1 === slots.length ? 0 : at + 1) {
    if (slots[at] === entry) return false;
    if (slots[at] !== 0) continue;
    slots[at] = entry;
    return true;
  }
}
