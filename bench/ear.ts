/** Hears workers say that they run. Whoever listens takes the processor from those who speak, so it does little. @module */
import { spawnSync } from "node:child_process";
import { constants, openSync } from "node:fs";
import { Socket } from "node:net";

/** A worker's word that it runs, and when it was heard. */
export interface Started {
  readonly id: string;
  readonly pid: number;
  readonly atMs: number;
}

/** What came in one read. */
interface Heard {
  readonly said: Buffer;
  readonly atMs: number;
}

const LINE_END = 10;

export class Ear {
  readonly #socket: Socket;
  /** Taken apart when it is asked for, and not while others are still to speak. */
  #heard: Heard[] = [];
  /** Whole lines in it. */
  #lines = 0;
  #wanted = 0;
  #onEnough: () => void = () => {};
  readonly #started: Started[] = [];

  /** Makes a named pipe and listens. */
  constructor(path: string) {
    spawnSync("mkfifo", [path]);
    // Opened for reading and writing, so that it neither blocks nor ends when a writer leaves.
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    this.#socket = new Socket({ fd, readable: true, writable: false });
    this.#socket.on("data", (said) => this.#listen(said));
  }

  #listen(said: Buffer): void {
    this.#heard.push({ said, atMs: performance.now() });
    for (let at = said.indexOf(LINE_END); at >= 0; at = said.indexOf(LINE_END, at + 1)) this.#lines += 1;
    if (this.#lines >= this.#wanted) this.#onEnough();
  }

  /** Those who said it and were not asked for yet. */
  started(): Started[] {
    this.#takeApart();
    return this.#started.splice(0);
  }

  /** Waits for so many to say it; fewer after `boundMs`. The others wait for the next call. */
  async awaitStarted(count: number, boundMs: number): Promise<Started[]> {
    this.#takeApart();
    this.#wanted = count - this.#started.length;
    if (this.#wanted > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, boundMs);
        this.#onEnough = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#onEnough = () => {};
      this.#takeApart();
    }
    return this.#started.splice(0, count);
  }

  close(): void {
    this.#socket.destroy();
  }

  #takeApart(): void {
    let rest = "";
    for (const { said, atMs } of this.#heard) {
      const lines = (rest + said.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [id = "", pid = "0"] = line.split(" ");
        this.#started.push({ id, pid: Number(pid), atMs });
      }
    }
    this.#heard = rest === "" ? [] : [{ said: Buffer.from(rest), atMs: 0 }];
    this.#lines = 0;
  }
}
