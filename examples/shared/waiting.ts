/** Waits for a condition, never for a time: with a bound, and without holding up what is shown meanwhile. @module */

const LOOK_EVERY_MS = 25;

/**
 * Answers whether the condition came true within the bound.
 *
 * @param lookEveryMs How soon after it came true this returns, at the latest.
 */
export async function waitFor(
  condition: () => boolean,
  boundMs: number,
  lookEveryMs = LOOK_EVERY_MS,
): Promise<boolean> {
  const untilMs = performance.now() + boundMs;
  while (!condition()) {
    if (performance.now() >= untilMs) return false;
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
  return true;
}
