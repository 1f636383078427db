/**
 * Takes a terminal for a view that is redrawn, and gives it back as it was.
 *
 * The view goes to the alternate screen, so that what stood there before stands there afterwards. Keys are read one by one, which
 * also takes Ctrl-C and Ctrl-Z from the terminal driver: they arrive as characters.
 * @module
 */
import type { ReadStream, WriteStream } from "node:tty";
import { shown } from "../screen.js";

const ENTER = "\u001b[?1049h\u001b[?25l";
const LEAVE = "\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const REST_OF_LINE = "\u001b[K";
const REST_OF_SCREEN = "\u001b[J";
const ROWS = 24;

/** Ctrl-C, and what people press to leave. */
const QUIT = new Set(["q", "Q", "\u0003", "\u0004"]);
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export class Terminal {
  readonly #input: ReadStream;
  readonly #output: WriteStream;
  readonly #onKey = (keys: Buffer | string): void => {
    if ([...String(keys)].some((key) => QUIT.has(key))) this.#quit();
  };
  readonly #onSignal = (): void => this.#quit();
  #isOurs = false;
  #quit: () => void = () => {};
  /** Resolves when a person, or a signal, ends the view. */
  readonly ended = new Promise<void>((resolve) => {
    this.#quit = resolve;
  });

  constructor(input: ReadStream, output: WriteStream) {
    this.#input = input;
    this.#output = output;
  }

  /** Lines that it has now; a terminal may say 0: unknown. */
  get rows(): number {
    return this.#output.rows || ROWS;
  }

  enter(onResize: () => void): void {
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
    if (this.#input.isTTY) {
      this.#input.setRawMode(true);
      this.#input.on("data", this.#onKey);
      this.#input.resume();
    }
    this.#output.on("resize", onResize);
    this.#output.write(ENTER);
    this.#isOurs = true;
  }

  /** Draws over what stands there, line by line: nothing flickers, and nothing scrolls. Nothing is drawn once it is given back. */
  draw(lines: readonly string[]): void {
    if (!this.#isOurs) return;
    const body = lines.map((line) => `${shown(line)}${REST_OF_LINE}`).join("\n");
    this.#output.write(`${HOME}${body}${REST_OF_SCREEN}`);
  }

  leave(): void {
    this.#isOurs = false;
    this.#output.removeAllListeners("resize");
    this.#output.write(LEAVE);
    if (this.#input.isTTY) {
      this.#input.setRawMode(false);
      this.#input.off("data", this.#onKey);
      this.#input.pause();
    }
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
  }
}
