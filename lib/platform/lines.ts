/** Cuts bytes into lines of bounded length, whatever the bytes are. @module */

const LINE_FEED = 0x0a;
const RETURN = 0x0d;

/** Collects chunks and gives complete lines; of a longer line only the first bytes are kept. */
export class LineSplitter {
  readonly #bytesMax: number;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #isWithin = false;

  /** @param bytesMax Bytes kept of a line. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The lines that a chunk completes. Bytes that are no UTF-8 become U+FFFD. */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, from)) {
      this.#hold(chunk, from, end);
      lines.push(this.#take());
      from = end + 1;
    }
    if (from < chunk.length) this.#hold(chunk, from, chunk.length);
    return lines;
  }

  /** The last line, if it did not end with a line feed. */
  end(): string[] {
    return this.#isWithin ? [this.#take()] : [];
  }

  #hold(chunk: Buffer, from: number, end: number): void {
    this.#isWithin = true;
    const kept = Math.min(end, from + this.#bytesMax - this.#heldBytes);
    if (kept <= from) return;
    // A copy: the chunk's memory is filled anew by the next read.
    this.#held.push(Buffer.from(chunk.subarray(from, kept)));
    this.#heldBytes += kept - from;
  }

  #take(): string {
    const bytes = this.#held.length === 1 ? (this.#held[0] as Buffer) : Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    this.#isWithin = false;
    const end = bytes.at(-1) === RETURN ? bytes.length - 1 : bytes.length;
    return bytes.toString("utf8", 0, end);
  }
}
