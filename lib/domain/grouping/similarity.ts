/** How alike two templates are, word by word. @module */

/** Words looked at: the time grows with their square. */
const WORDS_MAX = 40;

/** A template, cut into words. */
export interface Words {
  readonly inOrder: readonly string[];
  readonly all: ReadonlySet<string>;
}

export function wordsOf(template: string): Words {
  const inOrder = template.split(/\s+/, WORDS_MAX + 1).filter((word) => word !== "");
  return { inOrder, all: new Set(inOrder) };
}

/**
 * The share of words that both have in the same order: 2·L / (n + m), L the length of the longest common subsequence.
 *
 * 1 is the same, 0 has no word in common; of seven words one may differ for .85.
 * @see Du and Li, Spell: streaming parsing of system event logs, ICDM 2016, for the common subsequence
 */
export function similarity({ inOrder: a }: Words, { inOrder: b }: Words): number {
  if (a.length + b.length === 0) return 1;
  let before = new Array<number>(b.length + 1).fill(0);
  for (const word of a) {
    const row = [0];
    for (let at = 0; at < b.length; at += 1) {
      const longer = Math.max(before[at + 1] as number, row[at] as number);
      row.push(word === b[at] ? (before[at] as number) + 1 : longer);
    }
    before = row;
  }
  return (2 * (before[b.length] as number)) / (a.length + b.length);
}

/** Whether two templates are at least so alike. Most that are not differ in their length or share too few words at all. */
export function areSimilar(a: Words, b: Words, threshold: number): boolean {
  const [n, m] = [a.inOrder.length, b.inOrder.length];
  const needed = (threshold * (n + m)) / 2;
  if (Math.min(n, m) < needed) return false;
  let shared = 0;
  for (const word of a.inOrder) if (b.all.has(word)) shared += 1;
  return shared >= needed && similarity(a, b) >= threshold;
}
