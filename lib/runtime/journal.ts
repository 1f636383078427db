/**
 * The effect journal and the checkpoint of one daemon: what was decided is on disk before it is done.
 *
 * A journal line holds the parts that a decision changed and its effects, in one append. A later line's `done` says
 * which decisions are carried out; it may lag, because performing an effect twice is harmless by construction. A
 * checkpoint holds everything up to a sequence number, so that the journal can begin anew.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { Appender } from "../platform/appender.js";
import { replaceFile } from "../platform/files.js";
import type { Stamp } from "../schema/events.js";
import { textOfEntry } from "./texts.js";

/** A decision may carry a whole spec with its last words; one that is larger than this is a broken invariant. */
const JOURNAL_LINE_BYTES_MAX = 16 * 1024 * 1024;

/** One decision as it stands in the journal. */
export interface JournalEntry {
  readonly seq: number;
  readonly lane: string;
  readonly stamp: Stamp;
  /** Changed parts; null means removed. */
  readonly parts: Readonly<Record<string, unknown>>;
  readonly effects: readonly { readonly kind: string }[];
  /** How many of the effects were performed; the rest is to be done. */
  readonly performed?: number;
  /** How far an earlier decision is carried out, whose answer this entry decided upon. */
  readonly progress?: Progress;
  /** Earlier decisions that are carried out, answers and all. */
  readonly done?: readonly number[];
}

/** The first `next` effects of decision `seq` are done, and their answers decided upon. */
export interface Progress {
  readonly seq: number;
  readonly next: number;
}

/** Everything a daemon knows, as of a sequence number. */
export interface Checkpoint {
  readonly seq: number;
  readonly boot_id: string;
  readonly parts: Readonly<Record<string, unknown>>;
  readonly pending: readonly JournalEntry[];
}

/** What a daemon starts from. */
export interface Recovered {
  readonly seq: number;
  readonly boot_id: string | null;
  readonly parts: Map<string, unknown>;
  readonly pending: readonly JournalEntry[];
  /** What could not be read, one sentence each. */
  readonly faults: readonly string[];
}

export interface Journal {
  append(entry: JournalEntry): void;
  checkpoint(checkpoint: Checkpoint): void;
  recover(): Recovered;
  readonly bytes: number;
}

/** The journal of a live daemon: two files in `state/`. */
export class FileJournal implements Journal {
  readonly #statePath: string;
  readonly #journalPath: string;
  #appender: Appender;
  #bytes = 0;

  constructor(statePath: string, journalPath: string) {
    this.#statePath = statePath;
    this.#journalPath = journalPath;
    this.#appender = new Appender(journalPath, { bytesMax: JOURNAL_LINE_BYTES_MAX, isOnlyWriter: true });
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(entry: JournalEntry): void {
    this.#write(textOfEntry(entry));
  }

  checkpoint(checkpoint: Checkpoint): void {
    replaceFile(this.#statePath, `${JSON.stringify(checkpoint)}\n`);
    // A crash here leaves a journal whose entries are all older than the checkpoint; recovery skips them.
    replaceFile(this.#journalPath, "");
    this.#appender.reopen();
    this.#bytes = 0;
  }

  recover(): Recovered {
    const faults: string[] = [];
    const checkpoint = readCheckpoint(this.#statePath, faults);
    const text = existsSync(this.#journalPath) ? readFileSync(this.#journalPath, "utf8") : "";
    this.#bytes = Buffer.byteLength(text);
    return replay(checkpoint, text.split("\n"), faults, this.#journalPath);
  }

  close(): void {
    this.#appender.close();
  }

  #write(line: string): void {
    this.#appender.append(line);
    this.#bytes += line.length + 1;
  }
}

function readCheckpoint(path: string, faults: string[]): Checkpoint | null {
  if (!existsSync(path)) return null;
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Checkpoint;
  } catch (cause) {
    faults.push(
      `Cannot read checkpoint "${path}": ${cause instanceof Error ? cause.message : String(cause)}; the state is derived anew`,
    );
    return null;
  }
}

/** Brings a checkpoint up to date with journal lines. A line that does not parse is the torn tail of a killed daemon. */
export function replay(
  checkpoint: Checkpoint | null,
  lines: readonly string[],
  faults: string[],
  path: string,
): Recovered {
  const parts = new Map<string, unknown>(Object.entries(checkpoint?.parts ?? {}));
  const pending = new Map<number, JournalEntry>((checkpoint?.pending ?? []).map((entry) => [entry.seq, entry]));
  const base = checkpoint?.seq ?? 0;
  let seq = base;
  for (const [index, line] of lines.entries()) {
    if (line === "") continue;
    const record = parseLine(line);
    if (record === null) {
      faults.push(`Cannot read journal "${path}": line ${index + 1} is torn; it was never carried out`);
      continue;
    }
    for (const finished of record.done ?? []) pending.delete(finished);
    if (record.seq <= base) continue;
    seq = Math.max(seq, record.seq);
    applyParts(parts, record.parts);
    if (record.progress) advance(pending, record.progress);
    if (record.effects.length > 0) pending.set(record.seq, record);
  }
  return { seq, boot_id: checkpoint?.boot_id ?? null, parts, pending: [...pending.values()], faults };
}

function advance(pending: Map<number, JournalEntry>, { seq, next }: Progress): void {
  const entry = pending.get(seq);
  if (entry === undefined) return;
  if (next >= entry.effects.length) pending.delete(seq);
  else pending.set(seq, { ...entry, performed: next });
}

function parseLine(line: string): JournalEntry | null {
  try {
    return JSON.parse(line) as JournalEntry;
  } catch {
    return null;
  }
}

/** Sets changed parts and removes those that are null. */
function applyParts(parts: Map<string, unknown>, changed: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(changed)) {
    if (value === null) parts.delete(key);
    else parts.set(key, value);
  }
}

/** A journal in memory, for simulations; it keeps text, so that what survives a crash is what a file would hold. */
export class MemoryJournal implements Journal {
  #lines: string[] = [];
  #checkpoint: string | null = null;

  get bytes(): number {
    return this.#lines.reduce((sum, line) => sum + line.length + 1, 0);
  }

  append(entry: JournalEntry): void {
    this.#lines.push(JSON.stringify(entry));
  }

  checkpoint(checkpoint: Checkpoint): void {
    this.#checkpoint = JSON.stringify(checkpoint);
    this.#lines = [];
  }

  recover(): Recovered {
    const checkpoint = this.#checkpoint === null ? null : (JSON.parse(this.#checkpoint) as Checkpoint);
    return replay(checkpoint, this.#lines, [], "memory");
  }
}
