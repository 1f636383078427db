/**
 * Remembers which refusals of beats were said, so that each is said once and not at every beat. Pure.
 *
 * A worker replaces its beat at each interval: what is wrong with it is the same from file to file, and only the figures in
 * the sentence are others.
 *
 * @module
 */
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const WORKERS_MAX = 10_000;
/** Different refusals that are remembered of one worker. */
const REFUSALS_MAX = 8;

interface Said {
  saidMonoMs: number;
  /** Beats since, of which it was not said. */
  unsaid: number;
  /** Whether a faultless beat came since. */
  recovered: boolean;
}

export class BeatRefusals {
  readonly #said = new Map<string, Map<string, Said>>();

  /**
   * Counts a refused beat.
   *
   * @returns Of how many beats it is to be told now; 0 where it was said already. It is said again each hour, and, a minute
   * after it was said or later, once a faultless beat has come in between.
   */
  hear(workerId: string, code: string, sentence: string, nowMonoMs: number): number {
    const refusals = this.#said.get(workerId) ?? new Map<string, Said>();
    bounded(this.#said, workerId, refusals, WORKERS_MAX);
    const key = `${code} ${withoutFigures(sentence)}`;
    const known = refusals.get(key);
    if (known === undefined) {
      bounded(refusals, key, { saidMonoMs: nowMonoMs, unsaid: 0, recovered: false }, REFUSALS_MAX);
      return 1;
    }
    known.unsaid += 1;
    if (nowMonoMs - known.saidMonoMs < (known.recovered ? MINUTE_MS : HOUR_MS)) return 0;
    const { unsaid } = known;
    refusals.set(key, { saidMonoMs: nowMonoMs, unsaid: 0, recovered: false });
    return unsaid;
  }

  /** A faultless beat came. */
  recover(workerId: string): void {
    for (const said of this.#said.get(workerId)?.values() ?? []) said.recovered = true;
  }

  /** Forgets what could not be told after all. */
  forget(workerId: string): void {
    this.#said.delete(workerId);
  }
}

/** What was found, and where in the text, is another thing with every beat; what was wanted is not. */
export function withoutFigures(sentence: string): string {
  return sentence.replace(/, got [^;]*/g, "").replace(/\d+(?:\.\d+)?/g, "#");
}

/** The oldest go first: at worst something is said twice, and memory stays bounded. */
function bounded<Value>(map: Map<string, Value>, key: string, value: Value, max: number): void {
  if (!map.has(key) && map.size >= max) map.delete(map.keys().next().value as string);
  map.set(key, value);
}
