/**
 * Turns identifiers into well-mixed numbers: jitter without chance, and short names for long texts.
 *
 * Not for security: anybody can make two texts that collide.
 * @module
 */

/**
 * Derives a sample in `[0, 1)` from its parts, e.g. worker, attempt and incident, so that a replay is exact.
 *
 * Parts are kept apart (`"a", "bc"` differs from `"ab", "c"`); a number counts as its decimal text, because a part may
 * have gone through a file in between.
 */
export function unitSample(...parts: readonly (string | number)[]): number {
  const [high, low] = mix(parts.map((part) => `${String(part).length}:${part}`).join());
  // 21 bits of one lane over 32 of the other: the 53 that a double holds exactly.
  return ((high >>> 11) * 2 ** 32 + low) / 2 ** 53;
}

/** Names a text by 16 hexadecimal digits. Among a million texts, two share a name with a chance of 3 in 100 million. */
export function shortHash(text: string): string {
  const [high, low] = mix(text);
  return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
}

/**
 * Mixes a text into two 32-bit lanes, each a 32-bit MurmurHash3 with a seed of its own over UTF-16 code units.
 *
 * @see https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp for the constants and the finaliser
 */
function mix(text: string): readonly [number, number] {
  const first = murmur(text, 0x9747b28c);
  // The second lane starts from the first: texts that collide in one do not for that reason collide in the other.
  return [first, murmur(text, first ^ 0x5bd1e995)];
}

function murmur(text: string, seed: number): number {
  let hash = seed;
  for (let index = 0; index < text.length; index += 1) {
    let block = Math.imul(text.charCodeAt(index), 0xcc9e2d51);
    block = Math.imul((block << 15) | (block >>> 17), 0x1b873593);
    hash ^= block;
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  hash ^= text.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
