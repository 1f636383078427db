/**
 * Lets work live through bad weather: without descriptors, space or permissions it is not done this time, that is said
 * once, and whoever asked tries again at its next turn.
 * @module
 */
import { weatherCode } from "../platform/files.js";
import type { Log } from "../platform/log.js";

/** The code of an error that is the host's; null for one that is ours, and is thrown on. */
export type HostsCode = (error: unknown) => string | null;

export class Shelter {
  readonly #log: Pick<Log, "warn" | "info">;
  readonly #codeOf: HostsCode;
  /** What does not work now, and the code that was said of it. */
  readonly #troubles = new Map<string, string>();

  /** @param codeOf What counts as bad weather; the codes of `weatherCode` unless said otherwise. */
  constructor(log: Pick<Log, "warn" | "info">, codeOf: HostsCode = weatherCode) {
    this.#log = log;
    this.#codeOf = codeOf;
  }

  /**
   * Does something. Bad weather is said once for each code, until it was done again, and then that it works.
   *
   * @param what Names it in a sentence, such as `reading holds/`.
   * @returns Whether it was done.
   * @throws What is no bad weather.
   */
  run(what: string, action: () => void): boolean {
    const isDone = this.runPiece(what, action);
    if (isDone) this.worked(what);
    return isDone;
  }

  /**
   * Does a part of something that goes piece by piece. That it works again is not said before all of it was done.
   *
   * @returns As `run`.
   */
  runPiece(what: string, action: () => void): boolean {
    try {
      action();
      return true;
    } catch (error) {
      const code = this.#codeOf(error);
      if (code === null) throw error;
      this.#say(what, code, error);
      return false;
    }
  }

  /** All of it was done. */
  worked(what: string): void {
    if (this.#troubles.delete(what)) this.#log.info({ what }, `${what} works again`);
  }

  /** Lets go of the troubles of what is not there any more. */
  forget(isOver: (what: string) => boolean): void {
    for (const what of this.#troubles.keys()) if (isOver(what)) this.#troubles.delete(what);
  }

  #say(what: string, code: string, error: unknown): void {
    if (this.#troubles.get(what) === code) return;
    this.#troubles.set(what, code);
    this.#log.warn({ what, code, cause: String(error) }, `${what} does not work just now (${code}); it is tried again`);
  }
}
