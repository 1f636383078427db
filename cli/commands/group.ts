/** `heald group`: which lines of a text were written by the same statement. @module */
import {
  closeSync,
  createWriteStream,
  fstatSync,
  mkdtempSync,
  openSync,
  readSync,
  rmdirSync,
  unlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import {
  assign,
  type Clusters,
  find,
  type Group,
  learn,
  newClusters,
  settleAll,
} from "../../lib/domain/grouping/clusters.js";
import { LINE_BYTES_MAX } from "../../lib/domain/grouping/harmless.js";
import { UsageError } from "../../lib/errors.js";
import { LineSplitter } from "../../lib/platform/lines.js";
import type { Call, CommandDefinition } from "../command.js";
import { flagOption } from "../options.js";

const STANDARD_INPUT = 0;
const CHUNK_BYTES = 256 * 1024;
const OUTPUT_LENGTH = 64 * 1024;

export const command: CommandDefinition = {
  summary: "group the lines of a text by the template that wrote them",
  description: [
    "Reads standard input and prints a line for each line, in the same order: the id of its group, a tab, and its template, in which <*> stands for what varies.",
    "The text is read twice, because a later line can show that two templates are one: every line gets the group that it has at the end. A pipe is kept in a temporary file until then. Ids are made from templates: the same text gives the same ids.",
    "With --live, one pass: each line gets the group that it has when it comes, which a later line may merge into another.",
    `Of a line, the first ${LINE_BYTES_MAX} bytes count. Needs no home and no daemon.`,
  ].join("\n"),
  options: [{ flags: "--live", description: "print as lines come, for tail -f; ids are not final" }],
  examples: [
    "heald group < app.log | cut -f 2 | sort | uniq -c | sort -rn | head",
    "tail -f app.log | heald group --live",
  ],
  run: group,
};

async function group(call: Call): Promise<undefined> {
  if (process.stdin.isTTY) throw new UsageError("heald group reads standard input: heald group < app.log");
  const clusters = newClusters();
  if (flagOption(call.options, "live")) return live(clusters);
  const isFile = fstatSync(STANDARD_INPUT).isFile();
  const descriptor = isFile ? STANDARD_INPUT : await spool();
  try {
    for (const line of linesOf(descriptor)) learn(clusters, line);
    settleAll(clusters);
    await writeAll(clusters, descriptor);
  } finally {
    if (!isFile) closeSync(descriptor);
  }
}

async function live(clusters: Clusters): Promise<undefined> {
  const splitter = new LineSplitter(LINE_BYTES_MAX);
  for await (const chunk of process.stdin)
    await write(
      splitter
        .push(chunk as Buffer)
        .map((line) => row(assign(clusters, line)))
        .join(""),
    );
  await write(
    splitter
      .end()
      .map((line) => row(assign(clusters, line)))
      .join(""),
  );
}

/** What comes through a pipe, as a file that can be read twice; its name is gone at once, its space when we end. */
async function spool(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "heald-group-"));
  const path = join(folder, "lines");
  const descriptor = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  rmdirSync(folder);
  await pipeline(process.stdin, createWriteStream("", { fd: descriptor, autoClose: false }));
  return descriptor;
}

function* linesOf(descriptor: number): Generator<string> {
  const splitter = new LineSplitter(LINE_BYTES_MAX);
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let position = 0; ; ) {
    const bytes = readSync(descriptor, chunk, 0, CHUNK_BYTES, position);
    if (bytes === 0) break;
    position += bytes;
    yield* splitter.push(chunk.subarray(0, bytes));
  }
  yield* splitter.end();
}

async function writeAll(clusters: Clusters, descriptor: number): Promise<void> {
  let text = "";
  for (const line of linesOf(descriptor)) {
    // A line whose shape had to be forgotten is learned anew.
    text += row(find(clusters, line) ?? assign(clusters, line));
    if (text.length < OUTPUT_LENGTH) continue;
    await write(text);
    text = "";
  }
  await write(text);
}

function row({ id, template }: Group): string {
  return `${id}\t${template}\n`;
}

/** Waits for a slow reader, so that memory stays flat. */
async function write(text: string): Promise<void> {
  if (text === "" || process.stdout.write(text)) return;
  await new Promise((resolve) => process.stdout.once("drain", resolve));
}
