/** Reads comma-separated values with quoted fields, as RFC 4180 has them. @module */

/** The rows, by the names in the first one. */
export function readCsv(text: string): Readonly<Record<string, string>>[] {
  const [names = [], ...rows] = readRows(text);
  return rows.map((row) => Object.fromEntries(names.map((name, at) => [name, row[at] ?? ""])));
}

function readRows(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (let at = 0; at < text.length; ) {
    const { field, end } = text[at] === '"' ? quoted(text, at) : bare(text, at);
    row.push(field);
    if (text[end] === ",") {
      at = end + 1;
      if (at < text.length) continue;
      row.push("");
    }
    rows.push(row);
    row = [];
    at = text.startsWith("\r\n", end) ? end + 2 : end + 1;
  }
  return rows;
}

function bare(text: string, at: number): { readonly field: string; readonly end: number } {
  let end = at;
  while (end < text.length && text[end] !== "," && text[end] !== "\n" && text[end] !== "\r") end += 1;
  return { field: text.slice(at, end), end };
}

function quoted(text: string, at: number): { readonly field: string; readonly end: number } {
  let field = "";
  let from = at + 1;
  for (;;) {
    const quote = text.indexOf('"', from);
    if (quote === -1) return { field: field + text.slice(from), end: text.length };
    field += text.slice(from, quote);
    if (text[quote + 1] !== '"') return { field, end: quote + 1 };
    field += '"';
    from = quote + 2;
  }
}
