/** `heald logs`: what a worker printed. @module */
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { StringDecoder } from "node:string_decoder";
import { NotFound } from "../../lib/errors.js";
import { readTail } from "../../lib/platform/files.js";
import { namesIn } from "../../lib/store/entries.js";
import type { Layout } from "../../lib/store/layout.js";
import type { Call, CommandDefinition } from "../command.js";
import { readHome } from "../home.js";
import { checkedId, flagOption, numberOption } from "../options.js";
import { note, print } from "../screen.js";
import { findWorker } from "../subjects.js";

const SHOWN = 200;
const TAIL_BYTES = 4 * 1024 * 1024;
const POLL_MS = 200;

export const command: CommandDefinition = {
  summary: "what a worker printed",
  description: "Standard output and standard error of the newest attempt. Control characters are shown as \ufffd.",
  arguments: "<id>",
  options: [
    { flags: "-f, --follow", description: "go on as it prints, also with its next attempt" },
    { flags: "-n, --lines <count>", description: `how many lines at most (default: ${SHOWN})` },
    { flags: "--attempt <n>", description: "an earlier attempt" },
  ],
  examples: ["heald logs worker-scan-1 -f", "heald logs worker-scan-1 --attempt 2 -n 1000 | less"],
  run: logs,
};

async function logs(call: Call): Promise<undefined> {
  const workerId = checkedId(call.args[0] as string, "A worker id");
  const layout = readHome(call);
  const lines = numberOption(call.options, "lines", "--lines", { min: 0, max: 1e7, whole: true }) ?? SHOWN;
  const wanted = numberOption(call.options, "attempt", "--attempt", { min: 0, max: 1e9, whole: true });
  const attempts = attemptsWithLogs(layout, workerId);
  const attempt = wanted ?? attempts.at(-1);
  if (attempt === undefined || !attempts.includes(attempt)) throw missing(layout, workerId, wanted, attempts);
  const path = layout.workerLog(workerId, attempt);
  if (wanted === undefined && attempts.length > 1)
    note(`attempt ${attempt}; earlier ones: ${attempts.slice(0, -1).slice(-8).join(", ")}`);
  const size = statSync(path).size;
  const text = readTail(path, TAIL_BYTES).replace(/\n$/, "");
  if (text !== "" && lines > 0) for (const line of text.split("\n").slice(-lines)) print(line);
  if (flagOption(call.options, "follow")) await follow(layout, workerId, attempt, size, wanted === undefined);
}

function attemptsWithLogs(layout: Layout, workerId: string): number[] {
  return namesIn(layout.workerLogDir(workerId))
    .flatMap((name) => /^attempt-(\d{1,10})\.log$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

function missing(layout: Layout, workerId: string, wanted: number | undefined, attempts: readonly number[]): NotFound {
  findWorker(layout, workerId);
  if (attempts.length === 0)
    return new NotFound(`${workerId} has no log: ${join(layout.workerLogDir(workerId), "attempt-*.log")} is not there`);
  return new NotFound(`${workerId} has no log of attempt ${wanted}: there are ${attempts.join(", ")}`);
}

/** Prints what is added until the process is ended; goes over to the next attempt's log when one appears. */
async function follow(layout: Layout, workerId: string, first: number, from: number, mayGoOn: boolean): Promise<void> {
  let attempt = first;
  let reader = new Follower(layout.workerLog(workerId, attempt), from);
  for (;;) {
    reader.read();
    const newest = attemptsWithLogs(layout, workerId).at(-1) ?? attempt;
    if (mayGoOn && newest > attempt) {
      reader.close();
      attempt = newest;
      note(`attempt ${attempt}`);
      reader = new Follower(layout.workerLog(workerId, attempt), 0);
      continue;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

class Follower {
  readonly #path: string;
  readonly #buffer = Buffer.allocUnsafe(65_536);
  #decoder = new StringDecoder("utf8");
  #descriptor: number;
  #offset: number;
  #line = "";

  constructor(path: string, offset: number) {
    this.#path = path;
    this.#descriptor = openSync(path, "r");
    this.#offset = offset;
  }

  read(): void {
    // A log that was cut to its limit begins anew.
    if (fstatSync(this.#descriptor).size < this.#offset) this.#offset = 0;
    this.#print();
    const named = statSync(this.#path, { throwIfNoEntry: false });
    if (named === undefined || named.ino === fstatSync(this.#descriptor).ino) return;
    closeSync(this.#descriptor);
    this.#descriptor = openSync(this.#path, "r");
    this.#offset = 0;
    this.#decoder = new StringDecoder("utf8");
  }

  close(): void {
    closeSync(this.#descriptor);
    if (this.#line !== "") print(this.#line);
  }

  #print(): void {
    for (;;) {
      const length = readSync(this.#descriptor, this.#buffer, 0, this.#buffer.length, this.#offset);
      if (length === 0) return;
      this.#offset += length;
      const lines = (this.#line + this.#decoder.write(this.#buffer.subarray(0, length))).split("\n");
      this.#line = lines.pop() ?? "";
      for (const line of lines) print(line);
    }
  }
}
