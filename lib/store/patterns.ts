/**
 * The failure patterns on disk: snapshots, one a line, of which the last of a pattern counts, and an index with counts.
 *
 * failure-pattern alone writes them, and makes the file anew when most of its lines are out of date.
 * @module
 */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Appender, replaceFile } from "../platform/files.js";
import { type PatternIndex, type PatternRecord, patternSchema } from "../schema/pattern.js";
import { lineOf } from "./entries.js";
import type { Layout } from "./layout.js";

export const PATTERNS_FILE = "failure-patterns.jsonl";
export const PATTERN_INDEX_FILE = "pattern-index.json";

/** Below this size, old lines are left for people to look at. */
const COMPACT_BYTES = 1024 * 1024;

export class PatternStore {
  readonly path: string;
  readonly indexPath: string;
  readonly #appender: Appender;

  constructor(layout: Layout) {
    this.path = join(layout.patternsDir, PATTERNS_FILE);
    this.indexPath = join(layout.patternsDir, PATTERN_INDEX_FILE);
    this.#appender = new Appender(this.path);
  }

  append(record: PatternRecord): void {
    this.#appender.append(JSON.stringify(record));
  }

  /** Whether the file is gone, or most of it is out of date. */
  wantsCompaction(patterns: number): boolean {
    const size = statSync(this.path, { throwIfNoEntry: false })?.size;
    if (size === undefined) return patterns > 0;
    return size > COMPACT_BYTES && size > patterns * 4096;
  }

  /** Replaces the file by one line for each pattern. */
  rewrite(records: readonly PatternRecord[]): void {
    replaceFile(this.path, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
    this.#appender.reopen();
  }

  writeIndex(index: PatternIndex): void {
    replaceFile(this.indexPath, lineOf(index));
  }

  reopen(): void {
    this.#appender.reopen();
  }

  close(): void {
    this.#appender.close();
  }
}

/** The patterns as they are now: the last good line of each, the one that changed last at the end. */
export function readPatterns(layout: Layout): PatternRecord[] {
  const latest = new Map<string, PatternRecord>();
  for (const line of textOf(join(layout.patternsDir, PATTERNS_FILE)).split("\n")) {
    const record = line === "" ? null : readLine(line);
    if (record === null) continue;
    latest.delete(record.pattern_id);
    latest.set(record.pattern_id, record);
  }
  return [...latest.values()];
}

function readLine(line: string): PatternRecord | null {
  try {
    const read = patternSchema.safeParse(JSON.parse(line));
    return read.success ? read.data : null;
  } catch {
    return null; // Torn by a kill: the next snapshot says it again.
  }
}

function textOf(path: string): string {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true ? readFileSync(path, "utf8") : "";
}
