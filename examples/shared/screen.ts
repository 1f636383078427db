/** What an example puts on the terminal: lines with times, and a table. Colour only on a terminal that wants it. @module */

/** `fault`: what the example does to the fleet; the rest is what heald does about it. */
export type Kind = "demo" | "fault" | "seen" | "decided" | "done";

/** A cell's text; rows wrap within their columns. */
export type Row = readonly string[];

const COLUMNS_MIN = 80;
const COLUMNS_MAX = 100;
const LABEL_WIDTH = 9;
const TIME_WIDTH = 7;

const STYLES: Readonly<Record<Kind | "bold" | "dim" | "good" | "bad", string>> = {
  demo: "2",
  fault: "35",
  seen: "33",
  decided: "36",
  done: "32",
  bold: "1",
  dim: "2",
  good: "32",
  bad: "1;31",
};

export class Screen {
  readonly #out: NodeJS.WriteStream;
  readonly #coloured: boolean;
  readonly #startMs: number;

  constructor(out: NodeJS.WriteStream, env: NodeJS.ProcessEnv, startMs: number) {
    this.#out = out;
    this.#coloured = out.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
    this.#startMs = startMs;
  }

  get columns(): number {
    return Math.min(COLUMNS_MAX, Math.max(COLUMNS_MIN, this.#out.columns ?? COLUMNS_MAX)) - 1;
  }

  /** One thing that happened, with the seconds since the start; long texts go on below. */
  line(kind: Kind, atMs: number, text: string): void {
    const time = Math.max(0, (atMs - this.#startMs) / 1000).toFixed(1);
    const left = TIME_WIDTH + 2 + LABEL_WIDTH;
    const [first = "", ...rest] = wrap(text, this.columns - left);
    const label = this.style(kind, kind.padEnd(LABEL_WIDTH));
    this.plain(`${this.style("dim", `${time} s`.padStart(TIME_WIDTH))}  ${label}${first}`);
    for (const more of rest) this.plain(`${" ".repeat(left)}${more}`);
  }

  heading(text: string): void {
    this.plain("");
    this.plain(this.style("bold", text));
  }

  /** What a command printed, indented below the line that names it. */
  output(text: string): void {
    const indent = " ".repeat(TIME_WIDTH + 2);
    for (const line of text.trimEnd().split("\n"))
      this.plain(`${indent}${line.slice(0, this.columns - indent.length)}`);
  }

  plain(text: string): void {
    this.#out.write(`${text}\n`);
  }

  /**
   * A table with a rule below its head.
   *
   * @param shares How the width is shared out; the first column is as wide as its texts.
   */
  table(head: Row, rows: readonly Row[], shares: readonly number[]): void {
    const widths = this.#widths([head, ...rows], shares);
    this.#row(head, widths, "bold");
    this.plain(widths.map((width) => "-".repeat(width)).join("  "));
    for (const row of rows) this.#row(row, widths, row[0] === "ok" ? "good" : "bad");
  }

  style(name: keyof typeof STYLES, text: string): string {
    return this.#coloured ? `\u001b[${STYLES[name]}m${text}\u001b[0m` : text;
  }

  #widths(rows: readonly Row[], shares: readonly number[]): number[] {
    const first = Math.max(...rows.map(([text = ""]) => text.length));
    const left = this.columns - first - 2 * shares.length;
    const sum = shares.reduce((total, share) => total + share, 0);
    return [first, ...shares.map((share) => Math.floor((left * share) / sum))];
  }

  #row(row: Row, widths: readonly number[], style: "bold" | "good" | "bad"): void {
    const cells = row.map((text, column) => wrap(text, widths[column] as number));
    const height = Math.max(...cells.map((lines) => lines.length));
    for (let line = 0; line < height; line++) {
      const texts = cells.map((lines, column) => {
        const text = (lines[line] ?? "").padEnd(widths[column] as number);
        return (column === 0 && line === 0) || style === "bold" ? this.style(style, text) : text;
      });
      this.plain(texts.join("  ").trimEnd());
    }
  }
}

/** Breaks a text at its spaces; a word that is longer than a line is broken where the line ends. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ").flatMap((each) => chunks(each, width))) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function chunks(word: string, width: number): string[] {
  const parts: string[] = [];
  for (let start = 0; start < word.length; start += width) parts.push(word.slice(start, start + width));
  return parts;
}
