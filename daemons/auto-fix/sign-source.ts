/** The logs of the other daemons: what they write that calls a person, or says that it is over. @module */

import type { ReadOn } from "../../lib/domain/followed-log.js";
import type { Source } from "../../lib/runtime/daemon.js";
import { type FollowingFigures, LogFollower } from "../../lib/runtime/following.js";
import type { EventLog } from "../../lib/schema/catalogue.js";
import { isOld } from "./calling.js";
import type { Context } from "./rules.js";
import { type Sign, signOf } from "./signs.js";
import type { CallPart, CallsPart } from "./state.js";

/** The log of patterns calls nobody: what they lead to does. */
const LOGS: readonly EventLog[] = ["heartbeat", "zombie-cleanup", "worker-restart", "daemon"];

export class SignSource implements Source {
  readonly name = "signs";
  readonly scanEverySeconds: number;
  readonly #context: Context;
  readonly #follower: LogFollower<Sign>;

  constructor(context: Context) {
    this.#context = context;
    this.#follower = new LogFollower<Sign>(context, LOGS, signOf);
    this.scanEverySeconds = this.#follower.scanEverySeconds;
  }

  start(): void {
    // Before the first line: it says from when on lines are news.
    if (this.#context.part<CallsPart>("calls") === null) this.#context.offer({ kind: "calls-begin" });
    this.#follower.start();
    this.#letGo();
  }

  scan(): void {
    this.#follower.scan();
    this.#letGo();
  }

  stop(): void {
    this.#follower.stop();
  }

  /** Performs `read-on`. */
  readOn(effect: ReadOn): undefined {
    return this.#follower.readOn(effect);
  }

  figures(): FollowingFigures & { readonly calls_open: number } {
    const open = this.#context.partsWith<CallPart>("call:").size;
    return { ...this.#follower.figures(), calls_open: open };
  }

  #letGo(): void {
    const nowMs = Date.now();
    const calls = this.#context.part<CallsPart>("calls");
    for (const call of [...this.#context.partsWith<CallPart>("call:").values()])
      if (isOld(call, calls, nowMs)) this.#context.offer({ kind: "call-old", subject: call.subject });
  }
}
