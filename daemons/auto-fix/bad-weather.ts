/** Lets a source live through bad weather: what cannot be read just now is read by a later scan. @module */
import { weatherCode } from "../../lib/platform/files.js";
import type { Log } from "../../lib/platform/log.js";

export class BadWeather {
  readonly #log: Pick<Log, "warn">;
  /** What did not work the last time, and the code that was said of it. */
  readonly #said = new Map<string, string>();

  constructor(log: Pick<Log, "warn">) {
    this.#log = log;
  }

  /** Does something; `what` says in a sentence that it cannot be done, once for each code. Returns whether it was done. */
  sheltered(what: string, action: () => void): boolean {
    try {
      action();
    } catch (fault) {
      const code = weatherCode(fault);
      if (code === null) throw fault;
      if (this.#said.get(what) !== code) this.#log.warn({ code, cause: String(fault) }, what);
      this.#said.set(what, code);
      return false;
    }
    return true;
  }

  /** It is over, as far as is known. */
  forget(): void {
    this.#said.clear();
  }
}
