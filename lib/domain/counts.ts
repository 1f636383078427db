/** Counts by name, where a name may be any word. Pure. @module */

/** What stands under a name; undefined also for "constructor" and other words that every object inherits. */
export function under<T>(counts: Readonly<Record<string, T>>, name: string | number): T | undefined {
  return Object.hasOwn(counts, name) ? counts[name] : undefined;
}
