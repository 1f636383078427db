/**
 * Lets a source live through bad weather: without descriptors, space or permissions it does nothing this time, says so
 * once, and tries again at its next turn.
 *
 * @module
 */
import { weatherCode } from "../../lib/platform/files.js";
import type { DaemonContext } from "../../lib/runtime/daemon.js";
import type { EventType } from "../../lib/schema/catalogue.js";
import type { EventContent } from "../../lib/schema/events.js";
import { RefusalBook } from "../../lib/store/records.js";

type Context = Pick<DaemonContext<never, unknown>, "log" | "reporter">;

export class Shelter {
  readonly #context: Context;
  readonly #refused = new RefusalBook();
  /** What does not work now, and the code that was said of it. */
  readonly #troubles = new Map<string, string>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** Does something; bad weather is told apart from a broken invariant, which is thrown on. Returns whether it was done. */
  run(what: string, action: () => void): boolean {
    try {
      action();
    } catch (error) {
      const code = weatherCode(error);
      if (code === null) throw error;
      this.#say(what, code);
      return false;
    }
    if (this.#troubles.delete(what)) this.#context.log.info({ what }, `${what} works again`);
    return true;
  }

  /** Says something about the daemon, or tells that it could not be written. */
  news(type: EventType, content: EventContent): boolean {
    return this.run("writing news", () => this.#context.reporter.news(type, content));
  }

  /** Reports a version of a bad file once; where that cannot be written, at the next time that it is read. */
  refuse(
    path: string,
    version: { readonly mtimeMs: number; readonly ino: number },
    code: string,
    sentence: string,
  ): void {
    if (this.#refused.seenBefore(path, version.mtimeMs, version.ino)) return;
    const content = { message: sentence, reason: code, data: { path, problem: sentence } };
    if (!this.news("record_refused", content)) this.#refused.forget(path);
  }

  #say(what: string, code: string): void {
    if (this.#troubles.get(what) === code) return;
    this.#troubles.set(what, code);
    this.#context.log.warn({ what, code }, `${what} does not work just now (${code}); it is tried again`);
  }
}
