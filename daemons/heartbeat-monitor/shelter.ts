/** The shelter of the monitor's sources, with news: what it says of bad files and of holds must live through bad weather too. @module */
import type { DaemonContext } from "../../lib/runtime/daemon.js";
import { Shelter as PlainShelter } from "../../lib/runtime/shelter.js";
import type { EventType } from "../../lib/schema/catalogue.js";
import type { EventContent, EventSubject } from "../../lib/schema/events.js";
import { RefusalBook } from "../../lib/store/records.js";

type Context = Pick<DaemonContext<never, unknown>, "log" | "reporter">;

export class Shelter extends PlainShelter {
  readonly #reporter: Context["reporter"];
  readonly #refused = new RefusalBook();

  constructor({ log, reporter }: Context) {
    super(log);
    this.#reporter = reporter;
  }

  /** Says something about the daemon, or tells that it could not be written. */
  news(type: EventType, content: EventContent, subject: EventSubject = {}): boolean {
    return this.run("writing news", () => this.#reporter.news(type, content, subject));
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
}
