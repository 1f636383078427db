/** Holds that a person sets and ends: what they keep back is asked for again at once, not when they would have ended. @module */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { watchDirectory } from "../../lib/platform/watching.js";
import type { Source } from "../../lib/runtime/daemon.js";
import { Shelter } from "../../lib/runtime/shelter.js";
import { namesIn } from "../../lib/store/entries.js";
import type { Context } from "./rules.js";

const SCAN_EVERY_SECONDS = 5;

export class HoldSource implements Source {
  readonly name = "holds";
  readonly scanEverySeconds = SCAN_EVERY_SECONDS;
  readonly #context: Context;
  readonly #shelter: Shelter;
  readonly #changed: () => void;
  /** Of the holds that were seen last. */
  #version = "";
  #watch: { close(): void } | null = null;

  constructor(context: Context, changed: () => void) {
    this.#context = context;
    this.#shelter = new Shelter(context.log);
    this.#changed = changed;
  }

  start(): void {
    const { layout, log } = this.#context;
    this.#version = this.#look() ?? "";
    this.#watch = watchDirectory(
      layout.holdsDir,
      () => this.scan(),
      (fault) => log.warn({ cause: String(fault) }, "holds are looked at every few seconds"),
    );
  }

  stop(): void {
    this.#watch?.close();
  }

  scan(): void {
    const version = this.#look();
    if (version === null || version === this.#version) return;
    this.#version = version;
    this.#changed();
  }

  /** What there is, as text; null in bad weather. */
  #look(): string | null {
    const { holdsDir } = this.#context.layout;
    let version: string | null = null;
    this.#shelter.run("looking at holds", () => {
      version = namesIn(holdsDir)
        .sort()
        .map((name) => `${name}:${lstatSync(join(holdsDir, name), { throwIfNoEntry: false })?.mtimeMs}`)
        .join("|");
    });
    return version;
  }
}
