/** Watches a folder whose changes are in no hurry, for processes that have better things to do while they come. @module */

import { type Watch, watchDirectory } from "./watching.js";

/**
 * For so long nothing has to change before anybody looks. An attempt that starts changes its files three times within two
 * milliseconds; a hundred that start together follow each other every three milliseconds on two cores, and whoever looks at
 * them meanwhile takes a sixth of the processor from those that still wait for their start (docs/performance.md).
 */
const QUIET_MS = 25;
/** How long a start mostly takes, and the quiet after it: looking earlier whether it is over is one more waking of the process. */
const BURST_MS = QUIET_MS + 4;
/** In a storm of starts, nothing is put off for longer. */
const GATHERED_MS_MAX = 1000;
/** Of many names, so much is done in one go: a verdict is wanted within 10 ms. */
const PIECE_MS = 2;

export interface Leisure {
  /** Asked at once for each name: one that is no news is not hinted, and nobody is woken for it once more. */
  readonly isNews?: (name: string) => boolean;
  /** Asked at once after a name that is news: whether somebody waits for it after all, and for those before it. */
  readonly isUrgent?: () => boolean;
}

/**
 * Watches a folder, not those below it; when it is quiet again, each name that changed is hinted once.
 *
 * @param onError As for {@link watchDirectory}, which says what `null` means too.
 */
export function watchDirectoryAtLeisure(
  path: string,
  onHint: (name: string | null) => void,
  onError: (error: unknown) => void,
  { isNews = () => true, isUrgent = () => false }: Leisure = {},
): Watch {
  const gathered = new Gathered(onHint);
  const gather = (name: string | null): void => {
    if (name === null) return onHint(null);
    if (!isNews(name)) return;
    gathered.add(name);
    if (isUrgent()) gathered.hintNow();
  };
  const watch = watchDirectory(path, gather, onError);
  return {
    close: () => {
      gathered.close();
      watch.close();
    },
  };
}

class Gathered {
  readonly #names = new Set<string>();
  readonly #onHint: (name: string) => void;
  #timer: NodeJS.Timeout | null = null;
  #firstMs = 0;
  #lastMs = 0;
  #closed = false;

  constructor(onHint: (name: string) => void) {
    this.#onHint = onHint;
  }

  add(name: string): void {
    this.#lastMs = performance.now();
    if (this.#names.size === 0) this.#firstMs = this.#lastMs;
    this.#names.add(name);
    this.#timer ??= setTimeout(() => this.#due(), BURST_MS);
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** One timer for a burst: it is set anew when it rings too early, not with every name. */
  #due(): void {
    const nowMs = performance.now();
    const leftMs = Math.min(this.#lastMs + QUIET_MS, this.#firstMs + GATHERED_MS_MAX) - nowMs;
    if (leftMs > 0.5) {
      this.#timer = setTimeout(() => this.#due(), Math.ceil(leftMs));
      return;
    }
    this.hintNow();
  }

  hintNow(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const names = [...this.#names];
    this.#names.clear();
    this.#hint(names, 0);
  }

  /** Hints the names from `next` on, a piece at a time. */
  #hint(names: readonly string[], next: number): void {
    const endMs = performance.now() + PIECE_MS;
    let nth = next;
    while (!this.#closed && nth < names.length && performance.now() < endMs) this.#onHint(names[nth++] as string);
    if (!this.#closed && nth < names.length) setImmediate(() => this.#hint(names, nth));
  }
}
