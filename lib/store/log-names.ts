/**
 * Says of a rotated log which names surely do not stand in it, so that a name that nobody knows is not sought in all of it.
 *
 * A Bloom filter over every value of the fields by which records are asked for. It may say of one name in a hundred that it
 * is there when it is not, and then the log is searched; never the other way round. It is text, six bits in a character.
 *
 * @module
 */

/** Fields by whose value a record is sought, wherever in it they stand. */
const FIELDS =
  /"(?:worker_id|worker_type|task_id|incident_id|subject|event_id|decision_id|history_id|run_id|fix_id|pattern_id)"\s*:\s*("(?:[^"\\]|\\.)*")/g;

/** One bit for so many bytes of a log: at least ten for each name in logs of ours, 1 or 2 % of the log. */
const BYTES_FOR_BIT = 10;
const BITS_IN_CHARACTER = 6;
/** The first of 64 characters in a row that can be printed. */
const FIRST_CHARACTER = 0x30;
const LOOKS = 4;
const RECENT_MAX = 4096;

/** Gathers the names in a log. */
export class NamesMaker {
  readonly #sixes: Uint8Array;
  readonly #recent = new Set<string>();

  /** @param logBytes Length of the log, which need not be exact. */
  constructor(logBytes: number) {
    this.#sixes = new Uint8Array(Math.ceil(Math.max(1024, logBytes / BYTES_FOR_BIT) / BITS_IN_CHARACTER));
  }

  /** Takes in the names in one line. */
  add(line: string): void {
    FIELDS.lastIndex = 0;
    for (let match = FIELDS.exec(line); match !== null; match = FIELDS.exec(line)) this.#addName(match[1] as string);
  }

  #addName(quoted: string): void {
    // Workers, types and incidents stand in many lines near each other.
    if (this.#recent.has(quoted)) return;
    if (this.#recent.size >= RECENT_MAX) this.#recent.clear();
    this.#recent.add(quoted);
    for (const bit of bitsOf(quoted, this.#sixes.length)) {
      const at = Math.floor(bit / BITS_IN_CHARACTER);
      this.#sixes[at] = (this.#sixes[at] as number) | (1 << (bit % BITS_IN_CHARACTER));
    }
  }

  toText(): string {
    return Buffer.from(this.#sixes.map((six) => six + FIRST_CHARACTER)).toString("latin1");
  }
}

/**
 * Whether a name may be among those of which a text was made.
 *
 * @param length How many characters the text has.
 * @param characterAt The code of one of them.
 */
export function mayHold(name: string, length: number, characterAt: (at: number) => number): boolean {
  return bitsOf(JSON.stringify(name), length).every((bit) => {
    const six = characterAt(Math.floor(bit / BITS_IN_CHARACTER));
    return ((six - FIRST_CHARACTER) & (1 << (bit % BITS_IN_CHARACTER))) !== 0;
  });
}

/** The bits of a name, as it is quoted in JSON. */
function bitsOf(quoted: string, length: number): number[] {
  const bits = length * BITS_IN_CHARACTER;
  const [first, step] = [mixed(quoted, 0x811c9dc5), mixed(quoted, 0x01234567) | 1];
  const found: number[] = [];
  for (let nth = 0; nth < LOOKS; nth += 1) found.push(((first + Math.imul(nth, step)) >>> 0) % bits);
  return found;
}

/** FNV-1a over UTF-16 code units, with the finaliser of MurmurHash3 so that every bit counts. */
function mixed(text: string, seed: number): number {
  let hash = seed;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
