/**
 * Puts durations into words for tables and messages.
 * @module
 */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * Words an age: `12 s`, `3 min`, `2 h 5 min`, `3 d 4 h`. Rounded down: an age is never overstated.
 *
 * Seconds are shown up to two minutes, where they still matter to somebody who waits; hours up to two days.
 * Less than nothing, and what is no number, is `0 s`: a clock that was set back must not show ages below zero.
 */
export function age(ms: number): string {
  const seconds = ms > 0 ? Math.floor(ms / 1000) : 0;
  if (seconds < 2 * MINUTE) return `${seconds} s`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min`;
  if (seconds < 2 * DAY) return pair(seconds, HOUR, "h", MINUTE, "min");
  return pair(seconds, DAY, "d", HOUR, "h");
}

function pair(seconds: number, large: number, largeWord: string, small: number, smallWord: string): string {
  const rest = Math.floor((seconds % large) / small);
  const first = `${Math.floor(seconds / large)} ${largeWord}`;
  return rest === 0 ? first : `${first} ${rest} ${smallWord}`;
}
