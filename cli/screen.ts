/**
 * Writes to the terminal. Nothing that comes from a file can move the cursor, colour or turn text: every line passes
 * `safe`, and colours are marks that only this module turns into escape sequences, after that.
 * @module
 */

// Escape and everything else that a terminal or a bidirectional renderer acts upon, line feeds excepted.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
/** Private-use characters around the number of a colour. */
const MARK = /\ue000(\d{1,2})\ue001/g;
const MARKS = /\ue000\d{1,2}\ue001/g;

const COLOURS = { red: 31, green: 32, yellow: 33, blue: 34, dim: 2, bold: 1 } as const;
export type Colour = keyof typeof COLOURS;

/** The text without anything that a terminal would act upon. */
export function safe(text: string): string {
  return text.replace(/\t/g, " ").replace(CONTROL, "\ufffd");
}

/** Marks a text with a colour; `print` shows it where that is wanted. */
export function paint(colour: Colour, text: string): string {
  return `\ue000${COLOURS[colour]}\ue001${text}\ue0000\ue001`;
}

export function print(text = ""): void {
  process.stdout.write(`${shown(text)}\n`);
}

/** The text as it goes to standard output: safe, and with its colours where they are wanted. */
export function shown(text: string, colourful = isColourful()): string {
  return colourful ? safe(text).replace(MARK, (_, code: string) => `\u001b[${code}m`) : plain(safe(text));
}

/** JSON with every character that a terminal would act upon written as an escape. */
export function printJson(value: unknown, form: "document" | "line" = "document"): void {
  const text = JSON.stringify(value, null, form === "document" && process.stdout.isTTY ? 2 : undefined);
  process.stdout.write(
    `${text.replace(CONTROL, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`)}\n`,
  );
}

/** Advice that belongs to no output: to standard error. */
export function note(text: string): void {
  process.stderr.write(`heald: ${plain(safe(text))}\n`);
}

export function plain(text: string): string {
  return text.replace(MARKS, "");
}

function isColourful(): boolean {
  return process.stdout.isTTY === true && (process.env.NO_COLOR ?? "") === "" && process.env.TERM !== "dumb";
}

/** Columns of the terminal; null where the output goes to a file or another program. A terminal may say 0: unknown. */
export function columns(): number | null {
  return process.stdout.isTTY === true ? process.stdout.columns || 80 : null;
}

/**
 * Prints rows under headings, aligned. On a terminal the last column is cut to its width.
 *
 * @param notes What is said below each row, wrapped: sentences that would not fit into a column.
 */
export function printTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  notes: readonly string[] = [],
): void {
  for (const line of tableLines(headings, rows, notes)) print(line);
}

/** The lines of a table, for `print`. */
export function tableLines(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  notes: readonly string[] = [],
): string[] {
  const cells = [headings.map((heading) => paint("dim", heading)), ...rows].map((row) =>
    row.map((cell) => safe(cell).replace(/\n/g, " ")),
  );
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => plain(row[column] ?? "").length)));
  return cells.flatMap((row, nth) => {
    const line = cutToWidth(row.map((cell, column) => pad(cell, widths[column] ?? 0)).join("  "));
    const about = notes[nth - 1] ?? "";
    if (about === "") return [line];
    return [line, ...wrap(`  ${safe(about).replace(/\n/g, " ")}`, columns() ?? NOTE_WIDTH, "  ").split("\n")];
  });
}

/** Where the output goes to no terminal. */
const NOTE_WIDTH = 80;

function pad(cell: string, width: number): string {
  return cell + " ".repeat(Math.max(0, width - plain(cell).length));
}

/** Cut at the width of the terminal; a mark that is cut open would colour all that follows, so it is closed. */
export function cutToWidth(line: string): string {
  const width = columns();
  const bare = line.trimEnd();
  if (width === null || plain(bare).length <= width) return bare;
  let shown = "";
  let length = 0;
  for (const piece of bare.split(/(\ue000\d{1,2}\ue001)/)) {
    if (piece.startsWith("\ue000")) shown += piece;
    else {
      const rest = piece.slice(0, Math.max(0, width - 1 - length));
      shown += rest;
      length += rest.length;
    }
  }
  return `${shown}…`;
}

/** Breaks a text at spaces so that no line is longer than the width; lines after the first are indented. */
export function wrap(text: string, width: number, indent: string): string {
  const margin = /^ */.exec(text)?.[0] ?? "";
  const lines: string[] = [];
  let line = margin;
  let isEmpty = true;
  for (const word of text.slice(margin.length).split(" ")) {
    const wanted = isEmpty ? line + word : `${line} ${word}`;
    if (isEmpty || plain(wanted).length <= width) line = wanted;
    else {
      lines.push(line);
      line = indent + word;
    }
    isEmpty = false;
  }
  return [...lines, line].join("\n");
}
