/**
 * Calls that come every so many seconds, all of a process at the same moment.
 *
 * Each waking of a process that sleeps costs more than most of what it does then: caches are cold, and the kernel has to
 * switch to it. Ten timers that ring one after another within a second are ten wakings; ten that share one are one.
 * @module
 */

const SECOND_MS = 1000;

interface Call {
  readonly everySeconds: number;
  readonly action: () => void;
  /** Seconds until it is due. */
  left: number;
}

const calls = new Set<Call>();
let timer: NodeJS.Timeout | null = null;

/**
 * Calls an action every so many seconds, for the first time after that many at most.
 *
 * @param seconds Parts of a second have a timer of their own.
 * @returns Ends it.
 */
export function everySeconds(seconds: number, action: () => void): () => void {
  if (!Number.isInteger(seconds) || seconds < 1) {
    const own = setInterval(action, seconds * SECOND_MS);
    return () => clearInterval(own);
  }
  const call: Call = { everySeconds: seconds, action, left: seconds };
  calls.add(call);
  timer ??= setInterval(ring, SECOND_MS);
  return () => {
    calls.delete(call);
    if (calls.size > 0 || timer === null) return;
    clearInterval(timer);
    timer = null;
  };
}

/** What was added or ended by one of the calls counts from the next second on. */
function ring(): void {
  for (const call of [...calls]) {
    call.left -= 1;
    if (call.left > 0 || !calls.has(call)) continue;
    call.left = call.everySeconds;
    call.action();
  }
}
