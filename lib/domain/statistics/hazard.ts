/** When the next failure is to be expected, from the gaps between those that were. @module */

/**
 * The share of gaps that last longer than each length (Kaplan and Meier's estimate), as steps.
 *
 * @param gapsMs Gaps that ended with a failure.
 * @param openMs The gap that has not ended yet: it is known only to be longer than this.
 * @see Kaplan and Meier, Journal of the American Statistical Association 53 (1958), 457-481
 */
export function survival(gapsMs: readonly number[], openMs: number): readonly (readonly [ms: number, share: number])[] {
  const sorted = [...gapsMs].sort((a, b) => a - b);
  const steps: [number, number][] = [];
  let share = 1;
  for (let index = 0; index < sorted.length; ) {
    const ms = sorted[index] as number;
    let ended = 0;
    while (sorted[index + ended] === ms) ended += 1;
    const atRisk = sorted.length - index + (openMs >= ms ? 1 : 0);
    share *= 1 - ended / atRisk;
    steps.push([ms, share]);
    index += ended;
  }
  return steps;
}

/** The chance that the gap ends within `horizonMs`, having lasted `ageMs`: 1 − S(age + horizon) / S(age). */
export function chanceWithin(gapsMs: readonly number[], ageMs: number, horizonMs: number): number {
  const steps = survival(gapsMs, ageMs);
  const now = shareAt(steps, ageMs);
  return now <= 0 ? 0 : 1 - shareAt(steps, ageMs + horizonMs) / now;
}

/** How long it takes, from an age on, until the gap has ended with a chance; null if the gaps seen do not reach so far. */
export function timeUntil(gapsMs: readonly number[], ageMs: number, chance: number): number | null {
  const steps = survival(gapsMs, ageMs);
  const now = shareAt(steps, ageMs);
  if (now <= 0) return null;
  const step = steps.find(([ms, share]) => ms > ageMs && 1 - share / now >= chance - 1e-12);
  return step === undefined ? null : step[0] - ageMs;
}

function shareAt(steps: readonly (readonly [number, number])[], ms: number): number {
  let share = 1;
  for (const [at, after] of steps) {
    if (at > ms) break;
    share = after;
  }
  return share;
}
